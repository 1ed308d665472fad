//! A sequence that is cheap to copy and cheap to append to, also while copies of it are held.

use std::sync::Arc;

const BITS: usize = 5;
const WIDTH: usize = 1 << BITS;

/// A radix tree of shared leaves, and a tail that takes the next items. A copy shares everything; what is changed
/// afterwards is copied along one path: at most 32 items, and 32 pointers for each level (32 to the power of levels).
#[derive(Clone, Debug)]
pub(crate) struct Vector<T> {
    root: Node<T>,
    /// Levels of branches; a tree of so many has room for `WIDTH ^ height` leaves.
    height: usize,
    tail: Arc<Vec<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Branch(Arc<Vec<Node<T>>>),
    Leaf(Arc<Vec<T>>),
}

impl<T> Default for Vector<T> {
    fn default() -> Self {
        Self { root: Node::Branch(Arc::default()), height: 1, tail: Arc::default(), len: 0 }
    }
}

/// The vector for this owner alone, with room for a full node.
fn own<T: Clone>(shared: &mut Arc<Vec<T>>) -> &mut Vec<T> {
    if Arc::get_mut(shared).is_none() {
        let mut copy = Vec::with_capacity(WIDTH);
        copy.extend_from_slice(shared);
        *shared = Arc::new(copy);
    }
    Arc::make_mut(shared)
}

impl<T: Clone> Vector<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.tail.len() == WIDTH {
            let leaf = std::mem::take(&mut self.tail);
            let before = self.len / WIDTH - 1;
            if before == WIDTH.pow(u32::try_from(self.height).unwrap_or(u32::MAX)) {
                let old = std::mem::replace(&mut self.root, Node::Branch(Arc::default()));
                self.root = Node::Branch(Arc::new(vec![old]));
                self.height += 1;
            }
            hang(&mut self.root, self.height, before, leaf);
        }
        own(&mut self.tail).push(item);
        self.len += 1;
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.leaf(at).get(at % WIDTH)
    }

    /// Puts `item` in the place of another, which is returned; `None` if there is no such place.
    pub(crate) fn replace(&mut self, at: usize, item: T) -> Option<T> {
        if at >= self.len {
            return None;
        }
        let place = if at >= self.len - self.tail.len() {
            own(&mut self.tail).get_mut(at % WIDTH)
        } else {
            let (mut node, mut level) = (&mut self.root, self.height);
            loop {
                match node {
                    Node::Leaf(items) => break own(items).get_mut(at % WIDTH),
                    Node::Branch(children) => {
                        node = own(children).get_mut((at >> (BITS * level)) % WIDTH)?;
                        level -= 1;
                    }
                }
            }
        };
        place.map(|place| std::mem::replace(place, item))
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        self.iter_from(0)
    }

    /// From position `at` to the end.
    pub(crate) fn iter_from(&self, at: usize) -> Iter<'_, T> {
        Iter { vector: self, at, leaf: self.leaf(at).get(at % WIDTH..).unwrap_or_default().iter() }
    }

    /// Tells each position at which there is another item than in `old`, and the item. Parts that the two share are not
    /// looked at: between two states of one list it costs what was done to it, not what is in it.
    pub(crate) fn changes_since<'v>(&'v self, old: &Self, tell: &mut impl FnMut(usize, &'v T))
    where
        T: PartialEq,
    {
        self.changes_below(&self.root, self.height, 0, old, tell);
        self.changes_of(&self.tail, self.len - self.tail.len(), old, tell);
    }

    fn changes_below<'v>(
        &'v self,
        node: &'v Node<T>,
        level: usize,
        first: usize,
        old: &Self,
        tell: &mut impl FnMut(usize, &'v T),
    ) where
        T: PartialEq,
    {
        match node {
            Node::Leaf(items) => self.changes_of(items, first, old, tell),
            Node::Branch(children) if old.branch(level, first).is_some_and(|old| Arc::ptr_eq(old, children)) => {}
            Node::Branch(children) => {
                for (at, child) in children.iter().enumerate() {
                    self.changes_below(child, level - 1, first + (at << (BITS * level)), old, tell);
                }
            }
        }
    }

    fn changes_of<'v>(&'v self, items: &'v [T], first: usize, old: &Self, tell: &mut impl FnMut(usize, &'v T))
    where
        T: PartialEq,
    {
        let before = old.leaf(first);
        if std::ptr::eq(before, items) {
            return;
        }
        for (at, item) in items.iter().enumerate().filter(|(at, item)| before.get(*at) != Some(item)) {
            tell(first + at, item);
        }
    }

    /// The branch of a level that holds position `at`, if there is one of that level.
    fn branch(&self, level: usize, at: usize) -> Option<&Arc<Vec<Node<T>>>> {
        if at >> (BITS * (self.height + 1)) != 0 {
            return None;
        }
        let (mut node, mut here) = (&self.root, self.height);
        loop {
            let Node::Branch(children) = node else { return None };
            if here <= level {
                return (here == level).then_some(children);
            }
            node = children.get((at >> (BITS * here)) % WIDTH)?;
            here -= 1;
        }
    }

    /// The leaf in which position `at` lies; empty beyond the end.
    fn leaf(&self, at: usize) -> &[T] {
        if at >= self.len {
            return &[];
        }
        if at >= self.len - self.tail.len() {
            return &self.tail;
        }
        let (mut node, mut level) = (&self.root, self.height);
        loop {
            match node {
                Node::Leaf(items) => return items,
                Node::Branch(children) => {
                    let Some(child) = children.get((at >> (BITS * level)) % WIDTH) else { return &[] };
                    node = child;
                    level -= 1;
                }
            }
        }
    }
}

/// Hangs the `nth` leaf into a tree that has `height` levels of branches.
fn hang<T: Clone>(node: &mut Node<T>, height: usize, nth: usize, leaf: Arc<Vec<T>>) {
    let Node::Branch(children) = node else { return };
    let children = own(children);
    if height == 1 {
        children.push(Node::Leaf(leaf));
        return;
    }
    let at = (nth >> (BITS * (height - 1))) % WIDTH;
    if at == children.len() {
        children.push(Node::Branch(Arc::default()));
    }
    hang(&mut children[at], height - 1, nth, leaf);
}

/// The items in their order.
#[derive(Debug)]
pub(crate) struct Iter<'v, T> {
    vector: &'v Vector<T>,
    at: usize,
    leaf: std::slice::Iter<'v, T>,
}

impl<'v, T: Clone> Iterator for Iter<'v, T> {
    type Item = &'v T;

    fn next(&mut self) -> Option<Self::Item> {
        if self.leaf.len() == 0 {
            self.leaf = self.vector.leaf(self.at).iter();
        }
        let item = self.leaf.next()?;
        self.at += 1;
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.vector.len.saturating_sub(self.at);
        (left, Some(left))
    }
}

impl<T: Clone> ExactSizeIterator for Iter<'_, T> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn it_is_a_vector_at_every_length_at_which_the_tree_changes() {
        let (mut ours, mut plain) = (Vector::default(), Vec::new());
        let mut held = Vec::new();
        for at in 0..40_000_usize {
            if at % 997 == 0 {
                held.push((ours.clone(), plain.len()));
            }
            ours.push(at);
            plain.push(at);
            assert_eq!(ours.get(at / 2), Some(&(at / 2)));
            assert_eq!(ours.get(at + 1), None);
        }
        assert!(ours.iter().eq(plain.iter()));
        for (copy, len) in held {
            assert_eq!(copy.len(), len);
            assert!(copy.iter().eq(plain.iter().take(len)));
        }
    }

    #[test]
    fn an_item_more_while_a_copy_is_held_copies_one_leaf_and_one_path_however_many_there_are() {
        fn nodes<T>(node: &Node<T>, found: &mut std::collections::HashSet<usize>) {
            match node {
                Node::Leaf(items) => _ = found.insert(Arc::as_ptr(items).addr()),
                Node::Branch(children) => {
                    found.insert(Arc::as_ptr(children).addr());
                    children.iter().for_each(|child| nodes(child, found));
                }
            }
        }
        let of = |vector: &Vector<usize>| {
            let mut found = std::collections::HashSet::from([Arc::as_ptr(&vector.tail).addr()]);
            nodes(&vector.root, &mut found);
            found
        };
        let mut ours = Vector::default();
        (0..40_000).for_each(|item| ours.push(item));
        for item in 0..70 {
            let copy = ours.clone();
            ours.push(item);
            let copied = of(&ours).difference(&of(&copy)).count();
            assert!(copied <= 1 + ours.height, "{copied} nodes for one item");
        }
    }

    #[test]
    fn the_changes_between_two_are_those_that_there_are_and_shared_parts_are_not_looked_at() {
        #[derive(Clone, Debug)]
        struct Item<'c>(usize, &'c std::cell::Cell<usize>);
        impl PartialEq for Item<'_> {
            fn eq(&self, other: &Self) -> bool {
                self.1.set(self.1.get() + 1);
                self.0 == other.0
            }
        }
        let looked = std::cell::Cell::new(0);
        for (len, more) in [(0, 0), (0, 70), (31, 2), (1_024, 1), (1_056, 40), (33_000, 900), (34_000, 1)] {
            let mut old = Vector::default();
            (0..len).for_each(|at| old.push(Item(at, &looked)));
            let mut new = old.clone();
            let mut wanted: Vec<usize> = (0..len).step_by(977).collect();
            wanted.iter().for_each(|at| _ = new.replace(*at, Item(usize::MAX, &looked)));
            (len..len + more).for_each(|at| new.push(Item(at, &looked)));
            wanted.extend(len..len + more);
            let mut told = Vec::new();
            looked.set(0);
            new.changes_since(&old, &mut |at, _| told.push(at));
            assert_eq!(told, wanted, "{len} and {more}");
            assert!(looked.get() <= WIDTH * (len / 977 + 3), "{} of {len} were looked at", looked.get());
            told.clear();
            old.changes_since(&new, &mut |at, _| told.push(at));
            assert!(told.iter().eq(wanted.iter().take_while(|at| **at < len)));
        }
    }

    #[test]
    fn what_is_replaced_in_one_is_not_replaced_in_its_copies() {
        let mut ours = Vector::default();
        (0..5_000_usize).for_each(|item| ours.push(item));
        let copy = ours.clone();
        for at in [0, 31, 32, 1_023, 1_024, 1_056, 4_991, 4_992, 4_999] {
            assert_eq!(ours.replace(at, 7_000 + at), Some(at));
            assert_eq!((ours.get(at), copy.get(at)), (Some(&(7_000 + at)), Some(&at)));
        }
        assert_eq!(ours.replace(5_000, 1), None);
        assert_eq!(ours.len(), 5_000);
        assert!(copy.iter().copied().eq(0..5_000));
        assert!(copy.iter_from(1_030).copied().eq(1_030..5_000));
        assert_eq!(copy.iter_from(9_000).count(), 0);
    }
}
