//! A neutral transcript as the turns that the API accepts: user and model in turn, each call followed at once by its
//! result, nothing empty, nothing of other providers.

use std::collections::HashSet;

use atomr_agents_core::{Message, Part, Role, ToolCall, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Outcome, Pairs, Place, arguments_object, unsupported};
use serde_json::{Map, json};

use super::media::media;
use crate::config::PROVIDER;
use crate::translate::{CALLER, CONTAINER};

/// The API wants the user to speak first.
const NOTHING_SAID: &str = ".";

/// What the model is told of a call that was never answered.
const NO_RESULT: &str = "The tool was not run: there is no result.";

/// A transcript in the API's words.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The text blocks of the system messages, wherever they stood.
    pub(super) system: Vec<Value>,
    pub(super) messages: Vec<Value>,
    /// The names of the tools that were called, each once.
    pub(super) tools: Vec<String>,
    /// The container in which code of the turn that goes on was run.
    pub(super) container: Option<String>,
}

pub(super) fn transcript(messages: &[Message]) -> Result<Transcript, InferenceError> {
    let mut lowering = Lowering::of(messages);
    let mut out = Transcript::default();
    let last_reply = messages.iter().rposition(|message| message.role == Role::Assistant);
    for (at, message) in messages.iter().enumerate() {
        match message.role {
            Role::System => {
                let texts = message.parts.iter().filter_map(|part| match part {
                    Part::Text { text } => text_block(text),
                    _ => None,
                });
                out.system.extend(texts);
            }
            Role::User | Role::Tool => {
                let mut blocks = Vec::new();
                for (part_at, part) in message.parts.iter().enumerate() {
                    lowering.user_part((at, part_at), part, &mut blocks)?;
                }
                add(&mut out.messages, "user", blocks);
            }
            Role::Assistant => {
                // The model is still at its turn: after a pause, or while it waits for tools.
                let goes_on =
                    last_reply == Some(at) && (at + 1 == messages.len() || message.tool_calls().next().is_some());
                let (said, results) = lowering.reply(at, message, goes_on, &mut out)?;
                add(&mut out.messages, "assistant", said);
                add(&mut out.messages, "user", results);
            }
        }
    }
    if out.messages.first().is_none_or(|first| first["role"] != "user") {
        let content = [json!({"type": "text", "text": NOTHING_SAID})];
        out.messages.insert(0, json!({"role": "user", "content": content}));
    }
    trim_end(&mut out.messages);
    Ok(out)
}

/// What must be known of the whole transcript to write any of its messages.
struct Lowering<'a> {
    pairs: Pairs<'a>,
    /// The ids of the provider's own tool calls that were answered.
    answered: HashSet<&'a str>,
    /// The ids of the provider's own tool calls.
    asked: HashSet<&'a str>,
    /// The ids that were given out: the API wants each once, and made of certain letters.
    ids: HashSet<String>,
}

impl<'a> Lowering<'a> {
    fn of(messages: &'a [Message]) -> Self {
        let own = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
            Part::ServerTool { provider, data, .. } if provider == PROVIDER => Some(data),
            _ => None,
        });
        let (mut answered, mut asked) = (HashSet::new(), HashSet::new());
        for data in own {
            answered.extend(data["tool_use_id"].as_str());
            asked.extend(data["id"].as_str());
        }
        Self { pairs: Pairs::of(messages), answered, asked, ids: HashSet::new() }
    }

    /// A part of a message of the user, or of the tools.
    fn user_part(&self, at: Place, part: &Part, blocks: &mut Vec<Value>) -> Result<(), InferenceError> {
        match part {
            Part::Text { text } => blocks.extend(text_block(text)),
            Part::Media(part) => blocks.push(media(part)?),
            // A result stands where its call is.
            Part::ToolResult { .. } if self.pairs.answers(at) => {}
            // The call was forgotten; what it brought need not be.
            Part::ToolResult { call_id, parts, .. } => {
                let content = result_content(parts)?;
                if !content.is_empty() {
                    blocks.extend(text_block(&format!("Result of an earlier tool call ({call_id}):")));
                    blocks.extend(content);
                }
            }
            Part::Opaque { provider, data } if provider == PROVIDER => blocks.push(data.clone()),
            Part::Opaque { .. } => {}
            _ => {
                return Err(unsupported(
                    PROVIDER,
                    "a message of the user holds something else than text, media and results",
                ));
            }
        }
        Ok(())
    }

    /// A message of the model, and the results of its calls.
    ///
    /// Thoughts without the provider's own proof, what other providers left, and media are left out: the API takes none of
    /// it from the model, and shown as text it would become something that the model believes it said.
    fn reply(
        &mut self,
        at: usize,
        message: &Message,
        goes_on: bool,
        out: &mut Transcript,
    ) -> Result<(Vec<Value>, Vec<Value>), InferenceError> {
        let (mut said, mut results): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        for (part_at, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text { text } | Part::Refusal { text } => said.extend(text_block(text)),
                Part::Thinking { text, signature: Some(proof), redacted, provider }
                    if provider.as_deref() == Some(PROVIDER) =>
                {
                    said.push(match redacted {
                        true => json!({"type": "redacted_thinking", "data": proof}),
                        false => json!({"type": "thinking", "thinking": text, "signature": proof}),
                    });
                }
                Part::ToolCall(call) => {
                    let id = self.wire_id(&call.id);
                    said.push(tool_use(call, &id));
                    results.push(self.result((at, part_at), &id)?);
                    if !out.tools.contains(&call.name) {
                        out.tools.push(call.name.clone());
                    }
                }
                Part::ServerTool { provider, data, .. } if provider == PROVIDER => {
                    // Asked and not answered is accepted only while the turn goes on, and an answer without a question
                    // never is.
                    let has_partner = match data["tool_use_id"].as_str() {
                        Some(asked) => self.asked.contains(asked),
                        None => data["id"].as_str().is_none_or(|id| self.answered.contains(id)),
                    };
                    if goes_on || has_partner {
                        said.push(data.clone());
                    }
                }
                Part::Citation(citation) if citation.provider == PROVIDER => cite(&mut said, &citation.data),
                Part::Opaque { provider, data } if provider == PROVIDER => match data.get(CONTAINER) {
                    Some(container) if goes_on => {
                        out.container = container["id"].as_str().map(str::to_owned);
                    }
                    Some(_) => {}
                    None => said.push(data.clone()),
                },
                _ => {}
            }
        }
        Ok((said, results))
    }

    fn result(&self, call: Place, id: &str) -> Result<Value, InferenceError> {
        let mut block = Map::new();
        block.insert("type".into(), json!("tool_result"));
        block.insert("tool_use_id".into(), json!(id));
        let (content, failed) = match self.pairs.outcome(call) {
            Some(Outcome { parts, is_error }) => (result_content(parts)?, is_error),
            None => (text_block(NO_RESULT).into_iter().collect(), true),
        };
        if !content.is_empty() {
            block.insert("content".into(), Value::Array(content));
        }
        if failed {
            block.insert("is_error".into(), json!(true));
        }
        Ok(Value::Object(block))
    }

    /// The id of a call as the API takes it: its own letters only, and each id once.
    fn wire_id(&mut self, id: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let clean: String = id.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
        let clean = if clean.is_empty() { "call".to_owned() } else { clean };
        let mut unique = clean.clone();
        let mut count = 1;
        while !self.ids.insert(unique.clone()) {
            count += 1;
            unique = format!("{clean}_{count}");
        }
        unique
    }
}

fn tool_use(call: &ToolCall, id: &str) -> Value {
    let mut block = json!({"type": "tool_use", "id": id, "name": call.name, "input": arguments_object(call)});
    if let Some(caller) = call.private_to(PROVIDER).and_then(|private| private.get(CALLER)) {
        block[CALLER] = caller.clone();
    }
    block
}

fn result_content(parts: &[Part]) -> Result<Vec<Value>, InferenceError> {
    let mut content = Vec::new();
    for part in parts {
        match part {
            Part::Text { text } => content.extend(text_block(text)),
            Part::Media(part) => content.push(media(part)?),
            Part::Opaque { provider, data } if provider == PROVIDER => content.push(data.clone()),
            Part::Opaque { .. } => {}
            _ => return Err(unsupported(PROVIDER, "a tool's result holds something else than text and media")),
        }
    }
    Ok(content)
}

/// The API refuses texts without a letter.
fn text_block(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"type": "text", "text": text}))
}

/// Puts a source to the text before it.
fn cite(said: &mut [Value], citation: &Value) {
    let Some(Value::Object(block)) = said.last_mut().filter(|block| block["type"] == "text") else { return };
    if let Value::Array(citations) = block.entry("citations").or_insert_with(|| json!([])) {
        citations.push(citation.clone());
    }
}

/// Adds to the turn that goes on, or begins the next one.
fn add(messages: &mut Vec<Value>, role: &str, blocks: Vec<Value>) {
    if blocks.is_empty() {
        return;
    }
    if let Some(last) = messages.last_mut().filter(|last| last["role"] == role)
        && let Value::Array(content) = &mut last["content"]
    {
        content.extend(blocks);
        return;
    }
    messages.push(json!({"role": role, "content": blocks}));
}

/// The API refuses a prefilled answer that ends in white space.
fn trim_end(messages: &mut [Value]) {
    if let Some(last) = messages.last_mut().filter(|last| last["role"] == "assistant")
        && let Some(Value::String(text)) =
            last["content"].as_array_mut().and_then(|blocks| blocks.last_mut()?.get_mut("text"))
    {
        text.truncate(text.trim_end().len());
    }
}
