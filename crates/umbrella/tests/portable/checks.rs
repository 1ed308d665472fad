//! What must hold of every request.

use atomr_agents::core::{Message, Part, Role, Value};

use crate::format;
use crate::scenes::PIXEL;
use crate::speakers::Speaker;

/// Shorter words may stand in a request by chance.
const TELLING: usize = 12;

/// What a transcript holds, sorted by who may see it.
#[derive(Default)]
struct Contents {
    /// Said, and to be said to everybody.
    visible: Vec<String>,
    /// What the model thought.
    thoughts: Vec<String>,
    /// By whom it is understood, and what it is.
    private: Vec<(String, String)>,
    calls: usize,
    pictures: usize,
}

impl Contents {
    fn of(transcript: &[Message]) -> Self {
        let mut contents = Self::default();
        for message in transcript {
            message.parts.iter().for_each(|part| contents.add(part));
        }
        // Some of what a provider says for itself it also says aloud.
        let visible = contents.visible.join("\n");
        contents.private.retain(|(_, word)| word.len() >= TELLING && !visible.contains(word.as_str()));
        contents.thoughts.retain(|thought| thought.len() >= TELLING && !visible.contains(thought.as_str()));
        contents
    }

    fn add(&mut self, part: &Part) {
        match part {
            Part::Text { text } | Part::Refusal { text } => self.visible.push(text.trim().to_owned()),
            Part::Media(_) => self.pictures += 1,
            Part::Thinking { text, signature, provider, .. } => {
                self.thoughts.push(text.trim().to_owned());
                if let (Some(proof), Some(provider)) = (signature, provider) {
                    self.keep(provider, &Value::from(proof.as_str()));
                }
            }
            Part::ToolCall(call) => {
                self.calls += 1;
                self.visible.push(call.id.clone());
                self.visible.push(call.raw.clone());
                if let Some(private) = &call.private {
                    self.keep(&private.provider, &private.data);
                }
            }
            Part::ToolResult { parts, .. } => parts.iter().for_each(|part| self.add(part)),
            Part::ServerTool { provider, data, .. } | Part::Opaque { provider, data } => self.keep(provider, data),
            Part::Citation(citation) => self.keep(&citation.provider, &citation.data),
            _ => {}
        }
    }

    /// Keeps every word of a private part, also of one that is JSON within a text.
    fn keep(&mut self, provider: &str, data: &Value) {
        for word in texts(data) {
            match serde_json::from_str::<Value>(word) {
                Ok(inner @ (Value::Object(_) | Value::Array(_))) => self.keep(provider, &inner),
                _ => self.private.push((provider.to_owned(), word.to_owned())),
            }
        }
    }
}

/// Every text in a value.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// What is wrong with the request that `to` makes of what `from` said.
pub(crate) fn faults(transcript: &[Message], from: &Speaker, to: &Speaker, body: &Value) -> Vec<String> {
    let contents = Contents::of(transcript);
    let sent = texts(body);
    let has = |word: &str| sent.iter().any(|text| text.contains(word));
    let mut faults = format::missing(to.format, body);
    for (owner, word) in &contents.private {
        let foreign = owner != to.provider;
        if foreign && has(word) {
            faults.push(format!("private to {owner}: {word}"));
        }
    }
    if from.provider != to.provider {
        let told = contents.thoughts.iter().filter(|thought| has(thought));
        faults.extend(told.map(|thought| format!("thought told: {thought}")));
    } else {
        faults.extend(proofs(transcript, to).filter(|proof| !has(proof)).map(|proof| format!("proof lost: {proof}")));
    }
    for text in visible(transcript) {
        if !has(text.trim()) {
            faults.push(format!("said and lost: {text}"));
        }
    }
    let turns = format::calls(to.format, body);
    let count: usize = turns.iter().map(|(calls, _)| calls.len()).sum();
    if count != contents.calls {
        faults.push(format!("calls: {count} of {}", contents.calls));
    }
    faults.extend(
        turns
            .iter()
            .filter(|(calls, results)| calls != results)
            .map(|(calls, results)| format!("unanswered: {calls:?} is answered by {results:?}")),
    );
    let pictures = sent.iter().filter(|text| text.contains(PIXEL)).count();
    if pictures != contents.pictures {
        faults.push(format!("pictures: {pictures} of {}", contents.pictures));
    }
    faults
}

/// The texts of users, models and tools.
fn visible(transcript: &[Message]) -> Vec<&str> {
    fn add<'t>(parts: &'t [Part], texts: &mut Vec<&'t str>) {
        for part in parts {
            match part {
                Part::Text { text } | Part::Refusal { text } => texts.push(text),
                Part::ToolResult { parts, .. } => add(parts, texts),
                _ => {}
            }
        }
    }
    let mut texts = Vec::new();
    for message in transcript {
        assert_ne!(message.role, Role::System, "instructions are the agent's, not the transcript's");
        add(&message.parts, &mut texts);
    }
    texts
}

/// The proofs that a provider wants back of what is its own.
fn proofs<'t>(transcript: &'t [Message], speaker: &'t Speaker) -> impl Iterator<Item = String> + 't {
    let parts = transcript.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| match part {
        Part::Thinking { signature: Some(proof), provider: Some(provider), .. } if provider == speaker.provider => {
            let item: Option<Value> = serde_json::from_str(proof).ok();
            let inner = item.and_then(|item| item["encrypted_content"].as_str().map(str::to_owned));
            Some(inner.unwrap_or_else(|| proof.clone()))
        }
        Part::ToolCall(call) => {
            let private = call.private_to(speaker.provider)?;
            private.get("thoughtSignature").and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    })
}

/// The request with something in it that must not be, or without what must be, and the word for it in the faults.
pub(crate) fn spoilt(transcript: &[Message], to: &Speaker, body: &Value) -> Vec<(Value, &'static str)> {
    let contents = Contents::of(transcript);
    let mut spoilt = Vec::new();
    let mut say = |text: &str, word| {
        let mut body = body.clone();
        format::say(to.format, &mut body, text);
        spoilt.push((body, word));
    };
    let (_, word) = contents.private.first().expect("something is private");
    say(word, "private to");
    say(&contents.thoughts.first().cloned().unwrap_or_default(), "thought told");
    say("Something else.", "said and lost");
    if contents.thoughts.is_empty() {
        spoilt.retain(|(_, word)| *word != "thought told");
    }
    let mut body = body.clone();
    format::forget_result(to.format, &mut body);
    spoilt.push((body, "unanswered"));
    spoilt
}
