use super::*;
use crate::Cut;
use serde_json::json;

fn turn() -> Turn {
    Turn::tool_calls([("add", json!({"a": 1, "é": "日本"})), ("echo", json!({}))])
        .after_text("Let me see. ")
        .after_thinking("Which tools? ", Some("proof"))
}

/// The data of the events.
fn events(exchange: &Exchange) -> Vec<Value> {
    let text = String::from_utf8(exchange.body.to_vec()).unwrap();
    let data = |line: &str| line.strip_prefix("data: ").map(str::to_owned);
    let lines = text.lines().filter_map(data).filter(|data| data != "[DONE]");
    lines.map(|data| serde_json::from_str(&data).unwrap_or_else(|error| panic!("{data}: {error}"))).collect()
}

/// All strings at a path of the events, joined.
fn joined(events: &[Value], path: &str) -> String {
    events.iter().filter_map(|event| event.pointer(path)?.as_str()).collect()
}

#[test]
fn each_format_says_all_of_a_turn() {
    for format in Format::ALL {
        let events = events(&format.stream(&turn()));
        let all = serde_json::to_string(&events).unwrap();
        for word in ["Which ", "tools? ", "proof", "Let ", "see. ", "add", "echo", "scripted"] {
            let omitted = word == "proof" && *format == Format::OpenAiChat;
            assert!(omitted || all.contains(word), "{format} does not say {word}");
        }
        let whole = String::from_utf8(format.whole(&turn()).body.to_vec()).unwrap();
        assert!(whole.contains("Let me see. ") && whole.contains("日本"), "{format}: {whole}");
    }
}

#[test]
fn arguments_join_to_what_was_said() {
    let chat = events(&Format::OpenAiChat.stream(&turn()));
    let raw = json!({"a": 1, "é": "日本"}).to_string();
    assert_eq!(joined(&chat, "/choices/0/delta/tool_calls/0/function/arguments"), format!("{raw}{{}}"));
    let responses = events(&Format::OpenAiResponses.stream(&turn()));
    let deltas: Vec<Value> =
        responses.iter().filter(|event| event["type"] == "response.function_call_arguments.delta").cloned().collect();
    assert_eq!(joined(&deltas, "/delta"), format!("{raw}{{}}"));
    let anthropic = events(&Format::Anthropic.stream(&turn()));
    assert_eq!(joined(&anthropic, "/delta/partial_json"), format!("{raw}{{}}"));
    let gemini = events(&Format::Gemini.stream(&turn()));
    let args: Vec<&Value> =
        gemini.iter().filter_map(|event| event.pointer("/candidates/0/content/parts/0/functionCall/args")).collect();
    assert_eq!(args, [&json!({"a": 1, "é": "日本"}), &json!({})]);
}

#[test]
fn the_end_and_the_usage_are_in_the_providers_words() {
    let ends = |format: Format, path: &str| {
        let events = events(&format.stream(&turn()));
        events.iter().rev().find_map(|event| event.pointer(path).filter(|value| !value.is_null()).cloned()).unwrap()
    };
    assert_eq!(ends(Format::OpenAiChat, "/choices/0/finish_reason"), "tool_calls");
    assert_eq!(ends(Format::OpenAiChat, "/usage/prompt_tokens"), 10);
    assert_eq!(ends(Format::OpenAiResponses, "/response/status"), "completed");
    assert_eq!(ends(Format::OpenAiResponses, "/response/usage/input_tokens"), 10);
    assert_eq!(ends(Format::Anthropic, "/delta/stop_reason"), "tool_use");
    assert_eq!(ends(Format::Anthropic, "/usage/input_tokens"), 10);
    assert_eq!(ends(Format::Gemini, "/candidates/0/finishReason"), "STOP");
    assert_eq!(ends(Format::Gemini, "/usageMetadata/promptTokenCount"), 10);
    let cut = Turn::text("half").ending(atomr_agents_core::FinishReason::Length, "length");
    for (format, word) in Format::ALL.iter().zip(["\"length\"", "max_output_tokens", "max_tokens", "MAX_TOKENS"]) {
        let body = String::from_utf8(format.stream(&cut).body.to_vec()).unwrap();
        assert!(body.contains(word), "{format}: {body}");
    }
}

#[test]
fn every_flaw_changes_the_answer_where_the_format_has_a_place_for_it() {
    for format in Format::ALL {
        let good = format.stream(&turn()).body;
        let mut missing = Vec::new();
        for flaw in Flaw::ALL {
            match format.flawed(&turn(), flaw) {
                Some(exchange) => assert_ne!(exchange.body, good, "{format} {flaw:?}"),
                None => missing.push(*flaw),
            }
        }
        let most = if *format == Format::Gemini { 10 } else { 2 };
        assert!(missing.len() <= most, "{format} lacks {missing:?}");
        assert!(format.flawed(&Turn::text("no call"), &Flaw::DuplicateIndex).is_none());
    }
}

#[test]
fn giant_arguments_are_json_of_that_size() {
    let giant = Format::Anthropic.flawed(&turn(), &Flaw::GiantArguments(100_000)).unwrap();
    let raw = joined(&events(&giant), "/delta/partial_json");
    let first = raw.strip_suffix("{}").unwrap();
    let value: Value = serde_json::from_str(first).unwrap();
    assert!(first.len() >= 100_000 && value["a"] == 1, "{}", first.len());
}

#[test]
fn two_blocks_claim_one_index() {
    let twice = events(&Format::Anthropic.flawed(&turn(), &Flaw::DuplicateIndex).unwrap());
    let begun: Vec<u64> = twice
        .iter()
        .filter(|event| event["type"] == "content_block_start")
        .filter_map(|event| event["index"].as_u64())
        .collect();
    assert_eq!(begun, [0, 1, 2, 2]);
    let huge = events(&Format::OpenAiChat.flawed(&turn(), &Flaw::HugeIndex).unwrap());
    let indices: Vec<u64> =
        huge.iter().filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0/index")?.as_u64()).collect();
    assert!(indices.contains(&0) && indices.contains(&(1 << 32)), "{indices:?}");
}

#[test]
fn an_error_is_a_status_before_the_first_word_and_an_event_after_it() {
    let error = atomr_agents_inference::ApiError {
        class: Some(Kind::RateLimited),
        message: "slow down".into(),
        retry_after: Some(Duration::from_millis(1500)),
        ..Default::default()
    };
    for format in Format::ALL {
        let first = format.stream(&Turn::error(error.clone().into()));
        assert_eq!(first.status, 429, "{format}");
        assert!(first.headers.contains(&("retry-after-ms".to_owned(), "1500".to_owned())), "{:?}", first.headers);
        let later = format.stream(&Turn::text("half ").then_error(error.clone().into()));
        let text = String::from_utf8(later.body.to_vec()).unwrap();
        assert!(later.status == 200 && text.contains("half ") && text.contains("slow down"), "{format}: {text}");
    }
}

#[test]
fn the_path_says_the_format() {
    let asked = |path: &str| {
        let request = Received {
            method: "POST".into(),
            path: path.into(),
            headers: Vec::new(),
            body: json!({"stream": true}),
            raw: bytes::Bytes::new(),
        };
        (Format::of(&request), request.wants_stream())
    };
    assert_eq!(asked("/v1/chat/completions?x=1"), (Some(Format::OpenAiChat), true));
    assert_eq!(asked("/v1/responses").0, Some(Format::OpenAiResponses));
    assert_eq!(asked("/v1/messages").0, Some(Format::Anthropic));
    let gemini = asked("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(gemini, (Some(Format::Gemini), true));
    assert_eq!(asked("/v1/embeddings").0, None);
}

#[test]
fn the_assistants_turns_are_counted_in_every_format() {
    let turns = |body: Value| {
        let (method, path, headers) = ("POST".to_owned(), String::new(), Vec::new());
        Received { method, path, headers, body, raw: bytes::Bytes::new() }.assistant_turns()
    };
    let spoke = |role: &str| json!([{"role": "user"}, {"role": role}, {"role": "user"}, {"role": role}]);
    assert_eq!(turns(json!({"messages": spoke("assistant")})), 2);
    assert_eq!(turns(json!({"contents": spoke("model")})), 2);
    let call = json!({"type": "function_call"});
    let result = json!({"type": "function_call_output"});
    let text = json!({"type": "message", "role": "assistant"});
    let items = json!([{"role": "user"}, {"type": "reasoning"}, call, call, result, result, text, {"role": "user"}]);
    assert_eq!(turns(json!({"input": items})), 2);
    assert_eq!(turns(json!({"input": "hi"})), 0);
}

#[test]
fn events_of_every_format_end_with_a_blank_line() {
    for format in Format::ALL {
        let exchange = format.stream(&turn());
        let pieces = Cut::PerEvent(Duration::ZERO).pieces(&exchange.body);
        let bytes: &[u8] = &exchange.body;
        let line_end: &[u8] = if *format == Format::Gemini { b"\r\n\r\n" } else { b"\n\n" };
        assert!(pieces.len() > 4 && pieces.into_iter().all(|piece| bytes[piece].ends_with(line_end)), "{format}");
    }
}
