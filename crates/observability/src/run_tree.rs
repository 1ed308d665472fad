//! What runs did, kept as trees.

mod grow;
mod nodes;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::{Event, RunId};

use crate::{BoxFuture, RunNode, Tracer, TracerError};
use grow::Grow;

/// How much a [`RunTree`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTreeLimits {
    /// Runs at the root; the oldest one is forgotten for a new one, one that has ended first. Default 100.
    pub runs: usize,
    /// Nodes of all runs together. Beyond it the oldest runs are forgotten, and what does not fit into the newest one
    /// is left out and counted. Default 10,000.
    pub nodes: usize,
    /// Bytes of each text: names, messages, arguments, results. Default 1,000.
    pub text: usize,
}

impl Default for RunTreeLimits {
    fn default() -> Self {
        Self { runs: 100, nodes: 10_000, text: 1_000 }
    }
}

/// Keeps what runs did, as trees of agents, model calls and tool calls: how long each took, what it used and cost, how it
/// ended. Attached to a bus it is filled by the runs that happen; [`RunTree::ingest`] fills it from events that were kept.
///
/// An agent that ran inside another's run is below the tool call that ran it where only one was under way, otherwise
/// below the other agent. Two runs of the same agent at the same place of one run at the same time cannot be told apart:
/// what happens there is taken for the later one. Memory is bounded by [`RunTreeLimits`]. Cheap to clone; clones share.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, EventKind};
/// use atomr_agents_observability::{EventBus, NodeKind, RunEvents, RunTree};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = EventBus::new();
/// let tree = RunTree::new();
/// let tracer = bus.attach_tracer(Arc::new(tree.clone()))?;
///
/// let ctx = CallCtx::new().with_sink(Arc::new(RunEvents::new([bus])));
/// ctx.emit(EventKind::RunStarted { agent: "planner".into(), model: "m".into() });
/// ctx.emit(EventKind::RunFinished { usage: Box::default(), cost: None, elapsed_ms: 3 });
/// tracer.flush().await?;
///
/// let run = tree.get(ctx.run).unwrap();
/// assert_eq!((run.kind, run.name.as_str(), run.elapsed_ms), (NodeKind::Agent, "planner", Some(3)));
/// assert_eq!(run.to_string(), "agent planner ok in 3 ms, 0 + 0 tokens\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct RunTree {
    grow: Arc<Mutex<Grow>>,
}

impl RunTree {
    /// An empty tree with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty tree that keeps so much, at least one run and one node.
    #[must_use]
    pub fn with_limits(limits: RunTreeLimits) -> Self {
        Self { grow: Arc::new(Mutex::new(Grow::new(limits))) }
    }

    /// Takes one event. Those of one run must come in their order.
    pub fn ingest(&self, event: &Event) {
        self.lock().ingest(event);
    }

    /// The runs at the root, the oldest first.
    #[must_use]
    pub fn roots(&self) -> Vec<RunNode> {
        self.lock().roots()
    }

    /// The run of this id with everything below it, at the root or not.
    #[must_use]
    pub fn get(&self, run: RunId) -> Option<RunNode> {
        self.lock().get(run)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether it has seen nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many runs at the root were forgotten because of the limits.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten()
    }

    /// How many events it was too slow for; of the runs that it knew by then, their nodes say so too.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.lock().missed()
    }

    /// Forgets everything. Runs under way appear again with what they do next.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Grow> {
        self.grow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracer for RunTree {
    fn name(&self) -> &str {
        "run_tree"
    }

    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        self.ingest(&event);
        Box::pin(async { Ok(()) })
    }

    fn on_events(&self, events: Vec<Arc<Event>>) -> BoxFuture<'_, Vec<TracerError>> {
        let mut grow = self.lock();
        events.iter().for_each(|event| grow.ingest(event));
        Box::pin(async { Vec::new() })
    }
}

impl fmt::Display for RunTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.roots().iter().try_for_each(|root| write!(f, "{root}"))
    }
}

impl fmt::Debug for RunTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunTree").field("nodes", &self.len()).finish_non_exhaustive()
    }
}
