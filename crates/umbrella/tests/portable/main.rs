//! The matrix of portable transcripts: a conversation is had with one provider's client, then goes on with another's.
//!
//! Both talk over HTTP to the replay server, the first to what the provider itself once sent where there is a recording
//! of it. What the second sends is compared with the fixtures in `tests/data/portable`, and besides it must hold: nothing
//! that only the first provider understands, no thought as text, every call with its result, everything the user or
//! the model said, and the fields without which the second provider's own SDK would not send it.
//!
//! `ATOMR_WRITE_PORTABLE=1 cargo test -p atomr-agents --test portable` writes the fixtures, and the table of
//! `docs/portable-transcripts.md`, anew. `tests/providers` reads the same fixtures with the providers' own SDKs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests fail as tests do

mod canonical;
mod checks;
mod fallback;
mod fixtures;
mod format;
mod scenes;
mod speakers;
mod table;

use scenes::{Scene, scenes};
use speakers::speakers;

#[tokio::test]
async fn every_provider_goes_on_with_what_every_other_said() {
    let mut wrong = Vec::new();
    let mut made = Vec::new();
    for scene in scenes() {
        for from in speakers() {
            let Some(transcript) = scene.said_to(&from).await else { continue };
            for to in speakers() {
                let body = scene.goes_on(&to, &transcript).await;
                let pair = format!("{}/{}-to-{}", scene.name, from.provider, to.provider);
                let faults = checks::faults(&transcript, &from, &to, &body);
                wrong.extend(faults.into_iter().map(|fault| format!("{pair}: {fault}")));
                wrong.extend(fixtures::compare(&pair, &body).err());
                made.push(table::Entry::of(&scene, &from, &to, &transcript, &body));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(made.len(), 5 * 16 + 3 * 4, "every pair, for every scene that its first provider can play");
    fixtures::nothing_else_is_there(&made.iter().map(table::Entry::fixture).collect::<Vec<_>>());
    table::compare(&made);
}

/// What [`checks`] looks for is found where it is put in: the matrix would not be green by looking at nothing.
#[tokio::test]
async fn the_checks_find_what_must_not_be() {
    let of = |name: &str| speakers().into_iter().find(|speaker| speaker.provider == name).unwrap();
    for (from, to) in [("anthropic", "openai"), ("gemini", "anthropic"), ("openai-responses", "gemini")] {
        let (from, to) = (of(from), of(to));
        let thinking: Scene = scenes().into_iter().find(|scene| scene.name == "thinking").unwrap();
        let transcript = thinking.said_to(&from).await.unwrap();
        let body = thinking.goes_on(&to, &transcript).await;
        assert_eq!(checks::faults(&transcript, &from, &to, &body), Vec::<String>::new());
        for (spoilt, word) in checks::spoilt(&transcript, &to, &body) {
            let faults = checks::faults(&transcript, &from, &to, &spoilt);
            assert!(faults.iter().any(|fault| fault.contains(word)), "{word} is not found: {faults:?}");
        }
    }
}
