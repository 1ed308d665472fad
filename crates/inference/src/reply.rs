//! The fold of a stream into one reply.

use std::collections::BTreeMap;

use atomr_agents_core::{FinishReason, Message, ModelEvent, Part, Role, ToolCall, Usage};
use serde::{Deserialize, Serialize};

use crate::InferenceError;

/// A whole reply of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// What it said, ready to be put into the transcript.
    pub message: Message,
    /// Why it ended, normalised.
    pub finish: FinishReason,
    /// Why it ended, in the provider's own word.
    pub finish_raw: String,
    /// Tokens used.
    pub usage: Usage,
    /// The provider's id of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that really answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The other choices, when several were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<ModelReply>,
}

/// Builds a [`ModelReply`] from the events of a stream; at any moment it can tell what has arrived so far.
#[derive(Debug, Default)]
pub struct ReplyBuilder {
    provider: String,
    begun: bool,
    parts: Vec<Part>,
    /// Where in `parts` each call stands, and whether it is whole yet.
    calls: BTreeMap<u32, (usize, bool)>,
    finish: Option<(FinishReason, String)>,
    usage: Usage,
    id: Option<String>,
    model: Option<String>,
    alternatives: BTreeMap<u32, ReplyBuilder>,
}

impl ReplyBuilder {
    /// An empty reply of `provider`.
    #[must_use]
    pub fn new(provider: &str) -> Self {
        Self { provider: provider.to_owned(), ..Self::default() }
    }

    /// Takes the next event.
    pub fn push(&mut self, event: ModelEvent) {
        self.begun = true;
        match event {
            ModelEvent::Started { id, model } => {
                self.id = id.or(self.id.take());
                self.model = model.or(self.model.take());
            }
            ModelEvent::AnsweredBy(provider) => self.provider = provider,
            ModelEvent::Retrying { .. } => *self = Self::new(&self.provider),
            ModelEvent::Text(more) => match self.parts.last_mut() {
                Some(Part::Text { text }) => text.push_str(&more),
                _ => self.parts.push(Part::Text { text: more }),
            },
            ModelEvent::Thinking(more) => match self.parts.last_mut() {
                Some(Part::Thinking { text, signature: None, .. }) => text.push_str(&more),
                _ => self.parts.push(Part::thinking(more)),
            },
            ModelEvent::ThinkingSignature(proof) => match self.parts.last_mut() {
                // A thought that has its proof keeps it: another one belongs to a thought without text.
                Some(Part::Thinking { signature: signature @ None, redacted: false, provider, .. }) => {
                    *signature = Some(proof);
                    *provider = Some(self.provider.clone());
                }
                _ => self.parts.push(self.proven(proof, false)),
            },
            ModelEvent::RedactedThinking(proof) => self.parts.push(self.proven(proof, true)),
            ModelEvent::Refusal(more) => match self.parts.last_mut() {
                Some(Part::Refusal { text }) => text.push_str(&more),
                _ => self.parts.push(Part::Refusal { text: more }),
            },
            ModelEvent::Opaque(data) => self.parts.push(Part::Opaque { provider: self.provider.clone(), data }),
            ModelEvent::ServerTool { name, data } => {
                self.parts.push(Part::ServerTool { provider: self.provider.clone(), name, data });
            }
            ModelEvent::Citation(citation) => self.parts.push(Part::Citation(citation)),
            ModelEvent::ToolCallStarted { index, id, name } => {
                self.calls.insert(index, (self.parts.len(), false));
                self.parts.push(Part::ToolCall(ToolCall::new(id, name, "")));
            }
            ModelEvent::ToolCallFinished { index, call } => {
                let (at, whole) = self.calls.entry(index).or_insert((self.parts.len(), false));
                *whole = true;
                match self.parts.get_mut(*at) {
                    Some(part) => *part = Part::ToolCall(call),
                    None => self.parts.push(Part::ToolCall(call)),
                }
            }
            ModelEvent::Usage(usage) => self.usage = usage,
            ModelEvent::Finish { reason, raw } => self.finish = Some((reason, raw)),
            ModelEvent::Alternative { choice, event } => {
                let provider = &self.provider;
                self.alternatives.entry(choice).or_insert_with(|| Self::new(provider)).push(*event);
            }
            _ => {} // the pieces of tool calls are told again, whole
        }
    }

    fn proven(&self, proof: String, redacted: bool) -> Part {
        let provider = Some(self.provider.clone());
        Part::Thinking { text: String::new(), signature: Some(proof), redacted, provider }
    }

    /// What has been said so far. Tool calls are left out: they may be run only after the terminal event.
    #[must_use]
    pub fn partial(&self) -> Option<Message> {
        let kept = |part: &&Part| !matches!(part, Part::Opaque { .. } | Part::ServerTool { .. } | Part::ToolCall(_));
        let parts: Vec<Part> = self.parts.iter().filter(kept).cloned().collect();
        (!parts.is_empty()).then_some(Message { role: Role::Assistant, parts })
    }

    /// The usage told so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The model that answers, if it was told.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether anything has arrived: from then on the call may cost something.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Whether the terminal event has arrived, for every choice.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finish.is_some() && self.alternatives.values().all(Self::is_finished)
    }

    /// The whole reply.
    ///
    /// # Errors
    /// [`InferenceError::Interrupted`] when there was no terminal event.
    pub fn finish(self) -> Result<ModelReply, InferenceError> {
        let Some((finish, finish_raw)) = self.finish else {
            return Err(InferenceError::Interrupted { message: "no finish reason arrived".into(), source: None });
        };
        let parts = with_calls_in_order(self.parts, &self.calls);
        Ok(ModelReply {
            message: Message { role: Role::Assistant, parts },
            finish,
            finish_raw,
            usage: self.usage,
            id: self.id,
            model: self.model,
            alternatives: self.alternatives.into_values().map(Self::finish).collect::<Result<_, _>>()?,
        })
    }
}

/// The parts with whole calls only, in the order of their numbers, where calls were announced.
fn with_calls_in_order(mut parts: Vec<Part>, calls: &BTreeMap<u32, (usize, bool)>) -> Vec<Part> {
    let whole: Vec<usize> = calls.values().filter(|(_, whole)| *whole).map(|(at, _)| *at).collect();
    let mut slots = whole.clone();
    slots.sort_unstable();
    let ordered: Vec<Part> = whole.iter().map(|at| parts[*at].clone()).collect();
    for (slot, call) in slots.into_iter().zip(ordered) {
        parts[slot] = call;
    }
    // A call that was announced and never told whole is no call.
    let cut: Vec<usize> = calls.values().filter(|(_, whole)| !whole).map(|(at, _)| *at).collect();
    let mut at = 0;
    parts.retain(|_| {
        at += 1;
        !cut.contains(&(at - 1))
    });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: &str) -> ToolCall {
        ToolCall::new(id, "add", "{}")
    }

    #[test]
    fn folds_text_and_calls_in_order() {
        let mut builder = ReplyBuilder::new("test");
        builder.push(ModelEvent::Text("a".into()));
        builder.push(ModelEvent::ToolCallFinished { index: 1, call: call("second") });
        builder.push(ModelEvent::ToolCallFinished { index: 0, call: call("first") });
        builder.push(ModelEvent::Text("b".into()));
        builder.push(ModelEvent::Finish { reason: FinishReason::ToolCalls, raw: "tool_calls".into() });
        let reply = builder.finish().unwrap();
        assert_eq!(reply.message.text(), "ab");
        assert_eq!(reply.message.tool_calls().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    }

    #[test]
    fn parts_stand_where_they_began_and_proofs_name_their_owner() {
        let mut builder = ReplyBuilder::new("test");
        for event in [
            ModelEvent::Thinking("hm".into()),
            ModelEvent::ThinkingSignature("proof".into()),
            ModelEvent::ThinkingSignature("another".into()),
            ModelEvent::RedactedThinking("sealed".into()),
            ModelEvent::ToolCallStarted { index: 0, id: "a".into(), name: "add".into() },
            ModelEvent::ToolCallStarted { index: 1, id: "cut".into(), name: "add".into() },
            ModelEvent::Text("then".into()),
            ModelEvent::ToolCallFinished { index: 0, call: call("a") },
            ModelEvent::Finish { reason: FinishReason::ToolCalls, raw: "tool_calls".into() },
        ] {
            builder.push(event);
        }
        let owner = || Some("test".to_owned());
        let thought = |text: &str, proof: &str, redacted| Part::Thinking {
            text: text.into(),
            signature: Some(proof.into()),
            redacted,
            provider: owner(),
        };
        assert_eq!(
            builder.finish().unwrap().message.parts,
            [
                thought("hm", "proof", false),
                thought("", "another", false),
                thought("", "sealed", true),
                Part::ToolCall(call("a")),
                Part::text("then"),
            ]
        );
    }

    #[test]
    fn without_a_finish_it_is_interrupted_and_the_partial_has_no_calls() {
        let mut builder = ReplyBuilder::new("test");
        builder.push(ModelEvent::Text("a".into()));
        builder.push(ModelEvent::ToolCallFinished { index: 0, call: call("x") });
        assert_eq!(builder.partial().unwrap().parts, [Part::text("a")]);
        assert!(matches!(builder.finish(), Err(InferenceError::Interrupted { .. })));
    }

    #[test]
    fn a_retry_voids_what_came_before() {
        let mut builder = ReplyBuilder::new("test");
        builder.push(ModelEvent::Text("void".into()));
        builder.push(ModelEvent::Retrying { attempt: 2, wait: std::time::Duration::ZERO, reason: "reset".into() });
        assert!(!builder.has_begun());
        builder.push(ModelEvent::Text("kept".into()));
        assert_eq!(builder.partial().unwrap().text(), "kept");
        assert!(builder.has_begun());
    }

    #[test]
    fn an_alternative_without_an_end_leaves_the_reply_unfinished() {
        let stop = || ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".into() };
        let other = |event| ModelEvent::Alternative { choice: 1, event: Box::new(event) };
        let mut builder = ReplyBuilder::new("test");
        builder.push(other(ModelEvent::Text("b".into())));
        builder.push(stop());
        assert!(!builder.is_finished());
        builder.push(other(stop()));
        assert!(builder.is_finished());
        assert_eq!(builder.finish().unwrap().alternatives[0].message.text(), "b");
    }
}
