//! Chat completion chunks: from the bytes of the stream to text and finished tool calls.
//!
//! Throughput is in chunks. The target is 1.1 microseconds per tool-call chunk, JSON bytes to finished calls.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::{ChatDecoder, ChatEventKind, SseDecoder, ToolCallAssembler};
use criterion::{Criterion, Throughput};

const CHUNKS: usize = 1000;
const HEAD: &str = "{\"id\":\"chatcmpl-DuLdInI48CUMPbcraGuxW2KFhK3CM\",\"object\":\"chat.completion.chunk\",\
    \"created\":1782321896,\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\
    \"system_fingerprint\":\"fp_e6c46296c9\",\"choices\":[{\"index\":0,\"delta\":";
const TAIL: &str = ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"bkGJq7e6fF9ZFa\"}";

fn chunk(delta: &str) -> String {
    format!("{HEAD}{delta}{TAIL}")
}

/// Two calls, one after the other, their arguments in small pieces.
fn tool_chunks() -> Vec<String> {
    let half = CHUNKS / 2;
    let call = |index: usize| {
        (0..half).map(move |i| match i {
            0 => chunk(&format!(
                "{{\"tool_calls\":[{{\"index\":{index},\"id\":\"call_{index}\",\"type\":\"function\",\
                 \"function\":{{\"name\":\"weather\",\"arguments\":\"\"}}}}]}}"
            )),
            i => {
                let piece = if i == 1 {
                    "{\\\""
                } else if i == half - 1 {
                    "\\\":1}"
                } else {
                    "loca"
                };
                chunk(&format!("{{\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":\"{piece}\"}}}}]}}"))
            }
        })
    };
    call(0).chain(call(1)).collect()
}

fn text_chunks() -> Vec<String> {
    (0..CHUNKS).map(|i| chunk(&format!("{{\"content\":\" word{i}\"}}"))).collect()
}

fn decode(chunks: &[String]) -> usize {
    let (mut decoder, mut out, mut seen) = (ChatDecoder::new(), Vec::new(), 0);
    for chunk in chunks {
        let _ = decoder.chunk(black_box(chunk), &mut out);
        seen += out.drain(..).count();
    }
    let _ = decoder.chunk("{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}", &mut out);
    let _ = decoder.done(&mut out);
    let finished = out.iter().filter(|event| matches!(event.kind, ChatEventKind::ToolCallFinished { .. })).count();
    assert!(finished == 2 || finished == 0, "{finished}");
    seen + out.len()
}

fn decode_bytes(reads: &[&[u8]]) -> usize {
    let (mut sse, mut chat, mut out, mut seen) = (SseDecoder::new(), ChatDecoder::new(), Vec::new(), 0);
    for read in reads {
        let mut events = sse.feed(black_box(read));
        while let Ok(Some(event)) = events.next_event() {
            let _ = chat.chunk(event.data, &mut out);
            seen += out.drain(..).count();
        }
    }
    let _ = chat.done(&mut out);
    seen + out.len()
}

/// Only the finished calls.
fn assemble(reads: &[&[u8]]) -> usize {
    let (mut sse, mut calls, mut out) = (SseDecoder::new(), ToolCallAssembler::new(), Vec::new());
    for read in reads {
        let mut events = sse.feed(black_box(read));
        while let Ok(Some(event)) = events.next_event() {
            let _ = calls.chat_json(event.data);
        }
    }
    let _ = calls.finish(&mut out);
    out.len()
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group(format!("chat, {CHUNKS} chunks"));
    group.throughput(Throughput::Elements(CHUNKS as u64));
    let (tools, text) = (tool_chunks(), text_chunks());
    group.bench_function("tool-call deltas", |b| b.iter(|| decode(&tools)));
    group.bench_function("text deltas", |b| b.iter(|| decode(&text)));
    let stream: String = tools.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    let reads: Vec<&[u8]> = stream.as_bytes().chunks(1400).collect();
    group.bench_function("tool-call deltas from the event stream, reads of 1400 bytes", |b| {
        b.iter(|| decode_bytes(&reads));
    });
    group.bench_function("finished tool calls only, from the event stream in one read", |b| {
        b.iter(|| assemble(&[stream.as_bytes()]));
    });
    group.finish();
    criterion.final_summary();
}
