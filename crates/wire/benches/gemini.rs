//! Gemini's responses: from JSON bytes to text and whole tool calls.
//!
//! Throughput is in chunks; each holds what a recorded one holds.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::{GeminiDecoder, GeminiEventKind, GeminiToolCalls, SseDecoder};
use criterion::{Criterion, Throughput};

const CHUNKS: usize = 1000;

fn chunk(part: &str) -> String {
    format!(
        "{{\"candidates\": [{{\"content\": {{\"parts\": [{part}],\"role\": \"model\"}},\"index\": 0}}],\
         \"usageMetadata\": {{\"promptTokenCount\": 54,\"candidatesTokenCount\": 15,\"totalTokenCount\": 112,\
         \"promptTokensDetails\": [{{\"modality\": \"TEXT\",\"tokenCount\": 54}}],\"thoughtsTokenCount\": 43}},\
         \"modelVersion\": \"gemini-2.5-flash\",\"responseId\": \"WQCzaayhL8Xmz7IP-63dqQk\"}}"
    )
}

fn call_chunks() -> Vec<String> {
    let call = |i: usize| {
        format!(
            "{{\"functionCall\": {{\"name\": \"weather\",\"args\": {{\"location\": \"Florence, {i}\",\"days\": 3}}}}}}"
        )
    };
    (0..CHUNKS).map(|i| chunk(&call(i))).collect()
}

fn text_chunks() -> Vec<String> {
    (0..CHUNKS).map(|i| chunk(&format!("{{\"text\": \" word{i} and some more\"}}"))).collect()
}

/// The number of calls that were told, and of events.
fn decode(chunks: &[String]) -> (usize, usize) {
    let (mut decoder, mut out, mut calls, mut seen) = (GeminiDecoder::new(), Vec::new(), 0, 0);
    for chunk in chunks {
        let _ = decoder.chunk(black_box(chunk), &mut out);
        calls += out.iter().filter(|event| matches!(event.kind, GeminiEventKind::ToolCall { .. })).count();
        seen += out.drain(..).count();
    }
    let _ = decoder.done(&mut out);
    (calls, seen + out.len())
}

fn decode_bytes(reads: &[&[u8]]) -> usize {
    let (mut sse, mut gemini, mut out, mut seen) = (SseDecoder::new(), GeminiDecoder::new(), Vec::new(), 0);
    for read in reads {
        let mut events = sse.feed(black_box(read));
        while let Ok(Some(event)) = events.next_event() {
            let _ = gemini.chunk(event.data, &mut out);
            seen += out.drain(..).count();
        }
    }
    let _ = gemini.done(&mut out);
    seen + out.len()
}

fn only_calls(chunks: &[String]) -> usize {
    let (mut calls, mut out) = (GeminiToolCalls::new(), Vec::new());
    for chunk in chunks {
        let _ = calls.chunk(black_box(chunk), &mut out);
    }
    out.len()
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group(format!("gemini, {CHUNKS} chunks"));
    group.throughput(Throughput::Elements(CHUNKS as u64));
    let (calls, text) = (call_chunks(), text_chunks());
    assert_eq!((only_calls(&calls), decode(&calls).0), (CHUNKS, CHUNKS));
    group.bench_function("tool calls alone", |b| b.iter(|| only_calls(&calls)));
    group.bench_function("tool calls", |b| b.iter(|| decode(&calls)));
    group.bench_function("text", |b| b.iter(|| decode(&text)));
    let stream: String = calls.iter().map(|chunk| format!("data: {chunk}\r\n\r\n")).collect();
    let reads: Vec<&[u8]> = stream.as_bytes().chunks(1400).collect();
    group.bench_function("tool calls from the event stream, reads of 1400 bytes", |b| {
        b.iter(|| decode_bytes(&reads));
    });
    group.finish();
    criterion.final_summary();
}
