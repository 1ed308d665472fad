//! JSON in pieces: decoding each one, and looking at the value after each one, beside parsing the text anew each time.
//!
//! Throughput is in pieces. The target is one microsecond per piece of a 50 KB object in 9,000 pieces, value included.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::{PartialJson, PartialJsonLimits};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use jiter::{JsonValue, PartialMode};
use serde_json::{Value, json};

const LIMITS: PartialJsonLimits = PartialJsonLimits { max_depth: 127, max_bytes: 1 << 20 };

/// Arguments of 50 KB: a list of records, each with short texts, numbers and a list.
fn records() -> Value {
    let record = |i: usize| {
        json!({
            "id": i, "name": format!("Station {i}"), "tags": ["north", "coast"], "ratio": 0.25 + i as f64,
            "open": i.is_multiple_of(2), "note": "Closed for repairs until the \"spring\"; ask at the harbour office."
        })
    };
    json!({ "title": "Stations", "records": (0..290).map(record).collect::<Vec<_>>() })
}

/// One long text, as a file that a model writes.
fn file() -> Value {
    let line = "    let total = items.iter().map(|item| item.price * item.count).sum::<u64>();\n";
    json!({ "path": "src/total.rs", "content": line.repeat(600) })
}

/// What a usual tool call has for arguments.
fn small() -> Value {
    json!({ "location": "Oslo, Norway", "unit": "celsius", "days": 3, "detailed": true })
}

/// `text` in `count` pieces of nearly the same length.
fn cut(text: &str, count: usize) -> Vec<&str> {
    let place = |n: usize| text.floor_char_boundary(text.len() * n / count);
    (0..count).map(|n| &text[place(n)..place(n + 1)]).collect()
}

fn incremental(pieces: &[&str]) -> usize {
    let (mut decoder, mut changes, mut seen) = (PartialJson::new(LIMITS), Vec::new(), 0);
    for piece in pieces {
        let _ = decoder.push(black_box(piece), &mut changes);
        seen += changes.drain(..).count();
        black_box(decoder.value());
    }
    assert!(decoder.finish(&mut changes).is_ok());
    seen
}

fn quiet(pieces: &[&str]) {
    let mut decoder = PartialJson::new(LIMITS);
    for piece in pieces {
        let _ = decoder.push_quiet(black_box(piece));
        black_box(decoder.value());
    }
    assert!(decoder.finish(&mut Vec::new()).is_ok());
}

fn anew(pieces: &[&str]) -> usize {
    let mut text = String::new();
    for piece in pieces {
        text.push_str(black_box(piece));
        let _ = black_box(JsonValue::parse_with_config(text.as_bytes(), false, PartialMode::TrailingStrings));
    }
    text.len()
}

fn compare(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, document: &Value, count: usize) {
    let text = document.to_string();
    let pieces = cut(&text, count);
    group.throughput(Throughput::Elements(count as u64));
    let label = format!("{name}, {} bytes in {count} pieces", text.len());
    group.bench_function(format!("{label}, incremental"), |b| b.iter(|| incremental(&pieces)));
    group.bench_function(format!("{label}, incremental without changes"), |b| b.iter(|| quiet(&pieces)));
    group.bench_function(format!("{label}, jiter anew"), |b| b.iter(|| anew(&pieces)));
}

fn main() {
    let mut criterion =
        Criterion::default().measurement_time(Duration::from_secs(2)).sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("partial json");
    compare(&mut group, "records", &records(), 9000);
    compare(&mut group, "file", &file(), 9000);
    compare(&mut group, "small", &small(), 20);
    compare(&mut group, "small", &small(), 5);
    compare(&mut group, "small", &small(), 1);
    compare(&mut group, "records", &records(), 1);
    group.finish();
    criterion.final_summary();
}
