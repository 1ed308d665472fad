//! A state as it was at one moment.

use std::sync::Arc;

use atomr_agents_core::Value;
use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

use super::error::StateError;
use super::schema::StateSchema;
use super::value::ChannelValue;

/// A state as it was at one moment: what a node reads. Making one and copying it shares everything.
#[derive(Clone, Debug, PartialEq)]
pub struct StateView {
    pub(crate) schema: StateSchema,
    pub(crate) values: Arc<Vec<ChannelValue>>,
    pub(crate) step: u64,
}

impl StateView {
    /// What a channel holds.
    ///
    /// # Errors
    /// There is no such channel.
    pub fn read(&self, channel: &str) -> Result<&ChannelValue, StateError> {
        Ok(&self.values[self.schema.place(channel)?])
    }

    /// What a channel holds, as a type.
    ///
    /// # Errors
    /// There is no such channel, or the type does not take what it holds.
    pub fn get<T: DeserializeOwned>(&self, channel: &str) -> Result<T, StateError> {
        self.read(channel)?
            .get()
            .map_err(|source| StateError::Shape { channel: channel.into(), source: Arc::new(source) })
    }

    /// How many super-steps were applied.
    #[must_use]
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> &StateSchema {
        &self.schema
    }

    /// The channels and what they hold, in the order of the schema.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ChannelValue)> {
        self.schema.names().zip(self.values.iter())
    }

    /// About how many bytes it takes as JSON. It costs O(channels) for lists and maps; other values are counted.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.weight()).sum()
    }

    /// A copy as a JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect())
    }
}

/// An object of the channels; the step is not in it.
impl Serialize for StateView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
