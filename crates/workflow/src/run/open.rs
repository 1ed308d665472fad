//! Beginning a run, and finding out where one stands.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, EventKind, RunId, Value};
use atomr_agents_observability::RunEvents;
use atomr_agents_state::{
    Body, Delta, Item, Journal, NewRun, Placed, RunLogError, RunState, RunStatus, StateError, Store, StoredState, Write,
};

use super::call::{Call, Suspension, writes_of};
use super::engine::{Engine, Scope, Stand};
use super::hot::HotTable;
use super::parts::Parts;
use super::shared::{Live, RunShared};
use super::snapshot::no_step;
use super::snapshot::stored_at;
use super::stored::{bodies_of, read_state, read_waiting};
use crate::plan::Task;
use crate::{Command, Existing, Interrupt, InterruptKind, OnChange, RunOptions, WorkflowError};

/// After fewer checkpoints a whole state is not worth the thought.
const BASE_AFTER: usize = 32;

/// A run that can go on.
pub(crate) struct Opened {
    pub(crate) run: Arc<RunShared>,
    pub(crate) stand: Stand,
}

/// What is known of a run that was read.
pub(crate) struct Read {
    pub(crate) stored: StoredState,
    /// What it waits for.
    pub(crate) pending: Vec<Interrupt>,
    /// The mark of frames that somebody may keep.
    pub(crate) mark: String,
    /// It is not the last that is known: the run goes back to it.
    pub(crate) back: bool,
}

impl Read {
    /// The super-step under which part of what is due may be recorded.
    pub(crate) fn due(&self) -> Option<u64> {
        (!self.back).then_some(self.stored.step + 1)
    }
}

impl Engine {
    /// Begins a run, or another turn of one.
    pub(crate) async fn begin(
        &self,
        store: &Arc<dyn Store>,
        input: Value,
        options: &RunOptions,
        call: &mut Call,
        parts: Option<Parts>,
    ) -> Result<Opened, WorkflowError> {
        let name = options.name.clone().unwrap_or_default();
        let writes = writes_of("the input", input.clone())?;
        // Before anything is written, so that a bad input leaves nothing behind.
        let mut state = RunState::new(self.graph.schema());
        for (channel, value) in &writes {
            state.write(channel, value.clone()).map_err(|source| state_error(&name, 0, source))?;
        }
        self.keep_shape(store).await?;
        let new = NewRun {
            name: name.clone(),
            kind: "workflow".to_owned(),
            target: self.graph.name().to_owned(),
            version: self.graph.version().to_owned(),
            labels: options.labels.clone(),
        };
        let id = RunId::new();
        let journal = match Journal::create(Arc::clone(store), new, id, options.journal(&self.options)).await {
            Err(RunLogError::Exists { .. }) if options.existing == Existing::NextTurn => {
                return self.next_turn(store, &name, (input, writes), options, call, parts).await;
            }
            other => other?,
        };
        let ctx = call.context(&journal, id, &self.options, options);
        let run = RunShared::new(journal, ctx, parts.clone());
        let mut stand = Stand::new(state, 0);
        match self.entered(&run, &mut stand, None, call, (id, &input)).await {
            Err(WorkflowError::Log(RunLogError::Exists { .. })) if options.existing == Existing::NextTurn => {
                self.next_turn(store, &name, (input, writes), options, call, parts).await
            }
            other => other.map(|()| Opened { run, stand }),
        }
    }

    /// Enters the graph, and writes that it was: the turn and its first checkpoint are one commit.
    async fn entered(
        &self,
        run: &Arc<RunShared>,
        stand: &mut Stand,
        deltas: Option<&[Delta]>,
        call: &Call,
        (id, input): (RunId, &Value),
    ) -> Result<(), WorkflowError> {
        let live = run.live();
        let hold = call.events.as_ref().map(RunEvents::hold);
        self.started(&live.ctx);
        let entered = async {
            self.enter(&live, &Scope::Root, stand).await?;
            self.checkpoint(&live, stand, "input", deltas)?;
            let begun = live.journal.begin_turn_as(id, input);
            self.written(&live, stand, "input", call, begun).await
        };
        let entered = entered.await;
        if let (Some(hold), Err(_)) = (hold, &entered) {
            hold.discard();
        }
        released(&live.journal, entered).await
    }

    /// Tells that a call begins.
    fn started(&self, ctx: &CallCtx) {
        let (agent, model) = (self.graph.name().to_owned(), String::new());
        ctx.emit(EventKind::RunStarted { agent, model });
    }

    async fn next_turn(
        &self,
        store: &Arc<dyn Store>,
        name: &str,
        (input, writes): (Value, Vec<(String, Value)>),
        options: &RunOptions,
        call: &mut Call,
        parts: Option<Parts>,
    ) -> Result<Opened, WorkflowError> {
        let (journal, read) = self.reopen(store, name, options).await?;
        let opened = async {
            let mut stand = self.stand(&journal, &read.stored, false).await?;
            stand.base_due |= read.back;
            let deltas = stand
                .state
                .apply(writes.into_iter().map(|(channel, value)| Write::new("", channel, value)))
                .map_err(|source| state_error(name, stand.step + 1, source))?;
            stand.step += 1;
            let id = RunId::new();
            let ctx = call.context(&journal, id, &self.options, options);
            let run = RunShared::new(journal.clone(), ctx, parts);
            self.entered(&run, &mut stand, Some(&deltas), call, (id, &input)).await?;
            Ok(Opened { run, stand })
        };
        released(&journal, opened.await).await
    }

    /// Goes on with a run after `commands`.
    pub(crate) async fn resume(
        &self,
        store: &Arc<dyn Store>,
        name: &str,
        commands: Vec<Command>,
        options: &RunOptions,
        call: &mut Call,
        (parts, hot): (Option<Parts>, &HotTable),
    ) -> Result<Opened, WorkflowError> {
        let (journal, read) = self.reopen(store, name, options).await?;
        let opened = async {
            let status = journal.info().status;
            if status == RunStatus::Finished && !read.back {
                return Err(RunLogError::Over { run: name.to_owned(), status }.into());
            }
            let id = if status == RunStatus::Finished { RunId::new() } else { journal.turn().1 };
            let ctx = call.context(&journal, id, &self.options, options);
            let mut stand = self.stand(&journal, &read.stored, true).await?;
            stand.passes = read.pending.iter().any(|interrupt| interrupt.kind == InterruptKind::Before);
            let live = Live::of(journal.clone(), ctx.clone());
            let goes_on = !read.back && commands.iter().all(|command| matches!(command, Command::Continue));
            // What is answered is written before anything goes on, and before it is told.
            let hold = call.events.as_ref().map(RunEvents::hold);
            self.started(&ctx);
            if read.back {
                self.go_back(&live, &mut stand)?;
            }
            let edited = self.obey(&live, &mut stand, &read, commands).await?;
            if status == RunStatus::Finished {
                journal.begin_turn_as(ctx.run, &Value::Null).await?;
            } else if !goes_on {
                journal.status(RunStatus::Running);
                journal.commit().await?;
            } else if status != RunStatus::Running {
                // Nothing was said that could be lost. Of a run that was killed not even this is to be written.
                journal.status(RunStatus::Running);
                journal.commit_soon();
            }
            drop(hold);
            let kept = hot.take(name).filter(|kept| !edited.moved && kept.mark == read.mark && !read.mark.is_empty());
            let run = match kept {
                Some(kept) => {
                    kept.run.goes_on(journal.clone(), ctx, parts);
                    stand.frames = kept.frames;
                    kept.run
                }
                None => RunShared::new(journal.clone(), ctx, parts),
            };
            for (key, answer) in edited.answers {
                run.answer(&key, answer);
            }
            if std::mem::take(&mut stand.untold) {
                Self::show(&run.live(), &stand);
            }
            Ok(Opened { run, stand })
        };
        released(&journal, opened.await).await
    }

    /// Takes the lease of a run of this graph and reads where it stands.
    pub(crate) async fn reopen(
        &self,
        store: &Arc<dyn Store>,
        name: &str,
        options: &RunOptions,
    ) -> Result<(Journal, Read), WorkflowError> {
        let journal = Journal::resume(Arc::clone(store), name, options.journal(&self.options)).await?;
        let read = async {
            let record = journal.info();
            if record.kind != "workflow" || record.target != self.graph.name() {
                let (graph, found) = (self.graph.name().to_owned(), format!("{} {}", record.kind, record.target));
                return Err(WorkflowError::OtherGraph { run: name.to_owned(), graph, found });
            }
            if options.on_change == OnChange::Refuse {
                self.check_version(store, name, &record.version).await?;
            }
            let read = self.read(&journal).await?;
            match options.at.filter(|step| *step != read.stored.step) {
                Some(step) => back_to(store, name, step, read.stored.step).await,
                None => Ok(read),
            }
        };
        let read = read.await;
        let read = released(&journal, read).await?;
        Ok((journal, read))
    }

    /// Makes where the run goes back to a super-step of its own, in which nothing was written.
    fn go_back(&self, live: &Live, stand: &mut Stand) -> Result<(), WorkflowError> {
        stand.step += 1;
        stand.state.apply([]).map_err(|source| state_error(live.journal.run(), stand.step, source))?;
        (stand.replays, stand.passes) = (false, true);
        self.checkpoint(live, stand, "fork", None)
    }

    /// Where a run stands, as its log says.
    async fn read(&self, journal: &Journal) -> Result<Read, WorkflowError> {
        let stored = StoredState::after(journal.frames())?.ok_or_else(|| no_step(journal.run(), 0, "it has none"))?;
        let Some((note, answered)) = last_suspension(journal.frames()) else {
            return Ok(Read { stored, pending: Vec::new(), mark: String::new(), back: false });
        };
        let note: Suspension = journal.values(&[&note]).await?.pop().unwrap_or_default();
        let waits = |interrupt: &Interrupt| !answered.contains(&interrupt.id);
        let pending = note.interrupts.into_iter().filter(waits).collect();
        Ok(Read { stored, pending, mark: note.frames, back: false })
    }

    /// The stand of a stored state.
    pub(crate) async fn stand(
        &self,
        journal: &Journal,
        stored: &StoredState,
        with_tasks: bool,
    ) -> Result<Stand, WorkflowError> {
        let bodies = bodies_of(stored);
        let values = journal.values::<Value>(&bodies).await?;
        let mut stand = self.stand_of(journal.run(), stored, values, with_tasks)?;
        // A thread of many short turns needs whole states, too: one when it has come to more checkpoints than values.
        let since =
            items(journal.frames()).filter(|item| matches!(item, Item::Checkpoint(point) if !point.base)).count();
        stand.base_due = since > BASE_AFTER.max(bodies.len());
        Ok(stand)
    }

    /// The stand of a stored state whose values were read.
    pub(crate) fn stand_of(
        &self,
        run: &str,
        stored: &StoredState,
        values: Vec<Value>,
        with_tasks: bool,
    ) -> Result<Stand, WorkflowError> {
        let wiring = &self.graph.0.wiring;
        let (state, inputs) =
            read_state(self.graph.schema(), stored, values).map_err(|source| state_error(run, stored.step, source))?;
        let mut stand = Stand::new(state, stored.step);
        stand.replays = true;
        if !with_tasks {
            return Ok(stand);
        }
        for (due, input) in stored.next.iter().zip(inputs) {
            let Some(place) = wiring.places.get(due.node.as_str()).copied() else {
                let (run, from, to) = (run.to_owned(), format!("super-step {}", stored.step), due.node.clone());
                return Err(WorkflowError::NoWay { run, from, to, may: None });
            };
            let path = if due.path.is_empty() { Arc::clone(wiring.name(place)) } else { Arc::from(due.path.as_str()) };
            stand.tasks.push(Task { place, path, input });
        }
        stand.waiting = read_waiting(stored, wiring);
        Ok(stand)
    }
}

pub(crate) fn items(frames: &[Placed]) -> impl Iterator<Item = &Item> {
    frames.iter().flat_map(|placed| placed.frame.items.iter())
}

/// Where a run stood after a step, to be gone on with under the numbers that follow the last.
async fn back_to(store: &Arc<dyn Store>, name: &str, step: u64, last: u64) -> Result<Read, WorkflowError> {
    let (_, mut stored) = stored_at(store, name, step).await?;
    stored.step = last;
    Ok(Read { stored, pending: Vec::new(), mark: String::new(), back: true })
}

/// The note of the suspension that the frames end in, and which of its interrupts were answered since.
pub(crate) fn last_suspension(frames: &[Placed]) -> Option<(Body, Vec<String>)> {
    let mut last: Option<(Body, Vec<String>)> = None;
    for item in items(frames) {
        match item {
            Item::Checkpoint(_) | Item::Begin(_) => last = None,
            Item::End(end) if end.status == RunStatus::Suspended => {
                last = end.output.clone().map(|note| (note, Vec::new()));
            }
            Item::Outcome(outcome) => {
                if let Some((_, answered)) = &mut last {
                    answered.push(outcome.key.to_string());
                }
            }
            _ => {}
        }
    }
    last
}

pub(crate) fn state_error(run: &str, step: u64, source: StateError) -> WorkflowError {
    WorkflowError::State { run: run.to_owned(), step, source: Box::new(source) }
}

/// Lets a run go that cannot be gone on with.
pub(crate) async fn released<T>(journal: &Journal, result: Result<T, WorkflowError>) -> Result<T, WorkflowError> {
    if result.is_err() {
        // The error is what matters; a lease that is not released runs out.
        let _ = journal.release().await;
    }
    result
}
