//! How fast tokens are counted, beside tiktoken's own core on the same text: `cargo run --release -p atomr-agents-tokens
//! --features bpe --example counting`, with a file's name for its text instead of prose that is made up.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use atomr_agents_tokens::{BpeCounter, TokenCounter};

/// Prose of about `bytes`: words as often as they come in texts (the n-th word with 1/n), in sentences and paragraphs.
fn prose(bytes: usize) -> String {
    let syllables = ["ra", "in", "os", "lo", "the", "ber", "gen", "wind", "er", "ing", "ta", "mo", "st", "un", "ki"];
    let mut state = 1u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let word = |mut number: usize| {
        let mut word = String::new();
        loop {
            word.push_str(syllables[number % syllables.len()]);
            number /= syllables.len();
            if number == 0 {
                return word;
            }
        }
    };
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        // Zipf: a number below 50,000, as likely as 1/n.
        let number = (f64::from(next() as u32 % 1_000_000) / 1_000_000.0 * 50_000f64.ln()).exp() as usize;
        text.push_str(&word(number));
        text.push_str(match next() % 40 {
            0 => ".\n\n",
            1..3 => ". ",
            3..6 => ", ",
            6 => " 2026 ",
            _ => " ",
        });
    }
    text
}

fn main() -> std::io::Result<()> {
    let text = match std::env::args_os().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => prose(10_000_000),
    };
    for (model, core) in [
        ("gpt-4", tiktoken_rs::cl100k_base_singleton as fn() -> &'static tiktoken_rs::CoreBPE),
        ("gpt-4o", tiktoken_rs::o200k_base_singleton),
    ] {
        let begun = Instant::now();
        black_box(BpeCounter.count_text(model, "x"));
        println!("{model}: the vocabulary is read in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
        let core = core();
        for round in 0..3 {
            let begun = Instant::now();
            let theirs = core.encode_ordinary(&text).len() as u64;
            let their_time = begun.elapsed().as_secs_f64();
            let begun = Instant::now();
            let ours = BpeCounter.count_text(model, &text);
            let our_time = begun.elapsed().as_secs_f64();
            assert_eq!(ours, theirs);
            let rate = |seconds: f64| text.len() as f64 / seconds / 1e6;
            let (ours, theirs) = (rate(our_time), rate(their_time));
            println!("  round {round}: ours {ours:.0} MB/s, tiktoken {theirs:.0} MB/s, {:.1} times", ours / theirs);
        }
    }
    Ok(())
}
