//! What errors of the provider amount to.

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_http::retry_after;
use atomr_agents_inference::{ApiError, InferenceError};
use atomr_agents_provider::{Refused, kind_of_status};
use atomr_agents_wire::ProviderError;
use serde::Deserialize;

/// An error that came as a status.
pub(crate) fn from_status(answer: Refused<'_>) -> InferenceError {
    #[derive(Deserialize)]
    struct Named {
        request_id: Option<String>,
    }
    let Refused { status, headers, body, request_id } = answer;
    let request_id =
        request_id.or_else(|| serde_json::from_slice::<Named>(body).ok().and_then(|named| named.request_id));
    let should_retry = match headers.get("x-should-retry").map(|value| value.as_bytes()) {
        Some(b"true") => Some(true),
        Some(b"false") => Some(false),
        _ => None,
    };
    let wait = retry_after(headers, None);
    from_provider(status, ProviderError::from_body(body), wait, should_retry, request_id)
}

/// An error the provider reports inside its stream.
pub(crate) fn from_stream(error: ProviderError, request_id: Option<String>) -> InferenceError {
    from_provider(200, error, None, None, request_id)
}

fn from_provider(
    status: u16,
    error: ProviderError,
    retry_after: Option<Duration>,
    should_retry: Option<bool>,
    request_id: Option<String>,
) -> InferenceError {
    let class = classify(status, error.error_type.as_deref().unwrap_or_default(), &error.message);
    ApiError {
        class: Some(class),
        status,
        error_type: error.error_type,
        code: error.code.as_ref().map(ToString::to_string),
        message: error.message,
        retry_after,
        should_retry,
        request_id,
        body: error.raw,
    }
    .into()
}

fn classify(status: u16, error_type: &str, message: &str) -> Kind {
    let message = message.to_ascii_lowercase();
    let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    if error_type == "billing_error" || says(&["credit balance is too low", "usage limits"]) {
        return Kind::QuotaExceeded;
    }
    if says(&["prompt is too long", "exceed context limit", "context window", "maximum context length"]) {
        return Kind::ContextTooLong;
    }
    if says(&["content filtering policy"]) {
        return Kind::ContentFilter;
    }
    // The type says more than the status, which is 200 inside a stream and the gateway's own behind one.
    match error_type {
        "invalid_request_error" => Kind::InvalidRequest,
        "authentication_error" => Kind::Authentication,
        "permission_error" => Kind::Permission,
        "not_found_error" => Kind::NotFound,
        "request_too_large" => Kind::TooLarge,
        "rate_limit_error" => Kind::RateLimited,
        "timeout_error" => Kind::Timeout,
        "overloaded_error" => Kind::Overloaded,
        "api_error" => Kind::ServerError,
        _ => match status {
            402 => Kind::QuotaExceeded,
            504 => Kind::Timeout,
            529 => Kind::Overloaded,
            other => kind_of_status(other),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (status, error_type, message, class) in [
            (400, "invalid_request_error", "prompt is too long: 3 tokens > 2 maximum", Kind::ContextTooLong),
            (400, "invalid_request_error", "input length and `max_tokens` exceed context limit", Kind::ContextTooLong),
            (400, "invalid_request_error", "Your credit balance is too low", Kind::QuotaExceeded),
            (400, "invalid_request_error", "Output blocked by content filtering policy", Kind::ContentFilter),
            (400, "invalid_request_error", "messages: bad", Kind::InvalidRequest),
            (401, "authentication_error", "", Kind::Authentication),
            (403, "permission_error", "", Kind::Permission),
            (404, "not_found_error", "", Kind::NotFound),
            (413, "request_too_large", "", Kind::TooLarge),
            (429, "rate_limit_error", "", Kind::RateLimited),
            (500, "api_error", "", Kind::ServerError),
            (529, "overloaded_error", "", Kind::Overloaded),
            (200, "overloaded_error", "", Kind::Overloaded),
            (529, "", "no JSON at all", Kind::Overloaded),
            (402, "billing_error", "", Kind::QuotaExceeded),
            (502, "", "Bad Gateway", Kind::ServerError),
            (200, "new_error", "", Kind::ServerError),
        ] {
            assert_eq!(classify(status, error_type, message), class, "{status} {error_type} {message}");
        }
    }
}
