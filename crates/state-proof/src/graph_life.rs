//! A graph whose one step has one effect, over and over.

use std::sync::Arc;

use atomr_agents_core::{EffectClass, Kind};
use atomr_agents_state::{AppendList, LastWriteWins, RunLogError, RunStatus, StateSchema, Store};
use atomr_agents_workflow::{
    Command, END, Graph, NodeCall, NodeError, Part, Router, RunOptions, RunnerOptions, START, StatefulRunner, Target,
    Update, WorkflowError,
};
use futures_util::StreamExt;
use serde_json::json;

use crate::task::{Stopped, begins};
use crate::{Ledger, Task, say};

/// What the effect of this step declares.
#[must_use]
pub fn class_of(step: u64, once_every: u64) -> EffectClass {
    if once_every > 0 && step % once_every == once_every - 1 { EffectClass::Once } else { EffectClass::Idempotent }
}

/// A counter, and a list that grows by what each effect gave: the key that it was handed.
fn graph(ledger: Ledger, steps: u64, once_every: u64) -> Graph {
    let schema = StateSchema::builder().add_with_default("count", LastWriteWins, json!(0)).add("keys", AppendList);
    let ledger = Arc::new(ledger);
    let step = move |call: NodeCall| {
        let ledger = Arc::clone(&ledger);
        async move {
            let count: u64 = call.state.get("count")?;
            let class = class_of(count, once_every);
            let pays = |effect: atomr_agents_workflow::EffectCall| async move {
                begins();
                // Whoever reads the stream hears of the steps before.
                tokio::task::yield_now().await;
                let key = effect.idempotency_key;
                ledger.write(&key, class).map_err(|error| NodeError::from_source(Kind::Storage, error))?;
                Ok(key)
            };
            let key: String = call.ctx.effect("pay", class, pays).await?;
            Ok(Update::new().write("count", count + 1).write("keys", json!([key])))
        }
    };
    let again = Router::new(move |state| match state.get::<u64>("count") {
        Ok(count) if count < steps => vec![Target::to("step")],
        _ => vec![Target::end()],
    });
    let graph = Graph::builder("paying", schema.build().expect("a schema")).node("step", step).edge(START, "step");
    graph.branch("step", again, ["step", END]).build().expect("a graph")
}

pub(crate) async fn live(task: &Task, store: &Arc<dyn Store>, steps: u64, once_every: u64) -> Result<(), Stopped> {
    let ledger = Ledger::open(&task.ledger).map_err(|error| Stopped::Failed(Kind::Storage, Box::new(error)))?;
    let options = RunnerOptions { lease: task.lease, durability: task.durability, ..RunnerOptions::default() };
    let runner = StatefulRunner::with_store(graph(ledger, steps, once_every), Arc::clone(store), options);
    let mut stream = match runner.get_state(&task.run).await {
        Ok(snapshot) if snapshot.status == RunStatus::Finished => return Ok(()),
        Ok(_) => runner.stream_resume(&task.run, [Command::Continue], RunOptions::default()),
        Err(WorkflowError::Log(RunLogError::NoSuchRun { .. })) => {
            runner.stream(json!({}), RunOptions::named(task.run.clone()))
        }
        // It was begun, and its first checkpoint was not made.
        Err(WorkflowError::Log(RunLogError::NoSuchStep { .. })) => {
            runner.stream_resume(&task.run, [Command::Continue], RunOptions::default())
        }
        Err(error) => return Err(stopped(error)),
    };
    while let Some(part) = stream.next().await {
        if let Part::State { step, .. } = part {
            say(&format!("ack {step}"));
        }
    }
    match stream.outcome() {
        Some(Err(error)) => Err(stopped(error)),
        _ => Ok(()),
    }
}

fn stopped(error: WorkflowError) -> Stopped {
    let unknown = match &error {
        WorkflowError::Step { source, .. } => match &**source {
            NodeError::Log(RunLogError::OutcomeUnknown { key, .. }) => Some(key.to_string()),
            _ => None,
        },
        _ => None,
    };
    match error {
        // Two who begin one run at once: the other has it, or has ended it.
        WorkflowError::Log(RunLogError::Exists { .. } | RunLogError::Over { .. }) => Stopped::Held,
        error => Stopped::of(error.kind(), unknown, error),
    }
}
