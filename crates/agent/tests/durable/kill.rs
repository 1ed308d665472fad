//! A process that is killed in the middle of an answer's parallel calls, on SQLite, and another one that goes on.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomr_agents_agent::{AgentOptions, BoxedAgent, Durable, EffectClass, Found, resolve};
use atomr_agents_core::CallCtx;
use atomr_agents_state::{EffectKey, MemoryStore, RunLogError, RunReader, RunStatus, Store};
use atomr_agents_tool::{FnTool, IdempotencyKey, Tool, ToolDescriptor};
use serde_json::json;

use crate::processes::{Process, open, say, told};
use crate::support::{agent, kept, script};

/// What was done to the world: a line for each attempt, with its tool and key.
fn ledger(folder: &Path) -> PathBuf {
    folder.join("ledger")
}

fn tool(folder: &Path, name: &'static str, effect: EffectClass) -> Arc<dyn Tool> {
    let place = ledger(folder);
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let descriptor = ToolDescriptor::new(name, "", schema).with_effect(effect);
    Arc::new(FnTool::described(descriptor, move |arguments, ctx| {
        let place = place.clone();
        async move {
            let key = IdempotencyKey::of(&ctx).unwrap_or_default();
            say(format!("begin {name}"));
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&place).unwrap();
            writeln!(file, "{name} {key}").unwrap();
            say(format!("end {name}"));
            tokio::task::yield_now().await;
            Ok(json!({"did": name, "with": arguments}))
        }
    }))
}

fn worker(folder: &Path, store: Arc<dyn Store>) -> BoxedAgent {
    let mut durable = Durable::new(store);
    // A worker that is started anew goes on at once with what it held.
    "worker".clone_into(&mut durable.journal.owner);
    let options = AgentOptions { durable: Some(durable), ..AgentOptions::default() };
    agent(script(), worker_tools(folder), options)
}

#[tokio::test]
#[ignore = "a process of the test below"]
async fn child_runs() {
    let Some(what) = told() else { return };
    let folder = Path::new(&what[0]);
    let store: Arc<dyn Store> = Arc::new(open(folder.join("runs.db")));
    let agent = worker(folder, store);
    let run = match what[1].as_str() {
        "begin" => agent.begin_as("r", "go", CallCtx::new()),
        _ => agent.resume_run("r", &[], CallCtx::new()),
    };
    let mut events = run.subscribe().unwrap();
    let told = async {
        while let Some(batch) = events.recv_batch(64).await {
            batch.events.iter().for_each(|event| say(event.kind.name()));
        }
    };
    let (outcome, ()) = tokio::join!(run, told);
    say(if outcome.is_ok() { "done" } else { "failed" });
}

/// Lets processes run and kills each after some lines of what it says, until the run has ended.
async fn until_the_end(folder: &Path, mut seed: u64) -> usize {
    let mut kills = 0;
    for round in 0.. {
        let store: Arc<dyn Store> = Arc::new(open(folder.join("runs.db")));
        let known = RunReader::open(store.clone(), "r").await.ok().map(|reader| reader.record().status);
        if known == Some(RunStatus::Finished) {
            return kills;
        }
        if known.is_some() {
            // A person looks into the ledger whenever the run waits for that.
            answer_what_is_asked(folder, &store).await;
        }
        drop(store);
        let what = if known.is_some() { "resume" } else { "begin" };
        let mut child = Process::start("kill::child_runs", &[folder.to_str().unwrap(), what]);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let patience = if round < 6 { (seed >> 33) % 22 } else { u64::MAX };
        let mut heard = 0;
        while heard < patience {
            match child.hear() {
                Some(_) => heard += 1,
                None => break,
            }
        }
        kills += usize::from(patience != u64::MAX);
        child.kill();
    }
    kills
}

async fn answer_what_is_asked(folder: &Path, store: &Arc<dyn Store>) {
    let reader = RunReader::open(store.clone(), "r").await.unwrap();
    let frames = reader.frames().await.unwrap();
    let items = || frames.iter().flat_map(|placed| &placed.frame.items);
    let ended: HashSet<_> = items()
        .filter_map(|item| match item {
            atomr_agents_state::Item::Outcome(outcome) => Some(outcome.key.clone()),
            _ => None,
        })
        .collect();
    let happened = std::fs::read_to_string(ledger(folder)).unwrap_or_default();
    for item in items() {
        let atomr_agents_state::Item::Intent(intent) = item else { continue };
        if intent.effect != EffectClass::Once || ended.contains(&intent.key) {
            continue;
        }
        // The key that a call hands on is that of its first attempt.
        let path = intent.key.path.split('+').next().unwrap_or_default();
        let first = EffectKey::new(intent.key.step, path, intent.key.index);
        let paid = happened.contains(&first.idempotency("r", "0.0.0"));
        let n = if intent.key.path.contains("/2") { 3 } else { 6 };
        let gave = json!({"did": "pay", "with": {"n": n}});
        let found = if paid { Found::Happened(gave) } else { Found::DidNotHappen };
        // The lease of the process that was killed has not run out.
        let owner = atomr_agents_state::JournalOptions { owner: "worker".into(), ..Default::default() };
        let journal = atomr_agents_state::Journal::resume(store.clone(), "r", owner).await.unwrap();
        journal.release().await.unwrap();
        match resolve(store, "r", &intent.key, found).await {
            Ok(()) | Err(RunLogError::NotOpen { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn killed_in_the_middle_of_parallel_calls_the_run_ends_as_if_nothing_had_happened() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let agent = worker(folder.path(), Arc::new(MemoryStore::new()));
        agent.begin_as("r", "go", CallCtx::new()).await.unwrap().messages
    };
    let mut kills = 0;
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        kills += until_the_end(folder.path(), seed).await;
        let store: Arc<dyn Store> = Arc::new(open(folder.path().join("runs.db")));
        let replay = agent(script(), worker_tools(folder.path()), kept(store.clone()));
        let replay = replay.replay(&store, "r", &CallCtx::new()).await.unwrap();
        assert_eq!((replay.divergence, replay.messages), (None, whole.clone()), "seed {seed}");
        let mut attempts: HashMap<&str, Vec<&str>> = HashMap::new();
        let ledger = std::fs::read_to_string(ledger(folder.path())).unwrap();
        for (tool, key) in ledger.lines().filter_map(|line| line.split_once(' ')) {
            attempts.entry(tool).or_default().push(key);
        }
        assert_eq!(attempts["pay"].len(), 2, "paid once for each call, seed {seed}");
        let keys: HashSet<_> = attempts["put"].iter().collect();
        assert_eq!(keys.len(), 2, "a service that knows its keys put twice, seed {seed}");
    }
    assert!(kills >= 4, "{kills}");
}

fn worker_tools(folder: &Path) -> Vec<Arc<dyn Tool>> {
    vec![
        tool(folder, "look", EffectClass::None),
        tool(folder, "put", EffectClass::Idempotent),
        tool(folder, "pay", EffectClass::Once),
    ]
}
