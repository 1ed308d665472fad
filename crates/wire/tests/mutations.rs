//! Damaged streams: whatever the bytes, the outcome is events or a typed error, the same for every cut, and never a
//! call that nobody asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use atomr_agents_wire::{
    AnthropicDecoder, AnthropicEvent, AnthropicToolCalls, ChatDecoder, ChatEvent, ChatEventKind, ProviderError,
    ToolCallAssembler,
};
use common::mutate::{assert_sound, damaged, names};
use proptest::prelude::*;

static BODIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| common::streams().into_iter().map(|case| case.body).filter(|body| body.len() < 9_000).collect());

fn check_calls(stream: &[u8], out: &[ChatEvent]) {
    let names = names(stream);
    let mut announced = BTreeSet::new();
    for event in out {
        match &event.kind {
            ChatEventKind::ToolCallStarted { index, id, name } => {
                let text = serde_json::to_string(name).unwrap();
                let in_bytes = memchr::memmem::find(stream, text.as_bytes()).is_some();
                assert!(names.contains(name) || in_bytes, "`{name}` was never sent");
                assert!(announced.insert((event.choice, *index, id.clone(), name.clone())), "announced twice");
            }
            ChatEventKind::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.contains(&(event.choice, *index, id.clone(), name.clone())), "never announced");
            }
            _ => {}
        }
    }
}

static ANTHROPIC: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let streams = common::anthropic_cases().into_iter().filter(common::Case::is_stream).map(|case| case.body);
    streams.filter(|body| body.len() < 9_000).collect()
});

fn check_anthropic_calls(stream: &[u8], out: &[AnthropicEvent]) {
    let names = names(stream);
    let mut announced = BTreeSet::new();
    for event in out {
        match event {
            AnthropicEvent::ToolCallStarted { index, id, name } => {
                let text = serde_json::to_string(name).unwrap();
                let in_bytes = memchr::memmem::find(stream, text.as_bytes()).is_some();
                assert!(names.contains(name) || in_bytes, "`{name}` was never sent");
                assert!(announced.insert((*index, id.clone(), name.clone())), "announced twice");
            }
            AnthropicEvent::ToolCallFinished { index, id, name, .. } => {
                assert!(announced.remove(&(*index, id.clone(), name.clone())), "not announced, or finished twice");
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_streams_give_events_or_an_error(
        body in damaged(&BODIES),
        cut in any::<prop::sample::Index>(),
    ) {
        let out = assert_sound(&body, cut.index(body.len() + 1), common::chat, |event| matches!(event.kind, ChatEventKind::Finish { .. }));
        check_calls(&body, &out);
    }

    #[test]
    fn any_bytes_as_a_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ProviderError::from_body(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let mut out = Vec::new();
        let _ = ChatDecoder::new().body(&text, &mut out);
        let _ = ToolCallAssembler::new().deltas_json(&text, &mut Vec::new());
    }
    #[test]
    fn damaged_anthropic_streams_give_events_or_an_error(
        body in damaged(&ANTHROPIC),
        cut in any::<prop::sample::Index>(),
    ) {
        let out = assert_sound(&body, cut.index(body.len() + 1), common::anthropic, |event| matches!(event, AnthropicEvent::Finish { .. }));
        check_anthropic_calls(&body, &out);
    }

    #[test]
    fn any_bytes_as_an_anthropic_body(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        let _ = AnthropicDecoder::new().body(&text, &mut Vec::new());
        let _ = AnthropicToolCalls::new().feed(&text);
    }
}

/// What a damaged byte may do to a call: change what was written in it, but not end it early, and not give it what was
/// written elsewhere.
#[test]
fn one_damaged_byte_never_cuts_or_mixes_the_calls_of_an_anthropic_stream() {
    let calls = |out: &[AnthropicEvent]| -> Vec<(String, String)> {
        let finished = out.iter().filter_map(|event| match event {
            AnthropicEvent::ToolCallFinished { id, arguments, .. } => Some((id.clone(), arguments.clone())),
            _ => None,
        });
        finished.collect()
    };
    let mut damaged_streams = 0;
    for name in ["tools-parallel-stream", "thinking-tool-stream", "tool-empty-input-stream"] {
        let case = common::anthropic_cases().into_iter().find(|case| case.name == name).unwrap();
        let want = calls(&common::anthropic(&[&case.body]).0);
        for at in 0..case.body.len() {
            for byte in [b'"', b'0', b'}', 0xff] {
                let mut body = case.body.clone();
                if std::mem::replace(&mut body[at], byte) == byte {
                    continue;
                }
                let (out, error) = common::anthropic(&[&body]);
                let finished = out.iter().any(|event| matches!(event, AnthropicEvent::Finish { .. }));
                damaged_streams += 1;
                if error.is_some() || !finished {
                    continue;
                }
                for (id, arguments) in calls(&out) {
                    let near = |(known, args): &&(String, String)| {
                        let same_id = id.bytes().zip(known.bytes()).filter(|(a, b)| a != b).count() <= 1;
                        same_id && (is_cut(&arguments) || arguments.len() + 40 >= args.len())
                    };
                    assert!(want.iter().any(|call| near(&call)), "{name}: byte {at} as {byte}: {id} {arguments}");
                }
            }
        }
    }
    assert!(damaged_streams > 40_000, "{damaged_streams}");
}

/// Arguments that nobody can take for whole ones.
fn is_cut(arguments: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(arguments).is_err()
}
