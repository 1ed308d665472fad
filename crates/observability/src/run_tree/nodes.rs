//! The nodes of a tree, by number.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use atomr_agents_core::RunId;

use crate::{NodeStatus, RunNode};

/// Names a node for as long as it is kept; never used twice.
pub(super) type Id = u64;

/// An agent's place in a run.
pub(super) type Place = (RunId, Arc<str>);

/// How deep a tree gets; what lies deeper is put beside its parent, so that walking a tree cannot exhaust the stack.
const DEPTH: usize = 64;

struct Entry {
    node: RunNode,
    place: Option<Place>,
    parent: Option<Id>,
    children: Vec<Id>,
    root: Id,
    depth: usize,
}

/// Nodes without their children inside them: those are listed beside them.
#[derive(Default)]
pub(super) struct Nodes {
    entries: HashMap<Id, Entry>,
    roots: VecDeque<Id>,
    next: Id,
}

impl Nodes {
    /// Adds a node below another, or at the root.
    pub(super) fn add(&mut self, node: RunNode, place: Option<Place>, parent: Option<Id>) -> Id {
        let id = self.next;
        self.next += 1;
        let mut parent = parent;
        while let Some(entry) = parent.and_then(|parent| self.entries.get(&parent)) {
            if entry.depth + 1 < DEPTH {
                break;
            }
            parent = entry.parent;
        }
        let (root, depth) = match parent.and_then(|parent| self.entries.get_mut(&parent)) {
            Some(above) => {
                above.children.push(id);
                (above.root, above.depth + 1)
            }
            None => {
                parent = None;
                self.roots.push_back(id);
                (id, 0)
            }
        };
        self.entries.insert(id, Entry { node, place, parent, children: Vec::new(), root, depth });
        id
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut RunNode> {
        self.entries.get_mut(&id).map(|entry| &mut entry.node)
    }

    pub(super) fn status(&self, id: Id) -> Option<NodeStatus> {
        self.entries.get(&id).map(|entry| entry.node.status)
    }

    pub(super) fn root_of(&self, id: Id) -> Option<Id> {
        self.entries.get(&id).map(|entry| entry.root)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn roots(&self) -> impl Iterator<Item = Id> {
        self.roots.iter().copied()
    }

    pub(super) fn root_count(&self) -> usize {
        self.roots.len()
    }

    pub(super) fn has(&self, id: Id) -> bool {
        self.entries.contains_key(&id)
    }

    /// Removes a root and everything below it; gives back the places that its agents had.
    pub(super) fn remove_root(&mut self, root: Id) -> Vec<Place> {
        self.roots.retain(|id| *id != root);
        let (mut open, mut places) = (vec![root], Vec::new());
        while let Some(entry) = open.pop().and_then(|id| self.entries.remove(&id)) {
            open.extend(entry.children);
            places.extend(entry.place);
        }
        places
    }

    /// The node with everything below it inside it.
    pub(super) fn whole(&self, id: Id) -> Option<RunNode> {
        let entry = self.entries.get(&id)?;
        let children = entry.children.iter().filter_map(|child| self.whole(*child)).map(Arc::new).collect();
        Some(RunNode { children, ..entry.node.clone() })
    }
}
