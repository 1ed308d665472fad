//! The transcript: turns of the user and of the model, one after the other.

use atomr_agents_core::{Message, Part, Role, ToolCall, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Outcome, Pairs, arguments_object};
use serde_json::{Map, json};

use super::{CALL_ID, SIGNATURE, media, text};
use crate::config::PROVIDER;
use crate::generation::Generation;

/// What Google documents as the signature of a call that bears none, e.g. because another model made it.
const UNSIGNED: &str = "skip_thought_signature_validator";

/// What a model reads where a call was never answered.
const NO_RESULT: &str = "this call has no result: it was not run to its end";

/// The keys of a part that this provider's own tools leave and read back.
const SERVER_PARTS: &[&str] = &["executableCode", "codeExecutionResult", "toolCall", "toolResponse"];

/// The `contents` of the request.
pub(super) fn contents(messages: &[Message], generation: Generation) -> Result<Value, InferenceError> {
    let lowering = Lowering { pairs: Pairs::of(messages), generation };
    let mut turns = Turns::default();
    for (at, message) in messages.iter().enumerate() {
        match message.role {
            Role::System => {}
            Role::Assistant => {
                turns.say("model", lowering.said(message));
                turns.say("user", lowering.results(at, message)?);
            }
            Role::User | Role::Tool => turns.say("user", lowering.asked(at, message)?),
        }
    }
    Ok(turns.done())
}

/// Turns, those of one side joined.
#[derive(Default)]
struct Turns(Vec<(&'static str, Vec<Value>)>);

impl Turns {
    fn say(&mut self, role: &'static str, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        if self.0.is_empty() && role == "model" {
            // The user begins.
            self.0.push(("user", vec![json!({"text": ""})]));
        }
        match self.0.last_mut().filter(|(last, _)| *last == role) {
            Some((_, said)) => said.extend(parts),
            None => self.0.push((role, parts)),
        }
    }

    fn done(mut self) -> Value {
        if self.0.is_empty() {
            self.0.push(("user", vec![json!({"text": ""})]));
        }
        self.0.into_iter().map(|(role, parts)| json!({"role": role, "parts": parts})).collect()
    }
}

struct Lowering<'m> {
    pairs: Pairs<'m>,
    generation: Generation,
}

impl Lowering<'_> {
    /// A message of the user, or results that no call asked for: those are told as text.
    fn asked(&self, at: usize, message: &Message) -> Result<Vec<Value>, InferenceError> {
        let mut lowered = Vec::new();
        for (part_at, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text { text } => push_text(text, &mut lowered),
                Part::Media(media) => lowered.push(media::part(media)?),
                Part::ToolResult { call_id, parts, .. } if !self.pairs.answers((at, part_at)) => {
                    lowered.push(json!({"text": format!("Result of tool call {call_id}: {}", text(parts))}));
                    lowered.extend(shown(parts)?);
                }
                _ => {}
            }
        }
        Ok(lowered)
    }

    /// What the model said. Thoughts without a proof, and the proofs and private parts of other providers, are left
    /// out: shown as text they would become something the model believes it said.
    fn said(&self, message: &Message) -> Vec<Value> {
        let mut lowered = Vec::new();
        let mut signature = None;
        let mut signs = self.generation.is_third();
        for part in &message.parts {
            if let Some(proof) = signature.take() {
                // It belongs to the text that follows, or stands by itself.
                let text = if let Part::Text { text } = part { text.as_str() } else { "" };
                lowered.push(json!({"text": text, SIGNATURE: proof}));
                if matches!(part, Part::Text { .. }) {
                    continue;
                }
            }
            match part {
                Part::Text { text } | Part::Refusal { text } => push_text(text, &mut lowered),
                Part::Thinking { text, signature: Some(proof), redacted, provider } if is_ours(provider) => {
                    if *redacted || text.is_empty() {
                        signature = Some(proof);
                    } else {
                        lowered.push(json!({"text": text, "thought": true, SIGNATURE: proof}));
                    }
                }
                Part::ToolCall(call) => {
                    // Only the first call of a turn must bear one.
                    lowered.push(self.call(call, std::mem::take(&mut signs)));
                }
                Part::ServerTool { provider, name, data }
                    if provider == PROVIDER && SERVER_PARTS.contains(&name.as_str()) =>
                {
                    lowered.push(data.clone());
                }
                Part::Opaque { provider, data } if provider == PROVIDER && data.is_object() => {
                    lowered.push(data.clone());
                }
                _ => {}
            }
        }
        if let Some(proof) = signature {
            lowered.push(json!({"text": "", SIGNATURE: proof}));
        }
        lowered
    }

    fn call(&self, call: &ToolCall, signs: bool) -> Value {
        let private = call.private_to(PROVIDER);
        let kept = |key: &str| private.and_then(|private| private.get(key)).cloned();
        let mut function = Map::new();
        if let Some(id) = kept(CALL_ID) {
            function.insert("id".into(), id);
        }
        function.insert("name".into(), call.name.as_str().into());
        function.insert("args".into(), arguments_object(call));
        let mut part = Map::new();
        part.insert("functionCall".into(), Value::Object(function));
        if let Some(signature) = kept(SIGNATURE).or_else(|| signs.then(|| UNSIGNED.into())) {
            part.insert(SIGNATURE.into(), signature);
        }
        Value::Object(part)
    }

    /// The results of a message's calls, in the order of the calls; then the media that results cannot hold.
    fn results(&self, at: usize, message: &Message) -> Result<Vec<Value>, InferenceError> {
        let (mut lowered, mut beside) = (Vec::new(), Vec::new());
        for (part_at, part) in message.parts.iter().enumerate() {
            let Part::ToolCall(call) = part else { continue };
            let (said, parts, is_error) = match self.pairs.outcome((at, part_at)) {
                Some(Outcome { parts, is_error }) => (text(parts), parts, is_error),
                None => (NO_RESULT.to_owned(), [].as_slice(), true),
            };
            let (inside, outside): (Vec<Value>, Vec<Value>) = shown(parts)?
                .into_iter()
                .partition(|part| self.generation.is_third() && media::fits_into_a_result(part));
            let mut response = Map::new();
            if let Some(id) = call.private_to(PROVIDER).and_then(|private| private.get(CALL_ID)) {
                response.insert("id".into(), id.clone());
            }
            response.insert("name".into(), call.name.as_str().into());
            response.insert("response".into(), json!({if is_error { "error" } else { "output" }: said}));
            if !inside.is_empty() {
                response.insert("parts".into(), Value::Array(inside));
            }
            lowered.push(json!({"functionResponse": response}));
            if !outside.is_empty() {
                beside.push(json!({"text": format!("Returned by {}:", call.name)}));
                beside.extend(outside);
            }
        }
        lowered.append(&mut beside);
        Ok(lowered)
    }
}

fn is_ours(provider: &Option<String>) -> bool {
    provider.as_deref() == Some(PROVIDER)
}

fn push_text(text: &str, lowered: &mut Vec<Value>) {
    if !text.is_empty() {
        lowered.push(json!({ "text": text }));
    }
}

fn shown(parts: &[Part]) -> Result<Vec<Value>, InferenceError> {
    let media = parts.iter().filter_map(|part| match part {
        Part::Media(media) => Some(media::part(media)),
        _ => None,
    });
    media.collect()
}
