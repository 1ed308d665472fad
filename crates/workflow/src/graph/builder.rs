//! A graph that is being put together.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use atomr_agents_state::{BuiltIn, ChannelForm, Reducer, StateSchema};

use super::check::{certain_pairs, check_name, check_ways, cycle};
use super::fault::{GraphError, GraphFault};
use super::shape::{EdgeKind, EdgeShape, GraphShape, NodeShape};
use super::wiring::{AT_END, AT_START, FIRST, Fork, Goes, Join, Place, Wiring};
use super::{Definition, Graph, Inner};
use crate::{Destinations, Node, NodeOptions, Router};

/// A graph that is being put together. Nothing is checked before [`GraphBuilder::build`], which tells everything that is
/// wrong at once; steps and edges may come in any order.
pub struct GraphBuilder {
    name: String,
    schema: StateSchema,
    nodes: Vec<(String, Definition)>,
    ties: Vec<Tie>,
    acyclic: bool,
}

enum Tie {
    Edge { from: String, to: String, label: String },
    Join { from: Vec<String>, branches: Vec<String>, to: String, any: bool },
    Fork { from: String, router: Router, targets: Option<Vec<(String, String)>> },
}

impl GraphBuilder {
    pub(crate) fn new(name: &str, schema: StateSchema) -> Self {
        Self { name: name.to_owned(), schema, nodes: Vec::new(), ties: Vec::new(), acyclic: false }
    }

    /// Adds a step.
    #[must_use]
    pub fn node(self, name: &str, node: impl Node) -> Self {
        self.node_with(name, node, NodeOptions::default())
    }

    /// Adds a step and says how it is run.
    #[must_use]
    pub fn node_with(self, name: &str, node: impl Node, options: NodeOptions) -> Self {
        self.shared_node(name, Arc::new(node), options)
    }

    /// Adds a step that is shared with others.
    #[must_use]
    pub fn shared_node(mut self, name: &str, node: Arc<dyn Node>, options: NodeOptions) -> Self {
        self.nodes.push((name.to_owned(), Definition { node, options: Arc::new(options) }));
        self
    }

    /// After `from` comes `to`. Use [`crate::START`] and [`crate::END`] for where a run begins and ends.
    #[must_use]
    pub fn edge(mut self, from: &str, to: &str) -> Self {
        self.ties.push(Tie::Edge { from: from.to_owned(), to: to.to_owned(), label: String::new() });
        self
    }

    /// Once all of `from` have run, in whichever super-steps, comes `to`.
    #[must_use]
    pub fn join<'a>(self, from: impl IntoIterator<Item = &'a str>, to: &str) -> Self {
        self.tie(from.into_iter().map(str::to_owned).collect(), Vec::new(), to, false)
    }

    /// The same, where some ways are those of branches, which are drawn and taken as such; `any` if the first is enough.
    pub(crate) fn tie(mut self, from: Vec<String>, branches: Vec<String>, to: &str, any: bool) -> Self {
        self.ties.push(Tie::Join { from, branches, to: to.to_owned(), any });
        self
    }

    /// After `from`, `router` says where to go: to some of `targets`.
    #[must_use]
    pub fn branch<'a>(self, from: &str, router: Router, targets: impl IntoIterator<Item = &'a str>) -> Self {
        self.labelled_branch(from, router, targets.into_iter().map(|target| ("", target)))
    }

    /// The same, with what stands beside each way in drawings: pairs of a label and a target.
    #[must_use]
    pub fn labelled_branch<'a>(
        mut self,
        from: &str,
        router: Router,
        targets: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let targets = targets.into_iter().map(|(label, target)| (label.to_owned(), target.to_owned())).collect();
        self.ties.push(Tie::Fork { from: from.to_owned(), router, targets: Some(targets) });
        self
    }

    /// After `from`, `router` says where to go: anywhere. That a step cannot be reached is then not found before a run.
    #[must_use]
    pub fn open_branch(mut self, from: &str, router: Router) -> Self {
        self.ties.push(Tie::Fork { from: from.to_owned(), router, targets: None });
        self
    }

    /// No step may lead back to itself, and ways that are not taken count as said where steps are joined.
    pub(crate) fn dag(mut self) -> Self {
        self.acyclic = true;
        self
    }

    /// The graph, checked.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn build(self) -> Result<Graph, GraphError> {
        let mut made = Making { wiring: Wiring::new(), faults: Vec::new(), shape: GraphShape::default() };
        made.wiring.skips = self.acyclic;
        let mut nodes = Vec::new();
        for (name, definition) in self.nodes {
            check_name(&name, &mut made.faults);
            if made.wiring.place(&name).is_none() {
                made.faults.push(GraphFault::Duplicate { name });
                continue;
            }
            made.shape.nodes.push(NodeShape {
                name,
                kind: definition.options.kind.unwrap_or("node").to_owned(),
                version: definition.options.version.clone(),
            });
            nodes.push(definition);
        }
        let mut routers = Vec::new();
        for tie in self.ties {
            if let Some(router) = made.tie(tie) {
                routers.push(router);
            }
        }
        for (at, definition) in nodes.iter().enumerate() {
            made.goes(at + FIRST, &definition.options);
        }
        made.writers(&nodes, &self.schema);
        if made.faults.is_empty() {
            match cycle(&made.wiring).filter(|_| self.acyclic) {
                Some(steps) => made.faults.push(GraphFault::Cycle { steps }),
                None => check_ways(&made.wiring, &mut made.faults),
            }
        }
        if !made.faults.is_empty() {
            return Err(GraphError { graph: self.name, faults: made.faults });
        }
        let Making { wiring, mut shape, .. } = made;
        shape.name.clone_from(&self.name);
        let channels = self.schema.form().channels.into_iter();
        shape.channels = channels.map(|(name, form)| (name, in_words(&form))).collect();
        let (name, version) = (Arc::from(self.name), shape.version());
        Ok(Graph(Arc::new(Inner { name, schema: self.schema, wiring, nodes, routers, shape, version })))
    }
}

/// A graph half way.
struct Making {
    wiring: Wiring,
    faults: Vec<GraphFault>,
    shape: GraphShape,
}

impl Making {
    /// The place of this name.
    fn find(&mut self, name: &str, place: &str) -> Option<Place> {
        let found = self.wiring.places.get(name).copied();
        if found.is_none() {
            self.faults.push(GraphFault::Unknown { name: name.to_owned(), place: place.to_owned() });
        }
        found
    }

    /// Both ends of an edge, where it may be.
    fn ends(&mut self, from: &str, to: &str, place: &str) -> Option<(Place, Place)> {
        let (from, to) = (self.find(from, place), self.find(to, place));
        let (from, to) = (from?, to?);
        if from == AT_END || to == AT_START {
            self.faults.push(GraphFault::WrongWay { place: place.to_owned() });
            return None;
        }
        Some((from, to))
    }

    fn draw(&mut self, from: &str, to: &str, kind: EdgeKind, label: &str) {
        let (from, to, label) = (from.to_owned(), to.to_owned(), label.to_owned());
        self.shape.edges.push(EdgeShape { from, to, kind, label });
    }

    fn tie(&mut self, tie: Tie) -> Option<Router> {
        match tie {
            Tie::Edge { from, to, label } => {
                let (at, target) = self.ends(&from, &to, &format!("the edge {from:?} -> {to:?}"))?;
                self.draw(&from, &to, EdgeKind::Always, &label);
                if !self.wiring.outs[at].edges.contains(&target) {
                    self.wiring.outs[at].edges.push(target);
                }
                None
            }
            Tie::Join { from, branches, to, any } => self.join(&from, &branches, to, any),
            Tie::Fork { from, router, targets } => {
                let place = format!("the branch after {from:?}");
                let at = self.find(&from, &place)?;
                let known = match targets {
                    None => {
                        self.draw(&from, "*", EdgeKind::Sometimes, "");
                        None
                    }
                    Some(targets) => {
                        let mut known = Vec::new();
                        for (label, to) in targets {
                            let (_, target) = self.ends(&from, &to, &place)?;
                            self.draw(&from, &to, EdgeKind::Sometimes, &label);
                            known.push(target);
                        }
                        Some(known)
                    }
                };
                self.wiring.outs[at].forks.push(self.wiring.forks.len());
                self.wiring.forks.push(Fork { targets: known });
                Some(router)
            }
        }
    }

    fn join(&mut self, from: &[String], branches: &[String], to: String, any: bool) -> Option<Router> {
        if from.is_empty() && branches.is_empty() {
            let message = "joins nothing: name the steps that it waits for".into();
            self.faults.push(GraphFault::BadStep { step: to, message });
            return None;
        }
        let join = self.wiring.joins.len();
        let (mut sources, mut target) = (Vec::new(), AT_END);
        for source in from.iter().chain(branches) {
            let (at, place) = self.ends(source, &to, &format!("the join {source:?} -> {to:?}"))?;
            target = place;
            sources.push(at);
        }
        for (at, source) in sources.iter().zip(from) {
            self.wiring.outs[*at].joins.push(join);
            self.draw(source, &to, if any { EdgeKind::First } else { EdgeKind::Together }, "");
        }
        self.wiring.joins.push(Join { sources, target, any });
        None
    }

    /// Where a step may send the run itself.
    fn goes(&mut self, place: Place, options: &NodeOptions) {
        let name = self.wiring.name(place).to_string();
        self.wiring.outs[place].goes = match &options.goes {
            Destinations::Edges => Goes::Nowhere,
            Destinations::Any => {
                self.draw(&name, "*", EdgeKind::Sometimes, "");
                Goes::Anywhere
            }
            Destinations::To(names) => {
                let mut places = Vec::new();
                for to in names {
                    if let Some((_, to_place)) = self.ends(&name, to, &format!("where step {name:?} may go")) {
                        self.draw(&name, to, EdgeKind::Sometimes, "");
                        places.push(to_place);
                    }
                }
                Goes::To(places)
            }
        };
    }

    /// Channels that are not there, and two writers where only the last would count.
    fn writers(&mut self, nodes: &[Definition], schema: &StateSchema) {
        let channels: BTreeSet<&str> = schema.names().collect();
        let last_only = |channel: &str| {
            schema.reducer(channel).is_ok_and(|reducer| reducer.built_in() == Some(BuiltIn::LastWriteWins))
        };
        let writes = |place: Place| nodes[place - FIRST].options.writes.as_deref().unwrap_or_default();
        for place in FIRST..self.wiring.names.len() {
            for channel in writes(place).iter().filter(|channel| !channels.contains(channel.as_str())) {
                let step = self.wiring.name(place).to_string();
                self.faults.push(GraphFault::UnknownChannel { step, channel: channel.clone() });
            }
        }
        for (one, two) in certain_pairs(&self.wiring) {
            for channel in writes(one).iter().filter(|channel| writes(two).contains(channel)) {
                if last_only(channel) {
                    let steps = vec![self.wiring.name(one).to_string(), self.wiring.name(two).to_string()];
                    self.faults.push(GraphFault::TwoWriters { channel: channel.clone(), steps });
                }
            }
        }
    }
}

/// A channel in the shape of a graph.
fn in_words(form: &ChannelForm) -> String {
    match &form.default {
        None => form.reducer.clone(),
        Some(default) => format!("{} from {default}", form.reducer),
    }
}

impl fmt::Debug for GraphBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<_> = self.nodes.iter().map(|(name, _)| name).collect();
        f.debug_struct("GraphBuilder").field("name", &self.name).field("nodes", &nodes).finish_non_exhaustive()
    }
}
