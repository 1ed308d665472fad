//! Workers of one run behind a network that fails, on simulated time: calls and answers are late or lost, workers are cut off and
//! die, calls arrive after who made them. `ATOMR_NETWORK_SEEDS` says how many courses of events, `ATOMR_NETWORK_FIRST` from which
//! seed on; what fails says its seed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use atomr_agents_state::{
    Around, Batch, BlobId, Body, Checkpoint, EffectClass, EffectKey, Entry, Found, Intent, Item, Journal,
    JournalOptions, Key, Lease, MemoryStore, NewRun, Record, RunLogError, RunReader, RunStatus, Scan, Store,
    StoreError, StoredDelta, StoredState, resolve, verify_run,
};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const WORKERS: usize = 3;
const STEPS: u64 = 12;
const RUN: &str = "run";
/// For how long a writer that is not heard of keeps others out, and how long one waits for an answer.
const LEASE: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_millis(100);
/// Whoever looks whether an effect happened does so after this: an answer that is still on its way is given up by then.
const LOOK: Duration = Duration::from_secs(1);

/// The database, the network before it, and what happened outside.
struct World {
    database: MemoryStore,
    chance: Mutex<StdRng>,
    /// Calls on their way, also of those who have died.
    calls: Mutex<JoinSet<()>>,
    cut: [AtomicBool; WORKERS],
    /// How often each effect happened.
    effects: Mutex<BTreeMap<u64, u32>>,
    /// What a commit that was answered had done.
    acknowledged: Mutex<Vec<u64>>,
    told: Mutex<Told>,
}

/// What came to pass, to see that anything did.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    lost: u64,
    lives: u64,
    unknown: u64,
    fenced: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

impl World {
    fn new(seed: u64) -> Arc<Self> {
        let began = Instant::now();
        Arc::new(Self {
            database: MemoryStore::with_clock(move || u64::try_from(began.elapsed().as_millis()).unwrap()),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            calls: Mutex::default(),
            cut: Default::default(),
            effects: Mutex::default(),
            acknowledged: Mutex::default(),
            told: Mutex::default(),
        })
    }

    fn odds(&self, of: u32) -> bool {
        lock(&self.chance).random_ratio(1, of)
    }

    fn millis(&self, most: u64) -> Duration {
        Duration::from_millis(lock(&self.chance).random_range(0..=most))
    }

    /// How long something is on its way; `None` if it is lost.
    fn way(&self, worker: usize) -> Option<Duration> {
        if self.cut[worker].load(Ordering::Relaxed) || self.odds(25) {
            lock(&self.told).lost += 1;
            return None;
        }
        Some(if self.odds(20) { self.millis(400) } else { self.millis(4) })
    }
}

/// The database as one life of a worker sees it.
struct Far {
    world: Arc<World>,
    worker: usize,
    dead: AtomicBool,
}

impl std::fmt::Debug for Far {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "worker {}", self.worker)
    }
}

impl Far {
    /// Sends a call, which is on its own from then on, and waits for its answer.
    async fn call<T, F>(&self, call: impl FnOnce(MemoryStore) -> F + Send) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let silence = || StoreError::Unavailable { store: "far".into(), message: "no answer".into() };
        let (there, back) = (self.world.way(self.worker), self.world.way(self.worker));
        let answer = there.filter(|_| !self.dead.load(Ordering::Relaxed)).map(|there| {
            let (tell, answer) = tokio::sync::oneshot::channel();
            let doing = call(self.world.database.clone());
            lock(&self.world.calls).spawn(async move {
                sleep(there).await;
                let result = doing.await;
                if let Some(back) = back {
                    sleep(back).await;
                    let _gone = tell.send(result);
                } else {
                    // The line stays open, and nothing comes.
                    sleep(ANSWER * 2).await;
                }
            });
            answer
        });
        let waited = timeout(ANSWER, async {
            match answer {
                Some(answer) => answer.await.map_err(|_| silence()),
                None => std::future::pending().await,
            }
        });
        waited.await.unwrap_or_else(|_| Err(silence()))?
    }
}

/// What a journal does not ask (`end`, `claim`, `sweep`, the time) does not come by here.
#[async_trait]
impl Around for Far {
    fn within(&self) -> &dyn Store {
        &self.world.database
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.call(|store| async move { store.commit(batch).await }).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.call(|store| async move { store.get(&key).await }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Vec<(Key, Record)>, StoreError> {
        let scan = scan.clone();
        self.call(|store| async move { store.scan(&scan).await }).await
    }

    async fn read(&self, stream: &Key, from: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let stream = stream.clone();
        self.call(move |store| async move { store.read(&stream, from, limit).await }).await
    }

    async fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Bytes>>, StoreError> {
        let ids = ids.to_vec();
        self.call(|store| async move { store.blobs(&ids).await }).await
    }

    async fn acquire(&self, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
        let (key, owner) = (key.clone(), owner.to_owned());
        self.call(move |store| async move { store.acquire(&key, &owner, ttl).await }).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<Lease, StoreError> {
        let lease = lease.clone();
        self.call(move |store| async move { store.renew(&lease, ttl).await }).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.call(|store| async move { store.release(&lease).await }).await
    }
}

/// Tries until it is done or can be done no more.
async fn patiently<F>(world: &World, mut call: impl FnMut() -> F) -> Result<(), RunLogError>
where
    F: Future<Output = Result<(), RunLogError>>,
{
    loop {
        match call().await {
            Err(RunLogError::Store(StoreError::Unavailable { .. })) => sleep(world.millis(50)).await,
            Err(error) => {
                if matches!(error, RunLogError::Store(StoreError::Fenced { .. })) {
                    lock(&world.told).fenced += 1;
                }
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

/// One life of a worker. `Ok` when the run has ended.
async fn life(world: &Arc<World>, far: Arc<Far>) -> Result<(), RunLogError> {
    let store: Arc<dyn Store> = far;
    // An owner of another machine: nobody can look whether it is gone.
    let owner = format!("somebody far away {}", lock(&world.told).lives);
    let options = JournalOptions { lease: LEASE, owner, ..JournalOptions::default() };
    let journal = match Journal::resume(Arc::clone(&store), RUN, options.clone()).await {
        Err(RunLogError::NoSuchRun { .. }) => {
            let new = NewRun { name: RUN.into(), kind: "script".into(), target: "far".into(), ..NewRun::default() };
            Journal::begin(Arc::clone(&store), new, options, &json!(null)).await?
        }
        other => other?,
    };
    if journal.info().status == RunStatus::Finished {
        return Ok(());
    }
    let done = StoredState::after(journal.frames())?.map_or(0, |state| state.step + 1);
    for step in done..STEPS {
        let key = EffectKey::new(step, "work", 0);
        match journal.result::<u64>(&key).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                let intent = Intent::new(key.clone(), "tool", "work").effect(EffectClass::Once);
                journal.stage(Item::Intent(intent));
                patiently(world, || journal.flush()).await?;
                *lock(&world.effects).entry(step).or_default() += 1;
                sleep(world.millis(30)).await;
                let bodies = vec![journal.body(&json!(step))?];
                let outcome = atomr_agents_state::Outcome { key: key.clone(), bodies, error: None };
                journal.stage(Item::Outcome(outcome));
            }
            Err(RunLogError::OutcomeUnknown { .. }) => {
                lock(&world.told).unknown += 1;
                drop(journal);
                sleep(LOOK).await;
                let happened = lock(&world.effects).contains_key(&step);
                let found = if happened { Found::Happened(json!(step)) } else { Found::DidNotHappen };
                resolve(&store, RUN, &key, found).await?;
                return Err(RunLogError::NoSuchRun { run: "it is to be looked at anew".into() });
            }
            Err(error) => return Err(error),
        }
        let value: Body = journal.body(&json!({ "step": step, "text": "long ".repeat(200) }))?;
        let channels = BTreeMap::from([("last".to_owned(), StoredDelta::Set(value))]);
        journal.stage(Item::Checkpoint(Checkpoint { step, source: "step".into(), channels, ..Checkpoint::default() }));
        patiently(world, || journal.commit_alone()).await?;
        lock(&world.acknowledged).push(step);
        if world.odds(4) {
            sleep(world.millis(500)).await;
        }
    }
    journal.end(RunStatus::Finished, None, None).await
}

/// Lives of one worker until the run has ended; some are cut short.
async fn worker(world: Arc<World>, number: usize) {
    loop {
        let far = Arc::new(Far { world: Arc::clone(&world), worker: number, dead: AtomicBool::new(false) });
        lock(&world.told).lives += 1;
        let span = if world.odds(2) { world.millis(800) } else { Duration::from_secs(60) };
        match timeout(span, life(&world, Arc::clone(&far))).await {
            Ok(Ok(())) => return,
            // It is dead: it lets no lease go.
            Err(_) => far.dead.store(true, Ordering::Relaxed),
            Ok(Err(_)) => {}
        }
        sleep(world.millis(300)).await;
    }
}

/// Cuts workers off, each for a while.
async fn storms(world: Arc<World>) {
    loop {
        sleep(world.millis(600)).await;
        let who = lock(&world.chance).random_range(0..WORKERS);
        world.cut[who].store(true, Ordering::Relaxed);
        sleep(world.millis(700)).await;
        world.cut[who].store(false, Ordering::Relaxed);
    }
}

async fn course(seed: u64) -> Told {
    let world = World::new(seed);
    let mut storm = JoinSet::new();
    storm.spawn(storms(Arc::clone(&world)));
    let mut workers = JoinSet::new();
    (0..WORKERS).for_each(|number| _ = workers.spawn(worker(Arc::clone(&world), number)));
    let ended = timeout(Duration::from_secs(3_600), async {
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
    });
    ended.await.unwrap_or_else(|_| panic!("seed {seed}: the run has not ended: {:?}", lock(&world.told)));
    storm.shutdown().await;
    // What is still on its way arrives, too late.
    let mut late = std::mem::take(&mut *lock(&world.calls));
    while late.join_next().await.is_some() {}
    check(seed, &world).await;
    *lock(&world.told)
}

async fn check(seed: u64, world: &World) {
    let store: Arc<dyn Store> = Arc::new(world.database.clone());
    let verified = verify_run(&store, RUN).await.unwrap();
    assert!(verified.damage.is_empty(), "seed {seed}: {:?}", verified.damage);
    let reader = RunReader::open(Arc::clone(&store), RUN).await.unwrap();
    let frames = reader.frames().await.unwrap();
    assert!(frames.is_sorted_by_key(|placed| placed.frame.epoch), "seed {seed}: an epoch went back");
    let items = || frames.iter().flat_map(|placed| &placed.frame.items);
    let steps: Vec<u64> = items()
        .filter_map(|item| if let Item::Checkpoint(checkpoint) = item { Some(checkpoint.step) } else { None })
        .collect();
    assert_eq!(steps, (0..STEPS).collect::<Vec<_>>(), "seed {seed}: each step is written once, in its order");
    let ends = items().filter(|item| matches!(item, Item::End(_))).count();
    assert_eq!((ends, reader.record().status), (1, RunStatus::Finished), "seed {seed}");
    // In the order of the answers, of which some were late.
    let mut acknowledged = lock(&world.acknowledged).clone();
    acknowledged.sort_unstable();
    assert!(
        acknowledged.is_sorted_by(|one, next| one < next),
        "seed {seed}: a step was written twice: {acknowledged:?}"
    );
    assert!(acknowledged.iter().all(|step| steps.contains(step)), "seed {seed}: {acknowledged:?}");
    let once: BTreeMap<u64, u32> = (0..STEPS).map(|step| (step, 1)).collect();
    assert_eq!(*lock(&world.effects), once, "seed {seed}: each effect happens once");
    let state = StoredState::after(&frames).unwrap().unwrap();
    let values: BTreeMap<String, Value> = state.values(&reader).await.unwrap();
    assert_eq!(values["last"]["step"], STEPS - 1, "seed {seed}");
}

fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn whatever_the_network_does_one_writes_at_a_time_and_nothing_is_lost() {
    let (first, seeds) = (setting("ATOMR_NETWORK_FIRST", 1), setting("ATOMR_NETWORK_SEEDS", 200));
    let mut all = Told::default();
    for seed in first..first + seeds {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let Told { lost, lives, unknown, fenced } = runtime.block_on(course(seed));
        all.lost += lost;
        all.lives += lives;
        all.unknown += unknown;
        all.fenced += fenced;
    }
    println!("{seeds} courses of events: {all:?}");
    assert!(
        all.lost > seeds && all.lives > seeds * 4 && all.unknown > seeds / 20 && all.fenced > seeds / 20,
        "{all:?}"
    );
}
