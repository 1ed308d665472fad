//! Answers of a certain shape: how they are asked for, checked and asked for again.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::sync::Arc;

use atomr_agents_agent::{AgentError, AgentOptions, OutputValidator};
use atomr_agents_core::{CallCtx, EventKind, OutputSchema, ToolChoice, Value};
use atomr_agents_inference::OutputMode;
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::ToolOptions;
use common::{Kept, agent, noting};
use futures_util::future::BoxFuture;
use serde_json::json;

fn shaped(mode: OutputMode) -> AgentOptions {
    let schema = json!({
        "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false,
    });
    let output = Some(OutputSchema { name: "number".into(), schema, strict: true });
    AgentOptions { output, output_mode: Some(mode), ..AgentOptions::default() }
}

#[tokio::test]
async fn a_native_shape_is_asked_for_in_the_request() {
    let (agent, model) = agent(ScriptedModel::new().text(r#"{"n": 1}"#), vec![], shaped(OutputMode::Native));
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!((result.value, result.messages.len()), (Some(json!({"n": 1})), 2));
    assert_eq!(model.requests()[0].output.as_ref().unwrap().name, "number");
}

#[tokio::test]
async fn a_tool_takes_the_answer_where_the_model_knows_no_shapes() {
    let (look, looked) = noting("final_answer", ToolOptions::default());
    let script = ScriptedModel::new()
        .tool_calls([("final_answer", json!({"usd": 1}))])
        .tool_calls([("final_answer", json!({})), ("final_answer_2", json!({"n": 2}))]);
    let (agent, model) = agent(script, vec![look], shaped(OutputMode::Tool));
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!(result.value, Some(json!({"n": 2})));
    assert_eq!(looked.lock().unwrap().len(), 1, "beside an answer nothing is run");
    let asked = model.requests().swap_remove(0);
    assert!(asked.output.is_none() && asked.tool_choice == ToolChoice::Required);
    assert_eq!(asked.tools[1].name, "final_answer_2");
    assert_eq!(result.messages.last().unwrap().parts.len(), 2, "both calls have an answer");
}

#[tokio::test]
async fn words_ask_for_it_as_the_last_resort() {
    let script = ScriptedModel::new().text("Sure!\n```json\n{\"n\": 3}\n```");
    let options = shaped(OutputMode::Prompted);
    let (agent, model) = agent(script, vec![], options);
    assert_eq!(agent.run("go", CallCtx::new()).await.unwrap().value, Some(json!({"n": 3})));
    let system = model.requests()[0].messages[0].text();
    assert!(system.contains(r#""required":["n"]"#), "{system}");
}

#[tokio::test]
async fn a_wrong_answer_is_asked_for_again_and_the_model_is_told_why() {
    let script = ScriptedModel::new().text("three").text(r#"{"n": "three"}"#).text(r#"{"n": 3}"#);
    let (agent, model) = agent(script, vec![], shaped(OutputMode::Native));
    let (ctx, kept) = Kept::ctx();
    let result = agent.run("go", ctx).await.unwrap();
    assert_eq!((result.value, result.iterations), (Some(json!({"n": 3})), 3));
    let told = model.requests()[2].messages.last().unwrap().text();
    assert!(told.contains("/n") && told.contains("Give the whole answer again"), "{told}");
    let rejected = kept.named("output_rejected");
    assert!(matches!(
        rejected[..],
        [EventKind::OutputRejected { attempt: 1, .. }, EventKind::OutputRejected { attempt: 2, .. }]
    ));
}

#[tokio::test]
async fn after_so_many_wrong_answers_the_run_fails_and_keeps_them() {
    let script = ScriptedModel::new().text("a").text("b");
    let options = AgentOptions { output_retries: 1, ..shaped(OutputMode::Native) };
    let (agent, _) = agent(script, vec![], options);
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    let AgentError::InvalidOutput { text, .. } = &error.error else { panic!("{error:?}") };
    assert_eq!((text.as_str(), error.partial.messages.len()), ("b", 4));
    let script = ScriptedModel::new().tool_calls([("final_answer", json!({"n": "x"}))]);
    let options = AgentOptions { max_iterations: 1, ..shaped(OutputMode::Tool) };
    let (agent, _) = common::agent(script, vec![], options);
    let error = agent.run("go", CallCtx::new()).await.unwrap_err();
    assert!(matches!(error.error, AgentError::InvalidOutput { .. }), "{error:?}");
    assert_eq!(error.partial.messages.len(), 3, "the call has an answer");
}

#[derive(Debug)]
struct Even;

impl OutputValidator for Even {
    fn validate<'a>(&'a self, value: &'a Value, _: &'a CallCtx) -> BoxFuture<'a, Result<(), String>> {
        let even = value["n"].as_i64().is_some_and(|n| n % 2 == 0);
        Box::pin(async move { if even { Ok(()) } else { Err("n must be even".to_owned()) } })
    }
}

#[tokio::test]
async fn a_check_of_the_users_own_has_the_last_word() {
    let script = ScriptedModel::new().text(r#"{"n": 3}"#).text(r#"{"n": 4}"#);
    let options = AgentOptions { output_validator: Some(Arc::new(Even)), ..shaped(OutputMode::Native) };
    let (agent, model) = agent(script, vec![], options);
    assert_eq!(agent.run("go", CallCtx::new()).await.unwrap().value, Some(json!({"n": 4})));
    assert!(model.requests()[1].messages.last().unwrap().text().contains("n must be even"));
}

#[tokio::test]
async fn a_prompt_whose_beginning_changed_is_told() {
    let options = AgentOptions { watch_prompt: true, ..AgentOptions::default() };
    let (look, _) = noting("look", ToolOptions::default());
    let script = || ScriptedModel::new().tool_calls([("look", json!({}))]).text("done").text("again");
    let (steady, _) = agent(script(), vec![look.clone()], options.clone());
    let (ctx, kept) = Kept::ctx();
    steady.run("go", ctx.clone()).await.unwrap();
    steady.run("something else", CallCtx::new()).await.unwrap();
    assert!(kept.named("prompt_prefix_changed").is_empty());
    let hashes: Vec<_> = kept
        .named("model_requested")
        .into_iter()
        .map(|kind| match kind {
            EventKind::ModelRequested { prompt_hash, .. } => prompt_hash.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1] && hashes[0].len() == 16, "{hashes:?}");
    let clock = std::sync::atomic::AtomicU32::new(0);
    let ticking = Ticking(clock);
    let options = AgentOptions { middleware: vec![Arc::new(ticking)], ..options };
    let (unsteady, _) = agent(script(), vec![look], options);
    let (ctx, kept) = Kept::ctx();
    unsteady.run("go", ctx).await.unwrap();
    let told = kept.named("prompt_prefix_changed");
    let [EventKind::PromptPrefixChanged { byte, owner }] = &told[..] else { panic!("{told:?}") };
    assert!(owner == "messages[0] system" && *byte > 0, "{told:?}");
}

/// Puts something that changes at the beginning of every prompt.
#[derive(Debug)]
struct Ticking(std::sync::atomic::AtomicU32);

impl atomr_agents_agent::AgentMiddleware for Ticking {
    fn before_model<'a>(
        &'a self,
        request: &'a mut atomr_agents_core::ModelRequest,
        _: &'a CallCtx,
    ) -> atomr_agents_agent::HookFuture<'a, ()> {
        let tick = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        request.messages.insert(0, atomr_agents_core::Message::system(format!("It is {tick} o'clock.")));
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn the_answer_is_the_value_that_fits() {
    let script = ScriptedModel::new().text("As [1] says:\n{\"n\": 3} and [2]");
    let (agent, model) = agent(script, vec![], shaped(OutputMode::Prompted));
    assert_eq!(agent.run("go", CallCtx::new()).await.unwrap().value, Some(json!({"n": 3})));
    assert_eq!(model.requests().len(), 1);
}
