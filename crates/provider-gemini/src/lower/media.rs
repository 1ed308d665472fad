//! Images, sounds, videos and documents.

use atomr_agents_core::{Media, MediaSource, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{inside_data_url, unsupported};
use serde_json::json;

use crate::config::PROVIDER;

/// Where uploaded files are, by name.
const FILES: &str = "https://generativelanguage.googleapis.com/v1beta/";

/// What a tool's result may hold besides its text; other media follow it.
const IN_RESULTS: &[&str] = &["image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"];

/// The part that shows `media`.
pub(super) fn part(media: &Media) -> Result<Value, InferenceError> {
    match &media.source {
        MediaSource::Base64(data) => inline(&media.media_type, data),
        MediaSource::Url(url) => match inside_data_url(url) {
            Some((media_type, data)) => inline(media_type, data),
            None => Ok(file(url, &media.media_type)),
        },
        MediaSource::FileId(id) if id.starts_with("files/") => Ok(file(&format!("{FILES}{id}"), &media.media_type)),
        MediaSource::FileId(id) => Ok(file(id, &media.media_type)),
    }
}

/// Whether a tool's result may hold this part.
pub(super) fn fits_into_a_result(part: &Value) -> bool {
    part["inlineData"]["mimeType"].as_str().is_some_and(|kind| IN_RESULTS.contains(&kind))
}

fn inline(media_type: &str, data: &str) -> Result<Value, InferenceError> {
    if media_type.is_empty() {
        return Err(unsupported(PROVIDER, "bytes without a media type, e.g. image/png"));
    }
    Ok(json!({"inlineData": {"mimeType": media_type, "data": data}}))
}

fn file(uri: &str, media_type: &str) -> Value {
    if media_type.is_empty() {
        json!({"fileData": {"fileUri": uri}})
    } else {
        json!({"fileData": {"mimeType": media_type, "fileUri": uri}})
    }
}
