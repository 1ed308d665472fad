//! What an answer says, before a format gives it words.

use std::collections::HashMap;

use atomr_agents_core::{FinishReason, ModelEvent, ToolCall, Usage};

use crate::Turn;

/// What an answer says, before a format gives it words.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketch {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) usage: Option<Usage>,
    pub(super) finish: Option<(FinishReason, String)>,
}

/// A stretch of one kind, in the pieces in which it is streamed.
#[derive(Clone, Debug)]
pub(super) enum Block {
    Text(Vec<String>),
    Thinking { pieces: Vec<String>, signature: Option<String> },
    Redacted(String),
    Refusal(Vec<String>),
    Call(Call),
}

/// A tool call; a flaw may take from it what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) pieces: Vec<String>,
    pub(super) place: Place,
}

/// The number that a call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The next one.
    Natural,
    /// That of the first call.
    OfTheFirst,
    /// This one.
    Exactly(u64),
    /// None.
    Missing,
}

impl Place {
    /// The number, where the next one would be `next` and the first call has `first`.
    pub(super) fn number(self, next: u64, first: u64) -> Option<u64> {
        match self {
            Place::Natural => Some(next),
            Place::OfTheFirst => Some(first),
            Place::Exactly(number) => Some(number),
            Place::Missing => None,
        }
    }
}

impl Call {
    pub(super) fn raw(&self) -> String {
        self.pieces.concat()
    }

    /// The fields of a whole call that are there, for documents.
    pub(super) fn arguments(&self) -> serde_json::Value {
        let raw = self.raw();
        let call = ToolCall::new("", "", raw.as_str());
        call.arguments().unwrap_or(serde_json::Value::String(raw))
    }
}

impl Sketch {
    pub(super) fn of(turn: &Turn) -> Self {
        let mut sketch = Self::default();
        let mut calls: HashMap<u32, usize> = HashMap::new();
        for event in &turn.events {
            match event {
                ModelEvent::Started { id, model } => {
                    sketch.id = id.clone();
                    sketch.model = model.clone();
                }
                ModelEvent::Text(text) => match sketch.blocks.last_mut() {
                    Some(Block::Text(pieces)) => pieces.push(text.clone()),
                    _ => sketch.blocks.push(Block::Text(vec![text.clone()])),
                },
                ModelEvent::Thinking(text) => match sketch.blocks.last_mut() {
                    Some(Block::Thinking { pieces, signature: None }) => pieces.push(text.clone()),
                    _ => sketch.blocks.push(Block::Thinking { pieces: vec![text.clone()], signature: None }),
                },
                ModelEvent::ThinkingSignature(proof) => match sketch.blocks.last_mut() {
                    Some(Block::Thinking { signature, .. }) => *signature = Some(proof.clone()),
                    _ => sketch.blocks.push(Block::Thinking { pieces: Vec::new(), signature: Some(proof.clone()) }),
                },
                ModelEvent::RedactedThinking(proof) => sketch.blocks.push(Block::Redacted(proof.clone())),
                ModelEvent::Refusal(text) => match sketch.blocks.last_mut() {
                    Some(Block::Refusal(pieces)) => pieces.push(text.clone()),
                    _ => sketch.blocks.push(Block::Refusal(vec![text.clone()])),
                },
                ModelEvent::ToolCallStarted { index, id, name } => {
                    calls.insert(*index, sketch.blocks.len());
                    sketch.call(id, name, Vec::new());
                }
                ModelEvent::ToolCallDelta { index, arguments } => {
                    if let Some(Block::Call(call)) = calls.get(index).and_then(|at| sketch.blocks.get_mut(*at)) {
                        call.pieces.push(arguments.clone());
                    }
                }
                ModelEvent::ToolCallFinished { index, call } if !calls.contains_key(index) => {
                    sketch.call(&call.id, &call.name, vec![call.raw.clone()]);
                }
                ModelEvent::Usage(usage) => sketch.usage = Some(usage.clone()),
                ModelEvent::Finish { reason, raw } => sketch.finish = Some((*reason, raw.clone())),
                _ => {}
            }
        }
        sketch
    }

    fn call(&mut self, id: &str, name: &str, pieces: Vec<String>) {
        let (id, name) = (Some(id.to_owned()), Some(name.to_owned()));
        self.blocks.push(Block::Call(Call { id, name, pieces, place: Place::Natural }));
    }

    pub(super) fn calls(&mut self) -> impl Iterator<Item = &mut Call> {
        self.blocks.iter_mut().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }

    pub(super) fn has_calls(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Call(_)))
    }

    pub(super) fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("scripted")
    }

    /// All text of the answer, for documents.
    pub(super) fn text(&self) -> String {
        let text = |block: &Block| match block {
            Block::Text(pieces) => pieces.concat(),
            _ => String::new(),
        };
        self.blocks.iter().map(text).collect()
    }
}
