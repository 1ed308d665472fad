//! What images, sound, video and documents take, at most.

use atomr_agents_core::{Media, MediaKind, MediaSource};

/// The most an image takes: Claude's largest are 4,784 tokens, OpenAI's 3,800 in patches, Gemini's 2,240.
const IMAGE: u64 = 5_000;

/// `gpt-4o-mini` counts an image 33 times: 2,833 and 5,667 for each of at most 8 tiles.
const IMAGE_GPT_4O_MINI: u64 = 48_169;

/// Sound takes up to 32 tokens a second (Gemini), and a second at least 750 bytes (speech at 6 kbit/s).
const SOUND_BYTES_PER_TOKEN: u64 = 23;

/// Video takes up to 300 tokens a second (Gemini), and a second at least 12 kB (100 kbit/s).
const VIDEO_BYTES_PER_TOKEN: u64 = 40;

/// The most a document takes: 100 pages with their text and their picture.
const DOCUMENT: u64 = 500_000;

/// What is counted for a medium whose size cannot be known here. It may be more.
const UNSEEN: u64 = 10_000;

/// An upper estimate of what `medium` takes.
pub(crate) fn tokens(model: &str, medium: &Media) -> u64 {
    let bytes = match &medium.source {
        MediaSource::Base64(text) => Some(text.len() as u64 / 4 * 3),
        _ => None,
    };
    match (medium.kind, bytes) {
        (MediaKind::Image, _) if model.contains("gpt-4o-mini") => IMAGE_GPT_4O_MINI,
        (MediaKind::Image, _) => IMAGE,
        (_, None) => UNSEEN,
        (MediaKind::Audio, Some(bytes)) => bytes.div_ceil(SOUND_BYTES_PER_TOKEN),
        (MediaKind::Video, Some(bytes)) => bytes.div_ceil(VIDEO_BYTES_PER_TOKEN),
        (MediaKind::Document, Some(bytes)) => bytes.min(DOCUMENT),
    }
}
