//! An agent whose model asks for several tools at once, over and over.

use std::pin::pin;
use std::sync::Arc;

use atomr_agents_agent::{AgentBuilder, AgentError, AgentOptions, Durable, RunError};
use atomr_agents_core::{CallCtx, EffectClass, Event, EventKind, Kind};
use atomr_agents_state::{RunLogError, RunReader, RunStatus, Store};
use atomr_agents_strategy::StaticTools;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, IdempotencyKey, Tool, ToolDescriptor, ToolError};
use serde_json::json;

use crate::task::{Stopped, begins};
use crate::{Ledger, Task, say};

/// How many tools each answer of the model asks for; one of them must not be called twice.
pub const PARALLEL: usize = 4;

fn model(rounds: usize) -> ScriptedModel {
    let names: [&str; PARALLEL] = ["look", "put", "pay", "put"];
    let rounds = 0..rounds;
    let asks =
        |round: usize| names.iter().enumerate().map(move |(at, name)| (*name, json!({"n": round * PARALLEL + at})));
    rounds.fold(ScriptedModel::new().by_conversation(), |model, round| model.tool_calls(asks(round))).text("Done.")
}

fn tools(ledger: Ledger) -> Vec<Arc<dyn Tool>> {
    let ledger = Arc::new(ledger);
    let parameters = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let tool = |name: &'static str, class: EffectClass| -> Arc<dyn Tool> {
        let ledger = Arc::clone(&ledger);
        let descriptor = ToolDescriptor::new(name, "", parameters.clone()).with_effect(class);
        Arc::new(FnTool::described(descriptor, move |_, ctx| {
            let ledger = Arc::clone(&ledger);
            async move {
                begins();
                let key = IdempotencyKey::of(&ctx).as_deref().unwrap_or_default().to_owned();
                ledger.write(&key, class).map_err(|error| ToolError::failed(error.to_string()))?;
                Ok(json!(key))
            }
        }))
    };
    vec![tool("look", EffectClass::None), tool("put", EffectClass::Idempotent), tool("pay", EffectClass::Once)]
}

pub(crate) async fn live(task: &Task, store: &Arc<dyn Store>, rounds: usize) -> Result<(), Stopped> {
    let ledger = Ledger::open(&task.ledger).map_err(|error| Stopped::Failed(Kind::Storage, Box::new(error)))?;
    let mut durable = Durable::new(Arc::clone(store));
    (durable.journal.lease, durable.journal.durability) = (task.lease, task.durability);
    let agent = AgentBuilder::new(Arc::new(model(rounds)), "scripted")
        .with_tools(StaticTools::new(tools(ledger)).expect("tools"))
        .with_options(AgentOptions {
            durable: Some(durable),
            max_iterations: u32::try_from(rounds).unwrap_or(u32::MAX).saturating_add(1),
            ..AgentOptions::default()
        })
        .build()
        .expect("an agent");
    let run = match RunReader::open(Arc::clone(store), &task.run).await {
        Ok(reader) if reader.record().status == RunStatus::Finished => return Ok(()),
        Ok(_) => agent.resume_run(&task.run, &[], CallCtx::new()),
        Err(RunLogError::NoSuchRun { .. }) => agent.begin_as(&task.run, "go", CallCtx::new()),
        Err(error) => return Err(Stopped::Failed(error.kind(), Box::new(error))),
    };
    let mut heard = run.subscribe();
    let mut run = pin!(run);
    let ended = loop {
        let Some(events) = &mut heard else { break run.await };
        tokio::select! {
            biased;
            batch = events.recv_batch(PARALLEL) => match batch {
                Some(batch) => batch.events.iter().for_each(|event| tell(event)),
                None => heard = None,
            },
            ended = &mut run => break ended,
        }
    };
    match ended {
        Ok(result) => {
            // The answer has come: everything that was asked for is acknowledged.
            say(&format!("ack {}", result.iterations));
            Ok(())
        }
        Err(error) => Err(stopped(error)),
    }
}

/// A call whose end is told is written, so that it is not made again.
fn tell(event: &Event) {
    if let EventKind::ToolInvoked { ok: true, result, .. } = &event.kind {
        say(&format!("told {result}"));
    }
}

fn stopped(error: RunError) -> Stopped {
    let unknown = match &error.error {
        AgentError::Log(RunLogError::OutcomeUnknown { key, .. }) => Some(key.to_string()),
        _ => None,
    };
    Stopped::of(error.error.kind(), unknown, error)
}
