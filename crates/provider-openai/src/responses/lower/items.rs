//! A transcript as input items.
//!
//! Every transcript becomes one that the API takes: each call has one output right after the items of its message,
//! outputs without a call and thoughts without what they led to are left out, and so is what belongs to another provider.

use std::collections::HashSet;

use atomr_agents_core::{Media, MediaKind, MediaSource, Message, Part, Role, ToolCall, Value};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Pairs, Place, arguments_text, data_url, unsupported};
use serde_json::{Map, json};

use super::PROVIDER;

/// The type of the call of a custom tool.
pub(crate) const CUSTOM_TOOL_CALL: &str = "custom_tool_call";

/// What is said of a call that was never answered.
const NO_RESULT: &str = "Error: this call has no result, it was interrupted.";

/// The longest id of a call that the API takes, in bytes.
const MAX_CALL_ID: usize = 64;

/// The longest name of a tool that the API takes, in bytes.
const MAX_NAME: usize = 128;

/// A transcript as the API takes it.
pub(crate) struct Input {
    /// The system messages at its beginning.
    pub(crate) instructions: String,
    /// The rest.
    pub(crate) items: Vec<Value>,
}

/// Writes a transcript.
pub(crate) fn input(messages: &[Message]) -> Result<Input, InferenceError> {
    let leading = messages.iter().take_while(|message| message.role == Role::System).count();
    let (system, rest) = messages.split_at(leading);
    let texts: Vec<String> = system.iter().map(Message::text).filter(|text| !text.is_empty()).collect();
    let mut instructions = texts.join("\n\n");
    let mut writer = Writer { items: Vec::new(), ids: HashSet::new(), pairs: Pairs::of(rest), paired: paired(rest) };
    for (at, message) in rest.iter().enumerate() {
        writer.message(at, message)?;
    }
    let mut items = writer.items;
    if items.is_empty() && !instructions.is_empty() {
        // The API wants some input; what there is of it are the instructions.
        items.push(json!({"role": "system", "content": std::mem::take(&mut instructions)}));
    }
    Ok(Input { instructions, items })
}

/// The reasoning item as it must be sent back, if it can be: the API finds one by its id only if it was told to keep the
/// response, so the item must hold the reasoning itself, encrypted or not.
pub(crate) fn reasoning_to_keep(mut item: Value) -> Option<String> {
    let fields = item.as_object_mut()?;
    // It is refused with what the API itself may put into it.
    fields.retain(|name, value| name != "status" && !value.is_null());
    if fields.get("content").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        fields.remove("content");
    }
    fields.entry("summary").or_insert_with(|| json!([]));
    (fields.contains_key("encrypted_content") || fields.contains_key("content")).then(|| item.to_string())
}

/// The ids under which calls of the provider's own tools stand in the transcript together with their outputs.
fn paired(messages: &[Message]) -> HashSet<&str> {
    let ids = |outputs: bool| {
        let items = messages.iter().flat_map(|message| &message.parts).filter_map(own_item);
        let wanted = items.filter(move |item| kind(item).ends_with("_output") == outputs);
        wanted.filter_map(|item| item.get("call_id").and_then(Value::as_str)).collect::<HashSet<&str>>()
    };
    ids(true).intersection(&ids(false)).copied().collect()
}

/// The item that a part holds in this provider's own words.
fn own_item(part: &Part) -> Option<&Value> {
    match part {
        Part::ServerTool { provider, data, .. } | Part::Opaque { provider, data } if provider == PROVIDER => {
            Some(data).filter(|data| !kind(data).is_empty())
        }
        _ => None,
    }
}

fn kind(item: &Value) -> &str {
    item.get("type").and_then(Value::as_str).unwrap_or_default()
}

struct Writer<'a> {
    items: Vec<Value>,
    /// The ids of calls that are taken.
    ids: HashSet<String>,
    pairs: Pairs<'a>,
    paired: HashSet<&'a str>,
}

/// A message of the model that is being written.
#[derive(Default)]
struct Said {
    phase: Option<Value>,
    content: Vec<Value>,
}

impl Writer<'_> {
    fn message(&mut self, at: usize, message: &Message) -> Result<(), InferenceError> {
        match message.role {
            Role::System => self.said_by("system", content(&message.parts)?),
            Role::Assistant => self.assistant(at, message)?,
            Role::User | Role::Tool => {
                let own = message.parts.iter().filter_map(own_item);
                for item in own {
                    self.own(item);
                }
                self.said_by("user", content(&message.parts)?);
            }
        }
        Ok(())
    }

    /// A message without content is left out: the API refuses it.
    fn said_by(&mut self, role: &str, content: Vec<Value>) {
        let content = match content.as_slice() {
            [] => return,
            [only] if kind(only) == "input_text" => only["text"].clone(),
            _ => Value::Array(content),
        };
        self.items.push(json!({"role": role, "content": content}));
    }

    fn assistant(&mut self, at: usize, message: &Message) -> Result<(), InferenceError> {
        let begin = self.items.len();
        let mut said = Said::default();
        let mut outputs = Vec::new();
        for (part_at, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text { text } => said.text(text),
                Part::Refusal { text } if !text.is_empty() => {
                    said.content.push(json!({"type": "refusal", "refusal": text}));
                }
                Part::Citation(citation) if citation.provider == PROVIDER => said.annotation(&citation.data),
                Part::Thinking { signature: Some(proof), provider: Some(provider), .. } if provider == PROVIDER => {
                    let item = serde_json::from_str(proof).ok().filter(|item| kind(item) == "reasoning");
                    self.items.extend(item.into_iter().flat_map(|item| said.end().into_iter().chain([item])));
                }
                Part::ToolCall(call) => {
                    self.items.extend(said.end());
                    outputs.push(self.call((at, part_at), call)?);
                }
                part => {
                    if let Some(item) = own_item(part) {
                        self.items.extend(said.end());
                        if kind(item) == "message" {
                            said.phase = item.get("phase").cloned();
                        } else {
                            self.own(item);
                        }
                    }
                }
            }
        }
        self.items.extend(said.end());
        // A thought that led to nothing is refused.
        while self.items.len() > begin && self.items.last().is_some_and(|item| kind(item) == "reasoning") {
            self.items.pop();
        }
        self.items.extend(outputs);
        Ok(())
    }

    /// Writes a call, and gives its output.
    fn call(&mut self, at: Place, call: &ToolCall) -> Result<Value, InferenceError> {
        let id = self.new_id(&call.id);
        let private = call.private_to(PROVIDER);
        let custom = private.is_some_and(|private| kind(private) == CUSTOM_TOOL_CALL);
        let name = name(&call.name);
        let mut item = if custom {
            json!({"type": CUSTOM_TOOL_CALL, "call_id": id, "name": name, "input": custom_input(&call.raw)})
        } else {
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments_text(&call.raw)})
        };
        if let Some(namespace) = private.and_then(|private| private.get("namespace")) {
            item["namespace"] = namespace.clone();
        }
        self.items.push(item);
        let output = match self.pairs.outcome(at) {
            Some(outcome) => output(outcome.parts)?,
            None => NO_RESULT.into(),
        };
        let output_type = if custom { "custom_tool_call_output" } else { "function_call_output" };
        Ok(json!({"type": output_type, "call_id": id, "output": output}))
    }

    /// The id, or another one if the API would not take it or it is taken.
    fn new_id(&mut self, id: &str) -> String {
        let good = (1..=MAX_CALL_ID).contains(&id.len()) && !self.ids.contains(id);
        let mut number = self.ids.len();
        let mut chosen = if good { id.to_owned() } else { format!("call_{number}") };
        while self.ids.contains(&chosen) {
            number += 1;
            chosen = format!("call_{number}");
        }
        self.ids.insert(chosen.clone());
        chosen
    }

    /// An item in the provider's own words goes back as it came. A call that the provider leaves to the caller goes back
    /// only together with its output.
    fn own(&mut self, item: &Value) {
        let id = item.get("call_id").and_then(Value::as_str);
        let has_partner = kind(item).ends_with("_call") || kind(item).ends_with("_output");
        if kind(item) == "message" || (has_partner && id.is_some_and(|id| !self.paired.contains(id))) {
            return;
        }
        let mut item = item.clone();
        if kind(&item) == "image_generation_call"
            && let Some(fields) = item.as_object_mut()
        {
            // What else the API tells of an image it does not take back.
            fields.retain(|name, _| matches!(name.as_str(), "id" | "type" | "status" | "result"));
        }
        self.items.push(item);
    }
}

impl Said {
    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if let Some(Value::String(so_far)) = self.last_text().and_then(|last| last.get_mut("text")) {
            so_far.push_str(text);
        } else {
            self.content.push(json!({"type": "output_text", "text": text}));
        }
    }

    fn annotation(&mut self, data: &Value) {
        if let Some(last) = self.last_text()
            && let Value::Array(list) = last.entry("annotations").or_insert_with(|| json!([]))
        {
            list.push(data.clone());
        }
    }

    /// The text that is being said: a citation stands in the middle of it.
    fn last_text(&mut self) -> Option<&mut Map<String, Value>> {
        let last = self.content.last_mut().filter(|last| kind(last) == "output_text")?;
        last.as_object_mut()
    }

    fn end(&mut self) -> Option<Value> {
        let Said { phase, content } = std::mem::take(self);
        if content.is_empty() {
            return None;
        }
        let mut item = json!({"type": "message", "role": "assistant", "content": content});
        if let Some(phase) = phase {
            item["phase"] = phase;
        }
        Some(item)
    }
}

/// A tool's name with nothing in it that the API refuses: a model may have asked for a tool of any name.
fn name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = name.chars().map(allowed).take(MAX_NAME).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The free text inside the arguments `{"input": …}` of a custom tool.
fn custom_input(raw: &str) -> String {
    match serde_json::from_str::<Value>(raw) {
        Ok(Value::Object(mut fields)) if fields.get("input").is_some_and(Value::is_string) => {
            match fields.remove("input") {
                Some(Value::String(text)) => text,
                _ => raw.to_owned(),
            }
        }
        _ => raw.to_owned(),
    }
}

/// What a message of the user or a result holds; parts that are not content are left out.
fn content(parts: &[Part]) -> Result<Vec<Value>, InferenceError> {
    let lowered = |part: &Part| match part {
        Part::Text { text } => (!text.is_empty()).then(|| Ok(json!({"type": "input_text", "text": text}))),
        Part::Media(media) => Some(lower_media(media)),
        _ => None,
    };
    parts.iter().filter_map(lowered).collect()
}

/// The output of a call: one text, or a list where it is more than text.
fn output(parts: &[Part]) -> Result<Value, InferenceError> {
    let content = content(parts)?;
    let mut text = String::new();
    for part in &content {
        match part.get("text").and_then(Value::as_str) {
            Some(more) => text.push_str(more),
            None => return Ok(Value::Array(content)),
        }
    }
    Ok(Value::String(text))
}

fn lower_media(media: &Media) -> Result<Value, InferenceError> {
    match (&media.kind, &media.source) {
        // The detail is the API's default, which its own SDK always says.
        (MediaKind::Image, MediaSource::Url(url)) => {
            Ok(json!({"type": "input_image", "detail": "auto", "image_url": url}))
        }
        (MediaKind::Image, MediaSource::Base64(data)) => {
            Ok(json!({"type": "input_image", "detail": "auto", "image_url": data_url(&media.media_type, data)}))
        }
        (MediaKind::Image, MediaSource::FileId(id)) => {
            Ok(json!({"type": "input_image", "detail": "auto", "file_id": id}))
        }
        (MediaKind::Document, MediaSource::Url(url)) => Ok(json!({"type": "input_file", "file_url": url})),
        (MediaKind::Document, MediaSource::FileId(id)) => Ok(json!({"type": "input_file", "file_id": id})),
        (MediaKind::Document, MediaSource::Base64(data)) => {
            // The API goes by the name.
            let filename = if media.media_type == "application/pdf" { "document.pdf" } else { "document" };
            Ok(json!({"type": "input_file", "filename": filename, "file_data": data_url(&media.media_type, data)}))
        }
        (kind, _) => Err(unsupported(PROVIDER, format!("the Responses API takes no {kind:?}").to_lowercase())),
    }
}

#[cfg(test)]
mod tests;
