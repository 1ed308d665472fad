//! A map in a channel: shared values in the order in which their keys came.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::Value;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};

use super::index::Index;
use super::vector::Vector;
use super::weight::{weight_of, weight_of_entry};

/// The map of a channel. A copy shares all of it; setting a key in one copy costs about the same however many keys there
/// are, and however many other copies are held. Keys stay in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct SharedMap {
    entries: Vector<(Arc<str>, Arc<Value>)>,
    places: Index,
    weight: usize,
}

impl SharedMap {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(self.places.get(key)?).map(|(_, value)| &**value)
    }

    /// The keys and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.shared().map(|(key, value)| (&**key, &**value))
    }

    /// About how many bytes it takes as JSON. It is kept, not counted.
    #[must_use]
    pub fn weight(&self) -> usize {
        2 + self.weight
    }

    /// A copy as JSON.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect())
    }

    pub(crate) fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Value>)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The entry at a position.
    pub(crate) fn entry(&self, at: usize) -> Option<(&Arc<str>, &Arc<Value>)> {
        self.entries.get(at).map(|(key, value)| (key, value))
    }

    /// Sets a key. Its position, if it had a value before.
    pub(crate) fn put(&mut self, key: Arc<str>, value: Arc<Value>) -> Option<usize> {
        let place = self.places.get(&key);
        match place {
            Some(at) => {
                let weight = weight_of(&value);
                if let Some((_, old)) = self.entries.replace(at, (key, value)) {
                    self.weight = self.weight + weight - weight_of(&old);
                }
            }
            None => {
                self.weight += weight_of_entry(&key, &value);
                self.places.insert(Arc::clone(&key), self.entries.len());
                self.entries.push((key, value));
            }
        }
        place
    }
}

/// Equal keys have equal values; as in JSON, their order does not count.
impl PartialEq for SharedMap {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl Serialize for SharedMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for SharedMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = SharedMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<SharedMap, A::Error> {
                let mut map = SharedMap::default();
                while let Some((key, value)) = entries.next_entry::<String, Value>()? {
                    map.put(key.into(), Arc::new(value));
                }
                Ok(map)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
