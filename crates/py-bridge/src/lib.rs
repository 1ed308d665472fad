//! The only doorway between Rust and Python: one way out ([`awaitable()`]), one way in ([`Guest`]), one runtime, one port
//! per event loop, one table of guest kinds.
//!
//! Rust threads never take the interpreter's lock to talk to a loop; they push a job into the loop's port and wake it,
//! once for however many jobs. It knows nothing of agents, models or tools: a guest's arguments and results are closures
//! and JSON values, what they mean is the bindings' matter.

pub mod awaitable;
pub mod blocking;
mod call;
pub mod codec;
pub mod error;
pub mod faults;
mod flavor;
mod glue;
mod guest;
mod in_flight;
pub mod json;
pub mod kinds;
mod linger;
mod near;
mod notify;
pub mod pool;
mod port;
pub mod registry;
pub mod runtime;
mod scope;
pub mod selftest;
mod slot;
mod stream;
mod ticket;
mod watch;
mod wire;

pub use awaitable::{IntoReply, Reply, awaitable, stepping};
pub use blocking::{block_on, detached};
pub use codec::{arguments, json_args, json_kwargs, no_args, to_json, to_object, to_serde, to_unit};
pub use error::{BadShape, Breach, GuestError, Raised, original};
pub use flavor::Flavor;
pub use guest::{Guest, GuestOptions};
pub use json::{Json, JsonFault};
pub use kinds::{
    GuestAnnIndex, GuestCallable, GuestEmbedder, GuestInferenceClient, GuestInstructionStrategy, GuestJournal,
    GuestKvCache, GuestLoader, GuestLongStore, GuestLoopStrategy, GuestMemoryStore, GuestMemoryStrategy, GuestParser,
    GuestRepairModel, GuestRetriever, GuestSkillStrategy, GuestSplitter, GuestTerminationStrategy, GuestTool,
    GuestToolStrategy, GuestTracer, KINDS, KindRow, MethodRow, Verb, kind,
};
pub use scope::{Corked, Live, Scope};
pub use stream::GuestStream;
pub use ticket::Args;
pub use watch::watched;
