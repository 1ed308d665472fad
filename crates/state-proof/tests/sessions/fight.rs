//! Two processes that send into one session at the same time: one of them writes at a time, and the history is one line.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atomr_agents_agent::{AgentError, Policy, Sending, Session, Sessions};
use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_state::{Key, RunReader, Store, StoreError, verify_run};
use atomr_agents_testkit::ScriptedModel;
use atomr_agents_tool::{FnTool, Tool};
use serde_json::json;

use crate::place::{Home, store};
use crate::processes::{Process, say, told};
use crate::support::{agent, options, texts, within};

/// How many inputs each process sends.
const INPUTS: usize = 12;

/// A session whose tool marks in a folder that it runs: two that run at the same time meet there.
async fn served(what: &str, folder: &str) -> Session {
    let mark = PathBuf::from(folder).join("running");
    let tool = FnTool::new("wait", "Waits.", json!({"type": "object"}), move |_, _| {
        let mark = mark.clone();
        async move {
            match OpenOptions::new().write(true).create_new(true).open(&mark) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => say("met"),
                made => drop(made.unwrap()),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
            // The other one may have removed it, if they met.
            let _ = std::fs::remove_file(&mark);
            Ok(json!("waited"))
        }
    });
    let script = |model: ScriptedModel, n| model.tool_calls([("wait", json!({}))]).text(format!("Answer {n}."));
    let model = (0..4 * INPUTS).fold(ScriptedModel::new(), script).by_conversation();
    let agent = agent(model, vec![Arc::new(tool) as Arc<dyn Tool>], Some(&store(what).await));
    Sessions::new(agent, options(Policy::Queue)).unwrap().session("u1").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests below"]
async fn child_fights() {
    let Some(what) = told() else { return };
    let (session, name) = (served(&what[0], &what[1]).await, &what[2]);
    for n in 0..INPUTS {
        let input = format!("{name}{n}");
        loop {
            let sending = Sending { id: Some(input.clone()), ..Sending::default() };
            match session.begin(input.clone(), sending, CallCtx::new()).await {
                Ok(result) => break say(serde_json::to_string(&texts(&result.messages)).unwrap()),
                Err(error) => match (&error.error, error.kind()) {
                    (_, Kind::Fenced) => say("fenced"),
                    // Whose process ran its turn was fenced; or the thief has the lease just now.
                    (AgentError::Log(_) | AgentError::Cancelled | AgentError::Session(_), kind) => say(kind.as_str()),
                    (error, _) => return say(format!("failed: {error:?}")),
                },
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    say("done");
}

/// What a process said.
#[derive(Default)]
struct Heard {
    /// The transcript after each of its turns.
    after: Vec<Vec<String>>,
    others: Vec<String>,
    done: bool,
}

fn hear(mut process: Process) -> Heard {
    let mut heard = Heard::default();
    while let Some(said) = process.hear() {
        match &said[..] {
            "done" => heard.done = true,
            transcript if transcript.starts_with('[') => heard.after.push(serde_json::from_str(transcript).unwrap()),
            _ => heard.others.push(said),
        }
    }
    process.child.wait().unwrap();
    heard
}

/// Takes the lease away from whoever has it, as if it had stood still for longer than the lease lasts.
async fn thief(store: Arc<dyn Store>, over: Arc<AtomicBool>) -> u32 {
    let key = Key::new("run", "u1").unwrap();
    let mut taken = 0;
    let mut moment = 11_u64;
    while !over.load(Ordering::Relaxed) {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_millis(20 + (moment >> 33) % 60)).await;
        let brief = Duration::from_millis(1);
        if let Err(StoreError::Held { owner, .. }) = store.acquire(&key, "thief", brief).await
            && store.acquire(&key, &owner, brief).await.is_ok()
        {
            taken += 1;
        }
    }
    taken
}

/// Both send, with a thief or without; gives how often the lease was taken away and a process told that it is fenced.
async fn fought(home: &Home, with_thief: bool) -> (u32, usize) {
    let (over, kept) = (Arc::new(AtomicBool::new(false)), store(&home.what).await);
    let mut tasks = tokio::task::JoinSet::new();
    for name in ["a", "b"] {
        let process = Process::start("fight::child_fights", &[&home.what, home.folder(), name]);
        tasks.spawn_blocking(move || hear(process));
    }
    let mut thieves = tokio::task::JoinSet::new();
    if with_thief {
        thieves.spawn(thief(Arc::clone(&kept), Arc::clone(&over)));
    }
    let heard = tasks.join_all().await;
    over.store(true, Ordering::Relaxed);
    let taken = thieves.join_all().await.iter().sum();
    for one in &heard {
        assert!(one.done && one.after.len() == INPUTS, "{:?}", one.others);
    }
    let session = served(&home.what, home.folder()).await;
    let line = texts(&within(session.messages()).await.unwrap());
    // Each input once, and after each the answer to it.
    let mut inputs: Vec<&str> = line.iter().step_by(2).map(String::as_str).collect();
    for name in ["a", "b"] {
        let heard: Vec<&str> = inputs.iter().copied().filter(|input| input.starts_with(name)).collect();
        let sent: Vec<String> = (0..INPUTS).map(|n| format!("{name}{n}")).collect();
        assert_eq!(heard, sent, "{line:?}");
    }
    inputs.sort_unstable();
    inputs.dedup();
    assert_eq!((inputs.len(), line.len()), (2 * INPUTS, 4 * INPUTS), "{line:?}");
    assert!(line.iter().skip(1).step_by(2).all(|answer| answer.starts_with("Answer")), "{line:?}");
    // What anybody was told is the beginning of that line: no turn was lost and none was written beside it.
    for said in heard.iter().flat_map(|one| &one.after) {
        assert!(line.starts_with(said), "{said:?} is no beginning of {line:?}");
    }
    let verified = verify_run(&kept, "u1").await.unwrap();
    assert!(verified.is_whole(), "{:?}", verified.damage);
    let frames = RunReader::open(kept, "u1").await.unwrap().frames().await.unwrap();
    assert!(frames.iter().map(|placed| placed.frame.epoch).is_sorted(), "whoever was fenced wrote nothing more");
    let others: Vec<&String> = heard.iter().flat_map(|one| &one.others).collect();
    if !with_thief {
        assert!(others.is_empty(), "nobody met or lost the lease: {others:?}");
    }
    (taken, others.iter().filter(|said| **said == "fenced").count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_fight_for_a_session_write_one_line_on_sqlite() {
    fought(&Home::sqlite(), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_that_fight_for_a_session_write_one_line_on_postgres() {
    let Some(home) = Home::postgres().await else { return };
    fought(&home, false).await;
    home.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_taken_away_again_and_again_loses_and_doubles_nothing_on_sqlite() {
    let (taken, fenced) = fought(&Home::sqlite(), true).await;
    println!("taken away {taken} times, fenced {fenced} times");
    assert!(taken > 0 && fenced > 0, "taken away {taken} times, fenced {fenced} times");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_taken_away_again_and_again_loses_and_doubles_nothing_on_postgres() {
    let Some(home) = Home::postgres().await else { return };
    let (taken, fenced) = fought(&home, true).await;
    println!("taken away {taken} times, fenced {fenced} times");
    assert!(taken > 0 && fenced > 0, "taken away {taken} times, fenced {fenced} times");
    home.close().await;
}
