//! What leads to each step of a dag.

use std::collections::{BTreeMap, BTreeSet};

use super::builder::Named;
use super::step::{InputMapping, Source, Step};
use crate::GraphFault;

/// What leads to each step: by an edge, or as the arm of a branch.
#[derive(Debug, Default)]
pub(super) struct Ways {
    pub(super) plain: BTreeMap<String, Vec<String>>,
    pub(super) arms: BTreeMap<String, Vec<String>>,
}

impl Ways {
    pub(super) fn of(steps: &[Named], edges: &[(String, String)], faults: &mut Vec<GraphFault>) -> Self {
        let names: BTreeSet<&str> = steps.iter().map(|step| step.name.as_str()).collect();
        let mut ways = Self::default();
        for (from, to) in edges {
            for name in [from, to].into_iter().filter(|name| !names.contains(name.as_str())) {
                faults.push(GraphFault::Unknown { name: name.clone(), place: format!("the edge {from:?} -> {to:?}") });
            }
            add(&mut ways.plain, from, to);
        }
        for Named { name, step, .. } in steps {
            let Step::Branch { if_true, if_false, .. } = step else { continue };
            for arm in [if_true, if_false] {
                if !names.contains(arm.as_str()) {
                    faults.push(GraphFault::Unknown { name: arm.clone(), place: format!("the branch {name:?}") });
                }
                add(&mut ways.arms, name, arm);
                if ways.plain.get(arm).is_some_and(|from| from.contains(name)) {
                    let message =
                        format!("leads to {arm:?} by an edge and as a branch: the edge would always be taken");
                    faults.push(GraphFault::BadStep { step: name.clone(), message });
                }
            }
        }
        ways.mappings(steps, faults);
        ways
    }

    /// The steps that lead to one.
    pub(super) fn before(&self, name: &str) -> Vec<String> {
        [&self.plain, &self.arms].into_iter().filter_map(|ways| ways.get(name)).flatten().cloned().collect()
    }

    /// Every step that something follows.
    pub(super) fn leads_on(&self) -> BTreeSet<&str> {
        self.plain.values().chain(self.arms.values()).flatten().map(String::as_str).collect()
    }

    /// A cycle among steps each of which follows another.
    pub(super) fn cycle_from(&self, first: &str) -> Option<Vec<String>> {
        let mut along = vec![first.to_owned()];
        loop {
            let next = self.before(along.last()?).into_iter().next()?;
            if let Some(at) = along.iter().position(|name| *name == next) {
                let mut steps = along.split_off(at);
                steps.push(next);
                steps.reverse();
                return Some(steps);
            }
            along.push(next);
        }
    }

    /// Mappings that name what is not there, or does not come before.
    fn mappings(&self, steps: &[Named], faults: &mut Vec<GraphFault>) {
        for Named { name, options, .. } in steps {
            let sources: Vec<&Source> = match &options.input {
                InputMapping::Edges => continue,
                InputMapping::One(source) => vec![source],
                InputMapping::Object(fields) => fields.iter().map(|(_, source)| source).collect(),
            };
            let mut earlier = BTreeSet::new();
            let mut queue = self.before(name);
            while let Some(step) = queue.pop() {
                if earlier.insert(step.clone()) {
                    queue.extend(self.before(&step));
                }
            }
            for source in sources {
                if let Source::Step(step, _) = source
                    && !earlier.contains(step)
                {
                    let message = format!("takes its input from {step:?}, which does not come before it");
                    faults.push(GraphFault::BadStep { step: name.clone(), message });
                }
            }
        }
    }
}

fn add(ways: &mut BTreeMap<String, Vec<String>>, from: &str, to: &str) {
    let all = ways.entry(to.to_owned()).or_default();
    if !all.iter().any(|name| name == from) {
        all.push(from.to_owned());
    }
}
