//! How the steps of a graph are tied together: what a plan and a check need, without the steps themselves.

use std::collections::HashMap;
use std::sync::Arc;

/// The name of the place where a run begins.
pub const START: &str = "__start__";

/// The name of the place where a run ends.
pub const END: &str = "__end__";

/// A place in the graph: START, END, or a node.
pub(crate) type Place = usize;

pub(crate) const AT_START: Place = 0;
pub(crate) const AT_END: Place = 1;

/// The first place that is a step.
pub(crate) const FIRST: Place = 2;

/// A step that waits for several others.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) sources: Vec<Place>,
    pub(crate) target: Place,
    /// One of them is enough.
    pub(crate) any: bool,
}

/// A question that is asked after a step; where the run goes depends on its answer.
#[derive(Clone, Debug)]
pub(crate) struct Fork {
    /// Where it may go; `None` for anywhere.
    pub(crate) targets: Option<Vec<Place>>,
}

/// What leaves a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outs {
    pub(crate) edges: Vec<Place>,
    /// Positions in [`Wiring::forks`].
    pub(crate) forks: Vec<usize>,
    /// Positions in [`Wiring::joins`].
    pub(crate) joins: Vec<usize>,
    /// Where the step itself may send the run besides.
    pub(crate) goes: Goes,
}

/// Where a step may send the run by its own answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Goes {
    #[default]
    Nowhere,
    To(Vec<Place>),
    Anywhere,
}

/// The places of a graph and what ties them together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiring {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) places: HashMap<Arc<str>, Place>,
    pub(crate) outs: Vec<Outs>,
    pub(crate) joins: Vec<Join>,
    pub(crate) forks: Vec<Fork>,
    /// A way that is not taken counts as said: who waits for it waits no longer, and is skipped where nobody came.
    pub(crate) skips: bool,
}

impl Wiring {
    pub(crate) fn new() -> Self {
        let mut wiring = Self::default();
        wiring.place(START);
        wiring.place(END);
        wiring
    }

    /// A place of this name; `None` if there is one already.
    pub(crate) fn place(&mut self, name: &str) -> Option<Place> {
        let (name, place): (Arc<str>, _) = (Arc::from(name), self.names.len());
        if self.places.contains_key(&name) {
            return None;
        }
        self.places.insert(Arc::clone(&name), place);
        self.names.push(name);
        self.outs.push(Outs::default());
        Some(place)
    }

    /// The join that leads to a place, in a dag: it has one where several ways lead to it.
    pub(crate) fn join_at(&self, place: Place) -> Option<usize> {
        self.joins.iter().position(|join| join.target == place)
    }

    pub(crate) fn name(&self, place: Place) -> &Arc<str> {
        &self.names[place]
    }

    /// Every place that may follow a place; all of them where the step may go anywhere.
    pub(crate) fn followers(&self, place: Place) -> Vec<Place> {
        let outs = &self.outs[place];
        let mut all = outs.edges.clone();
        all.extend(outs.joins.iter().map(|join| self.joins[*join].target));
        let mut anywhere = outs.goes == Goes::Anywhere;
        if let Goes::To(places) = &outs.goes {
            all.extend(places);
        }
        for fork in &outs.forks {
            match &self.forks[*fork].targets {
                Some(targets) => all.extend(targets),
                None => anywhere = true,
            }
        }
        if anywhere {
            return (AT_END..self.names.len()).collect();
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}
