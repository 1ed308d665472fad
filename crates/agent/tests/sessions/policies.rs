//! What becomes of an input that arrives while a turn runs.

use std::sync::Arc;

use atomr_agents_agent::{AgentError, Policy, Sending, SessionError, SessionOptions};
use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_state::{MemoryStore, Store};

use crate::support::{Gate, agent, arrived, options, places, sessions, talking, texts, waiting, within};

#[tokio::test]
async fn a_conversation_goes_on_under_its_name_and_others_know_nothing_of_it() {
    for place in places() {
        let store = place.store.as_ref();
        let sessions = sessions(&agent(talking(), vec![], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        session.send("One?", CallCtx::new()).await.unwrap();
        let result = session.send("Two?", CallCtx::new()).await.unwrap();
        assert_eq!(texts(&result.messages), ["One?", "Answer 0.", "Two?", "Answer 1."]);
        assert_eq!((result.history, session.messages().await.unwrap()), (2, result.messages));
        let other = sessions.session("u2").unwrap().send("Three?", CallCtx::new()).await.unwrap();
        assert_eq!(texts(&other.messages), ["Three?", "Answer 2."]);
        assert!(!session.is_busy());
    }
}

#[tokio::test]
async fn inputs_that_queue_run_in_the_order_of_their_arrival_and_a_full_queue_says_so() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let agent = agent(waiting(), vec![gate.tool()], store);
        let sessions = sessions(&agent, SessionOptions { queue: 3, ..options(Policy::Queue) });
        let session = sessions.session("u1").unwrap();
        let mut turns = tokio::task::JoinSet::new();
        let first = session.clone();
        turns.spawn(async move { first.send("0", CallCtx::new()).await });
        gate.runs().await;
        for n in 1..=3_u64 {
            // Its arrival is over when it is durable: a full queue knows them all.
            let session = session.clone();
            let mut sent = Box::pin(async move { session.send(n.to_string(), CallCtx::new()).await });
            tokio::select! {
                biased;
                _ = &mut sent => panic!("it waits"),
                () = arrived(store, n) => {}
            }
            turns.spawn(sent);
        }
        let full = session.send("4", CallCtx::new()).await.unwrap_err();
        assert!(matches!(full.error, AgentError::Overloaded { limit: 3, .. }), "{full:?}");
        (0..4).for_each(|_| gate.open());
        let results = within(turns.join_all()).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        let said = texts(&session.messages().await.unwrap());
        assert_eq!(said, ["0", "Answer 0.", "1", "Answer 1.", "2", "Answer 2.", "3", "Answer 3."]);
    }
}

#[tokio::test]
async fn an_input_that_steers_joins_the_turn_before_its_next_model_call_and_both_have_its_result() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let sessions = sessions(&agent(waiting(), vec![gate.tool()], store), options(Policy::Steer));
        let session = sessions.session("u1").unwrap();
        let (one, two) = (session.clone(), session.clone());
        let first = async { one.send("Go.", CallCtx::new()).await.unwrap() };
        let second = async {
            gate.runs().await;
            let mut sent = Box::pin(two.send("But slowly.", CallCtx::new()));
            tokio::select! {
                biased;
                _ = &mut sent => panic!("it waits"),
                () = arrived(store, 1) => gate.open(),
            }
            sent.await.unwrap()
        };
        let (first, second) = within(async { tokio::join!(first, second) }).await;
        assert_eq!(texts(&first.messages), ["Go.", "But slowly.", "Answer 0."]);
        assert_eq!((first.run, &first.messages), (second.run, &second.messages));
        assert_eq!(session.messages().await.unwrap(), first.messages);
    }
}

#[tokio::test]
async fn an_input_that_interrupts_stops_the_turn_and_finds_what_it_did_in_a_transcript_that_is_fit_to_be_sent() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let model = waiting();
        let sessions = sessions(&agent(model.clone(), vec![gate.tool()], store), options(Policy::Interrupt));
        let session = sessions.session("u1").unwrap();
        let (one, two) = (session.clone(), session.clone());
        let first = async { one.send("Go.", CallCtx::new()).await.unwrap_err() };
        let second = async {
            gate.runs().await;
            two.send("Stop that.", CallCtx::new()).await.unwrap()
        };
        let (first, second) = within(async { tokio::join!(first, second) }).await;
        assert!(matches!(&first.error, AgentError::Session(SessionError::Interrupted { session }) if session == "u1"));
        assert_eq!(first.kind(), Kind::Cancelled);
        assert_eq!(texts(&second.messages), ["Go.", "Stop that.", "Answer 0."]);
        let sent = model.requests().pop().unwrap();
        let calls = sent.messages.iter().flat_map(|message| message.tool_calls()).count();
        let tools = sent.messages.iter().filter(|message| message.role == atomr_agents_core::Role::Tool).count();
        assert_eq!((calls, tools), (1, 1), "the call that was stopped has its result");
    }
}

#[tokio::test]
async fn an_input_is_refused_at_once_where_the_policy_says_so() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let sessions = sessions(&agent(waiting(), vec![gate.tool()], store), options(Policy::Reject));
        let session = sessions.session("u1").unwrap();
        let one = session.clone();
        let first = async { one.send("Go.", CallCtx::new()).await.unwrap() };
        let second = async {
            gate.runs().await;
            let refused = session.send("And?", CallCtx::new()).await.unwrap_err();
            gate.open();
            refused
        };
        let (first, refused) = within(async { tokio::join!(first, second) }).await;
        assert_eq!(refused.kind(), Kind::Locked);
        assert_eq!(texts(&first.messages), ["Go.", "Answer 0."]);
    }
}

#[tokio::test]
async fn an_input_that_is_cancelled_while_it_waits_is_taken_back() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let sessions = sessions(&agent(waiting(), vec![gate.tool()], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        let ctx = CallCtx::new();
        let (one, two, cancel) = (session.clone(), session.clone(), ctx.cancel.clone());
        let first = async { one.send("0", CallCtx::new()).await.unwrap() };
        let second = async {
            gate.runs().await;
            let mut sent = Box::pin(two.send("1", ctx));
            tokio::select! {
                biased;
                _ = &mut sent => panic!("it waits"),
                () = arrived(store, 1) => cancel.cancel(),
            }
            let error = sent.await.unwrap_err();
            gate.open();
            error
        };
        let (_, error) = within(async { tokio::join!(first, second) }).await;
        assert_eq!(error.kind(), Kind::Cancelled);
        gate.open();
        let result = within(session.send("2", CallCtx::new())).await.unwrap();
        assert_eq!(texts(&result.messages), ["0", "Answer 0.", "2", "Answer 1."]);
    }
}

#[tokio::test]
async fn an_input_that_was_taken_back_and_is_sent_again_has_one_turn() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let sessions = sessions(&agent(waiting(), vec![gate.tool()], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        let named = || Sending { id: Some("m1".to_owned()), ..Sending::default() };
        let first = async { session.send("0", CallCtx::new()).await.unwrap() };
        let second = async {
            gate.runs().await;
            let ctx = CallCtx::new();
            let mut sent = Box::pin(session.begin("1", named(), ctx.clone()));
            tokio::select! {
                biased;
                _ = &mut sent => panic!("it waits"),
                () = arrived(store, 1) => ctx.cancel.cancel(),
            }
            sent.await.unwrap_err();
            session.post("2", Sending::default()).await.unwrap();
            session.post("1", named()).await.unwrap();
            gate.open();
        };
        within(async { tokio::join!(first, second) }).await;
        (0..2).for_each(|_| gate.open());
        assert_eq!(within(session.drain(&CallCtx::new())).await.unwrap(), 2);
        let said = texts(&session.messages().await.unwrap());
        assert_eq!(said, ["0", "Answer 0.", "2", "Answer 1.", "1", "Answer 2."]);
    }
}

#[tokio::test]
async fn an_input_that_is_sent_again_under_its_name_is_taken_once_and_given_what_came_of_it() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let model = talking();
    let sessions = sessions(&agent(model.clone(), vec![], Some(&store)), options(Policy::Queue));
    let session = sessions.session("u1").unwrap();
    let sending = || Sending { id: Some("m1".to_owned()), ..Sending::default() };
    let first = session.begin("One?", sending(), CallCtx::new()).await.unwrap();
    session.send("Two?", CallCtx::new()).await.unwrap();
    let again = within(session.begin("One?", sending(), CallCtx::new())).await.unwrap();
    assert_eq!((again.output, again.run, again.messages), (first.output, first.run, first.messages));
    assert_eq!(model.requests().len(), 2);
}

#[tokio::test]
async fn what_was_posted_is_run_in_order_by_whoever_opens_the_session_next() {
    for place in places() {
        let store = place.store.as_ref();
        let sessions = sessions(&agent(talking(), vec![], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        session.post("One?", Sending::default()).await.unwrap();
        session.post("Two?", Sending::default()).await.unwrap();
        let result = session.send("Three?", CallCtx::new()).await.unwrap();
        let said = ["One?", "Answer 0.", "Two?", "Answer 1.", "Three?", "Answer 2."];
        assert_eq!(texts(&result.messages), said);
        session.post("Four?", Sending::default()).await.unwrap();
        assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 1);
        assert_eq!(session.messages().await.unwrap().len(), 8);
    }
}

#[tokio::test]
async fn of_inputs_that_interrupt_one_after_the_other_the_last_has_its_turn_and_none_is_lost() {
    for place in places() {
        let store = place.store.as_ref();
        let gate = Gate::new();
        let agent = agent(waiting(), vec![gate.tool()], store);
        let session = sessions(&agent, options(Policy::Interrupt)).session("u1").unwrap();
        let mut sent = tokio::task::JoinSet::new();
        let one = session.clone();
        sent.spawn(async move { one.send("0", CallCtx::new()).await });
        gate.runs().await;
        // Both are there before the turn that they stop has ended.
        let (two, three) = (session.clone(), session.clone());
        sent.spawn(async move {
            let (two, three) = tokio::join!(biased; two.send("1", CallCtx::new()), three.send("2", CallCtx::new()));
            assert_eq!(two.unwrap_err().kind(), Kind::Cancelled);
            three
        });
        let ended = within(sent.join_all()).await;
        let last = ended.iter().find_map(|result| result.as_ref().ok()).unwrap();
        assert_eq!(texts(&last.messages), ["0", "1", "2", "Answer 0."]);
    }
}
