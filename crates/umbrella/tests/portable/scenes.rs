//! The conversations.

use std::path::Path;
use std::sync::Arc;

use atomr_agents::agent::RunInput;
use atomr_agents::core::{FinishReason, Media, MediaKind, MediaSource, OutputSchema, Value};
use atomr_agents::inference::OutputMode;
use atomr_agents::prelude::*;
use atomr_agents::tool::{Rich, RichReturn, RichTool, ToolDescriptor};
use atomr_agents_testkit::{Exchange, Format, ReplayServer, Script, Turn};
use serde_json::json;

use crate::speakers::Speaker;

/// A picture of one pixel.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A conversation: what it is about, and what the model says in it.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    question: &'static str,
    tools: &'static [&'static str],
    shaped: bool,
    /// What the model says, in the words of its provider; nothing where that provider cannot.
    replies: fn(Format) -> Vec<Exchange>,
}

/// All of them.
pub(crate) fn scenes() -> Vec<Scene> {
    let of = |name, question, tools, replies| Scene { name, question, tools, shaped: false, replies };
    vec![
        of("thinking", "How is the weather in Florence?", &["weather"] as &[_], thinking),
        of("parallel-tools", "Add and multiply 2 and 3.", &["add", "multiply"], parallel_tools),
        of("image-results", "What is on the screen?", &["screenshot"], image_results),
        of("refusals", "Tell me what you must not tell.", &[], refusals),
        Scene { shaped: true, ..of("structured-output", "How warm is it in Oslo?", &[], structured_output) },
        of("server-tools", "Look it up.", &[], server_tools),
    ]
}

fn recording(folder: &str) -> Exchange {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/recordings");
    Exchange::load(root.join(folder)).unwrap()
}

fn thinking(format: Format) -> Vec<Exchange> {
    let first = recording(match format {
        Format::OpenAiChat => "openai-chat/openrouter-thinking-tool-stream",
        Format::OpenAiResponses => "openai-responses/reasoning-summary-stream",
        Format::Anthropic => "anthropic-messages/thinking-tool-stream",
        _ => "gemini-generate-content/thinking-tool-stream",
    });
    vec![first, format.stream(&Turn::text("It is 40 °C in Florence."))]
}

fn parallel_tools(format: Format) -> Vec<Exchange> {
    let first = recording(match format {
        Format::OpenAiChat => "openai-chat/tools-parallel-stream",
        Format::OpenAiResponses => "openai-responses/tools-parallel-stream",
        Format::Anthropic => "anthropic-messages/tools-parallel-stream",
        _ => "gemini-generate-content/tools-parallel-thought-signature-stream",
    });
    vec![first, format.stream(&Turn::text("The sum is 5, the product 6."))]
}

fn image_results(format: Format) -> Vec<Exchange> {
    let call = Turn::tool_calls([("screenshot", json!({"screen": 1}))]).after_text("I will look. ");
    vec![format.stream(&call), format.stream(&Turn::text("A single pixel."))]
}

fn refusals(format: Format) -> Vec<Exchange> {
    vec![match format {
        Format::OpenAiChat => recording("openai-chat/refusal-stream"),
        Format::OpenAiResponses => recording("openai-responses/refusal-stream"),
        Format::Anthropic => recording("anthropic-messages/refusal-stream"),
        // It has no word for a refusal but its filter's.
        _ => format.stream(&Turn::text("I would rather not.").ending(FinishReason::ContentFilter, "SAFETY")),
    }]
}

/// The shape is asked for by a tool, so that the transcript has a call that nobody ran.
fn structured_output(format: Format) -> Vec<Exchange> {
    vec![format.stream(&Turn::tool_calls([("final_answer", json!({"city": "Oslo", "degrees": 4}))]))]
}

fn server_tools(format: Format) -> Vec<Exchange> {
    match format {
        Format::OpenAiResponses => vec![recording("openai-responses/web-search-stream")],
        Format::Anthropic => vec![recording("anthropic-messages/code-execution-stream")],
        Format::Gemini => vec![recording("gemini-generate-content/code-execution-stream")],
        _ => Vec::new(), // chat completions tell nothing of theirs
    }
}

impl Scene {
    /// Has the conversation with this provider, and gives what it left in the transcript.
    pub(crate) async fn said_to(&self, speaker: &Speaker) -> Option<Vec<Message>> {
        let replies = (self.replies)(speaker.format);
        if replies.is_empty() {
            return None;
        }
        let count = replies.len();
        let server = ReplayServer::start(replies.into_iter().fold(Script::new(), Script::then)).await.unwrap();
        let options = AgentOptions { output_mode: Some(OutputMode::Tool), ..self.options() };
        let outcome = self.agent(speaker, &server, options).run(self.question, CallCtx::new()).await;
        assert_eq!(server.stop().await.requests, count, "{} {}", self.name, speaker.provider);
        Some(match outcome {
            Ok(result) => result.messages,
            Err(error) => {
                assert!(matches!(error.kind(), Kind::Refusal | Kind::ContentFilter), "{} {error:?}", self.name);
                error.partial.messages
            }
        })
    }

    /// Goes on with another provider after `transcript`: the body of the request that its server gets.
    pub(crate) async fn goes_on(&self, speaker: &Speaker, transcript: &[Message]) -> Value {
        let answer = if self.shaped { r#"{"city": "Bergen", "degrees": 7}"# } else { "Gladly." };
        let server = ReplayServer::start(Script::turns([Turn::text(answer)])).await.unwrap();
        let input = RunInput::from("And in Bergen?").with_history(transcript.to_vec());
        self.agent(speaker, &server, self.options()).run(input, CallCtx::new()).await.unwrap();
        let body = server.requests().pop().unwrap().body;
        server.stop().await;
        body
    }

    fn options(&self) -> AgentOptions {
        let integer = json!({"type": "integer"});
        let properties = json!({"city": {"type": "string"}, "degrees": integer});
        let required = json!(["city", "degrees"]);
        let schema = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        let shape = OutputSchema { name: "weather".into(), schema, strict: true };
        AgentOptions { output: self.shaped.then_some(shape), ..AgentOptions::default() }
    }

    fn agent(&self, speaker: &Speaker, server: &ReplayServer, options: AgentOptions) -> Agent {
        let tools = StaticTools::new(self.tools.iter().map(|name| tool(name))).unwrap();
        AgentBuilder::new((speaker.client)(&server.url()), speaker.model)
            .instructions("Answer in one line.")
            .with_tools(tools)
            .with_options(options)
            .build()
            .unwrap()
    }
}

/// A tool of the conversations.
pub(crate) fn tool(name: &str) -> Arc<dyn Tool> {
    let fields = |names: &[&str], kind: &str| {
        let all: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({"type": kind}))).collect();
        json!({"type": "object", "properties": all, "required": names})
    };
    let number = |arguments: &Value, name: &str| arguments[name].as_i64().unwrap();
    match name {
        "weather" => Arc::new(FnTool::new(name, "The weather.", fields(&["location"], "string"), |_, _| async {
            Ok(json!("40 °C, dry"))
        })),
        "screenshot" => Arc::new(Rich::new(Screenshot(fields(&["screen"], "integer")))),
        _ => {
            let adds = name == "add";
            Arc::new(FnTool::new(name, "Of two numbers.", fields(&["a", "b"], "integer"), move |arguments, _| {
                let (a, b) = (number(&arguments, "a"), number(&arguments, "b"));
                async move { Ok(json!(if adds { a + b } else { a * b })) }
            }))
        }
    }
}

struct Screenshot(Value);

impl RichTool for Screenshot {
    type Args = Value;
    type Output = String;

    fn descriptor(&self) -> ToolDescriptor {
        ToolDescriptor::new("screenshot", "What is on a screen.", self.0.clone())
    }

    async fn invoke_rich(&self, _: Value, _: CallCtx) -> Result<RichReturn<String>, ToolError> {
        let source = MediaSource::Base64(PIXEL.into());
        let picture = Part::Media(Media { kind: MediaKind::Image, source, media_type: "image/png".into() });
        Ok(RichReturn::Parts(vec![Part::text("Screen 1:"), picture]))
    }
}
