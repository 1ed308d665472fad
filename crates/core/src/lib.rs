//! The nouns of atomr-agents. They do no I/O and know no runtime, no provider and no Python:
//! every crate above speaks with these words and none may add a private dialect.
//!
//! ```
//! use atomr_agents_core::{Message, ModelRequest};
//!
//! let request = ModelRequest::new("gpt-4o-mini", vec![Message::system("Be brief."), Message::user("Oslo?")]);
//! assert_eq!(request.messages[1].text(), "Oslo?");
//! ```

mod budget;
mod context;
mod ctx;
mod document;
mod event;
mod event_samples;
mod event_sink;
mod id;
mod kind;
mod message;
mod meter;
mod model;
mod money;
mod phase;
mod tool;
mod usage;

pub use budget::{Amount, Budget, BudgetExceeded, Resource};
pub use context::{AgentContext, TurnInput};
pub use ctx::{CallCtx, Extensions};
pub use document::{Document, Span};
pub use event::{Event, EventKind};
pub use event_sink::EventSink;
pub use id::RunId;
pub use kind::Kind;
pub use message::{Citation, Media, MediaKind, MediaSource, Message, Part, Role};
pub use meter::{Meter, Reservation};
pub use model::{CachePoint, FinishReason, ModelEvent, ModelRequest, OutputSchema, Sampling, ToolChoice};
pub use money::Money;
pub use phase::Phase;
pub use tool::{EffectClass, Private, ToolCall, ToolControl, ToolReturn, ToolSpec};
pub use usage::Usage;

pub use serde_json::Value;
/// The one runtime type this crate names: cancelling is a tree, and this is its node.
pub use tokio_util::sync::CancellationToken;
