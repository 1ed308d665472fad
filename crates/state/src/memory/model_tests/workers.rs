//! Workers on a store, and everything that each may do next.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use bytes::Bytes;
use stateright::{Model, Property};

use super::super::tables::Tables;
use crate::{Batch, Change, Expect, Fence, Key, Lease, StoreError};

const WORKERS: [&str; 3] = ["w0", "w1", "w2"];
const TTL: Duration = Duration::from_millis(2);
const RUNNING: &[u8] = b"running";
pub(super) const ENDED: &[u8] = b"ended";
/// More frames than any walk writes.
const FRAMES: usize = 4;

/// How far the walk goes, and what it leaves out to show that the checks bite.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) workers: usize,
    pub(super) until_ms: u64,
    pub(super) saves: u64,
    pub(super) tokens: u64,
    /// How many requests may be on their way that nobody waits for.
    pub(super) late: usize,
    /// Writes carry their fence.
    pub(super) fenced: bool,
    /// Writes have their place.
    pub(super) placed: bool,
    /// A fork looks at the version of what it comes from.
    pub(super) versioned: bool,
}

pub(super) const SMALL: Rules =
    Rules { workers: 2, until_ms: 2, saves: 1, tokens: 2, late: 1, fenced: true, placed: true, versioned: true };
pub(super) const WIDE: Rules = Rules { workers: 3, until_ms: 4, saves: 2, tokens: 3, late: 2, ..SMALL };

#[derive(Clone, Debug)]
pub(super) struct Workers {
    pub(super) rules: Rules,
    pub(super) runs: [Key; 2],
}

/// A commit on its way: the next step, or the end of the run with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sent {
    run: usize,
    token: u64,
    at: u64,
    ends: bool,
}

/// What a worker knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) holds: Option<Held>,
    /// The commit that it waits for.
    pub(super) waits: Option<Sent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held {
    pub(super) run: usize,
    pub(super) token: u64,
    pub(super) until_ms: u64,
    pub(super) head: u64,
}

/// What a fork has read before it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ForkRead {
    version: u64,
    ended: bool,
    at: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct World {
    pub(super) now_ms: u64,
    pub(super) tables: Tables,
    pub(super) workers: [Worker; WORKERS.len()],
    pub(super) late: Vec<Sent>,
    pub(super) fork: Option<ForkRead>,
    /// For the checks alone, as the rest: per run, by which token each frame was written that somebody was told of.
    pub(super) told: [[Option<u64>; FRAMES]; 2],
    /// Per run, its length when it ended.
    pub(super) ended_at: [Option<u64>; 2],
    /// Where the second run left the first.
    pub(super) forked_at: Option<u64>,
    pub(super) fenced: bool,
    pub(super) stale: bool,
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.now_ms, &self.tables, &self.workers, &self.late, &self.fork).hash(state);
        (&self.told, &self.ended_at, &self.forked_at, self.fenced, self.stale).hash(state);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    /// The answer may be lost, here and below.
    Claim(usize, Answer),
    Acquire(usize, usize),
    Renew(usize, Answer),
    Release(usize),
    Send(usize, bool),
    Arrive(usize, Answer),
    /// The sender will send it again; this one stays on its way.
    Delay(usize),
    ArriveLate(usize),
    Die(usize),
    ForkReads,
    ForkWrites,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Comes,
    IsLost,
}

const ANSWERS: [Answer; 2] = [Answer::Comes, Answer::IsLost];

impl Workers {
    pub(super) fn new(rules: Rules) -> Self {
        Self { rules, runs: ["a", "b"].map(|name| Key::new("run", name).unwrap()) }
    }

    /// The commit that a journal makes of it.
    fn batch(&self, sent: Sent) -> Batch {
        let key = &self.runs[sent.run];
        let mut batch = Batch::new();
        if self.rules.fenced {
            batch = batch.fenced(Fence { key: key.clone(), token: sent.token });
        }
        if sent.ends {
            batch = batch.put(key, ENDED, Expect::Any);
        }
        batch.append(key, self.rules.placed.then_some(sent.at), body(sent))
    }

    /// The request reaches the store.
    fn arrive(&self, world: &mut World, sent: Sent) -> Result<(), StoreError> {
        let done = world.tables.commit(self.batch(sent), world.now_ms);
        world.fenced |= matches!(done, Err(StoreError::Fenced { .. }));
        world.stale |= done.is_ok() && sent.token != world.tables.token(&self.runs[sent.run]);
        if done.is_ok() && sent.ends {
            world.ended_at[sent.run] = Some(world.tables.end(&self.runs[sent.run]));
        }
        done
    }

    /// A worker has a lease: it reads how far the run is and goes on from there, unless the run has ended.
    fn begin(&self, world: &mut World, worker: usize, lease: &Lease) {
        let record = world.tables.get(&lease.key).unwrap();
        let (run, head) = (usize::from(lease.key != self.runs[0]), world.tables.end(&lease.key));
        let held = Held { run, token: lease.token, until_ms: lease.until_ms, head };
        world.workers[worker].holds = (record.value == RUNNING).then_some(held);
    }

    fn lease(&self, worker: usize, held: Held) -> Lease {
        let (key, owner) = (self.runs[held.run].clone(), WORKERS[worker].to_owned());
        Lease { key, owner, token: held.token, until_ms: held.until_ms }
    }

    /// The answer to a commit is there. One that conflicts with itself has happened before, when nobody saw it.
    fn answered(&self, world: &mut World, worker: usize, sent: Sent, done: Result<(), StoreError>) {
        let there =
            || world.tables.read(&self.runs[sent.run], sent.at, 1).first().is_some_and(|it| it.body == body(sent));
        let happened = match done {
            Ok(()) => true,
            Err(StoreError::Conflict { .. }) => there(),
            Err(_) => false,
        };
        if happened {
            world.told[sent.run][usize::try_from(sent.at).unwrap()] = Some(sent.token);
        }
        let state = &mut world.workers[worker];
        state.waits = None;
        state.holds = state.holds.filter(|_| happened && !sent.ends).map(|held| Held { head: sent.at + 1, ..held });
    }

    fn steps(&self, world: &World, worker: usize, held: Held, actions: &mut Vec<Action>) {
        actions.push(Action::Die(worker));
        actions.extend(ANSWERS.map(|answer| Action::Renew(worker, answer)));
        if world.workers[worker].waits.is_some() {
            actions.extend(ANSWERS.map(|answer| Action::Arrive(worker, answer)));
            actions.push(Action::Delay(worker));
            return;
        }
        if held.head < self.rules.saves {
            actions.push(Action::Send(worker, false));
        }
        actions.extend([Action::Send(worker, true), Action::Release(worker)]);
    }

    fn act(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Tick => world.now_ms += 1,
            Action::Claim(worker, answer) => {
                let claimed = world.tables.claim("run", WORKERS[worker], TTL, 1, world.now_ms);
                let (_, _, lease) = claimed.first()?;
                if answer == Answer::Comes {
                    self.begin(world, worker, lease);
                }
            }
            Action::Acquire(worker, run) => {
                let lease = world.tables.acquire(&self.runs[run], WORKERS[worker], TTL, world.now_ms).ok()?;
                self.begin(world, worker, &lease);
            }
            Action::Renew(worker, answer) => {
                let held = world.workers[worker].holds?;
                let renewed = world.tables.renew(&self.lease(worker, held), TTL, world.now_ms);
                if answer == Answer::Comes {
                    let until = renewed.ok().map(|lease| lease.until_ms);
                    world.workers[worker].holds = until.map(|until_ms| Held { until_ms, ..held });
                    world.workers[worker].waits = world.workers[worker].waits.filter(|_| until.is_some());
                }
            }
            Action::Release(worker) => {
                let held = world.workers[worker].holds.take()?;
                world.tables.release(&self.lease(worker, held));
            }
            Action::Send(worker, ends) => {
                let Held { run, token, head: at, .. } = world.workers[worker].holds?;
                world.workers[worker].waits = Some(Sent { run, token, at, ends });
            }
            Action::Arrive(worker, answer) => {
                let sent = world.workers[worker].waits?;
                let done = self.arrive(world, sent);
                if answer == Answer::Comes {
                    self.answered(world, worker, sent, done);
                }
            }
            Action::Delay(worker) => self.delay(world, world.workers[worker].waits?)?,
            Action::ArriveLate(at) => {
                let sent = world.late.remove(at);
                let _ = self.arrive(world, sent);
            }
            Action::Die(worker) => {
                let died = std::mem::take(&mut world.workers[worker]);
                died.waits.and_then(|sent| self.delay(world, sent));
            }
            Action::ForkReads => {
                let record = world.tables.get(&self.runs[0])?;
                let (version, ended) = (record.version, record.value == ENDED);
                world.fork = Some(ForkRead { version, ended, at: world.tables.end(&self.runs[0]) });
            }
            Action::ForkWrites => self.fork(world)?,
        }
        Some(())
    }

    fn delay(&self, world: &mut World, sent: Sent) -> Option<()> {
        if world.late.len() == self.rules.late || world.late.contains(&sent) {
            return None;
        }
        world.late.push(sent);
        world.late.sort_unstable();
        Some(())
    }

    /// As a fork does it: the parent's record is written as it was read, so that whoever changes it meanwhile is noticed.
    fn fork(&self, world: &mut World) -> Option<()> {
        let ForkRead { version, ended, at } = world.fork.take()?;
        let expect = if self.rules.versioned { Expect::Version(version) } else { Expect::Any };
        let parent = record(&self.runs[0], if ended { ENDED } else { RUNNING }, expect);
        let batch = Batch::new().with(parent).with(record(&self.runs[1], RUNNING, Expect::Absent));
        if world.tables.commit(batch, world.now_ms).is_ok() {
            world.forked_at = Some(at);
        }
        Some(())
    }

    /// Position, number and token of the frames of a run.
    fn frames(&self, world: &World, run: usize) -> Vec<(u64, u64, u64)> {
        let entries = world.tables.read(&self.runs[run], 0, usize::MAX);
        entries.iter().map(|entry| (entry.at, entry.body[0].into(), entry.body[1].into())).collect()
    }

    pub(super) fn every(&self, world: &World, holds: impl Fn(usize, &[(u64, u64, u64)]) -> bool) -> bool {
        (0..self.runs.len()).all(|run| holds(run, &self.frames(world, run)))
    }
}

fn record(key: &Key, value: &'static [u8], expect: Expect) -> Change {
    let (key, value) = (key.clone(), Bytes::from_static(value));
    Change::Put { key, value, refs: Vec::new(), due_ms: Some(0), expect }
}

fn body(sent: Sent) -> Bytes {
    Bytes::from([sent.at, sent.token, sent.ends.into()].map(|part| u8::try_from(part).unwrap()).to_vec())
}

impl Model for Workers {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut tables = Tables::default();
        tables.commit(Batch::new().with(record(&self.runs[0], RUNNING, Expect::Absent)), 0).unwrap();
        vec![World {
            now_ms: 0,
            tables,
            workers: Default::default(),
            late: Vec::new(),
            fork: None,
            told: Default::default(),
            ended_at: [None; 2],
            forked_at: None,
            fenced: false,
            stale: false,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        for worker in 0..self.rules.workers {
            if let Some(held) = world.workers[worker].holds {
                self.steps(world, worker, held, actions);
                continue;
            }
            actions.extend(ANSWERS.map(|answer| Action::Claim(worker, answer)));
            let there = (0..self.runs.len()).filter(|run| world.tables.get(&self.runs[*run]).is_some());
            actions.extend(there.map(|run| Action::Acquire(worker, run)));
        }
        actions.extend((0..world.late.len()).map(Action::ArriveLate));
        match world.fork {
            None if world.forked_at.is_none() => actions.push(Action::ForkReads),
            Some(_) => actions.push(Action::ForkWrites),
            None => {}
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        self.act(&mut world, action)?;
        Some(world)
    }

    fn within_boundary(&self, world: &World) -> bool {
        let tokens = self.runs.iter().map(|run| world.tables.token(run)).max().unwrap_or(0);
        world.now_ms <= self.rules.until_ms && tokens <= self.rules.tokens
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties()
    }
}
