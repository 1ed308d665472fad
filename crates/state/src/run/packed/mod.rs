//! Frames as bytes.
//!
//! Everything stands where its place says what it is: numbers in seven bits a byte with the low ones first, texts and lists
//! after their length, an absent value as a zero. A value that is a blob is named by its position among the ids that the
//! entry of the log names anyway. Values themselves stay JSON texts.
//!
//! What a place means is part of the format: whoever adds, removes or moves a field of [`items`] makes another format of
//! frames. The tables of [`events`] may grow at the end, and what stands inside of an event ([`atomr_agents_core::Usage`]) may not
//! change at all: events are read without their frame. One that has to change gets another byte.

mod bytes;
mod events;
mod items;

pub(super) use bytes::{Broken, Pack, Reader, Writer};
pub(super) use events::{event_of_text, pack_event, unpack_event};
pub(super) use items::DEEPEST;
