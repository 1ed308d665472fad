//! Agents that work together: one takes the conversation over, one is a tool of another.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod common;

use std::sync::Arc;

use atomr_agents_agent::{AgentBuilder, AgentOptions, Handoff};
use atomr_agents_core::{CallCtx, EventKind, Kind, Part, ToolControl, ToolReturn, ToolSpec};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{Invocation, Tool, ToolFuture, ToolOptions};
use common::{Kept, agent, named, noting};
use serde_json::json;

/// A tool that orders the loop about.
struct Orders(Arc<ToolSpec>, ToolControl);

impl Orders {
    fn tool(name: &str, control: ToolControl) -> Arc<dyn Tool> {
        let spec = ToolSpec {
            name: name.into(),
            description: String::new(),
            parameters: json!({"type": "object"}),
            strict: false,
        };
        Arc::new(Self(Arc::new(spec), control))
    }
}

impl Tool for Orders {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.0
    }

    fn invoke(&self, _: Invocation) -> ToolFuture<'_> {
        let control = self.1.clone();
        Box::pin(async move { Ok(ToolReturn::Command(control)) })
    }
}

#[tokio::test]
async fn a_conversation_goes_to_another_agent_and_back_with_everything_that_was_said() {
    let (ask, _) = noting("ask", ToolOptions::default());
    let back = AgentOptions { handoffs: vec![Handoff::to_name("triage", "Everything else.")], ..named("billing") };
    let script = ScriptedModel::new().tool_calls([("ask", json!({}))]).tool_calls([("transfer_to_triage", json!({}))]);
    let (billing, billed) = agent(script, vec![ask], back);
    let script = ScriptedModel::new().tool_calls([("transfer_to_billing", json!({"note": "be kind"}))]).text("bye");
    let options = AgentOptions { handoffs: vec![Handoff::to(billing, "Invoices.")], ..named("triage") };
    let (triage, asked) = agent(script, vec![], options);
    let (ctx, kept) = Kept::ctx();
    let result = triage.run("What do I owe?", ctx).await.unwrap();
    assert_eq!((result.output.as_str(), result.agent.as_str(), result.iterations), ("bye", "triage", 4));
    let tools = |of: &ScriptedModel, at: usize| -> Vec<String> {
        of.requests()[at].tools.iter().map(|spec| spec.name.clone()).collect()
    };
    assert_eq!(tools(&asked, 0), ["transfer_to_billing"]);
    assert_eq!(tools(&billed, 0), ["ask", "transfer_to_triage"]);
    let first = billed.requests().swap_remove(0);
    let Part::ToolResult { parts, .. } = &first.messages.last().unwrap().parts[0] else { panic!() };
    assert_eq!(parts, &[Part::text("Handed over to billing. be kind")]);
    assert_eq!(asked.requests()[1].messages.len(), 7);
    let handed = kept.named("handed_off");
    let to = |from: &str, to: &str| EventKind::HandedOff { from: from.into(), to: to.into() };
    assert_eq!(handed, [to("triage", "billing"), to("billing", "triage")]);
}

#[tokio::test]
async fn a_handoff_to_nobody_is_told_to_the_model() {
    let options = AgentOptions { handoffs: vec![Handoff::to_name("nobody", "")], ..named("triage") };
    let script = ScriptedModel::new().tool_calls([("transfer_to_nobody", json!({}))]).text("I'll do it.");
    let (triage, asked) = agent(script, vec![], options);
    assert_eq!(triage.run("Hi", CallCtx::new()).await.unwrap().output, "I'll do it.");
    let second = asked.requests().swap_remove(1);
    let Part::ToolResult { is_error: true, parts, .. } = &second.messages[2].parts[0] else { panic!() };
    assert!(parts[0] == Part::text("there is no agent named \"nobody\" to hand over to"), "{parts:?}");
}

#[tokio::test]
async fn a_tool_ends_the_run_or_leaves_values_for_the_caller() {
    let update = ToolControl::Update {
        parts: vec![Part::text("noted")],
        values: json!({"ticket": 7}).as_object().unwrap().clone(),
    };
    let tools =
        vec![Orders::tool("note", update), Orders::tool("finish", ToolControl::Done { value: json!({"sum": 3}) })];
    let script = ScriptedModel::new().tool_calls([("note", json!({}))]).tool_calls([("finish", json!({}))]);
    let (agent, model) = agent(script, tools, AgentOptions::default());
    let result = agent.run("go", CallCtx::new()).await.unwrap();
    assert_eq!((result.value, result.values["ticket"].as_u64()), (Some(json!({"sum": 3})), Some(7)));
    assert_eq!((result.output.as_str(), model.requests().len()), (r#"{"sum":3}"#, 2));
}

#[tokio::test]
async fn an_agent_that_is_a_tool_runs_in_the_outer_run() {
    let (look, looked) = noting("look", ToolOptions::default());
    let script = ScriptedModel::new().tool_calls([("look", json!({}))]).text("It is 42.");
    let (expert, advised) = agent(script, vec![look], named("expert"));
    let script = ScriptedModel::new().tool_calls([("expert", json!({"task": "Find it."}))]).text("42, I hear.");
    let (outer, asked) = agent(script, vec![Arc::new(expert.as_tool("Knows things."))], named("outer"));
    let (ctx, kept) = Kept::ctx();
    let run = ctx.run;
    let result = outer.run("What is it?", ctx).await.unwrap();
    assert_eq!((result.output.as_str(), looked.lock().unwrap().len()), ("42, I hear.", 1));
    assert_eq!(advised.requests()[0].messages[0].text(), "Find it.");
    assert_eq!(asked.requests()[1].messages.len(), 3, "its conversation is its own");
    let paths: Vec<String> =
        kept.all().into_iter().filter(|(_, kind)| kind.name() == "tool_started").map(|(path, _)| path).collect();
    assert_eq!(paths, ["outer", "outer/expert"]);
    assert_eq!(result.run, run);
}

#[tokio::test]
async fn an_agent_that_is_a_tool_is_cancelled_with_the_outer_run_and_cannot_ask_for_approval() {
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let (pay, paid) = noting("pay", asks);
    let (expert, _) = agent(ScriptedModel::new().tool_calls([("pay", json!({}))]), vec![pay], named("expert"));
    let script = ScriptedModel::new().tool_calls([("expert", json!({"task": "Pay."}))]).text("It cannot.");
    let (outer, asked) = agent(script, vec![Arc::new(expert.as_tool(""))], named("outer"));
    assert_eq!(outer.run("Pay.", CallCtx::new()).await.unwrap().output, "It cannot.");
    let told = serde_json::to_string(&asked.requests()[1].messages[2]).unwrap();
    assert!(told.contains("expert asks for approval of pay"), "{told}");
    assert!(paid.lock().unwrap().is_empty());

    let ctx = CallCtx::new();
    ctx.cancel.cancel();
    let script = ScriptedModel::new().tool_calls([("expert", json!({"task": "Pay."}))]);
    let (outer, _) = agent(script, vec![Arc::new(expert.as_tool(""))], named("outer"));
    assert_eq!(outer.run("Pay.", ctx).await.unwrap_err().kind(), Kind::Cancelled);
}

#[tokio::test]
async fn two_agents_of_one_name_cannot_be_handed_to() {
    let model = || Arc::new(ScriptedModel::new());
    let build = |options| AgentBuilder::new(model(), "m").with_options(options).build();
    let other = build(named("agent")).unwrap();
    // Both have the name that agents have by default: the handoff would find the first one itself.
    let error = build(AgentOptions { handoffs: vec![Handoff::to(other, "")], ..AgentOptions::default() }).unwrap_err();
    assert!(error.kind() == Kind::Config && error.to_string().contains("two of the agents"), "{error}");
    let deep = AgentOptions { handoffs: vec![Handoff::to(build(named("x")).unwrap(), "")], ..named("b") };
    let shared = build(named("shared")).unwrap();
    let to_both = |x: Handoff| AgentOptions {
        handoffs: vec![Handoff::to(build(deep.clone()).unwrap(), ""), x, Handoff::to(shared.clone(), "")],
        ..named("a")
    };
    assert_eq!(build(to_both(Handoff::to(build(named("x")).unwrap(), ""))).unwrap_err().kind(), Kind::Config);
    build(to_both(Handoff::to_name("x", ""))).unwrap();
}

#[tokio::test]
async fn a_handoff_beside_a_denied_call_is_told() {
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let (pay, _) = noting("pay", asks);
    let (billing, _) = agent(ScriptedModel::new().text("I see."), vec![], named("billing"));
    let script = ScriptedModel::new().tool_calls([("pay", json!({})), ("transfer_to_billing", json!({}))]);
    let options = AgentOptions { handoffs: vec![Handoff::to(billing, "")], ..named("triage") };
    let (triage, _) = agent(script, vec![pay], options);
    let pending = triage.run("go", CallCtx::new()).await.unwrap().pending.unwrap();
    let (ctx, kept) = Kept::ctx();
    let decisions = [pending.calls()[0].deny("no")];
    let result = triage.resume(*pending, &decisions, ctx).await.unwrap();
    assert_eq!((result.output.as_str(), result.agent.as_str()), ("I see.", "billing"));
    let handed = kept.named("handed_off");
    assert_eq!(handed, [EventKind::HandedOff { from: "triage".into(), to: "billing".into() }]);
}

#[tokio::test]
async fn agents_that_hand_to_each_other_for_ever_meet_the_cap() {
    let hand = |to: &str| ScriptedModel::new().tool_calls([(format!("transfer_to_{to}"), json!({}))]).repeat();
    let (b, _) = agent(hand("a"), vec![], AgentOptions { handoffs: vec![Handoff::to_name("a", "")], ..named("b") });
    let options = AgentOptions { handoffs: vec![Handoff::to(b, "")], max_iterations: 5, ..named("a") };
    let (a, _) = agent(hand("b"), vec![], options);
    let error = a.run("go", CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::IterationCap);
    assert_eq!(error.partial.messages.iter().filter(|message| message.tool_calls().next().is_some()).count(), 5);
}
