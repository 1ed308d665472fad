//! Steps that hand their results on: a way to say a graph.

mod builder;
mod perform;
mod runner;
mod step;
mod ways;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use atomr_agents_core::Value;

pub use builder::{DagBuilder, StepOptions};
pub use runner::{WorkflowOutcome, WorkflowRunner};
pub use step::{Approval, InputMapping, JoinStrategy, Source, Step};

use crate::Graph;

/// Steps that hand their results on along edges, without cycles. `S` is what a run is given. It is run by the same engine as
/// a [`Graph`], which it becomes: each step has a channel for what it gave.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_callable::{CallableHandle, FnCallable, predicate};
/// use atomr_agents_workflow::{Dag, RunOptions, Step, WorkflowRunner};
/// use serde_json::{Value, json};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn plus(more: i64) -> CallableHandle {
///     Arc::new(FnCallable::new("plus", move |n: Value, _| async move { Ok(json!(n.as_i64().unwrap_or(0) + more)) }))
/// }
///
/// let dag = Dag::<i64>::builder("sums")
///     .step("one", Step::invoke(plus(1)))
///     .step("large", Step::Branch {
///         predicate: Arc::new(predicate("over 10", |n| n.as_i64() > Some(10))),
///         if_true: "less".into(),
///         if_false: "more".into(),
///     })
///     .step("less", Step::invoke(plus(-100)))
///     .step("more", Step::invoke(plus(100)))
///     .edge("one", "large")
///     .build()?;
/// let runner = WorkflowRunner::new(dag);
/// assert_eq!(runner.run(1, RunOptions::default()).await?.output, Some(json!(102)));
/// assert_eq!(runner.run(20, RunOptions::default()).await?.output, Some(json!(-79)));
/// # Ok(()) }
/// ```
pub struct Dag<S = Value> {
    graph: Graph,
    /// Steps that nothing follows.
    sinks: Arc<Vec<String>>,
    input: PhantomData<fn(S)>,
}

impl<S> Dag<S> {
    /// A dag to be put together.
    #[must_use]
    pub fn builder(name: &str) -> DagBuilder<S> {
        DagBuilder::new(name)
    }

    /// The graph that it became.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl<S> Clone for Dag<S> {
    fn clone(&self) -> Self {
        Self { graph: self.graph.clone(), sinks: Arc::clone(&self.sinks), input: PhantomData }
    }
}

impl<S> fmt::Debug for Dag<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dag").field(&self.graph).finish()
    }
}
