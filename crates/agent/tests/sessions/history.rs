//! What a session remembers.

use std::sync::Arc;

use atomr_agents_agent::{AgentError, HistoryLimit, Policy, Sending, SessionError, SessionOptions};
use atomr_agents_core::{CallCtx, Kind, Message};
use atomr_agents_state::{MemoryStore, Store};

use crate::support::{agent, options, places, sessions, talking, texts};

#[tokio::test]
async fn a_history_over_its_limit_loses_its_oldest_turns_and_the_log_keeps_them() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let limit = HistoryLimit { messages: Some(4), tokens: None };
    let model = talking();
    let sessions = sessions(
        &agent(model.clone(), vec![], Some(&store)),
        SessionOptions { history: limit, ..options(Policy::Queue) },
    );
    let session = sessions.session("u1").unwrap();
    for n in 0..6 {
        session.send(format!("{n}?"), CallCtx::new()).await.unwrap();
    }
    let sent = model.requests().pop().unwrap();
    assert_eq!(texts(&sent.messages), ["3?", "Answer 3.", "4?", "Answer 4.", "5?"]);
    let all = texts(&session.all_messages().await.unwrap());
    let whole: Vec<String> = (0..6).flat_map(|n| [format!("{n}?"), format!("Answer {n}.")]).collect();
    assert_eq!(all, whole);
}

#[tokio::test]
async fn a_compaction_writes_the_shorter_history_and_a_wrong_one_is_refused() {
    for place in places() {
        let store = place.store.as_ref();
        let summary = |messages: Vec<Message>| vec![Message::user(format!("There were {} messages.", messages.len()))];
        let limited = SessionOptions {
            history: HistoryLimit { messages: Some(3), tokens: None },
            compaction: Some(Arc::new(summary)),
            ..options(Policy::Queue)
        };
        let agent = agent(talking(), vec![], store);
        let session = sessions(&agent, limited.clone()).session("u1").unwrap();
        for n in 0..3 {
            session.send(format!("{n}?"), CallCtx::new()).await.unwrap();
        }
        let said = texts(&session.messages().await.unwrap());
        assert_eq!(said, ["There were 4 messages.", "2?", "Answer 2."]);
        let orphan = |_| vec![Message::tool_result("c1", "said", false)];
        let wrong = SessionOptions { compaction: Some(Arc::new(orphan)), ..limited };
        if store.is_some() {
            let session =
                sessions(&agent, SessionOptions { history: HistoryLimit { messages: Some(1), tokens: None }, ..wrong })
                    .session("u1")
                    .unwrap();
            let error = session.send("3?", CallCtx::new()).await.unwrap_err().error;
            assert!(matches!(error, AgentError::Session(SessionError::BadCompaction { .. })), "{error:?}");
            assert_eq!(texts(&session.messages().await.unwrap()), said, "nothing was written");
        }
    }
}

#[tokio::test]
async fn a_session_that_is_cleared_begins_anew_and_a_fork_goes_its_own_way() {
    for place in places() {
        let store = place.store.as_ref();
        let sessions = sessions(&agent(talking(), vec![], store), options(Policy::Queue));
        let session = sessions.session("u1").unwrap();
        session.send("One?", CallCtx::new()).await.unwrap();
        let fork = session.fork("u2").await.unwrap();
        session.clear().await.unwrap();
        assert!(session.messages().await.unwrap().is_empty());
        let anew = session.send("Two?", CallCtx::new()).await.unwrap();
        assert_eq!(texts(&anew.messages), ["Two?", "Answer 1."]);
        let forked = fork.send("Three?", CallCtx::new()).await.unwrap();
        assert_eq!(texts(&forked.messages), ["One?", "Answer 0.", "Three?", "Answer 2."]);
        assert!(session.fork("u2").await.is_err(), "the name is taken");
    }
}

#[tokio::test]
async fn of_sessions_in_memory_the_ones_used_last_are_remembered() {
    let remembered = SessionOptions { remembered: 20, ..options(Policy::Queue) };
    let sessions = sessions(&agent(talking().repeat(), vec![], None), remembered);
    for n in 0..50 {
        sessions.session(&format!("u{n}")).unwrap().send("Hi", CallCtx::new()).await.unwrap();
    }
    let names = sessions.remembered();
    assert!(names.len() <= 20 && names.contains(&"u49".to_owned()) && !names.contains(&"u0".to_owned()), "{names:?}");
}

#[tokio::test]
async fn a_turn_that_could_not_begin_leaves_nothing_behind_and_what_was_posted_waits_on() {
    for place in places() {
        let broken = |_| vec![Message::tool_result("c1", "said", false)];
        let limited = SessionOptions {
            history: HistoryLimit { messages: Some(1), tokens: None },
            compaction: Some(Arc::new(broken)),
            ..options(Policy::Queue)
        };
        let session = sessions(&agent(talking(), vec![], place.store.as_ref()), limited).session("u1").unwrap();
        session.send("One?", CallCtx::new()).await.unwrap();
        session.send("Two?", CallCtx::new()).await.unwrap_err();
        assert_eq!(texts(&session.messages().await.unwrap()), ["One?", "Answer 0."]);
        session.post("Three?", Sending::default()).await.unwrap();
        let ctx = CallCtx::new();
        ctx.cancel.cancel();
        session.send("Four?", ctx).await.unwrap_err();
        assert_eq!(session.drain(&CallCtx::new()).await.unwrap_err().kind(), Kind::Guest);
        session.clear().await.unwrap();
        assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 1);
        assert_eq!(texts(&session.messages().await.unwrap()), ["Three?", "Answer 1."]);
    }
}
