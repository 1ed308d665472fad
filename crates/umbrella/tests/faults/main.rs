//! The table of faults: what providers, gateways and networks do to an answer, and what becomes of the run. Each row
//! goes through the real loop: an agent with two tools, the provider's client, HTTP on loopback, the replay server.
//!
//! Whatever happens, a run ends with its answer or with an error of the kind that the table says; it ends in time; the
//! tools run once with what the model wrote, or not at all; and nothing stays open.
// Helpers of tests fail as tests do, and the figures are to be seen with `--no-capture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod bytes;
mod case;
mod flaws;
mod limits;
mod mutations;
mod play;
mod reader;
mod speakers;
mod statuses;
mod transport;

use case::Case;
use speakers::{Speaker, speakers};

/// All rows for one provider.
fn table(speaker: &Speaker) -> Vec<Case> {
    [transport::cases(speaker.format), statuses::cases(speaker.format), bytes::cases(speaker.format)]
        .into_iter()
        .flatten()
        .chain(flaws::cases(speaker.format))
        .collect()
}

#[test]
fn the_table_has_at_least_fifty_rows_for_each_provider_and_names_each_once() {
    for speaker in speakers() {
        let cases = table(&speaker);
        let names: std::collections::HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        assert!(names.len() >= 50, "{} has {}", speaker.format, names.len());
        assert_eq!(names.len(), cases.len(), "{}", speaker.format);
    }
}

#[test]
fn at_least_two_hundred_cases_are_played() {
    // Each row is one case, and one more where its answer is cut as well.
    let rows: Vec<Case> = speakers().iter().flat_map(table).collect();
    let cases = rows.len() + rows.iter().filter(|case| case.cuts).count();
    println!("{} providers, {} rows, {cases} cases", speakers().len(), rows.len());
    assert!(rows.len() >= 200 && cases >= 400, "{} rows, {cases} cases", rows.len());
}

#[tokio::test]
async fn connections_that_break_or_stall() {
    play::all(transport::cases).await;
}

#[tokio::test]
async fn error_statuses_and_every_form_of_retry_after() {
    play::all(statuses::cases).await;
}

#[tokio::test]
async fn bytes_and_heads_that_are_not_what_they_should_be() {
    play::all(bytes::cases).await;
}

#[tokio::test]
async fn answers_that_break_their_own_format() {
    play::all(flaws::cases).await;
}
