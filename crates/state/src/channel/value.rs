//! What a channel holds.

use std::sync::Arc;

use atomr_agents_core::Value;
use serde::de::DeserializeOwned;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::delta::Change;
use super::error::described;
use super::list::SharedList;
use super::map::SharedMap;
use super::weight::weight_of;

/// What a channel holds. A copy shares all of it. As JSON it is the bare value: nothing tells which of the three it was.
#[derive(Clone, Debug)]
pub enum ChannelValue {
    /// One value.
    Single(Arc<Value>),
    /// A list to which items are appended.
    List(SharedList),
    /// A map whose keys are set.
    Map(SharedMap),
}

/// How a value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    List,
    /// A list in which an item replaces another of the same `id`.
    Messages,
    Map,
}

impl ChannelValue {
    /// Nothing.
    pub(crate) fn empty(shape: Shape) -> Self {
        match shape {
            Shape::Single => Self::Single(Arc::new(Value::Null)),
            Shape::List => Self::List(SharedList::new(false)),
            Shape::Messages => Self::List(SharedList::new(true)),
            Shape::Map => Self::Map(SharedMap::default()),
        }
    }

    /// The value, kept as `shape` says. A value that cannot be is handed back.
    pub(crate) fn shaped(shape: Shape, value: Arc<Value>) -> Result<Self, Arc<Value>> {
        match (shape, &*value) {
            (Shape::Single, _) => Ok(Self::Single(value)),
            (Shape::List | Shape::Messages, Value::Array(_)) => {
                let Value::Array(items) = Arc::unwrap_or_clone(value) else { return Ok(Self::empty(shape)) };
                let mut list = SharedList::new(shape == Shape::Messages);
                for item in items {
                    list.put(Arc::new(item));
                }
                Ok(Self::List(list))
            }
            (Shape::Map, Value::Object(_)) => {
                let Value::Object(entries) = Arc::unwrap_or_clone(value) else { return Ok(Self::empty(shape)) };
                let mut map = SharedMap::default();
                for (key, value) in entries {
                    map.put(key.into(), Arc::new(value));
                }
                Ok(Self::Map(map))
            }
            _ => Err(value),
        }
    }

    /// Takes in a stored change that is not a whole value, or says why it cannot.
    pub(crate) fn grow(&mut self, change: Change) -> Result<(), String> {
        match (self, change) {
            (Self::List(list), Change::Append(items)) => {
                for item in items {
                    if let Some(at) = list.put(item) {
                        return Err(format!("an item that was appended has the `id` of the one at {at}"));
                    }
                }
            }
            (Self::List(list), Change::Replace { at, value }) => {
                if list.put(value) != Some(at) {
                    return Err(format!("there is no item at {at} with the `id` of the one that took its place"));
                }
            }
            (Self::Map(map), Change::Merge(more)) => {
                for (key, value) in more.shared() {
                    map.put(Arc::clone(key), Arc::clone(value));
                }
            }
            (Self::Single(value), change) => match (Arc::make_mut(value), change) {
                (Value::Array(array), Change::Append(items)) => {
                    array.extend(items.into_iter().map(Arc::unwrap_or_clone));
                }
                (Value::Object(map), Change::Merge(more)) => {
                    map.extend(more.iter().map(|(key, value)| (key.to_owned(), value.clone())));
                }
                (value, change) => return Err(format!("{} cannot take {}", described(value), change.name())),
            },
            (Self::List(_), change) => return Err(format!("a list cannot take {}", change.name())),
            (Self::Map(_), change) => return Err(format!("a map cannot take {}", change.name())),
        }
        Ok(())
    }

    /// The one value, if it is one.
    #[must_use]
    pub fn as_single(&self) -> Option<&Value> {
        match self {
            Self::Single(value) => Some(value),
            _ => None,
        }
    }

    /// The list, if it is one.
    #[must_use]
    pub fn as_list(&self) -> Option<&SharedList> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&SharedMap> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// A copy as JSON. It costs as much as there is: a node that reads a long list goes through
    /// [`ChannelValue::as_list`] instead.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Single(value) => Value::clone(value),
            Self::List(list) => list.to_value(),
            Self::Map(map) => map.to_value(),
        }
    }

    /// Reads it as a type, without a copy as JSON between.
    ///
    /// # Errors
    /// What the type does not take.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self {
            Self::Single(value) => T::deserialize(&**value),
            Self::List(list) => T::deserialize(SeqDeserializer::new(list.iter())),
            Self::Map(map) => T::deserialize(MapDeserializer::new(map.iter())),
        }
    }

    /// About how many bytes it takes as JSON.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Single(value) => weight_of(value),
            Self::List(list) => list.weight(),
            Self::Map(map) => map.weight(),
        }
    }

    /// The value by itself, for one who does not know how it was kept.
    pub(crate) fn into_shared(self) -> Arc<Value> {
        match self {
            Self::Single(value) => value,
            other => Arc::new(other.to_value()),
        }
    }
}

impl PartialEq for ChannelValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Single(one), Self::Single(two)) => Arc::ptr_eq(one, two) || one == two,
            (Self::List(one), Self::List(two)) => one == two,
            (Self::Map(one), Self::Map(two)) => one == two,
            _ => false,
        }
    }
}

impl Serialize for ChannelValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Single(value) => value.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
            Self::Map(map) => map.serialize(serializer),
        }
    }
}

/// As one value; a schema gives it its shape again.
impl<'de> Deserialize<'de> for ChannelValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::Single(Arc::new(value)))
    }
}
