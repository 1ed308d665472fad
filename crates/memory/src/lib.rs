//! What agents remember.
//!
//! - [`MemoryStore`] keeps what was said lately, in the order in which it was said; [`LongStore`] keeps what shall be found
//!   again later, by key, by words and by meaning. [`StoredMemory`] and [`StoredLong`] are both on any
//!   [`Store`](atomr_agents_state::Store): in memory, in a file, on PostgreSQL.
//! - [`RecencyMemory`], [`SummarizingMemory`], [`RecallMemory`] and [`ChainedMemory`] are the strategies that remind an agent
//!   of it.
//! - [`memory_tools`] are the tools with which a model writes and recalls, in a namespace that the host chose.
//!
//! This crate knows no agent and no Python. Whose memory it is, is said by the host and never by a model.

mod chained;
mod clock;
pub mod conformance;
mod error;
mod item;
mod keeper;
mod long;
mod namespace;
mod namespaced;
pub mod parts;
mod recall;
mod recency;
mod room;
mod search;
mod short;
mod stored_long;
mod stored_short;
mod summarizing;
mod tools;
mod transcript;
mod whose;

pub use chained::ChainedMemory;
pub use error::MemoryError;
pub use item::{MemoryItem, StoreItem};
pub use long::{LongStore, NewItem};
pub use namespace::Namespace;
pub use namespaced::{NamespacedLong, NamespacedMemory};
pub use recall::RecallMemory;
pub use recency::RecencyMemory;
pub use room::Room;
pub use search::{By, Search};
pub use short::{MemoryStore, by_words};
pub use stored_long::{LongOptions, StoredLong};
pub use stored_short::StoredMemory;
pub use summarizing::{Summaries, SummarizingMemory};
pub use tools::{MemoryTools, memory_tools};
pub use whose::{Fixed, Whose};
