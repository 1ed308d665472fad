//! How many tokens a request will need.

use std::sync::Arc;

use atomr_agents_core::{Message, ModelRequest, Part};

use crate::media;

/// What stands around each message: its role and its marks. With OpenAI 4, with others less.
const AROUND_MESSAGE: u64 = 4;
/// What begins the answer.
const BEGIN: u64 = 3;
/// What stands around a tool call, its result or a tool's description.
const AROUND_TOOL: u64 = 16;
/// What a provider tells the model about tools as such.
const ABOUT_TOOLS: u64 = 80;
/// The same with Claude, which is told most: up to about 800.
const ABOUT_TOOLS_CLAUDE: u64 = 850;
/// What Claude is told about thinking.
const ABOUT_THINKING: u64 = 40;
/// What a provider tells the model about the shape of its answer, besides the shape.
const ABOUT_OUTPUT: u64 = 64;
/// What is hidden (a sealed thought) shows about its length: four letters of base64 are less than a token.
const SEALED_BYTES_PER_TOKEN: u64 = 4;

/// Says how many tokens a request will need, before it is sent.
///
/// [`TokenCounter::count_request`] is an estimate from above even where text is counted exactly: what a provider writes
/// around messages and tools is its secret.
pub trait TokenCounter: Send + Sync {
    /// How many tokens `text` is for `model`.
    fn count_text(&self, model: &str, text: &str) -> u64;

    /// How many tokens of prompt `request` will be: messages, thoughts, tool calls and their results, tools, the shape of the
    /// answer, the fields of the extra body, and what providers write around them. An image counts 5,000 tokens (for
    /// `gpt-4o-mini` 48,169), sound and video by their bytes, a document a token for each byte up to 500,000; what is given by
    /// its address or its id and is no image 10,000, which may be too few. What the provider's own tools will put into the
    /// prompt cannot be known.
    fn count_request(&self, request: &ModelRequest) -> u64 {
        let counting = Counting { model: &request.model, text: &|text| self.count_text(&request.model, text) };
        counting.request(request)
    }
}

impl<C: TokenCounter + ?Sized> TokenCounter for Arc<C> {
    fn count_text(&self, model: &str, text: &str) -> u64 {
        (**self).count_text(model, text)
    }

    fn count_request(&self, request: &ModelRequest) -> u64 {
        (**self).count_request(request)
    }
}

struct Counting<'a> {
    model: &'a str,
    text: &'a dyn Fn(&str) -> u64,
}

impl Counting<'_> {
    fn request(&self, request: &ModelRequest) -> u64 {
        let messages: u64 = request.messages.iter().map(|message| self.message(message)).sum();
        let tools: u64 = request
            .tools
            .iter()
            .map(|tool| {
                let texts = [&tool.name, &tool.description, &tool.parameters.to_string()];
                AROUND_TOOL + texts.iter().map(|text| (self.text)(text)).sum::<u64>()
            })
            .sum();
        let about_tools = match (request.tools.is_empty(), self.model.contains("claude")) {
            (true, _) => 0,
            (false, true) => ABOUT_TOOLS_CLAUDE,
            (false, false) => ABOUT_TOOLS,
        };
        let output = request
            .output
            .as_ref()
            .map_or(0, |output| ABOUT_OUTPUT + (self.text)(&output.name) + (self.text)(&output.schema.to_string()));
        let extra: u64 = request.extra_body.values().map(|value| (self.text)(&value.to_string())).sum();
        let thinking = match (request.sampling.thinking_budget, &request.sampling.reasoning_effort) {
            (None | Some(0), None) => 0,
            _ => ABOUT_THINKING,
        };
        BEGIN + messages + tools + about_tools + thinking + output + extra
    }

    fn message(&self, message: &Message) -> u64 {
        AROUND_MESSAGE + message.parts.iter().map(|part| self.part(part)).sum::<u64>()
    }

    fn part(&self, part: &Part) -> u64 {
        match part {
            Part::Text { text } | Part::Refusal { text } => (self.text)(text),
            Part::Media(medium) => media::tokens(self.model, medium),
            Part::Thinking { text, signature, redacted, .. } => {
                // The proof of a thought that can be read adds nothing to it.
                let sealed = signature.as_ref().filter(|_| *redacted || text.is_empty());
                (self.text)(text) + sealed.map_or(0, |proof| (proof.len() as u64).div_ceil(SEALED_BYTES_PER_TOKEN))
            }
            Part::ToolCall(call) => AROUND_TOOL + (self.text)(&call.name) + (self.text)(&call.raw),
            Part::ToolResult { parts, .. } => AROUND_TOOL + parts.iter().map(|part| self.part(part)).sum::<u64>(),
            Part::ServerTool { name, data, .. } => AROUND_TOOL + (self.text)(name) + (self.text)(&data.to_string()),
            Part::Citation(citation) => (self.text)(&citation.data.to_string()),
            Part::Opaque { data, .. } => (self.text)(&data.to_string()),
            // A part of a later version.
            _ => AROUND_TOOL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::{Media, MediaKind, MediaSource, OutputSchema, Role, ToolCall, ToolSpec, Value};

    /// A token for each byte: then every text can be found in the sum.
    struct Bytes;

    impl TokenCounter for Bytes {
        fn count_text(&self, _model: &str, text: &str) -> u64 {
            text.len() as u64
        }
    }

    fn request(model: &str, parts: Vec<Part>) -> ModelRequest {
        ModelRequest::new(model, vec![Message { role: Role::User, parts }])
    }

    fn parts(model: &str, parts: Vec<Part>) -> u64 {
        Bytes.count_request(&request(model, parts)) - BEGIN - AROUND_MESSAGE
    }

    #[test]
    fn every_part_of_a_message_counts() {
        let thought = |text: &str, redacted| Part::Thinking {
            text: text.into(),
            signature: Some("x".repeat(40)),
            redacted,
            provider: None,
        };
        let result = |inner| Part::ToolResult { call_id: "c".into(), parts: inner, is_error: false, artifact: None };
        for (part, tokens) in [
            (Part::text("hello"), 5),
            (thought("hm", false), 2),
            (thought("", true), 10),
            (Part::ToolCall(ToolCall::new("c1", "add", "{\"a\":1}")), 16 + 3 + 7),
            (result(vec![Part::text("42"), image("AAAA")]), 16 + 2 + IMAGE_ANY),
            (Part::Opaque { provider: "p".into(), data: Value::from("ab") }, 4),
        ] {
            assert_eq!(parts("any", vec![part.clone()]), tokens, "{part:?}");
        }
    }

    const IMAGE_ANY: u64 = 5_000;

    fn image(base64: &str) -> Part {
        medium(MediaKind::Image, MediaSource::Base64(base64.into()))
    }

    fn medium(kind: MediaKind, source: MediaSource) -> Part {
        Part::Media(Media { kind, source, media_type: String::new() })
    }

    #[test]
    fn media_count_from_above() {
        let base64 = || MediaSource::Base64("A".repeat(4_000));
        let url = || MediaSource::Url("https://example.com/x".into());
        assert_eq!(parts("claude-opus-5", vec![image("AAAA")]), IMAGE_ANY);
        assert_eq!(parts("gpt-4o-mini-2024-07-18", vec![image("AAAA")]), 48_169);
        assert_eq!(parts("any", vec![medium(MediaKind::Audio, base64())]), 131);
        assert_eq!(parts("any", vec![medium(MediaKind::Video, base64())]), 75);
        assert_eq!(parts("any", vec![medium(MediaKind::Document, base64())]), 3_000);
        assert_eq!(parts("any", vec![medium(MediaKind::Document, url())]), 10_000);
    }

    #[test]
    fn tools_the_shape_and_the_extra_body_count() {
        let mut asked = request("any", vec![]);
        let bare = Bytes.count_request(&asked);
        let spec = ToolSpec {
            name: "add".into(),
            description: "Adds.".into(),
            parameters: "{\"type\":\"object\"}".parse().unwrap(),
            strict: false,
        };
        asked.tools = vec![Arc::new(spec)];
        assert_eq!(Bytes.count_request(&asked), bare + 80 + 16 + 3 + 5 + 17);
        asked.model = "claude-opus-5".into();
        assert_eq!(Bytes.count_request(&asked), bare + 850 + 16 + 3 + 5 + 17);
        asked.tools.clear();
        asked.output = Some(OutputSchema { name: "out".into(), schema: Value::Bool(true), strict: true });
        asked.extra_body.insert("more".into(), Value::from(12));
        asked.sampling.thinking_budget = Some(1_024);
        assert_eq!(Arc::new(Bytes).count_request(&asked), bare + 64 + 3 + 4 + 2 + 40);
    }
}
