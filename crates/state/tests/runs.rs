//! Runs that are kept: written, resumed, forked, pruned, and what happens when somebody else writes or the bytes change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Event, EventKind, Kind};
use atomr_agents_state::{
    Around, Batch, Change, Checkpoint, CheckpointKey, Checkpointer, EffectClass, EffectKey, EncryptedStore,
    EncryptionKey, Expect, ForkAt, ForkOptions, Intent, Item, Journal, JournalOptions, Key, MemoryStore, NewEntry,
    NewRun, Outcome, RunLogError, RunReader, RunStatus, Store, StoreError, StoredDelta, StoredState, When, compact,
    fork, prune, remove,
};
use serde_json::{Value, json};

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn new(name: &str) -> NewRun {
    NewRun { name: name.into(), kind: "workflow".into(), target: "w".into(), ..NewRun::default() }
}

async fn begin(store: &Arc<dyn Store>, name: &str) -> Journal {
    Journal::begin(Arc::clone(store), new(name), JournalOptions::default(), &json!("in")).await.unwrap()
}

async fn resume(store: &Arc<dyn Store>, name: &str) -> Result<Journal, RunLogError> {
    Journal::resume(Arc::clone(store), name, JournalOptions::default()).await
}

/// A step that adds one message to a list, as an engine would write it.
async fn step(journal: &Journal, step: u64, base: bool, all: &mut Vec<Value>) {
    let message = json!({"step": step, "text": "x".repeat(1_000), "n": step});
    all.push(message.clone());
    let delta = if base {
        StoredDelta::List(all.iter().map(|message| journal.body(message).unwrap()).collect())
    } else {
        StoredDelta::Append(vec![journal.body(&message).unwrap()])
    };
    let channels = [("messages".to_owned(), delta)].into();
    let checkpoint = Checkpoint { step, base, source: "step".into(), channels, ..Checkpoint::default() };
    journal.stage(Item::Checkpoint(checkpoint));
    journal.commit().await.unwrap();
}

async fn steps(journal: &Journal, upto: u64, bases: &[u64]) -> Vec<Value> {
    let mut all = Vec::new();
    for each in 0..upto {
        step(journal, each, bases.contains(&each), &mut all).await;
    }
    all
}

async fn messages(store: &Arc<dyn Store>, run: &str) -> Value {
    let reader = RunReader::open(Arc::clone(store), run).await.unwrap();
    let state = StoredState::after(&reader.frames_from_base().await.unwrap()).unwrap().unwrap();
    state.values(&reader).await.unwrap()["messages"].clone()
}

#[tokio::test]
async fn a_run_that_was_left_is_resumed_with_every_outcome_that_was_recorded() {
    let store = store();
    let journal = begin(&store, "r").await;
    let (done, idempotent, once) = (EffectKey::new(1, "a", 0), EffectKey::new(1, "a", 1), EffectKey::new(1, "b", 0));
    journal.intend(Intent::new(done.clone(), "tool", "search")).await.unwrap();
    journal.record(done.clone(), &json!({"hits": 3})).await.unwrap();
    journal.intend(Intent::new(idempotent.clone(), "tool", "put")).await.unwrap();
    journal.intend(Intent::new(once.clone(), "tool", "pay").effect(EffectClass::Once)).await.unwrap();
    journal.release().await.unwrap();
    drop(journal);

    let journal = resume(&store, "r").await.unwrap();
    assert_eq!(journal.result::<Value>(&done).await.unwrap(), Some(json!({"hits": 3})));
    assert_eq!(journal.result::<Value>(&idempotent).await.unwrap(), None);
    let error = journal.result::<Value>(&once).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OutcomeUnknown);
    assert!(error.to_string().contains("pay") && error.to_string().contains("1:b#0"), "{error}");
    assert_eq!(journal.turn().0, 1);
}

#[tokio::test]
async fn one_name_is_one_run() {
    let store = store();
    let journal = begin(&store, "r").await;
    let again = Journal::begin(Arc::clone(&store), new("r"), JournalOptions::default(), &json!(1)).await.unwrap_err();
    assert!(matches!(&again, RunLogError::Exists { run, status: RunStatus::Running } if run == "r"), "{again}");
    assert_eq!(resume(&store, "r").await.unwrap_err().kind(), Kind::Locked, "somebody writes it");
    assert_eq!(resume(&store, "none").await.unwrap_err().kind(), Kind::Conflict);
    journal.end(RunStatus::Finished, None, None).await.unwrap();
    drop(journal);
}

#[tokio::test]
async fn whoever_was_taken_over_writes_nothing_and_is_told() {
    let store = store();
    let options =
        JournalOptions { lease: Duration::from_millis(60), owner: "first".into(), ..JournalOptions::default() };
    let first = Journal::begin(Arc::clone(&store), new("r"), options, &json!(1)).await.unwrap();
    // Somebody takes the lease by force, as after a pause of this process that was longer than the lease.
    let key = Key::new("run", "r").unwrap();
    let taken = store.acquire(&key, "first", Duration::from_secs(60)).await.unwrap();
    first.stage(Item::Checkpoint(Checkpoint::default()));
    let error = first.commit().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Fenced);
    assert!(first.lost().is_cancelled());
    assert_eq!(first.commit().await.unwrap_err().kind(), Kind::Fenced, "and stays told");
    assert_eq!(store.end(&key).await.unwrap(), 1);
    assert!(taken.token > 1);
}

#[tokio::test]
async fn the_heartbeat_keeps_the_lease_and_notices_its_loss() {
    let store = store();
    let options = JournalOptions { lease: Duration::from_millis(30), owner: "a".into(), ..JournalOptions::default() };
    let journal = Journal::begin(Arc::clone(&store), new("r"), options, &json!(1)).await.unwrap();
    let key = Key::new("run", "r").unwrap();
    let begun = store.now_ms().await.unwrap();
    while store.now_ms().await.unwrap() < begun + 120 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(store.acquire(&key, "b", Duration::from_secs(1)).await.unwrap_err().kind(), Kind::Locked);
    }
    store.acquire(&key, "a", Duration::from_secs(60)).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), journal.lost().cancelled()).await.unwrap();
    assert_eq!(journal.commit().await.unwrap_err().kind(), Kind::Fenced, "told also with nothing to write");
}

#[tokio::test]
async fn a_dropped_journal_lets_its_run_go() {
    let store = store();
    drop(begin(&store, "r").await);
    let waited = async {
        loop {
            match resume(&store, "r").await {
                Ok(journal) => return journal,
                Err(error) => assert_eq!(error.kind(), Kind::Locked),
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waited).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_stage_at_once_is_all_written_and_in_few_commits() {
    let store = store();
    let journal = begin(&store, "r").await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..200 {
        let journal = journal.clone();
        tasks.spawn(async move { journal.record(EffectKey::new(0, "n", index), &json!(index)).await.unwrap() });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    journal.release().await.unwrap();
    drop(journal);
    let journal = resume(&store, "r").await.unwrap();
    for index in 0..200 {
        assert_eq!(journal.result(&EffectKey::new(0, "n", index)).await.unwrap(), Some(index));
    }
}

#[tokio::test]
async fn what_is_written_behind_or_at_the_end_is_there_at_the_end() {
    for when in [When::Async, When::Exit] {
        let store = store();
        let options = JournalOptions { when, ..JournalOptions::default() };
        let journal = Journal::begin(Arc::clone(&store), new("r"), options, &json!(1)).await.unwrap();
        let all = steps(&journal, 20, &[]).await;
        let commits = store.end(&Key::new("run", "r").unwrap()).await.unwrap();
        assert!(when == When::Async || commits == 1, "{commits}");
        journal.intend(Intent::new(EffectKey::new(99, "p", 0), "tool", "pay").effect(EffectClass::Once)).await.unwrap();
        assert_eq!(messages(&store, "r").await, json!(all), "a once effect waits for everything before it");
        journal.end(RunStatus::Finished, None, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_thousand_messages_are_stored_once_and_a_fork_stores_nothing_of_them() {
    let store = store();
    let journal = begin(&store, "r").await;
    let all = steps(&journal, 50, &[0, 1, 3, 7, 15, 31]).await;
    assert_eq!(messages(&store, "r").await, json!(all));
    let name = fork(&store, "r", ForkAt::Step(20), &ForkOptions::default()).await.unwrap();
    assert_eq!(messages(&store, &name).await, json!(all[..21]));
    assert_eq!(store.end(&Key::new("run", &name).unwrap()).await.unwrap(), 0);
    let child = resume(&store, &name).await.unwrap();
    let mut own = all[..21].to_vec();
    step(&child, 21, false, &mut own).await;
    assert_eq!(messages(&store, &name).await, json!(own));
    assert_eq!(messages(&store, "r").await, json!(all), "the run that it was forked from goes on as it is");
    let named = ForkOptions { name: "g".into(), ..ForkOptions::default() };
    let grandchild = fork(&store, &name, ForkAt::Step(10), &named).await.unwrap();
    assert_eq!(messages(&store, &grandchild).await, json!(all[..11]));
    let error = fork(&store, "r", ForkAt::Step(99), &ForkOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("no step 99: it has 0 to 49"), "{error}");
    assert_eq!(fork(&store, "r", ForkAt::End, &named).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn pruning_keeps_what_a_fork_needs_and_the_rest_goes() {
    let store = store();
    let journal = begin(&store, "r").await;
    let all = steps(&journal, 40, &[10, 20, 30]).await;
    let child = fork(&store, "r", ForkAt::Step(25), &ForkOptions::default()).await.unwrap();
    assert_eq!(prune(&store, "r", 1).await.unwrap_err().kind(), Kind::Locked, "not under its writer's hands");
    journal.release().await.unwrap();
    drop(journal);
    let report = prune(&store, "r", 1).await.unwrap();
    assert_eq!(
        (report.commits, report.kept_for),
        (21, vec![child.clone()]),
        "back to the base that the fork reads from"
    );
    store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(messages(&store, "r").await, json!(all));
    assert_eq!(messages(&store, &child).await, json!(all[..26]));
    let refused = remove(&store, "r").await.unwrap_err();
    assert!(refused.to_string().contains(&child), "{refused}");
    remove(&store, &child).await.unwrap();
    compact(&store, "r").await.unwrap();
    assert!(prune(&store, "r", 1).await.unwrap().kept_for.is_empty());
    store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(messages(&store, "r").await, json!(all));
    let reader = RunReader::open(Arc::clone(&store), "r").await.unwrap();
    assert_eq!(reader.frames().await.unwrap().len(), 1);
    let mut all = all;
    let journal = resume(&store, "r").await.unwrap();
    step(&journal, 40, false, &mut all).await;
    assert_eq!(messages(&store, "r").await, json!(all), "a pruned run goes on");
    journal.release().await.unwrap();
    drop(journal);
    remove(&store, "r").await.unwrap();
    assert!(store.sweep(Duration::ZERO).await.unwrap().blobs >= 41);
}

#[tokio::test]
async fn what_somebody_found_out_of_one_attempt_says_nothing_of_the_next() {
    let store = store();
    let key = EffectKey::new(1, "pay", 0);
    let intent = Intent::new(key.clone(), "tool", "pay").effect(EffectClass::Once);
    let unknown = |result: Result<Option<Value>, RunLogError>| result.unwrap_err().kind() == Kind::OutcomeUnknown;
    let journal = begin(&store, "r").await;
    journal.intend(intent.clone()).await.unwrap();
    journal.release().await.unwrap();
    // A person finds that it did not happen, so it is attempted again, and the process ends once more.
    let journal = resume(&store, "r").await.unwrap();
    assert!(unknown(journal.result(&key).await));
    journal.stage(Item::Outcome(Outcome { key: key.clone(), bodies: Vec::new(), error: None }));
    assert_eq!(journal.result::<Value>(&key).await.unwrap(), None);
    journal.intend(intent).await.unwrap();
    assert!(unknown(journal.result(&key).await));
    journal.release().await.unwrap();
    assert!(unknown(resume(&store, "r").await.unwrap().result(&key).await));
}

#[tokio::test]
async fn what_cannot_be_written_is_told_by_every_commit_and_nothing_is_written_past_it() {
    let store = store();
    let journal = begin(&store, "r").await;
    let deep = (0..20).fold(StoredDelta::Append(Vec::new()), |delta, _| StoredDelta::All(vec![delta]));
    let channels = [("c".to_owned(), deep)].into();
    journal.stage(Item::Checkpoint(Checkpoint { channels, ..Checkpoint::default() }));
    for _ in 0..2 {
        let error = journal.commit().await.unwrap_err();
        assert!(error.to_string().contains("deep"), "{error}");
        journal.status(RunStatus::Finished);
    }
    journal.release().await.unwrap();
    let again = resume(&store, "r").await.unwrap();
    assert_eq!((again.frames().len(), again.info().status), (1, RunStatus::Running));
}

/// Notes which commits say that they are alone.
#[derive(Debug, Default)]
struct Noted(MemoryStore, std::sync::Mutex<Vec<bool>>);

#[async_trait::async_trait]
impl Around for Noted {
    fn within(&self) -> &dyn Store {
        &self.0
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.1.lock().unwrap().push(batch.alone);
        self.0.commit(batch).await
    }
}

#[tokio::test]
async fn a_store_is_told_of_commits_beside_which_nothing_goes_on() {
    let noted = Arc::new(Noted::default());
    let key = EncryptionKey::new([7; 32]);
    // It comes through what is around the store.
    let store: Arc<dyn Store> = Arc::new(EncryptedStore::open(noted.clone(), &key).await.unwrap());
    noted.1.lock().unwrap().clear();
    let journal = begin(&store, "r").await;
    let outcome =
        |index| Item::Outcome(Outcome { key: EffectKey::new(0, "a", index), bodies: Vec::new(), error: None });
    journal.stage(outcome(0));
    journal.commit_alone().await.unwrap();
    journal.stage(outcome(1));
    journal.commit().await.unwrap();
    journal.end(RunStatus::Finished, None, None).await.unwrap();
    assert_eq!(*noted.1.lock().unwrap(), [true, true, false, true]);
}

#[tokio::test]
async fn any_bit_that_changes_is_noticed() {
    let store = store();
    let journal = begin(&store, "r").await;
    steps(&journal, 3, &[]).await;
    let key = Key::new("run", "r").unwrap();
    let good = store.read(&key, 0, 10).await.unwrap();
    for entry in &good {
        for bit in (0..entry.body.len() * 8).step_by(7) {
            let mut batch = Batch::new().with(Change::Drop { stream: key.clone() });
            for each in &good {
                let mut body = each.body.to_vec();
                if each.at == entry.at {
                    body[bit / 8] ^= 1 << (bit % 8);
                }
                batch = batch.append(&key, None, NewEntry { body: body.into(), refs: each.refs.clone() });
            }
            store.commit(batch).await.unwrap();
            let error = RunReader::open(Arc::clone(&store), "r").await.unwrap().frames().await.unwrap_err();
            assert!(matches!(&error, RunLogError::Corrupt { run, at, .. } if run == "r" && *at >= entry.at), "{error}");
        }
    }
}

#[tokio::test]
async fn events_are_read_again_by_number_and_numbers_never_come_twice() {
    let store = store();
    let journal = begin(&store, "r").await;
    let ctx = CallCtx::new();
    let event = |seq| Event {
        run: ctx.run,
        seq,
        index: 0,
        path: "a/b".into(),
        parent: None,
        time_ms: 5,
        kind: EventKind::RunStarted { agent: "a".into(), model: "m".into() },
    };
    assert_eq!(journal.next_seq(), 1);
    for seq in 1..=5 {
        journal.stage_event(&event(seq)).unwrap();
        journal.commit().await.unwrap();
    }
    journal.stage_event(&event(6)).unwrap(); // told, and lost with the process
    let reader = RunReader::open(Arc::clone(&store), "r").await.unwrap();
    let events = reader.events(3, 2).await.unwrap();
    assert_eq!(events, [event(3), event(4)]);
    assert!(reader.events(6, 10).await.unwrap().is_empty());
    journal.release().await.unwrap();
    drop(journal);
    assert!(resume(&store, "r").await.unwrap().next_seq() > 6);
}

#[tokio::test]
async fn a_record_of_a_newer_format_is_refused_by_name() {
    let store = store();
    let key = Key::new("run", "r").unwrap();
    store.commit(Batch::new().put(&key, r#"{"format": 9, "what": "?"}"#, Expect::Any)).await.unwrap();
    let error = resume(&store, "r").await.unwrap_err();
    assert_eq!(error.kind(), Kind::UnsupportedFormat);
    assert!(error.to_string().contains("format 9"), "{error}");
}

#[tokio::test]
async fn the_checkpointer_lists_loads_forks_and_prunes() {
    let checkpointer = Checkpointer::in_memory();
    let key = |step| CheckpointKey { workflow: "w".into(), run: "r".into(), step };
    let values = |n: u64| {
        [("n".to_owned(), json!(n)), ("list".to_owned(), json!([n])), ("map".to_owned(), json!({"a": n}))].into()
    };
    for step in 0..5 {
        checkpointer.save(&key(step), values(step)).await.unwrap();
    }
    assert_eq!(checkpointer.save(&key(4), values(9)).await.unwrap_err().kind(), Kind::Conflict);
    assert_eq!(checkpointer.load(&key(2)).await.unwrap().unwrap().values, values(2));
    assert_eq!(checkpointer.load(&key(7)).await.unwrap(), None);
    assert_eq!(checkpointer.latest("w", "r").await.unwrap().unwrap().meta.key, key(4));
    assert_eq!(checkpointer.latest("other", "r").await.unwrap(), None);
    let steps: Vec<u64> = checkpointer.list("w", "r").await.unwrap().iter().map(|meta| meta.key.step).collect();
    assert_eq!(steps, [0, 1, 2, 3, 4]);
    let newest: Vec<u64> =
        checkpointer.history("w", "r", 2).await.unwrap().iter().map(|saved| saved.meta.key.step).collect();
    assert_eq!(newest, [4, 3]);
    let other = checkpointer.fork(&key(1), "f", [("n".to_owned(), json!(70))].into()).await.unwrap();
    let saved = checkpointer.latest("w", &other.run).await.unwrap().unwrap();
    assert_eq!((&saved.values["n"], &saved.values["list"], saved.meta.key.step), (&json!(70), &json!([1]), 1));
    checkpointer.save(&CheckpointKey { step: 2, ..other.clone() }, values(8)).await.unwrap();
    assert_eq!(checkpointer.load(&key(2)).await.unwrap().unwrap().values, values(2), "a fork is another run");
    checkpointer.prune("w", "r", 2).await.unwrap();
    assert_eq!(checkpointer.latest("w", &other.run).await.unwrap().unwrap().values, values(8));
    assert_eq!(checkpointer.load(&other).await.unwrap().unwrap().values["n"], json!(70));
}
