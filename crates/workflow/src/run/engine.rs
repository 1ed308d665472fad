//! The loop over super-steps, for the graph of a run and for graphs inside its steps.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use atomr_agents_core::{CallCtx, CancellationToken};
use atomr_agents_state::{Delta, RunState, SinceBase, StateView, Write};

use super::call::Call;
use super::frame::Frame;
use super::shared::{Live, RunShared};
use super::super_step::{SuperStep, stopped};
use crate::cache::NodeCache;
use crate::graph::Definition;
use crate::graph::wiring::{AT_START, Place};
use crate::life::Life;
use crate::plan::{self, NoWay, Ran, Task, Waiting};
use crate::{Graph, Interrupt, InterruptKind, NodeError, RunnerOptions, Update, WorkflowError};

/// Runs a graph: what all its runs have in common.
pub(crate) struct Engine {
    pub(crate) graph: Graph,
    pub(crate) options: Arc<RunnerOptions>,
    pub(crate) cache: Arc<NodeCache>,
    /// What the graph looks like is in the store.
    pub(crate) shape_kept: AtomicBool,
}

/// Where a graph runs.
pub(crate) enum Scope {
    /// It is the graph of the run.
    Root,
    /// It is the graph of a step: it is recorded under that step's key.
    Inside { key_step: u64, prefix: String, life: Arc<Life>, call: Box<CallCtx> },
}

/// Where a run stands between two super-steps.
pub(crate) struct Stand {
    pub(crate) state: RunState,
    /// The last super-step that is done.
    pub(crate) step: u64,
    pub(crate) tasks: Vec<Task>,
    pub(crate) waiting: Waiting,
    pub(crate) since: SinceBase,
    /// The next checkpoint shall say the whole state.
    pub(crate) base_due: bool,
    /// What waits for answers in the super-step that is due.
    pub(crate) frames: Vec<Frame>,
    /// Part of the super-step that is due may have been done before.
    pub(crate) replays: bool,
    /// The run stopped before the super-step that is due, and goes on now.
    pub(crate) passes: bool,
    /// The last checkpoint goes with the next commit, and is told after it.
    pub(crate) untold: bool,
}

/// How one call of a run goes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) max_steps: u64,
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
    pub(crate) drain: CancellationToken,
}

/// Why the loop was left.
pub(crate) enum Leave {
    Finished,
    Drained,
    Suspended(Vec<Interrupt>),
}

impl Scope {
    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }

    /// The step and the path under which something of super-step `step` is recorded.
    pub(crate) fn key(&self, step: u64, path: &str) -> (u64, String) {
        match self {
            Self::Root => (step, path.to_owned()),
            Self::Inside { key_step, prefix, .. } => (*key_step, format!("{prefix}/{step}.{path}")),
        }
    }

    pub(crate) fn call<'a>(&'a self, live: &'a Live) -> &'a CallCtx {
        match self {
            Self::Root => &live.ctx,
            Self::Inside { call, .. } => call,
        }
    }
}

impl Stand {
    pub(crate) fn new(state: RunState, step: u64) -> Self {
        Self {
            state,
            step,
            tasks: Vec::new(),
            waiting: Waiting::default(),
            since: SinceBase::default(),
            base_due: false,
            frames: Vec::new(),
            replays: false,
            passes: false,
            untold: false,
        }
    }

    pub(crate) fn view(&self) -> StateView {
        self.state.snapshot()
    }
}

impl Engine {
    pub(crate) fn new(graph: Graph, options: Arc<RunnerOptions>, cache: Arc<NodeCache>) -> Self {
        Self { graph, options, cache, shape_kept: AtomicBool::new(false) }
    }

    pub(crate) fn definition(&self, place: Place) -> &Definition {
        self.graph.0.definition(place)
    }

    /// Runs super-steps until the run ends or stops. What was done is in the log when this returns, except for the last
    /// checkpoint, which goes with the end of the run.
    pub(crate) async fn go(
        &self,
        run: &Arc<RunShared>,
        stand: &mut Stand,
        call: &Call,
    ) -> Result<Leave, WorkflowError> {
        let (live, course) = (run.live(), &call.course);
        let mut stop = pin!(stopped(&live));
        let mut taken = 0;
        loop {
            if stand.tasks.is_empty() {
                return Ok(Leave::Finished);
            }
            if course.drain.is_cancelled() {
                return Ok(Leave::Drained);
            }
            if !std::mem::take(&mut stand.passes) {
                let stops = self.breakpoints(stand, &course.before, stand.tasks.iter(), InterruptKind::Before);
                if !stops.is_empty() {
                    return Ok(Leave::Suspended(stops));
                }
            }
            if taken == course.max_steps {
                return Err(WorkflowError::StepLimit { run: live.journal.run().to_owned(), limit: course.max_steps });
            }
            taken += 1;
            if let Some(parts) = &live.parts {
                parts.room().await;
            }
            let replays = std::mem::take(&mut stand.replays);
            let step = self.super_step(run, &Scope::Root, &live, stand, replays);
            let (tasks, frames) = (std::mem::take(&mut stand.tasks), std::mem::take(&mut stand.frames));
            let ended = step.run(tasks, frames, stop.as_mut()).await?;
            // It holds a copy of the state, which is about to be changed.
            drop(step);
            if ended.waits {
                stand.frames = ended.frames;
                return Ok(Leave::Suspended(run.pending()));
            }
            let ran: Vec<Task> = match course.after[..] {
                [] => Vec::new(),
                _ => ended.ran.iter().map(|(task, _)| task.clone()).collect(),
            };
            let deltas = self.apply(&live, &Scope::Root, stand, ended.ran).await?;
            // Nobody asks any more for what was recorded in this super-step.
            live.journal.forget_before(stand.step + 1);
            self.checkpoint(&live, stand, "step", Some(&deltas))?;
            if stand.tasks.is_empty() {
                return Ok(Leave::Finished);
            }
            let stops = self.breakpoints(stand, &course.after, ran.iter(), InterruptKind::After);
            if !stops.is_empty() {
                return Ok(Leave::Suspended(stops));
            }
            self.written(&live, stand, "step", call, live.journal.commit_alone()).await?;
        }
    }

    fn super_step<'a>(
        &'a self,
        run: &'a Arc<RunShared>,
        scope: &'a Scope,
        live: &'a Live,
        stand: &Stand,
        replays: bool,
    ) -> SuperStep<'a> {
        SuperStep { engine: self, run, scope, live, state: stand.view(), step: stand.step + 1, replays }
    }

    /// Runs a graph inside a step to its end. Its outcomes say it all: there is no checkpoint of it.
    pub(crate) async fn go_inside(
        &self,
        run: &Arc<RunShared>,
        scope: &Scope,
        life: &Arc<Life>,
        stand: &mut Stand,
    ) -> Result<(), WorkflowError> {
        let mut taken = 0;
        while !stand.tasks.is_empty() {
            if taken == self.options.max_steps {
                let run = run.live().journal.run().to_owned();
                return Err(WorkflowError::StepLimit { run, limit: taken });
            }
            taken += 1;
            let ended = self.inside(run, scope, life, stand).await?;
            let live = run.live();
            self.apply(&live, scope, stand, ended).await?;
            // What is written now is what the next super-step builds on.
            live.journal.commit().await?;
        }
        Ok(())
    }

    /// A super-step of a graph inside a step: what waits is waited for here, so that the outer step waits, too. While it
    /// does, the run may be suspended and go on under another call.
    async fn inside(
        &self,
        run: &Arc<RunShared>,
        scope: &Scope,
        life: &Arc<Life>,
        stand: &mut Stand,
    ) -> Result<Vec<(Task, Update)>, WorkflowError> {
        let mut frames = Vec::new();
        loop {
            let mut answered = pin!(run.answered.notified());
            answered.as_mut().enable();
            let working = life.work();
            let live = run.live();
            let step = self.super_step(run, scope, &live, stand, true);
            let mut stop = pin!(stopped(&live));
            let ended = step.run(stand.tasks.clone(), frames, stop.as_mut()).await?;
            if !ended.waits {
                return Ok(ended.ran);
            }
            frames = ended.frames;
            let waiting = life.wait();
            drop(working);
            answered.await;
            drop(waiting);
        }
    }

    /// Takes in what a super-step wrote, and finds out what is due next.
    async fn apply(
        &self,
        live: &Live,
        scope: &Scope,
        stand: &mut Stand,
        ended: Vec<(Task, Update)>,
    ) -> Result<Vec<Delta>, WorkflowError> {
        let step = stand.step + 1;
        let mut ran = Vec::with_capacity(ended.len());
        let mut writes = Vec::new();
        for (task, update) in ended {
            let Update { writes: written, goto } = update;
            writes.extend(written.into_iter().map(|(channel, value)| Write {
                task: Arc::clone(&task.path),
                channel,
                value,
            }));
            ran.push(Ran { place: task.place, goto, routes: Vec::new() });
        }
        let deltas = stand.state.apply(writes).map_err(|source| {
            let run = live.journal.run().to_owned();
            WorkflowError::State { run, step, source: Box::new(source) }
        })?;
        stand.tasks = self.follow(live, scope, &mut stand.waiting, &stand.state.snapshot(), &mut ran).await?;
        stand.step = step;
        Ok(deltas)
    }

    /// What is due after `ran`, with the routers asked.
    async fn follow(
        &self,
        live: &Live,
        scope: &Scope,
        waiting: &mut Waiting,
        state: &StateView,
        ran: &mut [Ran],
    ) -> Result<Vec<Task>, WorkflowError> {
        let graph = &self.graph.0;
        for at in 0..ran.len() {
            let place = ran[at].place;
            if ran[..at].iter().any(|earlier| earlier.place == place) {
                continue;
            }
            for fork in &graph.wiring.outs[place].forks {
                let asked = graph.routers[*fork].ask(state, scope.call(live)).await;
                let targets = asked.map_err(|source| self.router_failed(live, place, state.step(), source))?;
                ran[at].routes.push((*fork, targets));
            }
        }
        plan::next(&graph.wiring, waiting, ran).map_err(|no_way| no_way_of(live, no_way))
    }

    fn router_failed(&self, live: &Live, place: Place, step: u64, source: NodeError) -> WorkflowError {
        let path = self.graph.0.wiring.name(place).to_string();
        WorkflowError::Step { run: live.journal.run().to_owned(), path, step, source: Box::new(source) }
    }

    /// What is due when the graph is entered.
    pub(crate) async fn enter(&self, live: &Live, scope: &Scope, stand: &mut Stand) -> Result<(), WorkflowError> {
        self.after(live, scope, stand, AT_START).await
    }

    /// What is due as if the step at `place` had run.
    pub(crate) async fn after(
        &self,
        live: &Live,
        scope: &Scope,
        stand: &mut Stand,
        place: Place,
    ) -> Result<(), WorkflowError> {
        let mut ran = [Ran { place, ..Ran::default() }];
        let mut waiting = if place == AT_START { Waiting::default() } else { std::mem::take(&mut stand.waiting) };
        stand.tasks = self.follow(live, scope, &mut waiting, &stand.state.snapshot(), &mut ran).await?;
        stand.waiting = waiting;
        Ok(())
    }
}

pub(crate) fn no_way_of(live: &Live, no_way: NoWay) -> WorkflowError {
    WorkflowError::NoWay {
        run: live.journal.run().to_owned(),
        from: no_way.from.to_string(),
        to: no_way.to.to_string(),
        may: no_way.may.map(|may| may.iter().map(ToString::to_string).collect()),
    }
}
