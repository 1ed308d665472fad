//! What errors of the provider amount to.

use std::time::Duration;

use atomr_agents_core::{Kind, Value};
use atomr_agents_http::retry_after;
use atomr_agents_inference::{ApiError, InferenceError};
use atomr_agents_provider::{Refused, kind_of_status};
use atomr_agents_wire::ProviderError;
use serde_json::json;

/// An error that came as a status.
pub(crate) fn from_status(answer: Refused<'_>) -> InferenceError {
    let wait = retry_after(answer.headers, None);
    from_provider(answer.status, ProviderError::from_body(answer.body), wait, answer.request_id)
}

/// An error the provider reports inside its stream.
pub(crate) fn from_stream(error: ProviderError) -> InferenceError {
    from_provider(200, error, None, None)
}

/// `header_wait` is what the headers say.
fn from_provider(
    status: u16,
    error: ProviderError,
    header_wait: Option<Duration>,
    request_id: Option<String>,
) -> InferenceError {
    let class = classify(status, &error);
    ApiError {
        class: Some(class),
        status,
        retry_after: retry_delay(&error.raw).or(header_wait),
        code: error.code.map(|code| code.to_string()),
        error_type: error.error_type,
        message: error.message,
        should_retry: None,
        request_id,
        body: error.raw,
    }
    .into()
}

/// The prompt was refused; there is no answer.
pub(crate) fn blocked(reason: String, message: String) -> InferenceError {
    let body = json!({"blockReason": reason, "blockReasonMessage": message});
    let message = if message.is_empty() { format!("the prompt was blocked: {reason}") } else { message };
    ApiError { class: Some(Kind::ContentFilter), status: 200, code: Some(reason), message, body, ..ApiError::default() }
        .into()
}

/// The model ended its answer with something that is none: asked again, it mostly does better.
pub(crate) fn malformed(reason: String, message: Option<String>) -> InferenceError {
    let body = json!({"finishReason": reason, "finishMessage": message});
    let message = message.unwrap_or_else(|| format!("the answer ended with {reason}"));
    ApiError {
        class: Some(Kind::ServerError),
        status: 200,
        should_retry: Some(reason != "MISSING_THOUGHT_SIGNATURE"),
        code: Some(reason),
        message,
        body,
        ..ApiError::default()
    }
    .into()
}

fn classify(status: u16, error: &ProviderError) -> Kind {
    let message = error.message.to_ascii_lowercase();
    let says = |text: &str| message.contains(text);
    if says("input token count") && says("exceeds") || says("maximum number of tokens") {
        return Kind::ContextTooLong;
    }
    if says("request payload size exceeds") {
        return Kind::TooLarge;
    }
    if details(&error.raw).any(|detail| detail["reason"] == "API_KEY_INVALID") || says("api key not valid") {
        return Kind::Authentication;
    }
    match error.error_type.as_deref().unwrap_or_default() {
        "UNAUTHENTICATED" => Kind::Authentication,
        "PERMISSION_DENIED" => Kind::Permission,
        "NOT_FOUND" => Kind::NotFound,
        "RESOURCE_EXHAUSTED" if is_used_up(&error.raw) => Kind::QuotaExceeded,
        "RESOURCE_EXHAUSTED" => Kind::RateLimited,
        "UNAVAILABLE" => Kind::Overloaded,
        "DEADLINE_EXCEEDED" => Kind::Timeout,
        "FAILED_PRECONDITION" if says("location is not supported") => Kind::Permission,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Kind::InvalidRequest,
        _ => by_status(status, error),
    }
}

/// Inside a stream the status is 200; the error names its own.
fn by_status(status: u16, error: &ProviderError) -> Kind {
    let code = error.code.as_ref().and_then(|code| code.to_string().parse::<u16>().ok());
    match code.filter(|code| status == 200 && (400..600).contains(code)).unwrap_or(status) {
        503 | 529 => Kind::Overloaded,
        504 => Kind::Timeout,
        other => kind_of_status(other),
    }
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error["details"].as_array().into_iter().flatten()
}

/// Whether the quota is one of the day, or is zero: waiting for seconds, as the error advises, does not help.
fn is_used_up(error: &Value) -> bool {
    let violations = details(error).filter_map(|detail| detail["violations"].as_array()).flatten();
    violations.into_iter().any(|violation| {
        let of_the_day = violation["quotaId"].as_str().is_some_and(|id| id.contains("PerDay"));
        of_the_day || violation["quotaValue"] == "0"
    })
}

/// `retryDelay` of the details, e.g. `48.9s`.
fn retry_delay(error: &Value) -> Option<Duration> {
    let delay = details(error).find_map(|detail| detail["retryDelay"].as_str())?;
    Duration::try_from_secs_f64(delay.strip_suffix('s')?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &Value) -> ProviderError {
        ProviderError::from_document(json!({ "error": body }))
    }

    #[test]
    fn classes() {
        let too_long = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        for (status, word, message, class) in [
            (400, "INVALID_ARGUMENT", "bad", Kind::InvalidRequest),
            (400, "INVALID_ARGUMENT", too_long, Kind::ContextTooLong),
            (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", Kind::Authentication),
            (400, "INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes.", Kind::TooLarge),
            (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", Kind::Permission),
            (401, "UNAUTHENTICATED", "", Kind::Authentication),
            (403, "PERMISSION_DENIED", "", Kind::Permission),
            (404, "NOT_FOUND", "", Kind::NotFound),
            (429, "RESOURCE_EXHAUSTED", "", Kind::RateLimited),
            (500, "INTERNAL", "", Kind::ServerError),
            (503, "UNAVAILABLE", "The model is overloaded.", Kind::Overloaded),
            (504, "DEADLINE_EXCEEDED", "", Kind::Timeout),
            (502, "", "", Kind::ServerError),
            (418, "", "", Kind::InvalidRequest),
            (200, "", "", Kind::ServerError),
        ] {
            let error = error(&json!({"message": message, "status": word}));
            assert_eq!(classify(status, &error), class, "{status} {word} {message}");
        }
        assert_eq!(classify(200, &error(&json!({"code": 503}))), Kind::Overloaded);
        assert_eq!(classify(200, &error(&json!({"code": 429}))), Kind::RateLimited);
    }

    #[test]
    fn a_used_up_quota_is_told_from_a_limit_of_the_minute() {
        for (id, value, class) in [
            ("GenerateRequestsPerMinutePerProjectPerModel", "15", Kind::RateLimited),
            ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "50", Kind::QuotaExceeded),
            ("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0", Kind::QuotaExceeded),
        ] {
            let details = json!([{"violations": [{"quotaId": id, "quotaValue": value}]}, {"retryDelay": "48.5s"}]);
            let error = error(&json!({"status": "RESOURCE_EXHAUSTED", "details": details}));
            let error = from_provider(429, error, Some(Duration::from_secs(1)), None);
            assert_eq!((error.kind(), error.retry_after()), (class, Some(Duration::from_millis(48_500))), "{id}");
        }
        for delay in ["", "s", "-1s", "NaNs", "1e400s", "1m"] {
            assert_eq!(retry_delay(&json!({"details": [{"retryDelay": delay}]})), None, "{delay}");
        }
    }
}
