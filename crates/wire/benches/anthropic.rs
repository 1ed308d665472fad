//! Anthropic messages: from the JSON of the events to text and finished tool calls.
//!
//! Throughput is in events. The target is 0.42 microseconds per tool-call delta, JSON bytes to finished calls.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::{AnthropicDecoder, AnthropicEvent, AnthropicToolCalls, SseDecoder};
use criterion::{Criterion, Throughput};

const EVENTS: usize = 1000;

fn delta(index: usize, kind: &str, text: &str, at: usize) -> String {
    // The API pads its events with up to 15 spaces.
    let pad = " ".repeat(at * 7 % 16);
    format!("{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"type\":\"{kind}\":\"{text}\"}}{pad}}}")
}

/// Two calls, one after the other, their arguments in small pieces.
fn tool_events() -> Vec<String> {
    let call = |index: usize| {
        let start = format!(
            "{{\"type\":\"content_block_start\",\"index\":{index},\"content_block\":{{\"type\":\"tool_use\",\
             \"id\":\"toolu_{index}\",\"name\":\"weather\",\"input\":{{}}}}}}"
        );
        let kind = "input_json_delta\",\"partial_json";
        let pieces = (0..EVENTS / 2 - 2).map(move |at| match at {
            0 => delta(index, kind, "{", at),
            at if at == EVENTS / 2 - 3 => delta(index, kind, "\\\"end\\\": 1}", at),
            at => delta(index, kind, &format!("\\\"key{at}\\\": 1, "), at),
        });
        let stop = format!("{{\"type\":\"content_block_stop\",\"index\":{index}}}");
        std::iter::once(start).chain(pieces).chain(std::iter::once(stop))
    };
    call(0).chain(call(1)).collect()
}

/// The same deltas with their keys sorted, as some gateways write them: the general way.
fn sorted_events() -> Vec<String> {
    let sorted = |event: String| match event.strip_prefix("{\"type\":\"content_block_delta\",\"index\":") {
        Some(rest) => {
            let (index, rest) = rest.split_once(',').unwrap_or_default();
            let rest = rest.trim_end_matches('}').trim_end().trim_end_matches('}');
            format!("{{{rest}}},\"index\":{index},\"type\":\"content_block_delta\"}}")
        }
        None => event,
    };
    tool_events().into_iter().map(sorted).collect()
}

fn text_events() -> Vec<String> {
    (0..EVENTS).map(|at| delta(0, "text_delta\",\"text", &format!(" word{at}"), at)).collect()
}

fn calls_only(events: &[String]) -> usize {
    let mut calls = AnthropicToolCalls::new();
    for event in events {
        let _ = calls.feed(black_box(event));
    }
    let finished = calls.finish().len();
    assert!(finished == 2, "{finished}");
    finished
}

fn decode(events: &[String]) -> usize {
    let (mut decoder, mut out, mut seen) = (AnthropicDecoder::new(), Vec::new(), 0);
    for event in events {
        let _ = decoder.chunk(black_box(event), &mut out);
        seen += out.drain(..).count();
    }
    seen
}

fn decode_bytes(reads: &[&[u8]]) -> usize {
    let (mut sse, mut decoder, mut out, mut seen) = (SseDecoder::new(), AnthropicDecoder::new(), Vec::new(), 0);
    for read in reads {
        let mut events = sse.feed(black_box(read));
        while let Ok(Some(event)) = events.next_event() {
            let _ = decoder.chunk(event.data, &mut out);
            seen += out.drain(..).filter(|event| matches!(event, AnthropicEvent::ToolCallFinished { .. })).count();
        }
    }
    seen
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group(format!("anthropic, {EVENTS} events"));
    group.throughput(Throughput::Elements(EVENTS as u64));
    let (tools, sorted, text) = (tool_events(), sorted_events(), text_events());
    group.bench_function("Anthropic tool calls only", |b| b.iter(|| calls_only(&tools)));
    group.bench_function("Anthropic tool calls only, keys sorted", |b| b.iter(|| calls_only(&sorted)));
    group.bench_function("Anthropic tool-call deltas", |b| b.iter(|| decode(&tools)));
    group.bench_function("Anthropic text deltas", |b| b.iter(|| decode(&text)));
    let stream: String = tools.iter().map(|event| format!("event: content_block_delta\ndata: {event}\n\n")).collect();
    let reads: Vec<&[u8]> = stream.as_bytes().chunks(1400).collect();
    group.bench_function("Anthropic tool-call deltas from the event stream, reads of 1400 bytes", |b| {
        b.iter(|| decode_bytes(&reads));
    });
    group.finish();
    criterion.final_summary();
}
