//! A session that is removed is gone, with what waited for it and what was known of its inputs.

use std::sync::Arc;

use atomr_agents_agent::{Policy, Sending};
use atomr_agents_core::CallCtx;
use atomr_agents_state::{MemoryStore, RunLogError, Scan, Store, remove};

use crate::support::{agent, options, sessions, talking, texts};

fn named() -> Sending {
    Sending { id: Some("m1".to_owned()), ..Sending::default() }
}

#[tokio::test]
async fn an_input_that_a_removed_session_had_taken_is_new_to_the_next_of_its_name() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let sessions = sessions(&agent(talking(), vec![], Some(&store)), options(Policy::Queue));
    // Another session whose name begins alike keeps what it has.
    let (session, other) = (sessions.session("u1").unwrap(), sessions.session("u1:2").unwrap());
    for session in [&session, &other] {
        session.post("One?", named()).await.unwrap();
        assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 1);
    }
    session.post("Again?", named()).await.unwrap();
    assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 0, "it was taken");
    remove(&store, "u1").await.unwrap();
    session.post("Anew?", named()).await.unwrap();
    assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 1);
    assert_eq!(texts(&session.messages().await.unwrap()), ["Anew?", "Answer 2."]);
    other.post("Again?", named()).await.unwrap();
    assert_eq!(other.drain(&CallCtx::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn inputs_for_a_session_that_never_began_can_be_removed() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let sessions = sessions(&agent(talking(), vec![], Some(&store)), options(Policy::Queue));
    let session = sessions.session("u1").unwrap();
    session.post("One?", named()).await.unwrap();
    remove(&store, "u1").await.unwrap();
    assert_eq!(store.scan(&Scan::of("inbox")).await.unwrap(), []);
    assert_eq!(session.drain(&CallCtx::new()).await.unwrap(), 0);
    assert!(matches!(remove(&store, "u1").await, Err(RunLogError::NoSuchRun { .. })));
}
