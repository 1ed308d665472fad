//! What errors of the provider amount to.

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_http::retry_after;
use atomr_agents_inference::{ApiError, InferenceError};
use atomr_agents_provider::{Refused, kind_of_status};
use atomr_agents_wire::ProviderError;

/// An error that came as a status.
pub(crate) fn from_status(answer: Refused<'_>) -> InferenceError {
    let wait = retry_after(answer.headers, None);
    from_provider(answer.status, ProviderError::from_body(answer.body), wait, answer.request_id)
}

/// An error the provider reports inside its stream.
pub(crate) fn from_stream(error: ProviderError) -> InferenceError {
    from_provider(200, error, None, None)
}

fn from_provider(
    status: u16,
    error: ProviderError,
    retry_after: Option<Duration>,
    request_id: Option<String>,
) -> InferenceError {
    let code = error.code.as_ref().map(ToString::to_string);
    let class = classify(status, error.error_type.as_deref(), code.as_deref(), &error.message);
    let message = match &error.upstream {
        Some(upstream) if error.message.is_empty() => upstream.clone(),
        Some(upstream) => format!("{} ({upstream})", error.message),
        None => error.message,
    };
    ApiError {
        class: Some(class),
        status,
        error_type: error.error_type,
        code,
        message,
        retry_after,
        should_retry: None,
        request_id,
        body: error.raw,
    }
    .into()
}

fn classify(status: u16, error_type: Option<&str>, code: Option<&str>, message: &str) -> Kind {
    let words = [error_type.unwrap_or_default(), code.unwrap_or_default()];
    let is = |word: &str| words.contains(&word);
    let message = message.to_ascii_lowercase();
    let says = |text: &str| message.contains(text);
    if is("insufficient_quota") || is("billing_hard_limit_reached") {
        return Kind::QuotaExceeded;
    }
    if is("context_length_exceeded")
        || is("exceed_context_size_error")
        || says("maximum context length")
        || says("context length")
        || says("prompt is too long")
    {
        return Kind::ContextTooLong;
    }
    if ["server_is_overloaded", "overloaded_error", "engine_overloaded_error", "slow_down"].iter().any(|word| is(word))
    {
        return Kind::Overloaded;
    }
    if is("image_content_policy_violation")
        || is("cyber_policy")
        || is("content_filter")
        || is("content_policy_violation")
        || is("ResponsibleAIPolicyViolation")
    {
        return Kind::ContentFilter;
    }
    if is("invalid_api_key") || (status == 400 && says("incorrect api key")) {
        return Kind::Authentication;
    }
    // Inside a stream the status is 200; some routers put the upstream's status into the code.
    let status = match (status, code.and_then(|code| code.parse::<u16>().ok())) {
        (200, Some(code @ 400..=599)) => code,
        _ => status,
    };
    match status {
        200 if is("rate_limit_exceeded") => Kind::RateLimited,
        200 if is("invalid_request_error") || is("tool_use_failed") || is_bad_input(code) => Kind::InvalidRequest,
        402 => Kind::QuotaExceeded,
        other => kind_of_status(other),
    }
}

/// The words with which a response fails for what it was asked (`invalid_prompt`, `image_too_large`).
fn is_bad_input(code: Option<&str>) -> bool {
    code.is_some_and(|code| code.starts_with("invalid_") || code.starts_with("unsupported_") || code.contains("image"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        for (status, kind, code, message, class) in [
            (429, None, Some("insufficient_quota"), "", Kind::QuotaExceeded),
            (429, None, Some("rate_limit_exceeded"), "", Kind::RateLimited),
            (400, None, None, "This model's maximum context length is 8192 tokens", Kind::ContextTooLong),
            (400, None, None, "Incorrect API key provided", Kind::Authentication),
            (400, Some("invalid_request_error"), None, "bad", Kind::InvalidRequest),
            (200, None, Some("400"), "Token limit reached", Kind::InvalidRequest),
            (200, None, Some("529"), "", Kind::ServerError),
            (200, None, Some("server_is_overloaded"), "", Kind::Overloaded),
            (503, Some("slow_down"), None, "", Kind::Overloaded),
            (200, None, Some("invalid_prompt"), "", Kind::InvalidRequest),
            (200, None, Some("image_too_small"), "", Kind::InvalidRequest),
            (200, None, Some("image_content_policy_violation"), "", Kind::ContentFilter),
            (200, None, Some("server_error"), "", Kind::ServerError),
            (200, None, Some("insufficient_quota"), "", Kind::QuotaExceeded),
            (200, None, None, "overloaded", Kind::ServerError),
            (529, None, None, "", Kind::ServerError),
            (404, None, None, "", Kind::NotFound),
        ] {
            assert_eq!(classify(status, kind, code, message), class, "{status} {code:?} {message}");
        }
    }
}
