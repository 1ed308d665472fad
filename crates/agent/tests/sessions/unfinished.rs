//! Turns whose process was killed, that wait for people, that failed.

use std::sync::Arc;

use atomr_agents_agent::{
    AgentError, EffectClass, OnUnfinished, Policy, Sending, SessionError, SessionOptions, Verdict,
};
use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_inference::InferenceError;
use atomr_agents_state::{MemoryStore, Store};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, Tool, ToolOptions};
use serde_json::json;

use crate::support::{Gate, agent, options, places, sessions, talking, texts, waiting, within};

/// A session whose first turn was killed while its tool ran: nothing of its process is left, its lease included.
async fn killed(store: &Arc<dyn Store>) {
    killed_in(store, EffectClass::Idempotent).await;
}

async fn killed_in(store: &Arc<dyn Store>, effect: EffectClass) {
    let gate = Gate::new();
    let tool = gate.tool_with(effect);
    let sessions = sessions(&agent(waiting(), vec![tool], Some(store)), options(Policy::Queue));
    let session = sessions.session("u1").unwrap();
    let turn = session.send("Go.", CallCtx::new());
    tokio::select! {
        _ = turn => panic!("its tool waits"),
        () = gate.runs() => {}
    }
}

fn later(store: &Arc<dyn Store>, on_unfinished: OnUnfinished) -> (Gate, atomr_agents_agent::Session) {
    let gate = Gate::new();
    let model = waiting().by_conversation();
    let options = SessionOptions { on_unfinished, ..options(Policy::Queue) };
    let session = sessions(&agent(model, vec![gate.tool()], Some(store)), options).session("u1").unwrap();
    (gate, session)
}

#[tokio::test]
async fn a_turn_that_was_killed_is_ended_by_whoever_opens_the_session_next() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    killed(&store).await;
    let (gate, session) = later(&store, OnUnfinished::Resume);
    (0..2).for_each(|_| gate.open());
    let result = within(session.send("And?", CallCtx::new())).await.unwrap();
    assert_eq!(texts(&result.messages), ["Go.", "Answer 0.", "And?", "Answer 1."]);
}

#[tokio::test]
async fn who_sends_an_input_again_whose_turn_somebody_else_ended_is_given_what_came_of_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let gate = Gate::new();
    let first = sessions(&agent(waiting(), vec![gate.tool()], Some(&store)), options(Policy::Queue));
    let named = || Sending { id: Some("m1".to_owned()), ..Sending::default() };
    tokio::select! {
        _ = first.session("u1").unwrap().begin("Go.", named(), CallCtx::new()) => panic!("its tool waits"),
        () = gate.runs() => {}
    }
    drop(first);
    let (gate, session) = later(&store, OnUnfinished::Resume);
    (0..2).for_each(|_| gate.open());
    within(session.send("And?", CallCtx::new())).await.unwrap();
    let again = within(session.begin("Go.", named(), CallCtx::new())).await.unwrap();
    assert_eq!(texts(&again.messages), ["Go.", "Answer 0."]);
}

#[tokio::test]
async fn a_turn_that_was_killed_is_given_up_where_that_is_said_and_what_it_did_stays() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    killed(&store).await;
    let (gate, session) = later(&store, OnUnfinished::Abandon);
    gate.open();
    let result = within(session.send("And?", CallCtx::new())).await.unwrap();
    let said = texts(&result.messages);
    assert_eq!(said[..2], ["Go.", "And?"]);
    let calls = result.messages.iter().flat_map(|message| message.tool_calls()).count();
    assert!(calls >= 1, "the call that was under way");
}

#[tokio::test]
async fn where_that_shall_be_asked_the_input_is_refused_until_somebody_says_what_becomes_of_the_turn() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    killed(&store).await;
    let (gate, session) = later(&store, OnUnfinished::Ask);
    let error = within(session.send("And?", CallCtx::new())).await.unwrap_err();
    assert!(matches!(error.error, AgentError::Session(SessionError::Unfinished { .. })), "{:?}", error.error);
    assert_eq!(error.kind(), Kind::Conflict);
    gate.open();
    let ended = within(session.resume(&[], CallCtx::new())).await.unwrap();
    assert_eq!(texts(&ended.messages), ["Go.", "Answer 0."]);
    let nothing = session.resume(&[], CallCtx::new()).await.unwrap_err();
    assert!(matches!(nothing.error, AgentError::Session(SessionError::NothingToResume { .. })));
}

#[tokio::test]
async fn a_call_of_which_nobody_knows_whether_it_happened_keeps_other_inputs_out_until_somebody_decides() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    killed_in(&store, EffectClass::Once).await;
    let (_, session) = later(&store, OnUnfinished::Resume);
    for _ in 0..2 {
        let error = within(session.send("And?", CallCtx::new())).await.unwrap_err();
        assert_eq!(error.kind(), Kind::OutcomeUnknown, "{error:?}");
    }
    assert!(session.abandon().await.unwrap());
    let result = within(session.send("And?", CallCtx::new())).await.unwrap();
    assert_eq!(texts(&result.messages)[..2], ["Go.", "And?"]);
}

#[tokio::test]
async fn a_turn_that_failed_can_be_resumed_or_left_behind() {
    for resumed in [true, false] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let broken = InferenceError::Config { setting: "model".into(), message: "it is away".into() };
        let model = ScriptedModel::new().error(broken).text("Answer.");
        let session = sessions(&agent(model, vec![], Some(&store)), options(Policy::Queue)).session("u1").unwrap();
        session.send("One?", CallCtx::new()).await.unwrap_err();
        let result = match resumed {
            true => session.resume(&[], CallCtx::new()).await.unwrap(),
            false => session.send("Two?", CallCtx::new()).await.unwrap(),
        };
        let said = texts(&result.messages);
        let wanted: &[&str] = if resumed { &["One?", "Answer."] } else { &["One?", "Two?", "Answer."] };
        assert_eq!(said, wanted);
    }
}

#[tokio::test]
async fn a_turn_that_waits_for_somebodys_word_goes_on_with_it_and_refuses_others_until_then() {
    for place in places() {
        let store = place.store.as_ref();
        let pay = FnTool::new("pay", "Pays.", json!({"type": "object"}), |_, _| async { Ok(json!("paid")) })
            .with_options(ToolOptions { requires_approval: true, ..ToolOptions::default() });
        let model = ScriptedModel::new().tool_calls([("pay", json!({"usd": 5}))]).text("Done.").text("Hello.");
        let agent = agent(model, vec![Arc::new(pay) as Arc<dyn Tool>], store);
        let session = sessions(&agent, options(Policy::Queue)).session("u1").unwrap();
        let waiting = session.send("Pay.", CallCtx::new()).await.unwrap().pending.unwrap();
        let refused = session.send("Hello?", CallCtx::new()).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        let decision = waiting.calls()[0].approve();
        assert!(matches!(decision.verdict, Verdict::Approve));
        let result = session.resume(&[decision], CallCtx::new()).await.unwrap();
        assert_eq!(result.output, "Done.");
        assert_eq!(session.send("Hello?", CallCtx::new()).await.unwrap().output, "Hello.");
    }
}

#[tokio::test]
async fn a_turn_that_was_dropped_is_not_gone_on_with_in_its_own_process() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let sessions = sessions(&agent(waiting(), vec![gate.tool()], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        tokio::select! {
            _ = session.send("Go.", CallCtx::new()) => panic!("its tool waits"),
            () = gate.runs() => {}
        }
        gate.open();
        let result = within(session.send("And?", CallCtx::new())).await.unwrap();
        assert_eq!(texts(&result.messages)[..2], ["Go.", "And?"]);
    }
}

#[tokio::test]
async fn many_sessions_at_once_do_not_meet() {
    let sessions = sessions(&agent(talking().by_conversation(), vec![], None), options(Policy::Queue));
    let mut all = tokio::task::JoinSet::new();
    for n in 0..100 {
        let session = sessions.session(&format!("u{n}")).unwrap();
        all.spawn(async move {
            for turn in 0..3 {
                session.send(format!("{n}.{turn}"), CallCtx::new()).await.unwrap();
            }
            texts(&session.messages().await.unwrap()).iter().filter(|text| text.starts_with(&format!("{n}."))).count()
        });
    }
    assert_eq!(within(all.join_all()).await, vec![3; 100]);
}
