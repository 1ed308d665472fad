//! Words that nobody outside shall read.

use std::mem::discriminant;

use std::sync::Arc;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest, Part, ToolCall, ToolControl, ToolReturn, Value};
use atomr_agents_inference::ModelStream;
use atomr_agents_tool::ToolError;
use futures_util::StreamExt;
use regex::Regex;
use thiserror::Error;

use super::{AgentMiddleware, HookFuture, ToolOutcome};

/// How many bytes of a stream are held back for what a pattern may still match.
const PATTERN_WINDOW: usize = 256;

/// Replaces what nobody shall read: in what is sent to a model, in what it says, piece by piece, and in what tools give
/// back, errors too. The arguments of tool calls stay as they are once the model has written them, also those of the
/// answer tool; what it was sent has no secret in it that it could repeat. What a tool leaves for the caller alone
/// (artifacts, values) stays as it is too.
///
/// Of a stream, as much is held back as the longest text to be replaced is long, or 256 bytes with a pattern, so that
/// no cut between two pieces lets a half of it through. A match of a pattern that is longer than that may be told apart.
#[derive(Clone, Debug)]
pub struct Redaction {
    found: Regex,
    replacement: String,
    window: usize,
}

/// What cannot be looked for.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RedactionError {
    /// A pattern is no regular expression.
    #[error("{pattern:?} is no usable pattern: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is nothing to look for, or it would be found everywhere.
    #[error("there is nothing to redact: give texts that are not empty, or patterns that match no empty text")]
    Empty,
}

impl Redaction {
    /// Replaces these texts and whatever matches these patterns (syntax of the crate `regex`) with `[redacted]`.
    ///
    /// # Errors
    /// [`RedactionError`] for a pattern that is no regular expression, and for nothing to look for.
    pub fn new<'a>(
        texts: impl IntoIterator<Item = &'a str>,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, RedactionError> {
        let mut texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        // The longest first: of two that begin alike, the longer one must win.
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        let longest = texts.first().map_or(0, |text| text.len());
        let mut all: Vec<String> = texts.into_iter().map(regex::escape).collect();
        let mut window = longest;
        for pattern in patterns {
            let wrong = |message: String| RedactionError::Pattern { pattern: pattern.to_owned(), message };
            Regex::new(pattern).map_err(|error| wrong(error.to_string()))?;
            all.push(format!("(?:{pattern})"));
            window = window.max(PATTERN_WINDOW);
        }
        let whole = all.join("|");
        let found = Regex::new(&whole)
            .map_err(|error| RedactionError::Pattern { pattern: whole.clone(), message: error.to_string() })?;
        if all.is_empty() || found.is_match("") {
            return Err(RedactionError::Empty);
        }
        Ok(Self { found, replacement: "[redacted]".into(), window })
    }

    /// The same with other words in place of what is found.
    #[must_use]
    pub fn with_replacement(mut self, replacement: impl Into<String>) -> Self {
        self.replacement = replacement.into();
        self
    }

    fn clean(&self, text: &mut String) {
        if let std::borrow::Cow::Owned(clean) = self.found.replace_all(text, regex::NoExpand(&self.replacement)) {
            *text = clean;
        }
    }

    fn clean_parts(&self, parts: &mut [Part]) {
        for part in parts {
            match part {
                Part::Text { text } | Part::Refusal { text } => self.clean(text),
                Part::ToolCall(call) => self.clean(&mut call.raw),
                Part::ToolResult { parts, .. } => self.clean_parts(parts),
                _ => {} // thoughts carry proofs that a change would break
            }
        }
    }

    fn clean_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.clean_value(field)),
            _ => {}
        }
    }

    /// The error with other words, if its own say too much. One that ends the run still does.
    fn clean_error(&self, error: &ToolError) -> Option<ToolError> {
        let mut message = error.to_string();
        if matches!(error, ToolError::Cancelled) || !self.found.is_match(&message) {
            return None;
        }
        self.clean(&mut message);
        // The original goes no further, not even as the source: it would be shown.
        Some(match error {
            ToolError::Fatal { name, message, .. } => {
                let mut message = message.clone();
                self.clean(&mut message);
                let source = Arc::new(ToolError::failed(message.clone()));
                ToolError::Fatal { name: name.clone(), message, source }
            }
            ToolError::InvalidArguments { name, message } => {
                let mut message = message.clone();
                self.clean(&mut message);
                ToolError::InvalidArguments { name: name.clone(), message }
            }
            ToolError::Failed { .. } => ToolError::failed(message),
            _ => ToolError::Rejected { message, source: None },
        })
    }

    /// The beginning of `held` that can be told, clean; the rest stays until more has come.
    fn tell(&self, held: &mut String, all: bool) -> String {
        let mut cut = if all { held.len() } else { held.len().saturating_sub(self.window) };
        cut = held.floor_char_boundary(cut);
        if let Some(split) = self.found.find_iter(held).find(|found| found.start() < cut && found.end() > cut) {
            cut = split.start();
        }
        let rest = held.split_off(cut);
        let mut told = std::mem::replace(held, rest);
        self.clean(&mut told);
        told
    }
}

/// What kind of words is held back.
type Word = fn(String) -> ModelEvent;

fn word(event: &ModelEvent) -> Option<(Word, &str)> {
    match event {
        ModelEvent::Text(text) => Some((ModelEvent::Text, text)),
        ModelEvent::Thinking(text) => Some((ModelEvent::Thinking, text)),
        ModelEvent::Refusal(text) => Some((ModelEvent::Refusal, text)),
        _ => None,
    }
}

impl AgentMiddleware for Redaction {
    fn before_model<'a>(&'a self, request: &'a mut ModelRequest, _: &'a CallCtx) -> HookFuture<'a, ()> {
        request.messages.iter_mut().for_each(|message| self.clean_parts(&mut message.parts));
        Box::pin(async { Ok(()) })
    }

    fn after_tool<'a>(&'a self, _: &'a ToolCall, outcome: &'a mut ToolOutcome, _: &'a CallCtx) -> HookFuture<'a, ()> {
        match outcome {
            Ok(ToolReturn::Content { parts } | ToolReturn::ContentAndArtifact { parts, .. }) => self.clean_parts(parts),
            Ok(ToolReturn::Command(ToolControl::Update { parts, .. })) => self.clean_parts(parts),
            Ok(ToolReturn::Command(ToolControl::Handoff { payload: value, .. } | ToolControl::Done { value })) => {
                self.clean_value(value);
            }
            Ok(_) => {}
            Err(error) => {
                if let Some(clean) = self.clean_error(error) {
                    *error = clean;
                }
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn stream(&self, mut events: ModelStream, _: &CallCtx) -> ModelStream {
        let this = self.clone();
        Box::pin(async_stream::stream! {
            let mut held: Option<(Word, String)> = None;
            while let Some(event) = events.next().await {
                // Some providers tell the usage with every piece of text: it has no place among the words.
                if matches!(event, Ok(ModelEvent::Usage(_) | ModelEvent::Started { .. })) {
                    yield event;
                    continue;
                }
                let same = match (&event, &mut held) {
                    // What was held of a call that is made again is void.
                    (Ok(ModelEvent::Retrying { .. }), Some((_, text))) => {
                        text.clear();
                        false
                    }
                    (Ok(event), Some((kind, text))) => match word(event) {
                        Some((_, more)) if discriminant(&kind(String::new())) == discriminant(event) => {
                            text.push_str(more);
                            true
                        }
                        _ => false,
                    },
                    _ => false,
                };
                if let Some((kind, text)) = &mut held {
                    let told = this.tell(text, !same);
                    if !told.is_empty() {
                        yield Ok(kind(told));
                    }
                }
                if same {
                    continue;
                }
                match event.as_ref().ok().and_then(word) {
                    Some((kind, text)) => {
                        let mut text = text.to_owned();
                        let told = this.tell(&mut text, false);
                        if !told.is_empty() {
                            yield Ok(kind(told));
                        }
                        held = Some((kind, text));
                    }
                    None => {
                        held = None;
                        yield event;
                    }
                }
            }
            if let Some((kind, mut text)) = held {
                let told = this.tell(&mut text, true);
                if !told.is_empty() {
                    yield Ok(kind(told));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn streamed(redaction: &Redaction, pieces: Vec<ModelEvent>) -> String {
        let events: ModelStream = Box::pin(futures_util::stream::iter(pieces.into_iter().map(Ok)));
        let told: Vec<_> = redaction.stream(events, &CallCtx::new()).collect().await;
        told.into_iter()
            .map(|event| match event.unwrap() {
                ModelEvent::Text(text) => text,
                ModelEvent::Thinking(text) => format!("<{text}>"),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    proptest! {
        /// Wherever a stream is cut, it says what the whole text would.
        #[test]
        fn no_cut_lets_a_half_through(
            text in "(a|sé|cret|sécret|4711|-){0,12}",
            cuts in proptest::collection::vec(0usize..60, 0..8),
        ) {
            let redaction = Redaction::new(["sécret", "sé"], ["4711"]).unwrap();
            let mut whole = text.clone();
            redaction.clean(&mut whole);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| text.floor_char_boundary(at)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| ModelEvent::Text(text[pair[0]..pair[1]].to_owned())).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            prop_assert_eq!(runtime.block_on(streamed(&redaction, pieces)), whole);
        }
    }

    #[tokio::test]
    async fn a_thought_and_a_text_are_told_in_their_order() {
        let redaction = Redaction::new(["secret"], []).unwrap().with_replacement("*");
        let pieces = vec![
            ModelEvent::Thinking("the sec".into()),
            ModelEvent::Thinking("ret".into()),
            ModelEvent::Text("sec".into()),
            ModelEvent::Text("ond secret".into()),
        ];
        assert_eq!(streamed(&redaction, pieces).await.replace("><", ""), "<the *>second *");
    }

    #[tokio::test]
    async fn what_comes_between_two_halves_lets_neither_through() {
        let redaction = Redaction::new(["secret"], []).unwrap();
        let pieces = [
            ModelEvent::Text("the sec".into()),
            ModelEvent::Usage(atomr_agents_core::Usage::default()),
            ModelEvent::Started { id: None, model: Some("m".into()) },
            ModelEvent::Text("ret".into()),
        ];
        let events: ModelStream = Box::pin(futures_util::stream::iter(pieces.map(Ok)));
        let told: Vec<_> = redaction.stream(events, &CallCtx::new()).collect().await;
        let words: Vec<_> = told.iter().filter_map(|event| word(event.as_ref().ok()?)).collect();
        let text: String = words.iter().map(|(_, text)| *text).collect();
        assert_eq!((text.as_str(), told.len()), ("the [redacted]", words.len() + 2));
    }

    #[test]
    fn what_a_tool_says_is_clean_whatever_it_says() {
        let redaction = Redaction::new(["secret"], []).unwrap();
        let call = ToolCall::new("c", "t", "{}");
        let source: Arc<dyn std::error::Error + Send + Sync> = Arc::new(ToolError::failed("secret"));
        let outcomes: Vec<ToolOutcome> = vec![
            Err(ToolError::Failed { message: "my secret".into(), source: Some(Arc::clone(&source)) }),
            Err(ToolError::Fatal { name: "t".into(), message: "my secret".into(), source }),
            Err(ToolError::Panicked { name: "t".into(), message: "my secret".into() }),
            Err(ToolError::InvalidArguments { name: "t".into(), message: "my secret".into() }),
            Ok(ToolReturn::Command(ToolControl::Done { value: serde_json::json!({"a": ["my secret"]}) })),
            Ok(ToolReturn::Command(ToolControl::Handoff { target: "b".into(), payload: Value::from("my secret") })),
            Ok(ToolReturn::Command(ToolControl::Update {
                parts: vec![Part::text("my secret")],
                values: Default::default(),
            })),
        ];
        for mut outcome in outcomes {
            let (before, ctx) =
                (outcome.as_ref().err().map(|error| (error.kind(), error.ends_the_run())), CallCtx::new());
            futures_util::FutureExt::now_or_never(redaction.after_tool(&call, &mut outcome, &ctx)).unwrap().unwrap();
            let said = format!("{outcome:?}");
            assert!(!said.contains("secret") && said.contains("my [redacted]"), "{said}");
            assert_eq!(outcome.err().map(|error| (error.kind(), error.ends_the_run())), before);
        }
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        assert!(matches!(Redaction::new([], ["("]), Err(RedactionError::Pattern { .. })));
        assert!(matches!(Redaction::new([""], []), Err(RedactionError::Empty)));
        assert!(matches!(Redaction::new(["a"], ["x*"]), Err(RedactionError::Empty)));
    }
}
