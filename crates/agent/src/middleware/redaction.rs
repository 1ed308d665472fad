//! Words that nobody outside shall read.

use std::mem::discriminant;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest, Part, ToolCall, ToolReturn};
use atomr_agents_inference::ModelStream;
use futures_util::StreamExt;
use regex::Regex;
use thiserror::Error;

use super::{AgentMiddleware, HookFuture, ToolOutcome};

/// How many bytes of a stream are held back for what a pattern may still match.
const PATTERN_WINDOW: usize = 256;

/// Replaces what nobody shall read: in what is sent to a model, in what it says, piece by piece, and in what tools give
/// back. The arguments of tool calls stay as they are once the model has written them; what it was sent has no secret in
/// it that it could repeat.
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
        if let Ok(ToolReturn::Content { parts } | ToolReturn::ContentAndArtifact { parts, .. }) = outcome {
            self.clean_parts(parts);
        }
        Box::pin(async { Ok(()) })
    }

    fn stream(&self, mut events: ModelStream, _: &CallCtx) -> ModelStream {
        let this = self.clone();
        Box::pin(async_stream::stream! {
            let mut held: Option<(Word, String)> = None;
            while let Some(event) = events.next().await {
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

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        assert!(matches!(Redaction::new([], ["("]), Err(RedactionError::Pattern { .. })));
        assert!(matches!(Redaction::new([""], []), Err(RedactionError::Empty)));
        assert!(matches!(Redaction::new(["a"], ["x*"]), Err(RedactionError::Empty)));
    }
}
