//! One super-step: what is due runs at the same time, until all of it has ended or waits.

use std::collections::{HashMap, VecDeque};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CancellationToken, EventKind};
use atomr_agents_state::{EffectKey, Item, Outcome, RunLogError, StateView};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::Visit;
use super::engine::{Engine, Scope};
use super::frame::{Drive, Ending, Frame, Stop};
use super::shared::{Live, RunShared};
use super::stored::{read_update, update_bodies};
use crate::life::Life;
use crate::plan::Task;
use crate::run::parts::Part;
use crate::{NodeError, Update, WorkflowError};

/// How long steps may take to end by themselves when the run ends without them.
const WIND_DOWN: Duration = Duration::from_millis(20);

/// The longest that an effect is waited for which must not be cut off.
const ONCE_WAIT: Duration = Duration::from_secs(30);

/// What came of a super-step.
pub(crate) struct Ended {
    /// What ended, in the order in which it was due.
    pub(crate) ran: Vec<(Task, Update)>,
    /// What waits for answers where it stands.
    pub(crate) frames: Vec<Frame>,
    /// Something waits, there or to be run again.
    pub(crate) waits: bool,
}

/// A super-step under way.
pub(crate) struct SuperStep<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) run: &'a Arc<RunShared>,
    pub(crate) scope: &'a Scope,
    pub(crate) live: &'a Live,
    pub(crate) state: StateView,
    /// Its number in its own graph.
    pub(crate) step: u64,
    /// Some of it may have been done before.
    pub(crate) replays: bool,
}

/// A visit that ended, and whether that is written.
struct Done {
    task: Task,
    update: Update,
    written: bool,
}

/// What came of the visits so far.
#[derive(Default)]
struct Tally {
    done: Vec<Done>,
    waits: Vec<Frame>,
    /// Visits that asked somebody and left.
    left: usize,
}

type Stopped<'s> = Pin<&'s mut (dyn Future<Output = WorkflowError> + Send + 's)>;

impl SuperStep<'_> {
    /// Runs `tasks`; those among `frames` go on as they are.
    pub(crate) async fn run(
        &self,
        tasks: Vec<Task>,
        mut frames: Vec<Frame>,
        mut stop: Stopped<'_>,
    ) -> Result<Ended, WorkflowError> {
        let mut tally = Tally::default();
        let mut due = VecDeque::with_capacity(tasks.len());
        let order: HashMap<Arc<str>, usize> = match tasks.len() {
            0 | 1 => HashMap::new(),
            _ => tasks.iter().enumerate().map(|(at, task)| (Arc::clone(&task.path), at)).collect(),
        };
        for task in tasks {
            if let Some(at) = frames.iter().position(|frame| frame.task.path == task.path) {
                due.push_back(frames.swap_remove(at));
                continue;
            }
            match self.known(&task).await? {
                Some((update, written)) => tally.done.push(Done { task, update, written }),
                None => due.push_back(self.frame(task)),
            }
        }
        let failed = if due.len() == 1 {
            self.alone(due.pop_front(), &mut tally, stop.as_mut()).await
        } else {
            self.together(due, &mut tally, stop.as_mut()).await?
        };
        let waits = !tally.waits.is_empty() || tally.left > 0;
        if failed.is_some() || waits || !self.scope.is_root() {
            // No checkpoint follows that would say it.
            self.stage(&mut tally)?;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let Tally { mut done, waits: frames, .. } = tally;
        done.sort_by_key(|done| order.get(&done.task.path).copied());
        Ok(Ended { ran: done.into_iter().map(|done| (done.task, done.update)).collect(), frames, waits })
    }

    /// What is known of a visit already: from before a crash, or from an equal one.
    async fn known(&self, task: &Task) -> Result<Option<(Update, bool)>, WorkflowError> {
        if self.replays || !self.scope.is_root() {
            let key = self.key(&task.path);
            if let Some(outcome) = self.live.journal.recorded(&key).and_then(|recorded| recorded.outcome) {
                return Ok(Some((read_update(&self.live.journal, &outcome).await?, true)));
            }
        }
        let Some(policy) = self.definition(task).options.cache.clone() else { return Ok(None) };
        let key = policy.key_of(task.place, &self.state, task.input.as_deref());
        let update = key.and_then(|key| self.engine.cache.get(&key));
        if update.is_some() {
            self.live.ctx.child(&task.path).emit(EventKind::CacheHit { cache: "node".to_owned() });
        }
        Ok(update.map(|update| (update, false)))
    }

    fn definition(&self, task: &Task) -> &crate::graph::Definition {
        self.engine.definition(task.place)
    }

    /// The key under which a visit is recorded.
    fn key(&self, path: &str) -> EffectKey {
        let (step, path) = self.scope.key(self.step, path);
        EffectKey { step, path, index: 0 }
    }

    fn frame(&self, task: Task) -> Frame {
        let graph = &self.engine.graph.0;
        let (key_step, path) = self.scope.key(self.step, &task.path);
        let mut call = self.scope.call(self.live).child(&task.path);
        call.cancel = CancellationToken::new();
        let life = Arc::new(match self.scope {
            Scope::Root => Life::default(),
            Scope::Inside { life, .. } => Life::inside(life),
        });
        let node = Arc::clone(graph.wiring.name(task.place));
        call.emit(EventKind::NodeStarted { node: Arc::clone(&node), step: self.step });
        let cancel = Ending(call.cancel.clone());
        let visit = Visit {
            definition: self.definition(&task).clone(),
            run: Arc::clone(self.run),
            call,
            life: Arc::clone(&life),
            state: self.state.clone(),
            input: task.input.clone(),
            key_step,
            step: self.step,
            path: Arc::from(path),
            node,
        };
        Frame { task, life, cancel, future: Box::pin(visit.run()), began: Instant::now() }
    }

    /// Drives the one frame that is due, in this very task.
    async fn alone(&self, frame: Option<Frame>, tally: &mut Tally, mut stop: Stopped<'_>) -> Option<WorkflowError> {
        let frame = frame?;
        let (life, cancel) = (Arc::clone(&frame.life), frame.cancel.0.clone());
        let mut drive = Drive::new(frame);
        let ended = tokio::select! {
            biased;
            error = stop.as_mut() => Err(error),
            ended = &mut drive => Ok(ended),
        };
        match ended {
            Ok(ended) => self.take(ended, tally),
            Err(error) => {
                let mut set = JoinSet::new();
                set.spawn(drive);
                self.wind_down(&mut set, &[(life, cancel)], tally).await;
                Some(error)
            }
        }
    }

    /// Drives several frames, each in a task of its own.
    async fn together(
        &self,
        mut due: VecDeque<Frame>,
        tally: &mut Tally,
        mut stop: Stopped<'_>,
    ) -> Result<Option<WorkflowError>, WorkflowError> {
        let mut set = JoinSet::new();
        let mut running = Vec::new();
        let mut commit: Option<BoxFuture<'_, Result<(), RunLogError>>> = None;
        let failed = loop {
            while set.len() < self.engine.options.max_parallel
                && let Some(frame) = due.pop_front()
            {
                running.push((Arc::clone(&frame.life), frame.cancel.0.clone()));
                set.spawn(Drive::new(frame));
            }
            if set.is_empty() {
                break None;
            }
            let joined = tokio::select! {
                biased;
                error = stop.as_mut() => break Some(error),
                joined = set.join_next() => joined,
                written = async { match commit.as_mut() {
                    Some(commit) => commit.await,
                    None => std::future::pending().await,
                } } => {
                    commit = None;
                    if let Err(error) = written {
                        break Some(error.into());
                    }
                    None
                }
            };
            let mut failed = None;
            let mut next = joined;
            while let Some(joined) = next {
                let ended = joined.map_err(|_| WorkflowError::Cancelled { run: self.live.journal.run().to_owned() });
                let error = match ended {
                    Ok(ended) => self.take(ended, tally),
                    Err(error) => Some(error),
                };
                failed = failed.or(error);
                next = set.try_join_next();
            }
            if failed.is_some() {
                break failed;
            }
            if commit.is_none() && (!set.is_empty() || !due.is_empty()) && tally.done.iter().any(|done| !done.written) {
                // Those that end in the same moment are written together.
                tokio::task::yield_now().await;
                self.stage(tally)?;
                commit = Some(async { self.live.journal.commit().await }.boxed());
            }
        };
        if failed.is_some() {
            self.wind_down(&mut set, &running, tally).await;
        }
        // A commit that was begun is seen to its end: whoever comes next would have to make it again.
        if let Some(commit) = commit {
            let written = commit.await;
            if failed.is_none() {
                written?;
            }
        }
        Ok(failed)
    }

    /// Notes what a frame came to; its error, if it failed.
    fn take(&self, (frame, stop): (Frame, Stop), tally: &mut Tally) -> Option<WorkflowError> {
        let result = match stop {
            Stop::Waits => {
                tally.waits.push(frame);
                return None;
            }
            Stop::Done(Err(NodeError::Left)) => {
                tally.left += 1;
                return None;
            }
            Stop::Done(result) => result,
        };
        let Frame { task, began, .. } = frame;
        let node = Arc::clone(self.engine.graph.0.wiring.name(task.place));
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let error = result.as_ref().err().map(NodeError::kind);
        if self.live.ctx.has_sink() {
            let ctx = self.scope.call(self.live).child(&task.path);
            ctx.emit(EventKind::NodeFinished { node, step: self.step, ok: error.is_none(), error, elapsed_ms });
        }
        match result {
            Ok(update) => {
                self.told(&task, &update);
                tally.done.push(Done { task, update, written: false });
                None
            }
            Err(source) => {
                let (_, path) = self.scope.key(self.step, &task.path);
                Some(WorkflowError::Step {
                    run: self.live.journal.run().to_owned(),
                    path,
                    step: self.step,
                    source: Box::new(source),
                })
            }
        }
    }

    /// Keeps the answer for equal inputs, and shows it to whoever reads the stream.
    fn told(&self, task: &Task, update: &Update) {
        if let Some(policy) = &self.definition(task).options.cache
            && let Some(key) = policy.key_of(task.place, &self.state, task.input.as_deref())
        {
            self.engine.cache.put(key, update.clone(), policy.ttl);
        }
        if let Some(parts) = &self.live.parts {
            let (_, path) = self.scope.key(self.step, &task.path);
            parts.push(Part::Update { step: self.step, path: Arc::from(path), update: Arc::new(update.clone()) });
        }
    }

    /// Makes what ended part of the next commit.
    fn stage(&self, tally: &mut Tally) -> Result<(), RunLogError> {
        for done in tally.done.iter_mut().filter(|done| !done.written) {
            let bodies = update_bodies(&self.live.journal, &done.update)?;
            let outcome = Outcome { key: self.key(&done.task.path), bodies, error: None };
            self.live.journal.stage(Item::Outcome(outcome));
            done.written = true;
        }
        Ok(())
    }

    /// Ends what is still at work: it is told, given a moment, and dropped; an effect that must not be cut off is waited
    /// for. What ends well meanwhile is kept.
    async fn wind_down(
        &self,
        set: &mut JoinSet<(Frame, Stop)>,
        running: &[(Arc<Life>, CancellationToken)],
        tally: &mut Tally,
    ) {
        running.iter().for_each(|(_, cancel)| cancel.cancel());
        let (mut until, latest) = (Instant::now() + WIND_DOWN, Instant::now() + ONCE_WAIT);
        loop {
            match tokio::time::timeout_at(until, set.join_next()).await {
                Ok(Some(Ok(ended))) => drop(self.take(ended, tally)),
                Ok(Some(Err(_))) => {}
                Ok(None) => break,
                Err(_) if until < latest && running.iter().any(|(life, _)| life.must_not_be_cut()) => {
                    until += WIND_DOWN;
                }
                Err(_) => break,
            }
        }
        set.shutdown().await;
        tally.waits.clear();
    }
}

/// Becomes ready when the run must stop: it was cancelled, its time is up, or somebody else took it over.
pub(crate) async fn stopped(live: &Live) -> WorkflowError {
    let run = || live.journal.run().to_owned();
    let deadline = async {
        match live.ctx.remaining() {
            Some(left) => tokio::time::sleep(left).await,
            None => std::future::pending().await,
        }
    };
    let mut deadline = pin!(deadline);
    tokio::select! {
        biased;
        () = live.ctx.cancel.cancelled() => WorkflowError::Cancelled { run: run() },
        () = live.journal.lost().cancelled() => match live.journal.commit().await {
            Err(error) => error.into(),
            Ok(()) => WorkflowError::Cancelled { run: run() },
        },
        () = &mut deadline => WorkflowError::Timeout { run: run() },
    }
}
