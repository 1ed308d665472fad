//! A graph as a step of another.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_state::{RunState, StateView};
use futures_util::future::BoxFuture;

use super::call::writes_of;
use super::engine::{Engine, Scope, Stand};
use crate::cache::NodeCache;
use crate::{Graph, Node, NodeCall, NodeError, RunnerOptions, Update, WorkflowError};

/// What the inner graph is given: an object of its channels.
pub type InputMap = Arc<dyn Fn(&NodeCall) -> Result<Value, NodeError> + Send + Sync>;

/// What is written to the outer state when the inner graph has ended.
pub type OutputMap = Arc<dyn Fn(&StateView) -> Result<Update, NodeError> + Send + Sync>;

/// A graph as a step of another. It has channels of its own: what crosses over is what the two maps say. Each visit of the
/// step is a fresh run of the inner graph, recorded in the outer run under the step's path: after a crash its finished steps
/// are not run again, and an interrupt inside it suspends the outer run.
#[derive(Clone)]
pub struct Subgraph {
    engine: Arc<Engine>,
    input: InputMap,
    output: OutputMap,
}

impl Subgraph {
    /// The graph, given the outer channels that have the names of its own (or, where the step was sent an object, that), and
    /// giving back the same channels, where the outer state has them.
    ///
    /// A list that both append to is not appended to itself: with reducers that add, write maps of your own
    /// ([`Subgraph::with_maps`]).
    #[must_use]
    pub fn new(graph: Graph) -> Self {
        let names: Arc<Vec<String>> = Arc::new(graph.schema().names().map(str::to_owned).collect());
        let inner = Arc::clone(&names);
        let input: InputMap = Arc::new(move |call: &NodeCall| {
            if let Some(input) = &call.input {
                return Ok((**input).clone());
            }
            let shared = inner.iter().filter_map(|name| Some((name.clone(), call.state.read(name).ok()?.to_value())));
            Ok(Value::Object(shared.filter(|(_, value)| !value.is_null()).collect()))
        });
        let output: OutputMap = Arc::new(move |state: &StateView| {
            let all =
                names.iter().filter_map(|name| Some((Arc::from(name.as_str()), state.read(name).ok()?.to_value())));
            // A channel that nothing was written to says nothing to the outer one.
            Ok(Update { writes: all.filter(|(_, value)| !value.is_null()).collect(), goto: Vec::new() })
        });
        Self::with_maps(graph, input, output)
    }

    /// The graph, given what `input` makes of the outer state, and giving back what `output` makes of its own.
    #[must_use]
    pub fn with_maps(graph: Graph, input: InputMap, output: OutputMap) -> Self {
        let engine = Engine::new(graph, Arc::new(RunnerOptions::default()), Arc::new(NodeCache::default()));
        Self { engine: Arc::new(engine), input, output }
    }

    /// The inner graph.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.engine.graph
    }

    async fn run(&self, call: NodeCall) -> Result<Update, NodeError> {
        let input = (self.input)(&call)?;
        let ctx = &call.ctx.0;
        let run = &ctx.run;
        let mut state = RunState::new(self.engine.graph.schema());
        for (channel, value) in writes_of("the input of a graph in a step", input).map_err(Box::new)? {
            state.write(&channel, value)?;
        }
        let scope = Scope::Inside {
            key_step: ctx.key_step,
            prefix: ctx.path.to_string(),
            life: Arc::clone(&ctx.life),
            call: Box::new(ctx.call.clone()),
        };
        let mut stand = Stand::new(state, 0);
        let live = run.live();
        self.engine.enter(&live, &scope, &mut stand).await.map_err(Box::new)?;
        drop(live);
        self.engine.go_inside(run, &scope, &ctx.life, &mut stand).await.map_err(Box::new)?;
        (self.output)(&stand.view())
    }
}

impl Node for Subgraph {
    fn run(&self, call: NodeCall) -> BoxFuture<'_, Result<Update, NodeError>> {
        Box::pin(self.run(call))
    }
}

impl From<WorkflowError> for NodeError {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Cancelled { .. } => Self::Cancelled,
            error => Self::Inner(Box::new(error)),
        }
    }
}

impl fmt::Debug for Subgraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subgraph").field("graph", &self.engine.graph).finish_non_exhaustive()
    }
}
