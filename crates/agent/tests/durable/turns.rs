//! Several turns in one log.

use std::sync::Arc;

use atomr_agents_agent::{AgentError, OnChange, RunInput};
use atomr_agents_core::{CallCtx, Message, RunId};
use atomr_agents_state::{Journal, JournalOptions, MemoryStore, NewRun, RunLogError, RunReader, Store};
use atomr_agents_testkit::ScriptedModel;

use crate::support::{World, agent, kept};

fn talker() -> ScriptedModel {
    (0..40).fold(ScriptedModel::new(), |model, n| model.text(format!("Answer {n}."))).by_conversation()
}

#[tokio::test]
async fn a_conversation_of_many_turns_is_one_log_that_is_read_from_its_newest_whole_transcript() {
    let store = Arc::new(MemoryStore::new());
    let agent = agent(talker(), vec![], kept(store.clone()));
    let new = NewRun { name: "talk".into(), kind: "agent".into(), target: "agent".into(), ..NewRun::default() };
    let journal = Journal::create(store.clone(), new, RunId::new(), JournalOptions::default()).await.unwrap();
    let mut history: Vec<Message> = Vec::new();
    for turn in 0..20 {
        let input = RunInput::from(format!("Question {turn}?")).with_history(history);
        let result = agent.begin_in(journal.clone(), input, CallCtx::new()).await.unwrap();
        assert_eq!((result.output, result.kept.as_deref()), (format!("Answer {turn}."), Some("talk")));
        history = result.messages;
    }
    // A turn that was begun and no more.
    journal.begin_turn(&Message::user("Question 20?")).await.unwrap();
    journal.release().await.unwrap();
    drop(journal);
    let seam: Arc<dyn Store> = store.clone();
    let journal = Journal::resume(seam.clone(), "talk", JournalOptions::default()).await.unwrap();
    assert!(journal.frames().len() < 15, "from the sixteenth turn on, not all {}", journal.frames().len());
    let result = agent.resume_in(journal.clone(), OnChange::Refuse, &[], CallCtx::new()).await.unwrap();
    assert_eq!((result.output.as_str(), result.messages.len(), result.history), ("Answer 20.", 42, 40));
    assert_eq!(result.messages[..40], history);
    journal.release().await.unwrap();
    let events = RunReader::open(seam.clone(), "talk").await.unwrap().events(0, 10_000).await.unwrap();
    assert!(events.windows(2).all(|pair| pair[0].seq < pair[1].seq), "one stream for all turns");
    assert_eq!(events.iter().filter(|event| event.kind.name() == "run_finished").count(), 21);
    let replay = agent.replay(&seam, "talk", &CallCtx::new()).await.unwrap();
    assert_eq!((replay.divergence, replay.model_calls, replay.messages.len()), (None, 21, 42));
}

#[tokio::test]
async fn a_history_that_a_run_begins_with_is_kept_with_it() {
    let store = Arc::new(MemoryStore::new());
    let world = World::default();
    let dying = crate::support::Dying::after(&store, 1, false);
    let history = vec![Message::user("Before?"), Message::assistant("Yes.")];
    let input = RunInput::from("And now?").with_history(history.clone());
    let first = agent(talker(), world.tools(), kept(dying));
    first.begin_as("r", input, CallCtx::new()).await.unwrap_err();
    let result = agent(talker(), world.tools(), kept(store)).resume_run("r", &[], CallCtx::new()).await.unwrap();
    assert_eq!((result.history, &result.messages[..2]), (2, &history[..]));
    assert_eq!(result.output, "Answer 1.");
}

#[tokio::test]
async fn a_large_message_is_stored_once_and_not_again_in_the_transcript() {
    let store = Arc::new(MemoryStore::new());
    let long = "x".repeat(4_000);
    let agent = agent(ScriptedModel::new().text(long.clone()), vec![], kept(store.clone()));
    agent.begin_as("r", long.clone(), CallCtx::new()).await.unwrap();
    let stream = atomr_agents_state::Key::new("run", "r").unwrap();
    let entries = store.read(&stream, 0, 100).await.unwrap();
    let mut ids: Vec<_> = entries.iter().flat_map(|entry| entry.refs.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2, "what was asked and what was answered");
    let log: usize = entries.iter().map(|entry| entry.body.len()).sum();
    assert!(log < 3_000, "{log} bytes of log beside them");
}

#[tokio::test]
async fn a_run_is_begun_once_and_over_when_it_is_over() {
    let store = Arc::new(MemoryStore::new());
    let agent = agent(talker(), vec![], kept(store.clone()));
    agent.begin_as("r", "go", CallCtx::new()).await.unwrap();
    let again = agent.begin_as("r", "go", CallCtx::new()).await.unwrap_err().error;
    assert!(matches!(again, AgentError::Log(RunLogError::Exists { .. })), "{again:?}");
    let over = agent.resume_run("r", &[], CallCtx::new()).await.unwrap_err().error;
    assert!(matches!(over, AgentError::Log(RunLogError::Over { .. })), "{over:?}");
    let none = agent.resume_run("s", &[], CallCtx::new()).await.unwrap_err().error;
    assert!(matches!(none, AgentError::Log(RunLogError::NoSuchRun { .. })), "{none:?}");
    let unnamed = agent.begin("go", CallCtx::new()).await.unwrap();
    assert_eq!(unnamed.kept, Some(unnamed.run.to_string()));
    assert_eq!(RunReader::open(store, &unnamed.run.to_string()).await.unwrap().record().id, unnamed.run);
}
