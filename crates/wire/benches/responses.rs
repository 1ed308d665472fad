//! Events of the Responses API: from the bytes of the stream to text and finished tool calls.
//!
//! Throughput is in events. The target is 1.1 microseconds per event of a call's arguments, JSON bytes to finished calls.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::{ResponsesDecoder, ResponsesEventKind, ResponsesToolCalls, SseDecoder, ToolCallEvent};
use criterion::{Criterion, Throughput};

const EVENTS: usize = 1000;

fn tail(index: usize, number: usize) -> String {
    format!(
        "\"item_id\":\"fc_08e0d5fe24768fbd016a3c120112e481928ab6e9c900d449e{index}\",\"obfuscation\":\"bkGJq7e6fF9ZFa\",\
         \"output_index\":{index},\"sequence_number\":{number}}}"
    )
}

/// Two calls, one after the other, their arguments in small pieces; each is told whole at its end.
fn tool_events() -> Vec<String> {
    let pieces = EVENTS / 2 - 2;
    let call = |index: usize| {
        let item = |arguments: &str| {
            format!(
                "{{\"id\":\"fc_{index}\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{arguments}\",\
                 \"call_id\":\"call_{index}\",\"name\":\"weather\"}}"
            )
        };
        let piece = |at: usize| match at {
            0 => "{\\\"",
            at if at == pieces - 1 => "\\\":1}",
            _ => "loca",
        };
        let whole: String = (0..pieces).map(piece).collect();
        let event = |kind: &str, item: &str| {
            format!("{{\"type\":\"response.output_item.{kind}\",\"item\":{item},{}", tail(index, 1))
        };
        let delta = move |at: usize| {
            let (piece, tail) = (piece(at), tail(index, at));
            format!("{{\"type\":\"response.function_call_arguments.delta\",\"delta\":\"{piece}\",{tail}")
        };
        let (begin, end) = (event("added", &item("")), event("done", &item(&whole)));
        std::iter::once(begin).chain((0..pieces).map(delta)).chain(std::iter::once(end)).collect::<Vec<_>>()
    };
    [call(0), call(1)].concat()
}

fn text_events() -> Vec<String> {
    let text = |at: usize| {
        format!(
            "{{\"type\":\"response.output_text.delta\",\"content_index\":0,\"delta\":\" word{at}\",\"logprobs\":[],{}",
            tail(0, at)
        )
    };
    (0..EVENTS).map(text).collect()
}

const END: &str =
    "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[]}}";

fn decode(events: &[String]) -> usize {
    let (mut decoder, mut out, mut seen) = (ResponsesDecoder::new(), Vec::new(), 0);
    for event in events {
        let _ = decoder.chunk(black_box(event), &mut out);
        seen += out.drain(..).count();
    }
    let _ = decoder.chunk(END, &mut out);
    let _ = decoder.done(&mut out);
    let finished = |kind: &ResponsesEventKind| matches!(kind, ResponsesEventKind::ToolCallFinished { .. });
    let finished = out.iter().filter(|event| finished(&event.kind)).count();
    assert!(finished == 2 || finished == 0, "{finished}");
    seen + out.len()
}

fn decode_bytes(reads: &[&[u8]]) -> usize {
    let (mut sse, mut decoder, mut out, mut seen) = (SseDecoder::new(), ResponsesDecoder::new(), Vec::new(), 0);
    for read in reads {
        let mut events = sse.feed(black_box(read));
        while let Ok(Some(event)) = events.next_event() {
            let _ = decoder.chunk(event.data, &mut out);
            seen += out.drain(..).count();
        }
    }
    let _ = decoder.done(&mut out);
    seen + out.len()
}

fn calls_alone(events: &[String]) -> usize {
    let (mut calls, mut out) = (ResponsesToolCalls::new(), Vec::new());
    for event in events {
        let _ = calls.event(black_box(event), &mut out);
        out.clear();
    }
    let _ = calls.finish(&mut out);
    let finished = out.iter().filter(|event| matches!(event, ToolCallEvent::Finished { .. })).count();
    assert_eq!(finished, 2);
    finished
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group(format!("responses, {EVENTS} events"));
    group.throughput(Throughput::Elements(EVENTS as u64));
    let (tools, text) = (tool_events(), text_events());
    group.bench_function("tool-call deltas", |b| b.iter(|| decode(&tools)));
    group.bench_function("tool-call deltas, calls alone", |b| b.iter(|| calls_alone(&tools)));
    group.bench_function("text deltas", |b| b.iter(|| decode(&text)));
    let stream: String = tools.iter().map(|event| format!("event: x\ndata: {event}\n\n")).collect();
    let reads: Vec<&[u8]> = stream.as_bytes().chunks(1400).collect();
    group.bench_function("tool-call deltas from the event stream, reads of 1400 bytes", |b| {
        b.iter(|| decode_bytes(&reads));
    });
    group.finish();
    criterion.final_summary();
}
