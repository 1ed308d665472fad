//! Server-sent events from raw reads, cut anywhere.
//!
//! Time per stream; divide by the number of events in the name. The target is 0.3 microseconds per event.

use std::hint::black_box;
use std::time::Duration;

use atomr_agents_wire::SseDecoder;
use criterion::{Criterion, Throughput};

const EVENTS: usize = 1000;

/// Events as OpenAI sends them, about 250 bytes each.
fn stream() -> Vec<u8> {
    let event = |i: usize| {
        format!(
            "data: {{\"id\":\"chatcmpl-DuLdCoxuLDs8HRMlOuz0Bi4wgi4XJ\",\"object\":\"chat.completion.chunk\",\
             \"created\":1782321890,\"model\":\"gpt-4o-2024-08-06\",\"system_fingerprint\":null,\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" token{i}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    (0..EVENTS).flat_map(|i| event(i).into_bytes()).collect()
}

/// Reads of varying size around `mean`, the same in every run.
fn cut(stream: &[u8], mean: usize) -> Vec<&[u8]> {
    let (mut reads, mut rest, mut state) = (Vec::new(), stream, 0x2545_f491_4f6c_dd1d_u64);
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let len = (1 + (state % (2 * mean as u64)) as usize).min(rest.len());
        let (read, after) = rest.split_at(len);
        reads.push(read);
        rest = after;
    }
    reads
}

fn decode(reads: &[&[u8]]) -> usize {
    let (mut decoder, mut bytes) = (SseDecoder::new(), 0);
    for read in reads {
        let mut events = decoder.feed(read);
        while let Ok(Some(event)) = events.next_event() {
            bytes += black_box(event.data).len();
        }
    }
    assert_eq!(decoder.stats().events, EVENTS as u64);
    bytes
}

fn main() {
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let stream = stream();
    let mut group = criterion.benchmark_group(format!("sse, {EVENTS} events of {} bytes", stream.len() / EVENTS));
    group.throughput(Throughput::Elements(EVENTS as u64));
    for mean in [100, 250, 1400, 8192] {
        let reads = cut(&stream, mean);
        group.bench_function(format!("reads of {mean} bytes on average"), |b| b.iter(|| decode(black_box(&reads))));
    }
    group.finish();
    criterion.final_summary();
}
