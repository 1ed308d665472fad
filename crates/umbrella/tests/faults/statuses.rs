//! Answers with an error status, and every form of `retry-after`.

use std::time::Duration;

use atomr_agents::core::Kind;
use atomr_agents_testkit::{Exchange, Fault, Format, RetryAfter};

use crate::case::Case;
use crate::case::Expected::{Ends, Retried};

pub(crate) fn cases(format: Format) -> Vec<Case> {
    let mut cases: Vec<Case> = [500, 502, 503, 504, 529]
        .into_iter()
        .map(|status| Case::new(format!("status {status}"), format.error(status, "no"), Retried))
        .collect();
    let refused = [
        (400, Kind::InvalidRequest),
        (401, Kind::Authentication),
        (403, Kind::Permission),
        (404, Kind::NotFound),
        (413, Kind::TooLarge),
        (422, Kind::InvalidRequest),
    ];
    cases.extend(
        refused.map(|(status, kind)| Case::new(format!("status {status}"), format.error(status, "no"), Ends(kind))),
    );
    let text = |text: &str| RetryAfter::Text(text.to_owned());
    let week = Duration::from_secs(7 * 86_400);
    // What can be read is waited for, unless it is too long; what cannot be read is as if it were not there.
    for after in [
        RetryAfter::Absent,
        RetryAfter::Seconds(0),
        RetryAfter::Fraction(0.02),
        RetryAfter::Millis(20),
        RetryAfter::Millis(0),
        RetryAfter::Date(Duration::ZERO),
        RetryAfter::Body(Duration::from_millis(20)),
        text("soon"),
        text("-1"),
        text("NaN"),
        text("inf"),
        text("1e400"),
        text("99999999999999999999999999"),
        text("Wed, 99 Oct 2015"),
        text("1,2"),
        text(""),
    ] {
        cases.push(Case::new(format!("429, {after:?}"), format.rate_limited(&after), Retried));
    }
    for after in [
        RetryAfter::Seconds(604_800),
        RetryAfter::Fraction(604_800.5),
        RetryAfter::Millis(604_800_000),
        RetryAfter::Date(week),
    ] {
        cases.push(Case::new(format!("429, {after:?}"), format.rate_limited(&after), Ends(Kind::RateLimited)));
    }
    cases.extend([
        Case::new("a proxy's page with status 502", Exchange::new(502, "text/html", "<html>Bad Gateway"), Retried),
        Case::new("status 400 without a body", Exchange::new(400, "text/plain", ""), Ends(Kind::InvalidRequest)),
        Case::new("a web page", Exchange::new(200, "text/html", "<html>Welcome"), Ends(Kind::Protocol)),
        Case::fault(
            "pointed to another host",
            format,
            Fault::RedirectTo("http://elsewhere.invalid/v1".into()),
            Ends(Kind::Protocol),
        ),
    ]);
    cases
}
