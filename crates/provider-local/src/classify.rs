//! A runner's errors in the words of the house.

use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_inference::{ApiError, InferenceError, Phase};
use atomr_infer_core::InferenceError as Failed;

pub(crate) fn from_runner(error: Failed) -> InferenceError {
    let message = error.to_string();
    let (class, status, retry_after) = match error {
        Failed::RateLimited { retry_after, .. } => (Kind::RateLimited, 429, retry_after),
        Failed::CircuitOpen { .. } | Failed::Backpressure(_) => (Kind::Overloaded, 503, None),
        Failed::ContentFiltered { .. } => (Kind::ContentFilter, 400, None),
        Failed::ContextLengthExceeded { .. } => (Kind::ContextTooLong, 400, None),
        Failed::BadRequest { .. } => (Kind::InvalidRequest, 400, None),
        Failed::Unauthorized { .. } => (Kind::Authentication, 401, None),
        Failed::Forbidden { .. } => (Kind::Permission, 403, None),
        Failed::BudgetExceeded { .. } => (Kind::QuotaExceeded, 402, None),
        Failed::ServerError { status, .. } => (Kind::ServerError, status, None),
        Failed::Timeout { elapsed_ms } => {
            return InferenceError::Timeout { phase: Phase::Idle, after: Duration::from_millis(elapsed_ms) };
        }
        Failed::NetworkError(_) => return InferenceError::Interrupted { message, source: None },
        // A poisoned context is the runner's to rebuild; the call may be made again then.
        Failed::CudaContextPoisoned(_) => (Kind::ServerError, 500, None),
        _ => (Kind::Internal, 500, None),
    };
    InferenceError::Api(Box::new(ApiError { class: Some(class), status, message, retry_after, ..ApiError::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_keeps_its_meaning() {
        for (error, kind) in [
            (Failed::Backpressure("full".into()), Kind::Overloaded),
            (Failed::ContentFiltered { reason: "no".into() }, Kind::ContentFilter),
            (Failed::ContextLengthExceeded { tokens: 9, max_tokens: 8 }, Kind::ContextTooLong),
            (Failed::BadRequest { message: "no".into() }, Kind::InvalidRequest),
            (Failed::Unauthorized { message: "no".into() }, Kind::Authentication),
            (Failed::Forbidden { message: "no".into() }, Kind::Permission),
            (Failed::BudgetExceeded { deployment: "d".into() }, Kind::QuotaExceeded),
            (Failed::NetworkError("reset".into()), Kind::StreamInterrupted),
            (Failed::ServerError { status: 502, body: None }, Kind::ServerError),
            (Failed::Timeout { elapsed_ms: 5 }, Kind::Timeout),
            (Failed::CudaContextPoisoned("gpu".into()), Kind::ServerError),
            (Failed::Internal("bug".into()), Kind::Internal),
        ] {
            let words = error.to_string();
            let told = from_runner(error);
            assert_eq!(told.kind(), kind, "{words}");
        }
    }
}
