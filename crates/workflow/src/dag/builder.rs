//! A dag that is being put together.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_state::{AppendList, StateSchema};

use super::Dag;
use super::perform::{INPUT, RAN, StepNode};
use super::step::{InputMapping, JoinStrategy, Step};
use super::ways::Ways;
use crate::{Destinations, END, Graph, GraphError, GraphFault, NodeOptions, START};

/// How a step of a dag stands among the others, and is run.
#[derive(Clone, Debug, Default)]
pub struct StepOptions {
    /// What it is given.
    pub input: InputMapping,
    /// With [`JoinStrategy::Any`] it runs when the first of the steps that lead to it has, instead of all.
    pub join: JoinStrategy,
    /// Retries, time limits, cache and version. Where it goes is said by its edges.
    pub node: NodeOptions,
}

/// A step with its name.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) step: Step,
    pub(super) options: StepOptions,
}

/// A dag that is being put together. Nothing is checked before [`DagBuilder::build`].
pub struct DagBuilder<S = Value> {
    name: String,
    steps: Vec<Named>,
    edges: Vec<(String, String)>,
    entry: Option<String>,
    input: PhantomData<fn(S)>,
}

impl<S> DagBuilder<S> {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), steps: Vec::new(), edges: Vec::new(), entry: None, input: PhantomData }
    }

    /// Adds a step.
    #[must_use]
    pub fn step(self, name: &str, step: Step) -> Self {
        self.step_with(name, step, StepOptions::default())
    }

    /// Adds a step and says how it is run.
    #[must_use]
    pub fn step_with(mut self, name: &str, step: Step, options: StepOptions) -> Self {
        self.steps.push(Named { name: name.to_owned(), step, options });
        self
    }

    /// What `from` gives goes to `to`. The arms of a branch need no edge.
    #[must_use]
    pub fn edge(mut self, from: &str, to: &str) -> Self {
        self.edges.push((from.to_owned(), to.to_owned()));
        self
    }

    /// The step that a run begins with. Without this it begins with every step that nothing leads to.
    #[must_use]
    pub fn entry(mut self, step: &str) -> Self {
        self.entry = Some(step.to_owned());
        self
    }

    /// The dag, checked.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn build(self) -> Result<Dag<S>, GraphError> {
        let mut faults = Vec::new();
        let ways = Ways::of(&self.steps, &self.edges, &mut faults);
        let names: BTreeSet<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        for Named { name, step, .. } in &self.steps {
            let wrong = |message: &str| GraphFault::BadStep { step: name.clone(), message: message.to_owned() };
            faults.extend(step.fault(false).map(wrong));
        }
        if let Some(entry) = self.entry.as_ref().filter(|entry| !names.contains(entry.as_str())) {
            faults.push(GraphFault::Unknown { name: entry.clone(), place: "the entry".to_owned() });
        }
        let entries: Vec<String> = match &self.entry {
            Some(entry) => vec![entry.clone()],
            None => names.iter().filter(|name| ways.before(name).is_empty()).map(|name| (*name).to_owned()).collect(),
        };
        if let (true, Some(first), true) = (entries.is_empty(), self.steps.first(), faults.is_empty()) {
            // Every step follows another.
            faults.extend(ways.cycle_from(&first.name).map(|steps| GraphFault::Cycle { steps }));
        }
        if !faults.is_empty() {
            return Err(GraphError { graph: self.name, faults });
        }
        let leads_on = ways.leads_on();
        let sinks: Vec<String> =
            names.iter().filter(|name| !leads_on.contains(*name)).map(|name| (*name).to_owned()).collect();
        let graph = self.graph(&entries, &ways, &sinks)?;
        Ok(Dag { graph, sinks: Arc::new(sinks), input: PhantomData })
    }

    fn graph(self, entries: &[String], ways: &Ways, sinks: &[String]) -> Result<Graph, GraphError> {
        let schema = schema_of(&self.name, self.steps.iter().map(|step| step.name.as_str()))?;
        let mut builder = Graph::builder(&self.name, schema).dag();
        for entry in entries {
            builder = builder.edge(START, entry);
        }
        for sink in sinks {
            builder = builder.edge(sink, END);
        }
        let none = Vec::new();
        for Named { name, options, .. } in &self.steps {
            let (plain, arms) = (ways.plain.get(name).unwrap_or(&none), ways.arms.get(name).unwrap_or(&none));
            if plain.len() + arms.len() > 1 {
                builder = builder.tie(plain.clone(), arms.clone(), name, options.join == JoinStrategy::Any);
            } else if let Some(from) = plain.first() {
                builder = builder.edge(from, name);
            }
        }
        for Named { name, step, options } in self.steps {
            let StepOptions { input, node, .. } = options;
            let goes = match &step {
                Step::Branch { if_true, if_false, .. } => Destinations::To(vec![if_true.clone(), if_false.clone()]),
                _ => Destinations::Edges,
            };
            let version = format!("{}|{}", node.version, step.outline());
            let options = NodeOptions { goes, kind: Some(step.kind()), version, ..node };
            let step = StepNode { name: Arc::from(name.as_str()), step, input, before: ways.before(&name) };
            builder = builder.node_with(&name, step, options);
        }
        builder.build()
    }
}

/// A channel for the input, one for each step, and one for their names.
fn schema_of<'a>(dag: &str, steps: impl Iterator<Item = &'a str>) -> Result<StateSchema, GraphError> {
    let mut builder = StateSchema::builder().add_lww(INPUT).add(RAN, AppendList);
    // A name that is used twice is found by the graph.
    for name in steps.collect::<BTreeSet<_>>() {
        builder = builder.add_lww(name);
    }
    builder.build().map_err(|error| {
        let fault = GraphFault::BadStep { step: String::new(), message: error.to_string() };
        GraphError { graph: dag.to_owned(), faults: vec![fault] }
    })
}

impl<S> fmt::Debug for DagBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DagBuilder").field("name", &self.name).field("steps", &self.steps).finish_non_exhaustive()
    }
}
