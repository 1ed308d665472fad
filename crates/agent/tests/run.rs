//! Runs of agents against a scripted model.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atomr_agents_agent::{Agent, AgentBuilder, AgentError, AgentOptions, Failure, RunInput};
use atomr_agents_core::{
    CallCtx, Event, EventKind, Kind, Message, OutputSchema, Part, Role, Sampling, ToolChoice, Value,
};
use atomr_agents_inference::InferenceError;
use atomr_agents_observability::EventBus;
use atomr_agents_strategy::{MemoryChunk, Skill, StaticInstructions, StaticMemory, StaticSkills, StaticTools};
use atomr_agents_testkit::{ScriptedModel, Turn};
use atomr_agents_tool::{CheckedTool, FnTool, Tool, ToolError, ToolOptions};
use serde_json::json;

/// Counts what is alive, to see that nothing outlives its run.
#[derive(Clone, Default)]
struct Live(Arc<AtomicUsize>, Arc<AtomicUsize>);

struct Guard(Live);

impl Live {
    fn enter(&self) -> Guard {
        let now = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.1.fetch_max(now, Ordering::SeqCst);
        Guard(self.clone())
    }

    fn now(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A tool that takes `ms` milliseconds and answers with its argument.
fn slow(live: &Live) -> Arc<dyn Tool> {
    let live = live.clone();
    let parameters = json!({"type": "object", "properties": {"ms": {"type": "integer"}}, "required": ["ms"]});
    Arc::new(FnTool::new("slow", "", parameters, move |arguments, _ctx| {
        let live = live.clone();
        async move {
            let _guard = live.enter();
            tokio::time::sleep(Duration::from_millis(arguments["ms"].as_u64().unwrap_or(0))).await;
            Ok(arguments["ms"].clone())
        }
    }))
}

fn failing(name: &str, error: ToolError) -> Arc<dyn Tool> {
    Arc::new(FnTool::new(name, "", json!({"type": "object"}), move |_, _| {
        let error = error.clone();
        async move { Err(error) }
    }))
}

fn agent(model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, options: AgentOptions) -> Agent {
    AgentBuilder::new(Arc::new(model), "m")
        .with_tools(StaticTools::new(tools).unwrap())
        .with_options(options)
        .build()
        .unwrap()
}

fn waits(times: &[u64]) -> Vec<(&'static str, Value)> {
    times.iter().map(|ms| ("slow", json!({"ms": ms}))).collect()
}

fn results(messages: &[Message]) -> Vec<(String, bool)> {
    let of = |message: &Message| {
        message.parts.clone().into_iter().map(|part| match part {
            Part::ToolResult { parts, is_error, .. } => (Message { role: Role::Tool, parts }.text(), is_error),
            other => panic!("{other:?}"),
        })
    };
    messages.iter().filter(|message| message.role == Role::Tool).flat_map(of).collect()
}

#[tokio::test(start_paused = true)]
async fn parallel_calls_overlap_up_to_the_limit_and_results_keep_the_order_of_the_calls() {
    let live = Live::default();
    let model = ScriptedModel::new().tool_calls(waits(&[50, 10, 40, 20, 30])).text("done");
    let options = AgentOptions { max_parallel_tools: 2, ..AgentOptions::default() };
    let result = agent(model, vec![slow(&live)], options).run("go", CallCtx::new()).await.unwrap();
    let said: Vec<String> = results(&result.messages).into_iter().map(|(text, _)| text).collect();
    assert_eq!(said, ["50", "10", "40", "20", "30"]);
    assert_eq!((live.most(), live.now()), (2, 0));
    assert_eq!((result.output.as_str(), result.iterations), ("done", 2));
}

#[tokio::test]
async fn every_fault_of_a_tool_is_a_result_that_the_model_sees() {
    let model = ScriptedModel::new()
        .tool_calls([
            ("slow", json!({"ms": "soon"})),
            ("nobody", json!({})),
            ("broken", json!({})),
            ("panics", json!({})),
            ("stuck", json!({})),
        ])
        .text("sorry");
    let panics = FnTool::new("panics", "", json!({"type": "object"}), |_, _| async {
        if true { panic!("ouch") } else { Ok(Value::Null) }
    });
    let stuck = FnTool::new("stuck", "", json!({"type": "object"}), |_, _| std::future::pending())
        .with_options(ToolOptions { timeout: Some(Duration::from_millis(5)), ..ToolOptions::default() });
    let tools = vec![
        slow(&Live::default()),
        failing("broken", ToolError::failed("out of order")),
        Arc::new(panics),
        Arc::new(stuck) as Arc<dyn Tool>,
    ];
    let result = agent(model, tools, AgentOptions::default()).run("go", CallCtx::new()).await.unwrap();
    let said = results(&result.messages);
    for ((text, is_error), wanted) in said.iter().zip(["not valid", "no tool named", "out of order", "ouch", "within"])
    {
        assert!(*is_error && text.contains(wanted), "{text} should say {wanted}");
    }
    assert_eq!(said.len(), 5);
    assert_eq!(result.output, "sorry");
}

#[tokio::test]
async fn a_giant_error_text_is_shortened_for_the_model() {
    let giant = failing("giant", ToolError::failed("é".repeat(1 << 20)));
    let model = ScriptedModel::new().tool_calls([("giant", json!({}))]).text("ok");
    let result = agent(model, vec![giant], AgentOptions::default()).run("go", CallCtx::new()).await.unwrap();
    let (text, _) = &results(&result.messages)[0];
    assert!(text.len() < 20_000 && text.ends_with("more bytes)"), "{}", text.len());
}

#[tokio::test(start_paused = true)]
async fn a_fatal_tool_ends_the_run_its_siblings_and_keeps_what_was_done() {
    let live = Live::default();
    let mut calls = waits(&[1, 10_000]);
    calls.push(("stop", json!({})));
    let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(std::io::Error::other("exit"));
    let stop = Arc::new(FnTool::new("stop", "", json!({"type": "object"}), move |_, _| {
        let source = Arc::clone(&source);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Err(ToolError::Fatal { name: "stop".into(), message: "exit".into(), source })
        }
    }));
    let model = ScriptedModel::new().tool_calls(calls);
    let error =
        agent(model, vec![slow(&live), stop], AgentOptions::default()).run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Tool);
    assert_eq!(live.now(), 0, "siblings have stopped when the error is told");
    let said = results(&error.partial.messages);
    assert_eq!(said[0], ("1".to_owned(), false));
    assert!(said[1].1 && said[2].1);
}

#[tokio::test]
async fn the_cap_is_an_error_and_no_tool_of_the_last_answer_ran() {
    let live = Live::default();
    let model = ScriptedModel::new().tool_calls(waits(&[0])).tool_calls(waits(&[0, 0]));
    let options = AgentOptions { max_iterations: 2, ..AgentOptions::default() };
    let error = agent(model, vec![slow(&live)], options).run("go", CallCtx::new()).await.unwrap_err();
    let AgentError::Failure(Failure::IterationCap { limit: 2, pending }) = &error.error else { panic!("{error:?}") };
    assert_eq!(pending.len(), 2);
    assert_eq!(results(&error.partial.messages).iter().filter(|(_, is_error)| *is_error).count(), 2);
}

#[tokio::test]
async fn a_stream_without_its_terminal_event_dispatches_nothing() {
    use atomr_agents_core::{ModelEvent, ToolCall};
    let live = Live::default();
    let call = ToolCall::new("1", "slow", "{\"ms\":0}");
    let model = ScriptedModel::new().turn(Turn::events([
        ModelEvent::Text("I will".into()),
        ModelEvent::ToolCallStarted { index: 0, id: "1".into(), name: "slow".into() },
        ModelEvent::ToolCallDelta { index: 0, arguments: call.raw.clone() },
        ModelEvent::ToolCallFinished { index: 0, call },
    ]));
    let error = agent(model, vec![slow(&live)], AgentOptions::default()).run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::StreamInterrupted);
    assert_eq!(live.most(), 0);
    assert_eq!(error.partial.messages.last().unwrap().parts, [Part::text("I will")]);
}

#[tokio::test(start_paused = true)]
async fn a_run_has_a_time_limit_and_can_be_cancelled_from_outside() {
    let live = Live::default();
    let model = || ScriptedModel::new().tool_calls(waits(&[60_000])).text("never");
    let options = AgentOptions { timeout: Some(Duration::from_secs(1)), ..AgentOptions::default() };
    let error = agent(model(), vec![slow(&live)], options).run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!((error.kind(), live.now()), (Kind::Timeout, 0));
    let ctx = CallCtx::new();
    let cancel = ctx.cancel.clone();
    let agent = agent(model(), vec![slow(&live)], AgentOptions::default());
    let (outcome, ()) = tokio::join!(agent.run("go", ctx), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    });
    let error = outcome.unwrap_err();
    tokio::task::yield_now().await;
    assert_eq!((error.kind(), live.now()), (Kind::Cancelled, 0));
    assert_eq!(results(&error.partial.messages).len(), 1);
}

/// Drops the run after every number of polls it can have, and looks at what is left.
#[tokio::test(start_paused = true)]
async fn dropping_at_any_await_point_leaves_nothing_running_and_the_transcript_whole() {
    let live = Live::default();
    let mut points = 0;
    for polls in 0.. {
        let model = ScriptedModel::new().tool_calls(waits(&[3, 1])).text("half way").delay(Duration::from_millis(1));
        let agent = agent(model, vec![slow(&live)], AgentOptions::default());
        let mut run = agent.begin("go", CallCtx::new());
        let transcript = run.transcript();
        let mut finished = None;
        for _ in 0..polls {
            if let Ok(outcome) = tokio::time::timeout(Duration::ZERO, &mut run).await {
                finished = Some(outcome.unwrap());
                break;
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        drop(run);
        tokio::task::yield_now().await;
        assert_eq!(live.now(), 0, "after {polls} polls something still runs");
        let partial = transcript.partial();
        assert_eq!(partial.messages[0].text(), "go");
        for (at, message) in partial.messages.iter().enumerate() {
            let calls = message.tool_calls().count();
            if calls > 0 {
                assert_eq!(partial.messages[at + 1].parts.len(), calls, "calls without answers after {polls} polls");
            }
        }
        if let Some(result) = finished {
            assert_eq!(result.output, "half way");
            break;
        }
        points = polls;
    }
    assert!(points > 5, "the run had only {points} points to stop at");
}

#[tokio::test]
async fn events_are_numbered_in_order_and_tell_the_run() {
    let model = ScriptedModel::new().tool_calls(waits(&[0, 0])).text("three small words");
    let bus = EventBus::new();
    let mut outside = bus.subscribe();
    let options = AgentOptions { buses: vec![bus], ..AgentOptions::default() };
    let agent = agent(model, vec![slow(&Live::default())], options);
    let run = agent.begin("go", CallCtx::new());
    let mut inside = run.subscribe().unwrap();
    let result = run.await.unwrap();
    let mut events: Vec<Arc<Event>> = Vec::new();
    while let Some(batch) = inside.recv_batch(7).await {
        assert_eq!(batch.missed, 0);
        events.extend(batch.events);
    }
    assert_eq!(events.len() as u64, result.events);
    let order: Vec<(u64, u32)> = events.iter().map(|event| (event.seq, event.index)).collect();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(order, sorted);
    let names: Vec<&str> = events.iter().filter(|event| event.index == 0).map(|event| event.kind.name()).collect();
    assert_eq!(
        names,
        [
            "run_started",
            "model_requested",
            "model_finished",
            "tool_started",
            "tool_started",
            "tool_invoked",
            "tool_invoked",
            "model_requested",
            "model_finished",
            "run_finished",
        ]
    );
    let text: String = events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::TextDelta { text } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "three small words");
    assert!(
        events.iter().any(|event| matches!(&event.kind, EventKind::ToolCallStreamed { name, .. } if &**name == "slow"))
    );
    let mut seen = 0;
    while let Ok(batch) = outside.try_recv_batch(100) {
        seen += batch.events.len();
    }
    assert_eq!(seen, events.len());
}

#[tokio::test]
async fn strategies_reach_the_model_and_skills_bring_their_tools() {
    let model = Arc::new(ScriptedModel::new().tool_calls([("extra", json!({}))]).text("ok"));
    let extra = FnTool::new("extra", "", json!({"type": "object"}), |_, _| async { Ok(json!("from the skill")) });
    let extra = Arc::new(CheckedTool::new(Arc::new(extra)).unwrap());
    // Two skills that bring the same tool, and an agent that has it already, are no conflict.
    let skill = |name: &str| Skill {
        name: name.into(),
        instructions: "You can extra.".into(),
        tools: vec![Arc::clone(&extra)],
    };
    let agent = AgentBuilder::new(model.clone(), "m")
        .with_instructions(StaticInstructions::new("Be brief."))
        .with_memory(StaticMemory::new(vec![MemoryChunk { source: "m".into(), text: "likes rain".into() }]))
        .with_skills(StaticSkills::new(vec![skill("s"), skill("t")]))
        .build()
        .unwrap();
    let input = RunInput::from("now").with_history(vec![Message::user("before"), Message::assistant("yes")]);
    let result = agent.run(input, CallCtx::new()).await.unwrap();
    let requests = model.requests();
    let system = requests[0].messages[0].text();
    assert!(["Be brief.", "You can extra.", "likes rain"].iter().all(|text| system.contains(text)), "{system}");
    assert_eq!(requests[0].messages[1].text(), "before");
    assert_eq!(requests[0].tools.iter().map(|tool| &tool.name).collect::<Vec<_>>(), ["extra"]);
    assert_eq!(results(&requests[1].messages), [("from the skill".to_owned(), false)]);
    assert_eq!((result.history, result.messages.len()), (2, 6));
}

#[tokio::test]
async fn a_structured_answer_is_checked() {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let options = || AgentOptions {
        output: Some(OutputSchema { name: "n".into(), schema: schema.clone(), strict: false }),
        output_retries: 0,
        ..AgentOptions::default()
    };
    let good = agent(ScriptedModel::new().text("{\"n\": 3}"), vec![], options());
    assert_eq!(good.run("go", CallCtx::new()).await.unwrap().value, Some(json!({"n": 3})));
    for bad in ["three", "{\"n\": \"3\"}"] {
        let error =
            agent(ScriptedModel::new().text(bad), vec![], options()).run("go", CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOutput);
        assert_eq!(error.partial.messages.last().unwrap().text(), bad);
    }
}

#[tokio::test]
async fn an_error_of_the_model_keeps_what_was_said() {
    let model = ScriptedModel::new().turn(Turn::text("partial ").then_error(InferenceError::Cancelled));
    let error = agent(model, vec![], AgentOptions::default()).run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.partial.messages.last().unwrap().text(), "partial ");
}

#[tokio::test]
async fn an_agent_is_a_callable_and_settings_are_checked() {
    let callable = agent(ScriptedModel::new().text("hi").text("hi"), vec![], AgentOptions::default()).as_callable();
    let output = callable.call(json!("hello"), CallCtx::new()).await.unwrap();
    assert_eq!(output["text"], "hi");
    assert_eq!(callable.call(json!(3), CallCtx::new()).await.unwrap_err().kind(), Kind::Contract);
    let model = || Arc::new(ScriptedModel::new());
    let zero = AgentOptions { max_iterations: 0, ..AgentOptions::default() };
    let error = AgentBuilder::new(model(), "m").with_options(zero).build().unwrap_err();
    assert!(error.to_string().contains("max_iterations"), "{error}");
    assert!(AgentBuilder::new(model(), "").build().is_err());
    for (sampling, setting) in [
        (Sampling { temperature: Some(f64::NAN), ..Sampling::default() }, "temperature"),
        (Sampling { top_p: Some(1.5), ..Sampling::default() }, "top_p"),
        (Sampling { max_tokens: Some(0), ..Sampling::default() }, "max_tokens"),
    ] {
        let options = AgentOptions { sampling, ..AgentOptions::default() };
        let error = AgentBuilder::new(model(), "m").with_options(options).build().unwrap_err();
        assert!(error.to_string().contains(setting), "{error}");
    }
    let options = AgentOptions { tool_choice: ToolChoice::Tool("nobody".into()), ..AgentOptions::default() };
    let error = agent(ScriptedModel::new(), vec![], options).run("go", CallCtx::new()).await.unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("nobody"), "{error}");
}
