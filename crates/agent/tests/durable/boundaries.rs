//! A run is stopped at each of its commits, before and after it, and goes on.

use std::sync::Arc;

use atomr_agents_agent::{AgentError, Found, RunResult, resolve};
use atomr_agents_core::{CallCtx, Kind, Message};
use atomr_agents_state::{EffectKey, MemoryStore, RunLogError, RunReader, RunStatus, Store};

use crate::support::{Dying, World, agent, kept, script};

const RUN: &str = "order-17";

async fn uninterrupted() -> RunResult {
    let store = Arc::new(MemoryStore::new());
    agent(script(), World::default().tools(), kept(store)).begin_as(RUN, "go", CallCtx::new()).await.unwrap()
}

/// A person looks into the world and says what became of a call.
async fn answer(store: &Arc<MemoryStore>, world: &World, error: &AgentError) {
    let AgentError::Log(RunLogError::OutcomeUnknown { run, key, subject }) = error else { panic!("{error:?}") };
    assert_eq!((run.as_str(), subject.as_str()), (RUN, "pay"));
    let n = if key.path.contains("/2") { 3 } else { 6 };
    let gave = serde_json::json!({"did": "pay", "with": {"n": n}});
    // The key that the call hands on is that of its first attempt.
    let path = key.path.split('+').next().unwrap_or_default();
    let first = EffectKey::new(key.step, path, key.index);
    let paid = world.attempts("pay").contains(&first.idempotency(RUN, "0.0.0"));
    let found = if paid { Found::Happened(gave) } else { Found::DidNotHappen };
    let store: Arc<dyn Store> = store.clone();
    resolve(&store, RUN, key, found).await.unwrap();
}

/// Goes on until the run ends; answers what nobody knows from what the world says. How often that was asked.
async fn go_on(store: &Arc<MemoryStore>, world: &World) -> (RunResult, usize) {
    let mut asked = 0;
    loop {
        let agent = agent(script(), world.tools(), kept(store.clone()));
        match agent.resume_run(RUN, &[], CallCtx::new()).await {
            Ok(result) => return (result, asked),
            Err(error) => {
                asked += 1;
                answer(store, world, &error.error).await;
            }
        }
    }
}

#[tokio::test]
async fn stopped_at_any_commit_it_ends_with_the_same_transcript_and_nothing_is_paid_twice() {
    let whole = uninterrupted().await;
    assert_eq!(whole.output, "Done.");
    let (mut boundaries, mut unknown) = (0, 0);
    for unheard in [false, true] {
        for commits in 0.. {
            let (store, world) = (Arc::new(MemoryStore::new()), World::default());
            let dying = Dying::after(&store, commits, unheard);
            let first = agent(script(), world.tools(), kept(dying.clone()));
            let ended = first.begin_as(RUN, "go", CallCtx::new()).await;
            if let Ok(result) = ended {
                assert!(dying.left() >= 0);
                assert_eq!(result.messages, whole.messages);
                break;
            }
            boundaries += 1;
            if RunReader::open(store.clone(), RUN).await.is_err() {
                assert_eq!(commits, 0, "what was begun is there");
                continue;
            }
            if RunReader::open(store.clone(), RUN).await.unwrap().record().status == RunStatus::Finished {
                assert!(unheard, "only the last commit can have happened unheard");
                continue;
            }
            let (result, asked) = go_on(&store, &world).await;
            unknown += asked;
            assert_eq!(result.messages, whole.messages, "after {commits} commits");
            assert_eq!(
                serde_json::to_string(&result.messages).unwrap(),
                serde_json::to_string(&whole.messages).unwrap()
            );
            assert_eq!(
                (result.usage, result.cost, result.iterations),
                (whole.usage.clone(), whole.cost, whole.iterations)
            );
            assert_eq!(world.attempts("pay").len(), 2, "no second attempt after {commits} commits");
            assert_eq!(world.effects("put"), 2, "the service knows the keys again");
        }
    }
    assert!(boundaries >= 14 && unknown >= 2, "{boundaries} {unknown}");
}

#[tokio::test]
async fn stopped_at_two_commits_of_one_run_it_still_ends_the_same() {
    let whole = uninterrupted().await;
    for first in 1..7 {
        for second in 0..6 {
            let (store, world) = (Arc::new(MemoryStore::new()), World::default());
            let dying = Dying::after(&store, first, true);
            let run = agent(script(), world.tools(), kept(dying)).begin_as(RUN, "go", CallCtx::new()).await;
            if run.is_ok() {
                continue;
            }
            let dying = Dying::after(&store, second, false);
            let run = agent(script(), world.tools(), kept(dying)).resume_run(RUN, &[], CallCtx::new()).await;
            if run.is_ok() || RunReader::open(store.clone(), RUN).await.unwrap().record().status == RunStatus::Finished
            {
                continue;
            }
            let (result, _) = go_on(&store, &world).await;
            assert_eq!(result.messages, whole.messages, "after {first} and {second} commits");
            assert_eq!((world.attempts("pay").len(), world.effects("put")), (2, 2));
        }
    }
}

#[tokio::test]
async fn the_log_has_one_commit_for_an_answer_and_its_intents_and_one_for_what_ends_together() {
    let store = Arc::new(MemoryStore::new());
    let world = World::default();
    let result = agent(script(), world.tools(), kept(store.clone())).begin_as(RUN, "go", CallCtx::new()).await.unwrap();
    let reader = RunReader::open(store.clone(), RUN).await.unwrap();
    let frames = reader.frames().await.unwrap();
    // Begin; three times an answer with its intents and the results; the last answer with the end.
    assert_eq!(frames.len(), 1 + 3 * 2 + 1, "{frames:#?}");
    let events = reader.events(0, 1_000).await.unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"run_started"), Some(&"run_finished")));
    assert_eq!(kinds.iter().filter(|kind| **kind == "tool_invoked").count(), 6);
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(events.iter().all(|event| event.run == result.run));
    let history: Vec<Message> = result.messages.clone();
    assert_eq!(history.len(), 8);
}

#[tokio::test]
async fn however_often_it_is_stopped_nothing_is_paid_twice_and_services_see_the_keys_again() {
    let whole = uninterrupted().await;
    let (mut seed, mut crashes) = (17u64, 0);
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for run in 0..150 {
        let (store, world) = (Arc::new(MemoryStore::new()), World::default());
        loop {
            let status = RunReader::open(store.clone(), RUN).await.ok().map(|reader| reader.record().status);
            if status == Some(RunStatus::Finished) {
                break;
            }
            let commits = i64::try_from(draw(4)).unwrap();
            let agent = agent(script(), world.tools(), kept(Dying::after(&store, commits, draw(2) == 0)));
            let life = match status {
                None => agent.begin_as(RUN, "go", CallCtx::new()),
                Some(_) => agent.resume_run(RUN, &[], CallCtx::new()),
            };
            match life.await {
                Err(error) if error.kind() == Kind::OutcomeUnknown => answer(&store, &world, &error.error).await,
                Err(_) => crashes += 1,
                Ok(result) => assert_eq!(result.messages, whole.messages, "run {run}"),
            }
        }
        assert_eq!((world.attempts("pay").len(), world.effects("pay"), world.effects("put")), (2, 2, 2), "run {run}");
        let seam: Arc<dyn Store> = store;
        let replay = agent(script(), world.tools(), kept(seam.clone()));
        let replay = replay.replay(&seam, RUN, &CallCtx::new()).await.unwrap();
        assert_eq!((replay.divergence, replay.messages), (None, whole.messages.clone()), "run {run}");
    }
    assert!(crashes > 400, "{crashes}");
}
