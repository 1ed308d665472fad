//! Running a graph, and looking at what was run.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_state::{ForkAt, ForkOptions, MemoryStore, RunReader, RunStatus, Store, fork};

use super::call::{Call, RunOutcome, Suspension, writes_of};
use super::engine::{Engine, Stand};
use super::hot::HotTable;
use super::open::{Opened, state_error};
use super::parts::Parts;
use super::shared::Live;
use super::snapshot::{self, Snapshot};
use super::stored::{bodies_of, edits_of};
use super::stream::RunStream;
use crate::cache::NodeCache;
use crate::{Command, Graph, GraphDifference, InterruptKind, RunOptions, RunnerOptions, WorkflowError};

/// Runs a graph: many runs, one after the other and at the same time. Cheap to clone; clones keep the same suspended
/// frames.
///
/// ```
/// use atomr_agents_state::{AppendList, StateSchema};
/// use atomr_agents_workflow::{
///     Command, END, Graph, NodeCall, RunOptions, START, StatefulRunner, Update,
/// };
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = StateSchema::builder().add("log", AppendList).build()?;
/// let graph = Graph::builder("asking", schema)
///     .node("ask", |call: NodeCall| async move {
///         let name = call.ctx.interrupt(json!({"question": "Who are you?"})).await?;
///         Ok(Update::new().write("log", json!([format!("hello {}", name.as_str().unwrap_or("you"))])))
///     })
///     .edge(START, "ask")
///     .edge("ask", END)
///     .build()?;
/// let runner = StatefulRunner::new(graph);
///
/// let outcome = runner.run(json!({"log": ["begun"]}), RunOptions::named("r1")).await?;
/// assert_eq!(outcome.interrupts[0].value, json!({"question": "Who are you?"}));
///
/// let outcome = runner.resume("r1", [Command::Answer(json!("Ada"))], RunOptions::default()).await?;
/// assert_eq!(outcome.state.get::<Vec<String>>("log")?, ["begun", "hello Ada"]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StatefulRunner(Arc<Inner>);

struct Inner {
    engine: Engine,
    store: Arc<dyn Store>,
    hot: HotTable,
}

impl StatefulRunner {
    /// Runs that end with the process.
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        Self::with_store(graph, Arc::new(MemoryStore::new()), RunnerOptions::default())
    }

    /// Runs that are kept in `store`.
    #[must_use]
    pub fn with_store(graph: Graph, store: Arc<dyn Store>, options: RunnerOptions) -> Self {
        let hot = HotTable::new(options.max_suspended, options.suspended_for);
        let engine = Engine::new(graph, Arc::new(options), Arc::new(NodeCache::default()));
        Self(Arc::new(Inner { engine, store, hot }))
    }

    /// The graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.0.engine.graph
    }

    /// Where runs are kept.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// How many suspended runs have their frames in memory.
    #[must_use]
    pub fn suspended(&self) -> usize {
        self.0.hot.len()
    }

    /// Begins a run with `input`, an object of channels and values that are written to the state, and runs it until it ends,
    /// or stops: at an interrupt, at a breakpoint, when it is drained.
    ///
    /// Dropping the future ends the steps that are at work. What was recorded is kept: the run can be resumed.
    ///
    /// # Errors
    /// A run of that name exists ([`Exists`](atomr_agents_state::RunLogError::Exists)), the input does not fit the state, a step failed, the run was
    /// cancelled, its time or its super-steps are up, or its store failed. After any but the first two the run exists and can
    /// be resumed.
    pub async fn run(&self, input: Value, options: RunOptions) -> Result<RunOutcome, WorkflowError> {
        self.0.run(input, &options, None).await
    }

    /// Goes on with a run that stopped, failed, was cancelled, or whose process ended. Steps that are recorded are not run
    /// again; frames that are still here go on where they stand.
    ///
    /// # Errors
    /// There is no such run, it is over, somebody else is at it ([`atomr_agents_core::Kind::Locked`]), it was begun by another
    /// version of the graph, a command does not fit it; and as [`Self::run`].
    pub async fn resume(
        &self,
        run: &str,
        commands: impl IntoIterator<Item = Command>,
        options: RunOptions,
    ) -> Result<RunOutcome, WorkflowError> {
        self.0.resume(run, commands.into_iter().collect(), &options, None).await
    }

    /// As [`Self::run`], with what happens on the way. The stream drives the run: a run whose stream is not read stands
    /// still, and one whose stream is dropped ends as if its future was.
    #[must_use]
    pub fn stream(&self, input: Value, options: RunOptions) -> RunStream {
        let (inner, parts) = (Arc::clone(&self.0), Parts::default());
        let own = parts.clone();
        RunStream::new(parts, async move { inner.run(input, &options, Some(own)).await })
    }

    /// As [`Self::resume`], with what happens on the way.
    #[must_use]
    pub fn stream_resume(
        &self,
        run: &str,
        commands: impl IntoIterator<Item = Command>,
        options: RunOptions,
    ) -> RunStream {
        let (inner, parts, run) = (Arc::clone(&self.0), Parts::default(), run.to_owned());
        let (own, commands) = (parts.clone(), commands.into_iter().collect());
        RunStream::new(parts, async move { inner.resume(&run, commands, &options, Some(own)).await })
    }

    /// Where a run stands.
    ///
    /// # Errors
    /// There is no such run, what is stored is damaged, or its store failed.
    pub async fn get_state(&self, run: &str) -> Result<Snapshot, WorkflowError> {
        snapshot::latest(&self.0.engine, &self.0.store, run).await
    }

    /// Up to `limit` states of a run, those after each of its checkpoints, the newest first.
    ///
    /// # Errors
    /// As [`Self::get_state`].
    pub async fn history(&self, run: &str, limit: usize) -> Result<Vec<Snapshot>, WorkflowError> {
        snapshot::history(&self.0.engine, &self.0.store, run, limit).await
    }

    /// The state of a run after a step.
    ///
    /// # Errors
    /// [`NoSuchStep`](atomr_agents_state::RunLogError::NoSuchStep); and as [`Self::get_state`].
    pub async fn state_at(&self, run: &str, step: u64) -> Result<Snapshot, WorkflowError> {
        snapshot::at(&self.0.engine, &self.0.store, run, step).await
    }

    /// Writes to the channels of a run that stands still, through their reducers: a checkpoint of its own, with the next number.
    /// What is due stays due; with `as_node`, what follows that step is due instead, as if it had written this. Where answers
    /// are waited for, they still are, under the ids that the new state tells.
    ///
    /// # Errors
    /// As [`Self::resume`]; and when `values` is no object of channels, or does not fit them.
    pub async fn update_state(
        &self,
        run: &str,
        values: Value,
        as_node: Option<&str>,
        options: RunOptions,
    ) -> Result<Snapshot, WorkflowError> {
        self.0.update_state(run, values, as_node, &options).await?;
        self.get_state(run).await
    }

    /// Another run that begins where one was after `step`, with `edits` (an object of channels and values) written to its state
    /// through the reducers. What both share is not stored again. It is gone on with by [`Self::resume`]; the first run stays
    /// as it is. Gives the new run's name: `name`, or a fresh one.
    ///
    /// # Errors
    /// [`NoSuchStep`](atomr_agents_state::RunLogError::NoSuchStep), [`Exists`](atomr_agents_state::RunLogError::Exists); edits that do not fit; and as [`Self::get_state`].
    pub async fn fork(&self, run: &str, step: u64, edits: Value, name: Option<&str>) -> Result<String, WorkflowError> {
        self.0.fork(run, step, edits, name).await
    }

    /// What is different in this graph from the one that began a run: nothing if the run can be gone on with.
    ///
    /// # Errors
    /// As [`Self::get_state`].
    pub async fn check_compat(&self, run: &str) -> Result<Option<GraphDifference>, WorkflowError> {
        let reader = RunReader::open(Arc::clone(&self.0.store), run).await?;
        self.0.engine.difference(&self.0.store, &reader.record().version).await
    }
}

impl Inner {
    async fn run(&self, input: Value, options: &RunOptions, parts: Option<Parts>) -> Result<RunOutcome, WorkflowError> {
        let mut call = Call::new(&self.engine.graph, &self.engine.options, options)?;
        let Opened { run, stand } = self.engine.begin(&self.store, input, options, &mut call, parts).await?;
        self.engine.drive(&run, stand, &call, &self.hot).await
    }

    async fn resume(
        &self,
        name: &str,
        commands: Vec<Command>,
        options: &RunOptions,
        parts: Option<Parts>,
    ) -> Result<RunOutcome, WorkflowError> {
        let mut call = Call::new(&self.engine.graph, &self.engine.options, options)?;
        let opened = self.engine.resume(&self.store, name, commands, options, &mut call, (parts, &self.hot)).await;
        let Opened { run, stand } = opened?;
        self.engine.drive(&run, stand, &call, &self.hot).await
    }

    async fn update_state(
        &self,
        name: &str,
        values: Value,
        as_node: Option<&str>,
        options: &RunOptions,
    ) -> Result<(), WorkflowError> {
        let writes = writes_of("an update", values)?;
        let (journal, read) = self.engine.reopen(&self.store, name, options).await?;
        let edited = async {
            let mut stand = self.engine.stand(&journal, &read.stored, true).await?;
            stand.base_due |= read.back;
            let live = Live::of(journal.clone(), CallCtx::new());
            self.engine.edit(&live, &mut stand, writes, as_node, read.due()).await?;
            let (status, note) = self.after_edit(&live, &stand, as_node, read.pending)?;
            journal.end(status, note, None).await?;
            Ok(())
        };
        let edited = edited.await;
        let _ = journal.release().await;
        edited
    }

    /// How an edited run stands: it waits for what it waited for, in the super-step that is due now.
    fn after_edit(
        &self,
        live: &Live,
        stand: &Stand,
        as_node: Option<&str>,
        pending: Vec<crate::Interrupt>,
    ) -> Result<(RunStatus, Option<atomr_agents_state::Body>), WorkflowError> {
        let was = live.journal.info().status;
        if stand.tasks.is_empty() {
            return Ok((RunStatus::Finished, None));
        }
        let mut interrupts = pending;
        interrupts.retain(|interrupt| as_node.is_none() && interrupt.kind != InterruptKind::After);
        if interrupts.is_empty() {
            return Ok((if was == RunStatus::Failed { was } else { RunStatus::Paused }, None));
        }
        for interrupt in &mut interrupts {
            if let Some((_, rest)) = interrupt.id.split_once(':') {
                interrupt.id = format!("{}:{rest}", stand.step + 1);
            }
        }
        let note = live.journal.body(&Suspension { interrupts, frames: String::new() })?;
        Ok((RunStatus::Suspended, Some(note)))
    }

    async fn fork(&self, run: &str, step: u64, edits: Value, name: Option<&str>) -> Result<String, WorkflowError> {
        let writes = writes_of("an edit", edits)?;
        let mut options = ForkOptions { name: name.unwrap_or_default().to_owned(), ..ForkOptions::default() };
        if !writes.is_empty() {
            let (reader, stored) = snapshot::stored_at(&self.store, run, step).await?;
            let values = reader.values::<Value>(&bodies_of(&stored)).await?;
            let mut stand = self.engine.stand_of(run, &stored, values, false)?;
            let mut changed = Vec::new();
            for (channel, value) in writes {
                let deltas = stand.state.write(&channel, value).map_err(|source| state_error(run, step, source))?;
                changed.extend(deltas.into_iter().map(|delta| delta.channel));
            }
            options.edits = edits_of(&stand.view(), &changed, &mut options.blobs)?;
        }
        Ok(fork(&self.store, run, ForkAt::Step(step), &options).await?)
    }
}

impl fmt::Debug for StatefulRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatefulRunner")
            .field("graph", &self.0.engine.graph)
            .field("store", &self.0.store.kind())
            .finish_non_exhaustive()
    }
}
