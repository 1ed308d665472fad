//! Prompts that providers can keep: equal requests are equal bytes, a longer transcript begins with the bytes of the
//! shorter one, and what breaks that is named.

use std::sync::Arc;

use atomr_agents::core::{CachePoint, Citation, Message, ModelRequest, Part, Private, Role, ToolCall, ToolSpec, Value};
use atomr_agents::inference::{InferenceClient, PromptPrefix};
use proptest::prelude::*;
use serde_json::json;

use crate::speakers::{Speaker, speakers};

const OWNERS: &[&str] = &["openai", "openai-responses", "anthropic", "gemini"];

fn owner() -> impl Strategy<Value = String> {
    prop::sample::select(OWNERS.to_vec()).prop_map(str::to_owned)
}

fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b \n", "é", "{\"x\": 1}", "two words"]).prop_map(str::to_owned)
}

/// What a model says beside its calls.
fn said() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => text().prop_map(|text| Part::Text { text }),
        1 => text().prop_map(|text| Part::Refusal { text }),
        2 => (owner(), text(), any::<bool>()).prop_map(|(owner, text, redacted)| thought(owner, text, redacted)),
        1 => text().prop_map(Part::thinking),
        1 => owner().prop_map(|provider| Part::Opaque { provider, data: json!({"type": "compaction", "content": "c"}) }),
        1 => owner().prop_map(|provider| Part::Citation(Citation {
            provider, data: json!({"type": "page_location", "cited_text": "c"}), ..Citation::default()
        })),
    ]
}

fn thought(owner: String, text: String, redacted: bool) -> Part {
    let proof = match owner.as_str() {
        "openai-responses" => {
            json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": text}).to_string()
        }
        _ => format!("proof of {text}"),
    };
    Part::Thinking { text, signature: Some(proof), redacted, provider: Some(owner) }
}

/// A turn with calls: what the model says, how many calls of whom, and what the tools answer.
fn tool_turn() -> impl Strategy<Value = (Vec<Part>, Vec<(String, String)>)> {
    (prop::collection::vec(said(), 0..3), prop::collection::vec((owner(), text()), 1..4))
}

/// A conversation: in each round a question, turns with calls, and an answer.
fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let answer = (text(), prop::collection::vec(said(), 0..3));
    let round = (text(), prop::collection::vec(tool_turn(), 0..3), answer);
    (text(), prop::collection::vec(round, 1..4)).prop_map(|(system, rounds)| {
        let mut messages = vec![Message::system(system)];
        for (at, (question, turns, (answer, more))) in rounds.into_iter().enumerate() {
            messages.push(Message::user(question));
            for (number, (mut parts, calls)) in turns.into_iter().enumerate() {
                let mut results = Vec::new();
                for (place, (owner, result)) in calls.into_iter().enumerate() {
                    let id = format!("call_{at}_{number}_{place}");
                    let mut call = ToolCall::new(id.clone(), "add", format!("{{\"a\": {place}}}"));
                    let data = json!({"thoughtSignature": "proof of a call"});
                    call.private = Some(Box::new(Private { provider: owner, data }));
                    parts.push(Part::ToolCall(call));
                    let content = vec![Part::Text { text: result }];
                    results.push(Part::ToolResult {
                        call_id: id,
                        parts: content,
                        is_error: place == 1,
                        artifact: None,
                    });
                }
                messages.push(Message { role: Role::Assistant, parts });
                messages.push(Message { role: Role::Tool, parts: results });
            }
            let parts = [Part::Text { text: answer }].into_iter().chain(more).collect();
            messages.push(Message { role: Role::Assistant, parts });
        }
        messages
    })
}

fn request(speaker: &Speaker, messages: &[Message]) -> ModelRequest {
    let tool = |name: &str| {
        let parameters = json!({"type": "object", "properties": {"b": {"type": "integer"}, "a": {"type": "integer"}}});
        Arc::new(ToolSpec { name: name.into(), description: format!("To {name}."), parameters, strict: false })
    };
    ModelRequest {
        tools: vec![tool("add"), tool("look")],
        cache: vec![CachePoint::Tools, CachePoint::System, CachePoint::Messages],
        ..ModelRequest::new(speaker.model, messages.to_vec())
    }
}

fn client(speaker: &Speaker) -> Arc<dyn InferenceClient> {
    (speaker.client)("http://127.0.0.1:9/v1")
}

fn prefix(client: &Arc<dyn InferenceClient>, request: &ModelRequest) -> PromptPrefix {
    client.lower(request).unwrap().prefix()
}

/// Where the model is asked: after a question, and after results.
fn asked(messages: &[Message]) -> Vec<usize> {
    (1..messages.len()).filter(|at| messages[*at].role == Role::Assistant).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equal_requests_are_equal_bytes(messages in conversation()) {
        for speaker in speakers() {
            let request = request(&speaker, &messages);
            // The same request, made again of what was written down.
            let again: ModelRequest = serde_json::from_value(serde_json::to_value(&request).unwrap()).unwrap();
            let (one, two) = (client(&speaker).lower(&request).unwrap(), client(&speaker).lower(&again).unwrap());
            prop_assert_eq!(one.body, two.body, "{}", speaker.provider);
        }
    }

    #[test]
    fn a_longer_transcript_begins_as_the_shorter_one(messages in conversation()) {
        for speaker in speakers() {
            let client = client(&speaker);
            let asked: Vec<_> = asked(&messages).into_iter().map(|at| request(&speaker, &messages[..at])).collect();
            for pair in asked.windows(2) {
                let broken = prefix(&client, &pair[0]).broken_by(&prefix(&client, &pair[1]));
                prop_assert_eq!(broken, None, "{}", speaker.provider);
            }
        }
    }

    #[test]
    fn what_breaks_a_prompt_is_named_with_its_byte(messages in conversation(), place in any::<prop::sample::Index>()) {
        for speaker in speakers() {
            let client = client(&speaker);
            let last = *asked(&messages).last().unwrap();
            let request = request(&speaker, &messages[..last]);
            let whole = prefix(&client, &request);
            let users: Vec<usize> = (0..last).filter(|at| messages[*at].role == Role::User).collect();
            let mut changed = request.clone();
            let user = users[place.index(users.len())];
            changed.messages[user] = Message::user("Something else.");
            let broken = whole.broken_by(&prefix(&client, &changed));
            let broken = broken.expect("another question is another prompt");
            prop_assert!(client.lower(&changed).unwrap().in_transcript(&broken.owner), "{} {broken}", speaker.provider);
            prop_assert!(broken.before != broken.after && broken.byte > 0, "{} {broken}", speaker.provider);
            let mut changed = request.clone();
            changed.messages[0] = Message::system("Be another.");
            let broken = whole.broken_by(&prefix(&client, &changed)).expect("another system message");
            prop_assert!(!client.lower(&changed).unwrap().in_transcript(&broken.owner), "{} {broken}", speaker.provider);
        }
    }
}

#[test]
fn the_byte_and_the_owner_are_those_of_the_tool_that_changed() {
    for (speaker, owner) in speakers().into_iter().zip(["tools[1] look", "tools[1] look", "tools[1] look", "tools[0]"])
    {
        let client = client(&speaker);
        let one = request(&speaker, &[Message::system("s"), Message::user("u")]);
        let mut two = one.clone();
        two.tools[1] = Arc::new(ToolSpec { description: "To look twice.".into(), ..(*one.tools[1]).clone() });
        let broken = prefix(&client, &one).broken_by(&prefix(&client, &two)).unwrap();
        assert_eq!(broken.owner, owner, "{}", speaker.provider);
        // Counted over the parts, in the order in which the provider reads them.
        let lowered = client.lower(&one).unwrap();
        let body: Value = serde_json::from_slice(&lowered.body).unwrap();
        let text: String = lowered.prompt.iter().filter_map(|field| body.get(*field)).map(parts).collect();
        let text = text.replace(r#","cache_control":{"type":"ephemeral"}"#, "");
        assert!(text[..broken.byte].ends_with("To look"), "{}: {broken}", speaker.provider);
    }
}

fn parts(field: &Value) -> String {
    match field {
        Value::Array(items) => items.iter().map(Value::to_string).collect(),
        other => other.to_string(),
    }
}
