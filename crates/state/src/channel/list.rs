//! A list in a channel: shared items in their order.

use std::sync::Arc;

use atomr_agents_core::Value;
use serde::{Serialize, Serializer};

use super::index::Index;
use super::vector::{self, Vector};
use super::weight::weight_of;

/// The list of a channel. A copy shares all of it; appending to one copy costs the same however long the list is, and
/// however many other copies are held.
///
/// ```
/// use atomr_agents_state::{AppendList, RunState, StateSchema};
/// use serde_json::json;
///
/// let schema = StateSchema::builder().add("log", AppendList).build()?;
/// let mut state = RunState::new(&schema);
/// state.write("log", json!(["one", "two"]))?;
/// let log = state.read("log")?.as_list().expect("the channel is a list").clone();
/// state.write("log", json!("three"))?;
/// assert_eq!((log.len(), log.get(1)), (2, Some(&json!("two"))));
/// # Ok::<(), atomr_agents_state::StateError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SharedList {
    items: Vector<Arc<Value>>,
    weight: usize,
    /// Where each `id` stands, in a list in which an item replaces another of the same `id`.
    ids: Option<Index>,
}

impl SharedList {
    /// An empty list; `by_id` if an item replaces another of the same `id`.
    pub(crate) fn new(by_id: bool) -> Self {
        Self { ids: by_id.then(Index::default), ..Self::default() }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.len() == 0
    }

    /// The item at a position, counted from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Value> {
        self.items.get(at).map(|item| &**item)
    }

    /// The newest item.
    #[must_use]
    pub fn last(&self) -> Option<&Value> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The items from the first to the last.
    #[must_use]
    pub fn iter(&self) -> Items<'_> {
        self.iter_from(0)
    }

    /// The items from position `at` to the last.
    #[must_use]
    pub fn iter_from(&self, at: usize) -> Items<'_> {
        Items(self.items.iter_from(at))
    }

    /// The positions at which it has another item than `old`, and the items: of two states of one list what was done
    /// between them, found without going through the rest. What `old` has beyond the end is not told.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> Vec<(usize, &Value)> {
        let mut changes = Vec::new();
        self.items.changes_since(&old.items, &mut |at, item| changes.push((at, &**item)));
        changes
    }

    /// About how many bytes it takes as JSON. It is kept, not counted.
    #[must_use]
    pub fn weight(&self) -> usize {
        2 + self.weight
    }

    /// A copy as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Array(self.iter().cloned().collect())
    }

    /// The items from position `at` on, still shared.
    pub(crate) fn shared_from(&self, at: usize) -> Vec<Arc<Value>> {
        self.items.iter_from(at).cloned().collect()
    }

    /// The item at a position, still shared.
    pub(crate) fn shared(&self, at: usize) -> Option<Arc<Value>> {
        self.items.get(at).cloned()
    }

    /// Appends `item`, or puts it in the place of the item that has its `id`; the place is returned then.
    pub(crate) fn put(&mut self, item: Arc<Value>) -> Option<usize> {
        if let Some(at) = self.place_of(&item) {
            self.replace(at, item);
            return Some(at);
        }
        if let (Some(ids), Some(id)) = (&mut self.ids, id_of(&item)) {
            ids.insert(id.into(), self.items.len());
        }
        self.weight += weight_of(&item) + 1;
        self.items.push(item);
        None
    }

    /// Puts `item` at a position that is there. Whether it is.
    pub(crate) fn replace(&mut self, at: usize, item: Arc<Value>) -> bool {
        let weight = weight_of(&item);
        match self.items.replace(at, item) {
            Some(old) => {
                self.weight = self.weight + weight - weight_of(&old);
                true
            }
            None => false,
        }
    }

    fn place_of(&self, item: &Value) -> Option<usize> {
        self.ids.as_ref()?.get(id_of(item)?)
    }
}

fn id_of(item: &Value) -> Option<&str> {
    item.get("id")?.as_str()
}

/// The items of a [`SharedList`].
#[derive(Debug)]
pub struct Items<'l>(vector::Iter<'l, Arc<Value>>);

impl<'l> Iterator for Items<'l> {
    type Item = &'l Value;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|item| &**item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Items<'_> {}

impl<'l> IntoIterator for &'l SharedList {
    type Item = &'l Value;
    type IntoIter = Items<'l>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for SharedList {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.items.iter().zip(other.items.iter()).all(|(one, two)| Arc::ptr_eq(one, two) || one == two)
    }
}

impl Serialize for SharedList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}
