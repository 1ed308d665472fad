//! Beginning a run, and finding out where one stands.

use std::sync::Arc;

use atomr_agents_core::{EventKind, Value};
use atomr_agents_state::{
    Batch, Body, EffectKey, Expect, Intent, Item, Journal, Key, NewRun, Outcome, Placed, RunLogError, RunState,
    RunStatus, StateError, Store, StoredState, Write,
};

use super::call::{Answers, Call, Suspension, writes_of};
use super::engine::{Engine, Scope, Stand, no_way_of};
use super::hot::HotTable;
use super::parts::Parts;
use super::shared::{Live, RunShared};
use super::stored::{bodies_of, read_state, read_waiting};
use crate::plan::{Task, go_to};
use crate::{
    Command, Existing, GraphDifference, GraphShape, Interrupt, InterruptKind, OnChange, RunOptions, WorkflowError,
};

/// The space of the shapes of graphs, by their versions.
const GRAPHS: &str = "graph";

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
        let begun = Journal::begin(Arc::clone(store), new, options.journal(&self.options), &input).await;
        let journal = match begun {
            Err(RunLogError::Exists { .. }) if options.existing == Existing::NextTurn => {
                return self.next_turn(store, &name, (input, writes), options, call, parts).await;
            }
            other => other?,
        };
        let ctx = call.context(&journal, &self.options, options);
        let run = RunShared::new(journal, ctx, parts);
        let mut stand = Stand::new(state, 0);
        self.entered(&run, &mut stand, "input", None).await?;
        Ok(Opened { run, stand })
    }

    /// Enters the graph, and writes that it was.
    async fn entered(
        &self,
        run: &Arc<RunShared>,
        stand: &mut Stand,
        source: &'static str,
        deltas: Option<&[atomr_agents_state::Delta]>,
    ) -> Result<(), WorkflowError> {
        let live = run.live();
        let entered = async {
            self.enter(&live, &Scope::Root, stand).await?;
            self.checkpoint(&live, stand, source, deltas)?;
            live.journal.commit().await?;
            Ok(())
        };
        let result = entered.await;
        match &result {
            Ok(()) => {
                stand.untold = false;
                Self::tell(&live, stand, source);
            }
            Err(_) => drop(live.journal.release().await),
        }
        result
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
            let mut stand = match &read {
                Some(read) => self.stand(&journal, &read.stored, false).await?,
                None => Stand::new(RunState::new(self.graph.schema()), 0),
            };
            let deltas = stand
                .state
                .apply(writes.into_iter().map(|(channel, value)| Write::new("", channel, value)))
                .map_err(|source| state_error(name, stand.step + 1, source))?;
            stand.step += 1;
            journal.begin_turn(&input).await?;
            let ctx = call.context(&journal, &self.options, options);
            let run = RunShared::new(journal.clone(), ctx, parts);
            self.entered(&run, &mut stand, "input", Some(&deltas)).await?;
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
            if status == RunStatus::Finished {
                return Err(RunLogError::Over { run: name.to_owned(), status }.into());
            }
            let ctx = call.context(&journal, &self.options, options);
            let Some(read) = read else { return self.begin_again(journal.clone(), ctx, parts).await };
            let mut stand = self.stand(&journal, &read.stored, true).await?;
            stand.passes = read.pending.iter().any(|interrupt| interrupt.kind == InterruptKind::Before);
            let live = Live::of(journal.clone(), ctx.clone());
            let edited = self.obey(&live, &mut stand, &read, commands).await?;
            journal.status(RunStatus::Running);
            // What is answered, and that it runs, is written before anything goes on.
            journal.commit().await?;
            let kept = hot.take(name).filter(|kept| !edited.moved && kept.mark == read.mark && !read.mark.is_empty());
            let run = match kept {
                Some(kept) => {
                    kept.run.goes_on(journal.clone(), ctx, parts);
                    stand.frames = kept.frames;
                    kept.run
                }
                None => RunShared::new(journal.clone(), ctx, parts),
            };
            for (id, key, answer) in edited.answers {
                run.live().ctx.emit(EventKind::InterruptResumed { interrupt: id });
                run.answer(&key, answer);
            }
            if edited.moved {
                stand.untold = false;
                Self::tell(&run.live(), &stand, "update");
            }
            Ok(Opened { run, stand })
        };
        released(&journal, opened.await).await
    }

    /// A run that ended before its input was taken in.
    async fn begin_again(
        &self,
        journal: Journal,
        ctx: atomr_agents_core::CallCtx,
        parts: Option<Parts>,
    ) -> Result<Opened, WorkflowError> {
        let begin = items(journal.frames())
            .find_map(|item| if let Item::Begin(begin) = item { Some(begin.input.clone()) } else { None });
        let input = match &begin {
            Some(body) => journal.values::<Value>(&[body]).await?.pop().unwrap_or_default(),
            None => Value::Null,
        };
        let mut state = RunState::new(self.graph.schema());
        for (channel, value) in writes_of("the input", input)? {
            state.write(&channel, value).map_err(|source| state_error(journal.run(), 0, source))?;
        }
        journal.status(RunStatus::Running);
        let run = RunShared::new(journal, ctx, parts);
        let mut stand = Stand::new(state, 0);
        self.entered(&run, &mut stand, "input", None).await?;
        Ok(Opened { run, stand })
    }

    /// Takes the lease of a run of this graph and reads where it stands; `None` if it has no checkpoint yet.
    pub(crate) async fn reopen(
        &self,
        store: &Arc<dyn Store>,
        name: &str,
        options: &RunOptions,
    ) -> Result<(Journal, Option<Read>), WorkflowError> {
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
            self.read(&journal).await
        };
        let read = read.await;
        let read = released(&journal, read).await?;
        Ok((journal, read))
    }

    /// Whether this graph looks like the one of this version.
    pub(crate) async fn check_version(
        &self,
        store: &Arc<dyn Store>,
        run: &str,
        version: &str,
    ) -> Result<(), WorkflowError> {
        match self.difference(store, version).await? {
            None => Ok(()),
            Some(difference) => {
                Err(WorkflowError::Changed { run: run.to_owned(), graph: self.graph.name().to_owned(), difference })
            }
        }
    }

    /// What is different in this graph from the one of a version; `None` if it is that one.
    pub(crate) async fn difference(
        &self,
        store: &Arc<dyn Store>,
        version: &str,
    ) -> Result<Option<GraphDifference>, WorkflowError> {
        if version == self.graph.version() {
            return Ok(None);
        }
        let was = match Key::new(GRAPHS, version) {
            Ok(key) => store.get(&key).await?,
            Err(_) => None,
        };
        let was: Option<GraphShape> = was.and_then(|record| serde_json::from_slice(&record.value).ok());
        Ok(Some(was.map(|was| was.difference(self.graph.shape())).unwrap_or_default()))
    }

    /// Keeps what the graph looks like, so that a later one can be compared with it.
    async fn keep_shape(&self, store: &Arc<dyn Store>) -> Result<(), WorkflowError> {
        if self.shape_kept.load(std::sync::atomic::Ordering::Acquire) {
            return Ok(());
        }
        let key = Key::new(GRAPHS, self.graph.version())?;
        if store.get(&key).await?.is_none() {
            let shape = serde_json::to_vec(self.graph.shape())
                .map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
            store.commit(Batch::new().put(&key, shape, Expect::Any)).await?;
        }
        self.shape_kept.store(true, std::sync::atomic::Ordering::Release);
        Ok(())
    }

    /// Where a run stands, as its log says.
    async fn read(&self, journal: &Journal) -> Result<Option<Read>, WorkflowError> {
        let Some(stored) = StoredState::after(journal.frames())? else { return Ok(None) };
        let Some((note, answered)) = last_suspension(journal.frames()) else {
            return Ok(Some(Read { stored, pending: Vec::new(), mark: String::new() }));
        };
        let note: Suspension = journal.values(&[&note]).await?.pop().unwrap_or_default();
        let waits = |interrupt: &Interrupt| !answered.contains(&interrupt.id);
        let pending = note.interrupts.into_iter().filter(waits).collect();
        Ok(Some(Read { stored, pending, mark: note.frames }))
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
        self.stand_of(journal.run(), stored, values, with_tasks)
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

    /// Does what the commands say.
    async fn obey(
        &self,
        live: &Live,
        stand: &mut Stand,
        read: &Read,
        commands: Vec<Command>,
    ) -> Result<Obeyed, WorkflowError> {
        let run = live.journal.run().to_owned();
        let mut obeyed = Obeyed::default();
        let mut answers = Answers::new();
        for command in commands {
            match command {
                Command::Continue => {}
                Command::Resume(more) => answers.extend(more),
                Command::Answer(answer) => {
                    let asked: Vec<&Interrupt> = asked(&read.pending).collect();
                    match asked[..] {
                        [one] => drop(answers.insert(one.id.clone(), answer)),
                        [] => return Err(unknown(&run, "", &read.pending)),
                        ref several => {
                            let pending = several.iter().map(|interrupt| interrupt.id.clone()).collect();
                            return Err(WorkflowError::WhichInterrupt { run, pending });
                        }
                    }
                }
                Command::Update(writes) => {
                    self.edit(live, stand, writes, None).await?;
                    obeyed.moved = true;
                }
                Command::Goto(targets) => {
                    let tasks = go_to(&self.graph.0.wiring, &targets).map_err(|no_way| no_way_of(live, no_way))?;
                    stand.tasks = tasks;
                    stand.step += 1;
                    // A super-step in which nothing was written: the state counts it, too.
                    stand.state.apply([]).map_err(|source| state_error(&run, stand.step, source))?;
                    self.checkpoint(live, stand, "goto", Some(&[]))?;
                    (obeyed.moved, stand.replays, stand.passes) = (true, false, false);
                }
            }
        }
        for (id, answer) in answers {
            if !asked(&read.pending).any(|interrupt| interrupt.id == id) {
                return Err(unknown(&run, &id, &read.pending));
            }
            let mut key: EffectKey = id.parse().map_err(|_| unknown(&run, &id, &read.pending))?;
            // An edit made another super-step of the one that is due.
            if obeyed.moved {
                key.step = stand.step + 1;
            }
            let bodies = vec![live.journal.body(&answer)?];
            live.journal.stage(Item::Outcome(Outcome { key: key.clone(), bodies, error: None }));
            obeyed.answers.push((id, key, answer));
        }
        Ok(obeyed)
    }

    /// Writes to the state between two super-steps, through the reducers: a super-step of its own. What is due stays due, and
    /// what was recorded of it stays recorded; or, `as_node`, what follows that step is due.
    pub(crate) async fn edit(
        &self,
        live: &Live,
        stand: &mut Stand,
        writes: Vec<(String, Value)>,
        as_node: Option<&str>,
    ) -> Result<(), WorkflowError> {
        let run = live.journal.run().to_owned();
        let channels = writes.iter().map(|(channel, _)| Arc::from(channel.as_str())).collect();
        let writes = writes.into_iter().map(|(channel, value)| Write::new("", channel, value));
        let step = stand.step + 1;
        let deltas = stand.state.apply(writes).map_err(|source| state_error(&run, step, source))?;
        let due = stand.step + 1;
        stand.step = step;
        match as_node {
            None => carry(&live.journal, due, due + 1),
            Some(node) => {
                let Some(place) = self.graph.0.wiring.places.get(node).copied() else {
                    let (from, to) = ("update".to_owned(), node.to_owned());
                    return Err(WorkflowError::NoWay { run, from, to, may: None });
                };
                self.after(live, &Scope::Root, stand, place).await?;
                stand.replays = false;
            }
        }
        live.ctx.emit(EventKind::StateWritten { step, channels });
        self.checkpoint(live, stand, "update", Some(&deltas))
    }
}

/// What came of commands.
#[derive(Default)]
struct Obeyed {
    /// Ids, keys, and answers.
    answers: Vec<(String, EffectKey, Value)>,
    /// There is another checkpoint.
    moved: bool,
}

/// Records under another super-step what was recorded of one that is due under another number now.
fn carry(journal: &Journal, from: u64, to: u64) {
    let moved = |key: &EffectKey| EffectKey { step: to, ..key.clone() };
    for item in items(journal.frames()) {
        match item {
            Item::Intent(intent) if intent.key.step == from => {
                journal.stage(Item::Intent(Intent { key: moved(&intent.key), ..intent.clone() }));
            }
            Item::Outcome(outcome) if outcome.key.step == from => {
                journal.stage(Item::Outcome(Outcome { key: moved(&outcome.key), ..outcome.clone() }));
            }
            _ => {}
        }
    }
}

pub(crate) fn items(frames: &[Placed]) -> impl Iterator<Item = &Item> {
    frames.iter().flat_map(|placed| placed.frame.items.iter())
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

fn asked(pending: &[Interrupt]) -> impl Iterator<Item = &Interrupt> {
    pending.iter().filter(|interrupt| interrupt.kind == InterruptKind::Asked)
}

fn unknown(run: &str, id: &str, pending: &[Interrupt]) -> WorkflowError {
    let pending = asked(pending).map(|interrupt| interrupt.id.clone()).collect();
    WorkflowError::UnknownInterrupt { run: run.to_owned(), id: id.to_owned(), pending }
}

pub(crate) fn state_error(run: &str, step: u64, source: StateError) -> WorkflowError {
    WorkflowError::State { run: run.to_owned(), step, source }
}

/// Lets a run go that cannot be gone on with.
pub(crate) async fn released<T>(journal: &Journal, result: Result<T, WorkflowError>) -> Result<T, WorkflowError> {
    if result.is_err() {
        // The error is what matters; a lease that is not released runs out.
        let _ = journal.release().await;
    }
    result
}
