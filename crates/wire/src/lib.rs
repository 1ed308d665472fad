//! Pure decoders of what model providers put on the wire: server-sent events, chat completion chunks and bodies,
//! Anthropic messages, Gemini's responses, events and bodies of the Responses API, tool-call deltas, JSON documents in
//! pieces, error bodies.
//!
//! Bytes go in, typed values come out; nothing here reads a socket, keeps time, spawns or logs, and nothing knows a
//! request, a tool or another crate of the house. Every decoder gives the same output however its input was cut into
//! reads, takes time linear in its input and holds a bounded amount of memory.
//!
//! ```
//! use atomr_agents_wire::{ChatDecoder, ChatEvent, ChatEventKind, SseDecoder};
//!
//! let reads: [&[u8]; 2] = [
//!     b"data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel",
//!     b"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
//! ];
//! let (mut sse, mut chat, mut out) = (SseDecoder::new(), ChatDecoder::new(), Vec::new());
//! for read in reads {
//!     let mut events = sse.feed(read);
//!     while let Some(event) = events.next_event()? {
//!         chat.chunk(event.data, &mut out)?;
//!     }
//! }
//! if let Some(event) = sse.finish()? {
//!     chat.chunk(event.data, &mut out)?;
//! }
//! chat.done(&mut out)?;
//! assert!(out.contains(&ChatEvent { choice: 0, kind: ChatEventKind::Text("Hello".into()) }));
//! # Ok::<(), atomr_agents_wire::WireError>(())
//! ```

mod anthropic;
mod chat;
mod chunk;
mod document;
mod error;
mod gemini;
mod in_place;
mod partial_json;
mod provider_error;
mod responses;
mod sse;
mod tolerant;
mod tool_calls;

pub use anthropic::{AnthropicDecoder, AnthropicEvent, AnthropicToolCalls};
pub use chat::{ChatDecoder, ChatEvent, ChatEventKind, DONE_MARKER};
pub use error::WireError;
pub use gemini::{GeminiDecoder, GeminiEvent, GeminiEventKind, GeminiToolCalls};
pub use partial_json::{Change, PartialJson, PartialJsonError, PartialJsonLimits, Path, Segment, Shape};
pub use provider_error::{ErrorCode, ProviderError};
pub use responses::{ResponsesDecoder, ResponsesEvent, ResponsesEventKind, ResponsesToolCalls};
pub use sse::{DEFAULT_MAX_EVENT_BYTES, Event, Events, SseDecoder, SseStats};
pub use tool_calls::{ToolCallAssembler, ToolCallDelta, ToolCallEvent, ToolCallLimits};
