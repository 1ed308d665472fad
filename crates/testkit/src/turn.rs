//! One answer of a scripted model.

use atomr_agents_core::{FinishReason, ModelEvent, ToolCall, Usage};
use atomr_agents_inference::InferenceError;
use serde_json::Value;

/// One answer of a scripted model: the events of its stream and the error that may end it.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub(crate) events: Vec<ModelEvent>,
    pub(crate) error: Option<InferenceError>,
}

impl Turn {
    /// Text, streamed word by word.
    #[must_use]
    pub fn text(text: impl AsRef<str>) -> Self {
        let text = text.as_ref();
        let words = text.split_inclusive(char::is_whitespace).map(|word| ModelEvent::Text(word.to_owned()));
        Self::whole(words.collect(), FinishReason::Stop, "stop")
    }

    /// Calls of tools with JSON arguments, each written in two pieces. Their ids are `call_0`, `call_1`, …
    #[must_use]
    pub fn tool_calls<N: Into<String>>(calls: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::raw_tool_calls(calls.into_iter().map(|(name, arguments)| (name, arguments.to_string())))
    }

    /// Calls of tools whose arguments are any text, also text that is no JSON.
    #[must_use]
    pub fn raw_tool_calls<N: Into<String>, A: Into<String>>(calls: impl IntoIterator<Item = (N, A)>) -> Self {
        let mut events = Vec::new();
        for (index, (name, raw)) in (0u32..).zip(calls) {
            let call = ToolCall::new(format!("call_{index}"), name, raw);
            let (id, name) = (call.id.clone(), call.name.clone());
            events.push(ModelEvent::ToolCallStarted { index, id, name });
            let (first, second) = call.raw.split_at(call.raw.floor_char_boundary(call.raw.len() / 2));
            for piece in [first, second].into_iter().filter(|piece| !piece.is_empty()) {
                events.push(ModelEvent::ToolCallDelta { index, arguments: piece.to_owned() });
            }
            events.push(ModelEvent::ToolCallFinished { index, call });
        }
        Self::whole(events, FinishReason::ToolCalls, "tool_calls")
    }

    /// These events and nothing else; whether they make sense is up to the test.
    #[must_use]
    pub fn events(events: impl IntoIterator<Item = ModelEvent>) -> Self {
        Self { events: events.into_iter().collect(), error: None }
    }

    /// An error.
    #[must_use]
    pub fn error(error: InferenceError) -> Self {
        Self { events: Vec::new(), error: Some(error) }
    }

    /// The same events, but instead of the terminal one this error.
    #[must_use]
    pub fn then_error(mut self, error: InferenceError) -> Self {
        self.events.retain(|event| !matches!(event, ModelEvent::Finish { .. }));
        self.error = Some(error);
        self
    }

    /// The same events after this text.
    #[must_use]
    pub fn after_text(mut self, text: &str) -> Self {
        let words = text.split_inclusive(char::is_whitespace).map(|word| ModelEvent::Text(word.to_owned()));
        self.events.splice(0..0, words);
        self
    }

    /// The same events after this thought and its proof.
    #[must_use]
    pub fn after_thinking(mut self, thought: &str, proof: Option<&str>) -> Self {
        let words = thought.split_inclusive(char::is_whitespace).map(|word| ModelEvent::Thinking(word.to_owned()));
        let proof = proof.map(|proof| ModelEvent::ThinkingSignature(proof.to_owned()));
        let begun = usize::from(matches!(self.events.first(), Some(ModelEvent::Started { .. })));
        self.events.splice(begun..begun, words.chain(proof));
        self
    }

    /// The same events with this end.
    #[must_use]
    pub fn ending(mut self, reason: FinishReason, raw: &str) -> Self {
        self.events.retain(|event| !matches!(event, ModelEvent::Finish { .. }));
        self.events.push(ModelEvent::Finish { reason, raw: raw.to_owned() });
        self
    }

    /// The same events with this usage.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.events.retain(|event| !matches!(event, ModelEvent::Usage(_)));
        let end = self.events.iter().position(|event| matches!(event, ModelEvent::Finish { .. }));
        self.events.insert(end.unwrap_or(self.events.len()), ModelEvent::Usage(usage));
        self
    }

    /// What is said between a start and an end. As usage it reports ten tokens read and one written per event.
    fn whole(said: Vec<ModelEvent>, reason: FinishReason, raw: &str) -> Self {
        let written = said.len() as u64;
        let usage =
            Usage { input_tokens: 10, output_tokens: written, total_tokens: Some(10 + written), ..Usage::default() };
        let mut events = vec![ModelEvent::Started { id: None, model: Some("scripted".to_owned()) }];
        events.extend(said);
        events.push(ModelEvent::Usage(usage));
        events.push(ModelEvent::Finish { reason, raw: raw.to_owned() });
        Self { events, error: None }
    }
}
