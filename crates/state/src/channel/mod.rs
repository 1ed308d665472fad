//! Channels: what a run has in its state, and how writes change it. Pure data; nothing here knows a store.

mod base;
mod check;
mod delta;
mod error;
mod fold;
mod form;
mod index;
mod list;
mod map;
mod order;
mod reducer;
mod run_state;
mod schema;
mod value;
mod vector;
mod view;
mod weight;

#[cfg(test)]
mod laws_tests;
#[cfg(test)]
mod reducer_tests;
#[cfg(test)]
mod run_state_tests;

pub use base::{Base, SinceBase};
pub use check::{Check, JsonType};
pub use delta::{Change, Delta};
pub use error::{ReduceError, StateError};
pub use form::{ChannelForm, Difference, SchemaForm};
pub use list::{Items, SharedList};
pub use map::SharedMap;
pub use reducer::BuiltIn::{AppendList, AppendMessages, LastWriteWins, MaxByTimestamp, MergeMap};
pub use reducer::{BuiltIn, Reducer, reducer};
pub use run_state::{RunState, Write};
pub use schema::{StateSchema, StateSchemaBuilder};
pub use value::ChannelValue;
pub use view::StateView;
pub use weight::weight_of;
