//! Running a dag.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use atomr_agents_callable::{BoxFuture, Callable, CallableError};
use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_state::{RunLogError, RunStatus, StateView, Store};
use serde::Serialize;
use serde_json::json;

use super::Dag;
use super::perform::{INPUT, names_of_ran};
use crate::{
    Command, Interrupt, NodeError, RunOptions, RunOutcome, RunStream, RunnerOptions, StatefulRunner, WorkflowError,
};

/// How a call of a run of a dag was left.
#[derive(Clone, Debug)]
pub struct WorkflowOutcome {
    /// The run's name.
    pub run: String,
    /// How it is doing.
    pub status: RunStatus,
    /// What came out: what the last step gave, or an object of what each gave, where several were last. `None` before the
    /// end.
    pub output: Option<Value>,
    /// What each step gave that ran.
    pub outputs: BTreeMap<String, Value>,
    /// The names of the steps that ran, in order.
    pub ran: Vec<String>,
    /// What it waits for, when it is suspended.
    pub interrupts: Vec<Interrupt>,
}

/// Runs a dag: many runs, one after the other and at the same time. It is a callable, too: an agent, a pipeline or another
/// dag can call it.
pub struct WorkflowRunner<S = Value> {
    dag: Dag<S>,
    runner: StatefulRunner,
}

impl<S: Serialize> WorkflowRunner<S> {
    /// Runs that end with the process.
    #[must_use]
    pub fn new(dag: Dag<S>) -> Self {
        let runner = StatefulRunner::new(dag.graph.clone());
        Self { dag, runner }
    }

    /// Runs that are kept in `store`.
    #[must_use]
    pub fn with_store(dag: Dag<S>, store: Arc<dyn Store>, options: RunnerOptions) -> Self {
        let runner = StatefulRunner::with_store(dag.graph.clone(), store, options);
        Self { dag, runner }
    }

    /// The dag.
    #[must_use]
    pub fn dag(&self) -> &Dag<S> {
        &self.dag
    }

    /// The runner of the graph that the dag became: states, history, forks.
    #[must_use]
    pub fn stateful(&self) -> &StatefulRunner {
        &self.runner
    }

    /// Begins a run with `input`.
    ///
    /// # Errors
    /// As [`StatefulRunner::run`].
    pub async fn run(&self, input: S, options: RunOptions) -> Result<WorkflowOutcome, WorkflowError> {
        let outcome = self.runner.run(self.given(&input)?, options).await?;
        self.read(outcome)
    }

    /// Goes on with a run.
    ///
    /// # Errors
    /// As [`StatefulRunner::resume`].
    pub async fn resume(
        &self,
        run: &str,
        commands: impl IntoIterator<Item = Command>,
        options: RunOptions,
    ) -> Result<WorkflowOutcome, WorkflowError> {
        let outcome = self.runner.resume(run, commands, options).await?;
        self.read(outcome)
    }

    /// As [`Self::run`], with what happens on the way. [`WorkflowRunner::read`] reads its outcome.
    ///
    /// # Errors
    /// When JSON has no form for the input.
    pub fn stream(&self, input: &S, options: RunOptions) -> Result<RunStream, WorkflowError> {
        Ok(self.runner.stream(self.given(input)?, options))
    }

    fn given(&self, input: &S) -> Result<Value, WorkflowError> {
        let input = serde_json::to_value(input).map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
        Ok(json!({ INPUT: input }))
    }

    /// What an outcome of the graph says in the words of the dag.
    ///
    /// # Errors
    /// When it is none of this dag.
    pub fn read(&self, outcome: RunOutcome) -> Result<WorkflowOutcome, WorkflowError> {
        let RunOutcome { run, status, state, interrupts, step } = outcome;
        let (ran, outputs) = outputs_of(&state).map_err(|source| WorkflowError::Step {
            run: run.clone(),
            path: String::new(),
            step,
            source: Box::new(source),
        })?;
        let last: BTreeMap<&String, &Value> =
            outputs.iter().filter(|(name, _)| self.dag.sinks.contains(name)).collect();
        let output = match (status, last.len()) {
            (RunStatus::Finished, 1) => last.into_values().next().cloned(),
            (RunStatus::Finished, _) => {
                Some(last.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            _ => None,
        };
        Ok(WorkflowOutcome { run, status, output, outputs, ran, interrupts })
    }
}

type Outputs = (Vec<String>, BTreeMap<String, Value>);

fn outputs_of(state: &StateView) -> Result<Outputs, NodeError> {
    let ran = names_of_ran(state)?;
    let each = ran.iter().map(|name| Ok((name.clone(), state.read(name)?.to_value())));
    let outputs = each.collect::<Result<_, NodeError>>()?;
    Ok((ran, outputs))
}

/// A call is a run of its own. A run that is suspended is an error, as a call has nobody to ask.
impl Callable for WorkflowRunner<Value> {
    fn label(&self) -> &str {
        self.dag.graph.name()
    }

    fn call(&self, input: Value, ctx: CallCtx) -> BoxFuture<'_, Result<Value, CallableError>> {
        Box::pin(async move {
            let label = || self.label().to_owned();
            if ctx.cancel.is_cancelled() {
                return Err(CallableError::Cancelled { label: label() });
            }
            let options = RunOptions { ctx: Some(ctx), ..RunOptions::default() };
            let outcome = self.run(input, options).await.map_err(|error| match error {
                WorkflowError::Cancelled { .. } => CallableError::Cancelled { label: label() },
                error => CallableError::failed(label(), error.kind(), error),
            })?;
            outcome.output.ok_or_else(|| CallableError::Failed {
                label: label(),
                kind: Kind::Workflow,
                message: format!("its run {:?} is {}: a call has nobody to ask", outcome.run, outcome.status),
                source: None,
            })
        })
    }
}

impl<S> Clone for WorkflowRunner<S> {
    fn clone(&self) -> Self {
        Self { dag: self.dag.clone(), runner: self.runner.clone() }
    }
}

impl<S> fmt::Debug for WorkflowRunner<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkflowRunner").field(&self.runner).finish()
    }
}
