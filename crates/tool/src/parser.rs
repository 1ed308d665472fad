//! Reads tool calls from a provider's stream while they are being written.

use std::fmt;
use std::str::FromStr;

use atomr_agents_core::{Kind, ToolCall, Value};
use atomr_agents_wire::{
    AnthropicToolCalls, GeminiToolCalls, ResponsesToolCalls, ToolCallAssembler, ToolCallEvent, WireError,
};
use thiserror::Error;

/// Whose stream a [`ToolCallParser`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// OpenAI chat completions and the servers that speak like it.
    OpenAi,
    /// OpenAI's Responses API and the servers that speak like it.
    OpenAiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Google Gemini's `generateContent`.
    Gemini,
}

impl Provider {
    /// Every provider, for completeness tests.
    pub const ALL: &'static [Provider] =
        &[Provider::OpenAi, Provider::OpenAiResponses, Provider::Anthropic, Provider::Gemini];

    /// The name users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::OpenAi => "openai",
            Provider::OpenAiResponses => "openai-responses",
            Provider::Anthropic => "anthropic",
            Provider::Gemini => "gemini",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = ToolCallParserError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|provider| provider.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.iter().map(|provider| provider.as_str()).collect::<Vec<_>>().join(", ");
            ToolCallParserError::UnknownProvider { name: name.to_owned(), known }
        })
    }
}

/// Why a delta could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolCallParserError {
    /// There is no provider of that name.
    #[error("there is no tool call format named {name:?}; known are: {known}")]
    UnknownProvider {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The delta breaks the provider's protocol.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The delta is not JSON of the expected shape.
    #[error("the delta is no JSON object of the expected shape: {0}")]
    Json(#[from] serde_json::Error),
}

impl ToolCallParserError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownProvider { .. } => Kind::Config,
            Self::Wire(_) | Self::Json(_) => Kind::Protocol,
        }
    }
}

/// A call that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedToolCall {
    /// The provider's id for the call; empty where it sends none.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments as the model wrote them.
    pub arguments_raw: String,
}

impl ParsedToolCall {
    /// The arguments as JSON; empty text means `{}`.
    ///
    /// # Errors
    /// The parser's error when the model wrote something that is not JSON.
    pub fn arguments(&self) -> Result<Value, serde_json::Error> {
        ToolCall::new("", "", self.arguments_raw.clone()).arguments()
    }
}

/// Puts tool calls together from the deltas of a stream. Deltas of several calls may alternate; calls are given in
/// the order in which they appeared.
///
/// ```
/// use atomr_agents_tool::{Provider, ToolCallParser};
///
/// let mut parser = ToolCallParser::new(Provider::OpenAi);
/// parser.feed(r#"{"tool_calls":[{"index":0,"id":"c1","function":{"name":"add","arguments":"{\"a\""}}]}"#)?;
/// parser.feed(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#)?;
/// let calls = parser.finish()?;
/// assert_eq!((calls[0].name.as_str(), calls[0].arguments_raw.as_str()), ("add", r#"{"a":1}"#));
/// # Ok::<(), atomr_agents_tool::ToolCallParserError>(())
/// ```
#[derive(Debug)]
pub struct ToolCallParser {
    provider: Provider,
    format: Format,
    events: Vec<ToolCallEvent>,
}

/// What reads the deltas of a provider.
#[derive(Debug)]
enum Format {
    OpenAi(ToolCallAssembler),
    OpenAiResponses(ResponsesToolCalls),
    Anthropic(Box<AnthropicToolCalls>),
    Gemini(GeminiToolCalls),
}

impl Format {
    fn of(provider: Provider) -> Self {
        match provider {
            Provider::OpenAi => Self::OpenAi(ToolCallAssembler::new()),
            Provider::OpenAiResponses => Self::OpenAiResponses(ResponsesToolCalls::new()),
            Provider::Anthropic => Self::Anthropic(Box::default()),
            Provider::Gemini => Self::Gemini(GeminiToolCalls::new()),
        }
    }
}

impl ToolCallParser {
    /// A parser for the stream of `provider`.
    #[must_use]
    pub fn new(provider: Provider) -> Self {
        Self { provider, format: Format::of(provider), events: Vec::new() }
    }

    /// Whose stream it reads.
    #[must_use]
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Takes one delta as JSON text. OpenAI: `{"tool_calls": […]}`, or a whole chunk that holds it; Responses: one
    /// event, or a whole response; Anthropic: an event, with
    /// or without its outer `type`, or a whole message; Gemini: a whole response, its content or one part. A delta without tool calls is fine.
    ///
    /// # Errors
    /// [`ToolCallParserError`] when it is no such JSON or breaks the protocol, e.g. two calls of one index.
    pub fn feed(&mut self, delta: &str) -> Result<(), ToolCallParserError> {
        match &mut self.format {
            // Only the whole calls are of interest here.
            Format::OpenAi(assembler) => assembler.chat_json(delta).map_err(shape)?,
            Format::OpenAiResponses(calls) => {
                calls.event(delta, &mut self.events)?;
                self.events.clear();
            }
            Format::Anthropic(calls) => calls.feed(delta)?,
            Format::Gemini(calls) => calls.chunk(delta, &mut self.events)?,
        }
        Ok(())
    }

    /// The calls, in order of appearance. The parser is empty afterwards.
    ///
    /// # Errors
    /// [`ToolCallParserError`] when the calls break the protocol.
    pub fn finish(&mut self) -> Result<Vec<ParsedToolCall>, ToolCallParserError> {
        match std::mem::replace(&mut self.format, Format::of(self.provider)) {
            Format::OpenAi(mut assembler) => {
                self.events.clear();
                let finished = assembler.finish(&mut self.events);
                finished.inspect_err(|_| self.events.clear())?;
            }
            Format::OpenAiResponses(mut calls) => {
                self.events.clear();
                let finished = calls.finish(&mut self.events);
                finished.inspect_err(|_| self.events.clear())?;
            }
            Format::Anthropic(mut calls) => self.events = calls.finish(),
            Format::Gemini(_) => {} // its calls come whole
        }
        Ok(self
            .events
            .drain(..)
            .filter_map(|event| match event {
                ToolCallEvent::Finished { id, name, arguments, .. } => {
                    Some(ParsedToolCall { id, name, arguments_raw: arguments })
                }
                _ => None,
            })
            .collect())
    }
}

fn shape(error: WireError) -> ToolCallParserError {
    match error {
        WireError::InvalidJson { source, .. } => ToolCallParserError::Json(source),
        error => ToolCallParserError::Wire(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_alternating_calls_chunks_and_deltas_without_calls() {
        let mut parser = ToolCallParser::new(Provider::OpenAi);
        for delta in [
            r#"{"role":"assistant","content":null}"#,
            r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":""}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"y","arguments":"[1"}}]}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}"#,
            r#"{"tool_calls":[{"index":1,"function":{"arguments":"]"}}]}"#,
            r#"{"tool_calls":null}"#,
        ] {
            parser.feed(delta).unwrap();
        }
        let calls = parser.finish().unwrap();
        assert_eq!(calls.iter().map(|c| (&*c.id, &*c.arguments_raw)).collect::<Vec<_>>(), [("a", "{}"), ("b", "[1]")]);
        assert!(parser.finish().unwrap().is_empty());
    }

    #[test]
    fn anthropic_blocks_that_are_no_calls_are_no_calls() {
        let mut parser = ToolCallParser::new("anthropic".parse().unwrap());
        for delta in [
            r#"{"type":"message_start","message":{"id":"m","content":[]}}"#,
            r#"{"index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"index":0,"delta":{"type":"text_delta","text":"hi"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"x","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\""}}"#,
            r#"{"index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
            r#"{"index":1,"type":"content_block_stop"}"#,
            r#"{"index":2,"content_block":{"type":"tool_use","id":"b","name":"y","input":{}}}"#,
            r#"{"type":"message_stop"}"#,
        ] {
            parser.feed(delta).unwrap();
        }
        let calls = parser.finish().unwrap();
        let told: Vec<_> = calls.iter().map(|c| (&*c.id, &*c.name, c.arguments().unwrap().to_string())).collect();
        assert_eq!(told, [("a", "x", r#"{"a":1}"#.to_owned()), ("b", "y", "{}".to_owned())]);
        assert!(parser.finish().unwrap().is_empty());
        let call = r#"{"index":0,"content_block":{"type":"tool_use","id":"a","name":"x"}}"#;
        parser.feed(call).unwrap();
        assert!(parser.feed(&call.replace("\"a\"", "\"b\"")).is_err(), "two calls of one index");
    }

    #[test]
    fn gemini_sends_whole_calls_mostly_without_ids() {
        let mut parser = ToolCallParser::new("gemini".parse().unwrap());
        for delta in [
            r#"{"candidates":[{"content":{"parts":[{"text":"t"},{"functionCall":{"name":"x","args":{"a":1}}}]}}]}"#,
            r#"{"functionCall":{"name":"y","id":"i"}}"#,
            r#"{"candidates":[{"finishReason":"STOP"}]}"#,
        ] {
            parser.feed(delta).unwrap();
        }
        let calls = parser.finish().unwrap();
        let told: Vec<_> = calls.iter().map(|c| (&*c.id, &*c.name, c.arguments().unwrap().to_string())).collect();
        assert_eq!(told, [("", "x", r#"{"a":1}"#.to_owned()), ("i", "y", "{}".to_owned())]);
        assert!(parser.finish().unwrap().is_empty());
        assert!(parser.feed(r#"{"functionCall":{"args":{}}}"#).is_err());
    }

    #[test]
    fn a_name_sent_twice_is_kept_once_and_two_ids_of_one_index_are_an_error() {
        let mut parser = ToolCallParser::new(Provider::OpenAi);
        let again = r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"calc","arguments":""}}]}"#;
        parser.feed(again).unwrap();
        parser.feed(again).unwrap();
        assert!(parser.feed(&again.replace("\"a\"", "\"b\"")).is_err());
        let mut parser = ToolCallParser::new(Provider::OpenAi);
        parser.feed(again).unwrap();
        parser.feed(again).unwrap();
        assert_eq!(parser.finish().unwrap()[0].name, "calc");
        assert!(parser.feed("[").unwrap_err().to_string().contains("no JSON object"));
        assert!("nobody".parse::<Provider>().unwrap_err().to_string().contains("known are: openai"));
    }
}
