//! Any transcript becomes one that the API takes.

use proptest::prelude::*;

use super::*;

fn part() -> impl Strategy<Value = Part> {
    let id = || prop::sample::select(vec!["", "a", "b", "call_1"]);
    let provider = || prop::sample::select(vec![PROVIDER, "another"]).prop_map(str::to_owned);
    let text = || prop::sample::select(vec!["", "hi"]).prop_map(str::to_owned);
    let item = prop::sample::select(vec![
        json!({"type": "web_search_call", "id": "ws"}),
        json!({"type": "shell_call", "call_id": "s"}),
        json!({"type": "compaction"}),
        json!({"type": "message", "phase": "commentary"}),
        json!([]),
    ]);
    let thought = (provider(), any::<bool>()).prop_map(|(provider, good)| {
        let item = if good { json!({"type": "reasoning", "encrypted_content": "e"}) } else { json!("damaged") };
        let signature = Some(item.to_string());
        Part::Thinking { text: "never shown".into(), signature, redacted: false, provider: Some(provider) }
    });
    prop_oneof![
        text().prop_map(|text| Part::Text { text }),
        text().prop_map(|text| Part::Refusal { text }),
        thought,
        (id(), prop::sample::select(vec!["{}", "", "[", "\"x\""]))
            .prop_map(|(id, raw)| Part::ToolCall(ToolCall::new(id, "add", raw))),
        (id(), text()).prop_map(|(id, text)| Part::ToolResult {
            call_id: id.into(),
            parts: vec![Part::Text { text }],
            is_error: false,
            artifact: None,
        }),
        (provider(), item).prop_map(|(provider, data)| Part::ServerTool { provider, name: "x".into(), data }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop::sample::select(vec![Role::System, Role::User, Role::Assistant, Role::Assistant, Role::Tool]);
    (role, prop::collection::vec(part(), 0..6)).prop_map(|(role, parts)| Message { role, parts })
}

/// What the API refuses, as far as it is known.
fn check(items: &[Value]) {
    let mut open = Vec::new();
    let mut ids = HashSet::new();
    for (at, item) in items.iter().enumerate() {
        let is_output = kind(item) == "function_call_output";
        if kind(item) == "function_call" {
            let id = item["call_id"].as_str().unwrap();
            assert!(!id.is_empty() && ids.insert(id), "ids are good and unique");
            assert!(serde_json::from_str::<Map<String, Value>>(item["arguments"].as_str().unwrap()).is_ok());
            open.push(id);
        } else if is_output {
            assert_eq!(item["call_id"], open.remove(0), "the outputs follow their calls, in their order");
        } else if item["role"] != "assistant" && item.get("role").is_some() {
            assert!(open.is_empty(), "nobody speaks between a call and its output");
            assert!(!matches!(&item["content"], Value::String(text) if text.is_empty()), "no empty message");
        }
        if kind(item) == "reasoning" {
            let led_to = items.get(at + 1).expect("a thought led to something");
            assert!(led_to["role"] != "user" && kind(led_to) != "function_call_output", "{led_to}");
        }
        assert!(item.is_object() && kind(item) != "shell_call", "what was left to the caller has no output here");
        assert!(!item.to_string().contains("never shown"));
    }
    assert!(open.is_empty(), "every call has an output");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_transcript_becomes_one_that_the_api_takes(messages in prop::collection::vec(message(), 0..8)) {
        check(&input(&messages).unwrap().items);
    }
}
