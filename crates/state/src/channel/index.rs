//! Where keys stand in a sequence: a hash trie that is cheap to copy, also while copies of it are held.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

/// A narrow tree: who copies a node touches all its children, and they lie apart in memory.
const BITS: u32 = 3;
const MASK: u64 = (1 << BITS) - 1;
/// A leaf that holds more is split, as long as there are bits of the hash left to split it by.
const FULL: usize = 4;

/// Positions by key. The order of its parts is that of a hash which differs from process to process; nothing of it shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    root: Node,
    hasher: RandomState,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Arc<Vec<Slot>>),
    Branch(Arc<Branch>),
}

#[derive(Clone, Debug, Default)]
struct Branch {
    /// Which of the children there are; they stand in `children` in this order.
    present: u32,
    children: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Slot {
    hash: u64,
    key: Arc<str>,
    at: usize,
}

impl Default for Node {
    fn default() -> Self {
        Self::Leaf(Arc::default())
    }
}

impl Branch {
    /// The child's bit, and where it stands or would stand.
    fn place(&self, hash: u64, level: u32) -> (u32, usize) {
        let bit = 1_u32 << ((hash >> (BITS * level)) & MASK);
        (bit, (self.present & (bit - 1)).count_ones() as usize)
    }
}

impl Index {
    pub(crate) fn get(&self, key: &str) -> Option<usize> {
        let hash = self.hasher.hash_one(key);
        let (mut node, mut level) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(slots) => {
                    return slots.iter().find(|slot| slot.hash == hash && &*slot.key == key).map(|slot| slot.at);
                }
                Node::Branch(branch) => {
                    let (bit, place) = branch.place(hash, level);
                    if branch.present & bit == 0 {
                        return None;
                    }
                    node = branch.children.get(place)?;
                    level += 1;
                }
            }
        }
    }

    /// Notes where `key` stands. It must not have a place yet.
    pub(crate) fn insert(&mut self, key: Arc<str>, at: usize) {
        let hash = self.hasher.hash_one(&*key);
        add(&mut self.root, 0, Slot { hash, key, at });
    }
}

fn add(node: &mut Node, level: u32, slot: Slot) {
    match node {
        Node::Leaf(slots) if slots.len() < FULL || BITS * (level + 1) > u64::BITS => Arc::make_mut(slots).push(slot),
        Node::Leaf(slots) => {
            let mut split = Node::Branch(Arc::default());
            for slot in Arc::unwrap_or_clone(std::mem::take(slots)).into_iter().chain([slot]) {
                add(&mut split, level, slot);
            }
            *node = split;
        }
        Node::Branch(branch) => {
            let branch = Arc::make_mut(branch);
            let (bit, place) = branch.place(slot.hash, level);
            if branch.present & bit == 0 {
                branch.present |= bit;
                branch.children.insert(place, Node::default());
            }
            add(&mut branch.children[place], level + 1, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(at: usize) -> String {
        format!("key-{at}")
    }

    #[test]
    fn every_key_is_found_where_it_was_put_and_no_other_is() {
        let mut index = Index::default();
        for at in 0..20_000 {
            assert_eq!(index.get(&name(at)), None);
            index.insert(name(at).into(), at);
        }
        assert!((0..20_000).all(|at| index.get(&name(at)) == Some(at)));
        assert_eq!(index.get("another"), None);
    }

    #[test]
    fn a_copy_does_not_see_what_came_later() {
        let mut index = Index::default();
        (0..500).for_each(|at| index.insert(name(at).into(), at));
        let copy = index.clone();
        (500..1_000).for_each(|at| index.insert(name(at).into(), at));
        assert!((0..1_000).all(|at| copy.get(&name(at)) == (at < 500).then_some(at)));
    }

    #[test]
    fn keys_of_one_hash_are_told_apart() {
        let mut root = Node::default();
        for at in 0..40 {
            add(&mut root, 0, Slot { hash: 7, key: name(at).into(), at });
        }
        let mut index = Index { root, ..Index::default() };
        index.insert("one more".into(), 99);
        assert_eq!(index.get("one more"), Some(99));
        assert_eq!(index.get(&name(3)), None, "its real hash is another");
    }
}
