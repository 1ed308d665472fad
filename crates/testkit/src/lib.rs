//! Agents tested without a provider, for the tests of this project's users and for its own.
//!
//! [`ScriptedModel`] is a model that says what a test tells it to. [`ReplayServer`] is an HTTP server on loopback that
//! answers with bytes real providers sent, or with a script written in any provider's [`Format`], cut where the test
//! wants and broken how the test wants. [`RecordingClient`] keeps a run of one's own, and [`ReplayClient`] plays it again
//! without a network.
//!
//! [`postgres`] finds a database for tests, or starts one.
//!
//! It does not know any engine: what it serves is told apart by whoever reads it. It writes the providers' formats and
//! decodes none; it looks into a request only to see which format it asks for and to count the assistant's turns.
//!
//! ```
//! use std::sync::Arc;
//! use atomr_agents_core::{CallCtx, Message, ModelRequest};
//! use atomr_agents_testkit::ScriptedModel;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = ScriptedModel::new().text("4 °C, rain.");
//! let request = Arc::new(ModelRequest::new("any", vec![Message::user("Oslo?")]));
//! let reply = atomr_agents_inference::run(&model, request, CallCtx::new()).await?;
//! assert_eq!(reply.message.text(), "4 °C, rain.");
//! assert_eq!(model.requests()[0].messages[0].text(), "Oslo?");
//! # Ok(())
//! # }
//! ```

mod answer;
mod cassette;
mod connection;
mod cut;
mod error;
mod exchange;
mod fault;
mod formats;
#[cfg(unix)]
pub mod postgres;
mod received;
pub mod recordings;
mod retry_after;
mod script;
mod scripted;
mod server;
mod turn;

pub use cassette::{Difference, RecordingClient, ReplayClient, ReplayError};
pub use cut::Cut;
pub use error::TestkitError;
pub use exchange::Exchange;
pub use fault::Fault;
pub use formats::{Flaw, Format, status_of};
pub use received::Received;
pub use retry_after::RetryAfter;
pub use script::{Reply, Script, Trouble};
pub use scripted::ScriptedModel;
pub use server::{ReplayServer, Summary};
pub use turn::Turn;
