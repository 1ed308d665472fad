//! How a provider says when to come back.

use std::time::{Duration, SystemTime};

use crate::{Exchange, Format};

/// How a provider says when to come back: each form that is in use, and some that make no sense.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Not at all.
    Absent,
    /// `retry-after` in whole seconds.
    Seconds(u64),
    /// `retry-after` in seconds with a fraction.
    Fraction(f64),
    /// `retry-after` as a date so long from now. Dates have whole seconds.
    Date(Duration),
    /// `retry-after-ms`.
    Millis(u64),
    /// In the body, where the format has a place for it (Gemini's `RetryInfo`); elsewhere not at all.
    Body(Duration),
    /// `retry-after` with this text.
    Text(String),
}

impl RetryAfter {
    /// An answer with this status that says so, in the words of `format`.
    pub(crate) fn put(&self, format: Format, status: u16, message: &str) -> Exchange {
        let exchange = match self {
            RetryAfter::Body(wait) => Exchange::json(status, &format.error_body(status, message, Some(*wait))),
            _ => format.error(status, message),
        };
        match self {
            RetryAfter::Absent | RetryAfter::Body(_) => exchange,
            RetryAfter::Seconds(seconds) => exchange.header("retry-after", &seconds.to_string()),
            RetryAfter::Fraction(seconds) => exchange.header("retry-after", &seconds.to_string()),
            RetryAfter::Date(wait) => {
                // Beyond the year 9999 there is no such date.
                let at = SystemTime::now() + (*wait).min(Duration::from_secs(7000 * 365 * 86_400));
                exchange.header("retry-after", &httpdate::fmt_http_date(at))
            }
            RetryAfter::Millis(millis) => exchange.header("retry-after-ms", &millis.to_string()),
            RetryAfter::Text(text) => exchange.header("retry-after", text),
        }
    }
}
