//! The loop over super-steps, for the graph of a run and for graphs inside its steps.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use atomr_agents_core::{CallCtx, CancellationToken, EventKind};
use atomr_agents_state::{Delta, Item, RunState, SinceBase, StateView, Write};

use super::frame::Frame;
use super::parts::Part;
use super::shared::{Live, RunShared};
use super::stored::Point;
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
        scope: &Scope,
        stand: &mut Stand,
        course: &Course,
    ) -> Result<Leave, WorkflowError> {
        let live = run.live();
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
            let step = SuperStep {
                engine: self,
                run,
                scope,
                live: &live,
                state: stand.view(),
                step: stand.step + 1,
                replays: std::mem::take(&mut stand.replays),
            };
            let frames = std::mem::take(&mut stand.frames);
            let ended = match scope {
                Scope::Root => {
                    let ended = step.run(std::mem::take(&mut stand.tasks), frames, stop.as_mut()).await?;
                    if !ended.waits.is_empty() {
                        stand.frames = ended.waits;
                        stand.replays = true;
                        return Ok(Leave::Suspended(run.pending()));
                    }
                    ended.ran
                }
                Scope::Inside { life, .. } => self.inside(run, life, &step, &stand.tasks, stop.as_mut()).await?,
            };
            drop(step);
            let stopping =
                if course.after.is_empty() { Vec::new() } else { ended.iter().map(|(task, _)| task.clone()).collect() };
            let deltas = self.apply(run, &live, scope, stand, ended).await?;
            if !scope.is_root() {
                // The outcomes say it all: what is written now is what the next super-step builds on.
                live.journal.commit().await?;
                continue;
            }
            self.checkpoint(&live, stand, "step", Some(&deltas))?;
            let stops = self.breakpoints(stand, &course.after, stopping.iter(), InterruptKind::After);
            if !stops.is_empty() && !stand.tasks.is_empty() {
                return Ok(Leave::Suspended(stops));
            }
            if !stand.tasks.is_empty() {
                live.journal.commit().await?;
                stand.untold = false;
                Self::tell(&live, stand, "step");
            }
        }
    }

    /// A super-step of a graph inside a step: what waits is waited for here, so that the outer step waits, too.
    async fn inside(
        &self,
        run: &Arc<RunShared>,
        life: &Arc<Life>,
        step: &SuperStep<'_>,
        tasks: &[Task],
        mut stop: std::pin::Pin<&mut (dyn Future<Output = WorkflowError> + Send + '_)>,
    ) -> Result<Vec<(Task, Update)>, WorkflowError> {
        let mut frames = Vec::new();
        loop {
            let mut answered = pin!(run.answered.notified());
            answered.as_mut().enable();
            let working = life.work();
            let ended = step.run(tasks.to_vec(), frames, stop.as_mut()).await?;
            if ended.waits.is_empty() {
                return Ok(ended.ran);
            }
            frames = ended.waits;
            let waiting = life.wait();
            drop(working);
            answered.await;
            drop(waiting);
        }
    }

    /// Takes in what a super-step wrote, and finds out what is due next.
    async fn apply(
        &self,
        run: &Arc<RunShared>,
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
            WorkflowError::State { run, step, source }
        })?;
        stand.tasks = self.follow(live, scope, &mut stand.waiting, &stand.state.snapshot(), &mut ran).await?;
        stand.step = step;
        // Nobody asks any more for what was recorded in this super-step.
        if scope.is_root() {
            run.live().journal.forget_before(step + 1);
        }
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

    /// Makes a checkpoint part of the next commit: what is new, or, when that has come to outweigh it, the whole.
    pub(crate) fn checkpoint(
        &self,
        live: &Live,
        stand: &mut Stand,
        source: &'static str,
        deltas: Option<&[Delta]>,
    ) -> Result<(), WorkflowError> {
        let state = stand.view();
        if let Some(deltas) = deltas {
            stand.since.add(deltas);
        }
        let deltas = deltas.filter(|_| !stand.since.outweighs(&state, 1));
        if deltas.is_none() {
            stand.since = SinceBase::default();
        }
        let step = stand.step;
        let point = Point { source, state: &state, step, deltas, next: &stand.tasks, waiting: &stand.waiting };
        let checkpoint = point.written(&live.journal, &self.graph.0.wiring)?;
        live.journal.stage(Item::Checkpoint(checkpoint));
        stand.untold = true;
        Ok(())
    }

    /// Tells that a checkpoint was written, once it is.
    pub(crate) fn tell(live: &Live, stand: &Stand, source: &'static str) {
        let step = stand.step;
        if live.ctx.has_sink() {
            live.ctx.emit(EventKind::CheckpointSaved { step, source: source.to_owned() });
        }
        if let Some(parts) = &live.parts {
            parts.push(Part::State { step, state: stand.view() });
        }
    }

    /// The breakpoints among `tasks`.
    fn breakpoints<'t>(
        &self,
        stand: &Stand,
        names: &[String],
        tasks: impl Iterator<Item = &'t Task>,
        kind: InterruptKind,
    ) -> Vec<Interrupt> {
        if names.is_empty() {
            return Vec::new();
        }
        let (word, step) = match kind {
            InterruptKind::Before => ("before", stand.step + 1),
            _ => ("after", stand.step),
        };
        let wiring = &self.graph.0.wiring;
        let stops = tasks.filter(|task| names.iter().any(|name| name == "*" || **name == **wiring.name(task.place)));
        stops
            .map(|task| Interrupt {
                id: format!("{step}:{}/{word}#0", task.path),
                path: task.path.to_string(),
                kind,
                value: atomr_agents_core::Value::Null,
            })
            .collect()
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
