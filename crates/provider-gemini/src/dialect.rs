//! `generateContent`, as a dialect.

use std::fmt::Write as _;

use atomr_agents_core::ModelRequest;
use atomr_agents_inference::{Capabilities, InferenceError, Lowered, OutputMode};
use atomr_agents_provider::{Connection, Dialect, Refused, Route, Setup};

use crate::classify::from_status;
use crate::config::{GeminiConfig, PROVIDER};
use crate::generation::Generation;
use crate::lower;
use crate::translate::GeminiReader;

/// `generateContent`, as a dialect.
#[derive(Clone, Debug)]
pub struct GenerateContent {
    api_version: String,
    streaming: bool,
    include_thoughts: bool,
    max_tool_args: usize,
}

impl Setup for GeminiConfig {
    type Dialect = GenerateContent;

    fn into_parts(self) -> (Connection, GenerateContent) {
        let Self { connection, api_version, streaming, include_thoughts, max_tool_args } = self;
        (connection, GenerateContent { api_version, streaming, include_thoughts, max_tool_args })
    }
}

impl Dialect for GenerateContent {
    type Reader = GeminiReader;

    fn provider(&self) -> &str {
        PROVIDER
    }

    fn route(&self, request: &ModelRequest) -> Route {
        let mut path = String::new();
        for part in self.api_version.split('/').filter(|part| !part.is_empty()) {
            path.push('/');
            escape(part, &mut path);
        }
        let (collection, model) = match request.model.split_once('/') {
            Some((collection @ ("models" | "tunedModels"), model)) => (collection, model),
            _ => ("models", request.model.as_str()),
        };
        path.push('/');
        path.push_str(collection);
        path.push('/');
        escape(model, &mut path);
        path.push_str(if self.streaming { ":streamGenerateContent?alt=sse" } else { ":generateContent" });
        Route { path }
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        let body = lower::body(request, self.include_thoughts)?;
        Ok(Lowered { body, prompt: &["systemInstruction", "tools", "contents"], marks: &[] })
    }

    fn reader(&self) -> GeminiReader {
        GeminiReader::new(self.max_tool_args)
    }

    fn refused(&self, answer: Refused<'_>) -> InferenceError {
        from_status(answer)
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        let native = Capabilities::with_output(OutputMode::Native);
        if Generation::of(model).is_third() { native } else { native.and_with_tools(OutputMode::Tool) }
    }
}

/// Everything but letters, digits and `-._~` is written as `%XX`, so that a model's name stays one part of the path.
fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(config: GeminiConfig, model: &str) -> String {
        config.into_parts().1.route(&ModelRequest::new(model, vec![])).path
    }

    #[test]
    fn a_model_name_stays_one_part_of_the_path() {
        for (model, part) in [
            ("gemini-2.5-flash", "models/gemini-2.5-flash"),
            ("models/gemini-2.5-flash", "models/gemini-2.5-flash"),
            ("tunedModels/mine", "tunedModels/mine"),
            ("../../v1/x?key=1#a:b c%2Fé", "models/..%2F..%2Fv1%2Fx%3Fkey%3D1%23a%3Ab%20c%252F%C3%A9"),
            ("models/a/b", "models/a%2Fb"),
        ] {
            let config = GeminiConfig::new("https://example.org", None).unwrap();
            assert_eq!(path(config, model), format!("/v1beta/{part}:streamGenerateContent?alt=sse"));
        }
    }

    #[test]
    fn version_and_method_follow_the_settings() {
        let mut config = GeminiConfig::new("https://example.org/v1", None).unwrap();
        config.streaming = false;
        assert_eq!(path(config, "m"), "/models/m:generateContent");
    }

    #[test]
    fn old_models_are_best_asked_for_a_shape_by_a_tool_when_they_have_tools() {
        let dialect = GeminiConfig::new("https://example.org", None).unwrap().into_parts().1;
        let modes = |model: &str| (dialect.capabilities(model).output, dialect.capabilities(model).output_with_tools);
        assert_eq!(modes("gemini-3-flash-preview"), (OutputMode::Native, OutputMode::Native));
        assert_eq!(modes("gemini-2.5-pro"), (OutputMode::Native, OutputMode::Tool));
    }
}
