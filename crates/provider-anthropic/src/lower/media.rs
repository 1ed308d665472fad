//! Images and documents as blocks.

use atomr_agents_core::{Media, MediaKind, MediaSource, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{inside_data_url, unsupported};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::config::PROVIDER;

pub(super) fn media(media: &Media) -> Result<Value, InferenceError> {
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document => "document",
        MediaKind::Audio => return Err(unsupported(PROVIDER, "it takes no audio")),
        MediaKind::Video => return Err(unsupported(PROVIDER, "it takes no video")),
    };
    let source = match &media.source {
        MediaSource::FileId(id) => json!({"type": "file", "file_id": id}),
        MediaSource::Base64(data) => bytes(kind, &media.media_type, data)?,
        MediaSource::Url(url) => match inside_data_url(url) {
            Some((media_type, data)) => bytes(kind, media_type, data)?,
            None => json!({"type": "url", "url": url}),
        },
    };
    Ok(json!({"type": kind, "source": source}))
}

/// The API takes PDF documents as bytes, and texts as texts.
fn bytes(kind: &str, media_type: &str, data: &str) -> Result<Value, InferenceError> {
    let media_type = match (kind, media_type) {
        ("document", "") => "application/pdf",
        (_, given) => given,
    };
    if kind == "document" && media_type.starts_with("text/") {
        let decoded =
            STANDARD.decode(data).map_err(|error| unsupported(PROVIDER, format!("the document's base64: {error}")))?;
        let text =
            String::from_utf8(decoded).map_err(|_| unsupported(PROVIDER, "a text document that is not UTF-8"))?;
        return Ok(json!({"type": "text", "media_type": "text/plain", "data": text}));
    }
    Ok(json!({"type": "base64", "media_type": media_type, "data": data}))
}
