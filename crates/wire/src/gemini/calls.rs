//! The tool calls of one candidate, and nothing else.

use super::chunk::{Candidate, Content, FunctionCall, Part};
use super::each_response;
use crate::in_place::{InPlace, List, fill, read_document};
use crate::{DONE_MARKER, ToolCallEvent, ToolCallLimits, WireError};

/// Counts the calls of one candidate and what they hold.
#[derive(Clone, Debug, Default)]
pub(super) struct CallCounter {
    count: u32,
    total_bytes: usize,
}

impl CallCounter {
    /// Checks a call and gives its place in the order of appearance.
    pub(super) fn accept(&mut self, call: &FunctionCall<'_>, limits: &ToolCallLimits) -> Result<u32, WireError> {
        let (id, name, arguments) = (call.id.as_str(), call.name.as_str(), &call.arguments.0);
        let index = self.count;
        if index > limits.max_index {
            return Err(WireError::IndexOutOfRange { what: "tool call", index: index.into(), max: limits.max_index });
        }
        if name.is_empty() {
            return Err(WireError::MissingToolName { index, id: id.to_owned() });
        }
        if call.partial.is_some() || call.more == Some(true) {
            return Err(WireError::PartialArguments { name: name.to_owned() });
        }
        if arguments.len() > limits.max_tool_args {
            return Err(WireError::ArgumentsTooLarge { name: name.to_owned(), limit: limits.max_tool_args });
        }
        self.total_bytes += id.len() + name.len() + arguments.len();
        if self.total_bytes > limits.max_total_bytes {
            return Err(WireError::CallsTooLarge { limit: limits.max_total_bytes });
        }
        self.count += 1;
        Ok(index)
    }
}

/// Reads the tool calls of the first candidate out of an answer, and nothing else of it.
///
/// ```
/// use atomr_agents_wire::{GeminiToolCalls, ToolCallEvent};
///
/// let (mut calls, mut out) = (GeminiToolCalls::new(), Vec::new());
/// let chunk = r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"add","args":{"a":1}}}]}}]}"#;
/// calls.chunk(chunk, &mut out)?;
/// let want = ToolCallEvent::Finished { index: 0, id: "".into(), name: "add".into(), arguments: r#"{"a":1}"#.into() };
/// assert_eq!(out, [want]);
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct GeminiToolCalls {
    limits: ToolCallLimits,
    counter: CallCounter,
}

/// A response, its content, or a single part: the places where calls are.
#[derive(Debug, Default)]
struct Place<'a> {
    candidates: List<Candidate<'a>>,
    parts: List<Part<'a>>,
    call: Option<FunctionCall<'a>>,
}
fill!(Place: plain {} nested { candidates, parts, call = "functionCall" });

impl GeminiToolCalls {
    /// A reader with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader with these limits.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes a response, a list of responses, a content (`{"parts": […]}`) or a part, as JSON text. Each call is
    /// reported with one [`ToolCallEvent::Finished`].
    pub fn chunk(&mut self, json: &str, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        let json = json.trim_ascii();
        if json == DONE_MARKER {
            return Ok(());
        }
        each_response(json, |document| self.document(document, out))
    }

    fn document(&mut self, json: &str, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        let mut place = Place::default();
        read_document(json, InPlace(&mut place))?;
        if let Some(call) = &place.call {
            self.call(call, out)?;
        }
        self.parts(&place.parts, out)?;
        for candidate in place.candidates.iter().filter(|candidate| candidate.index.unwrap_or(0) == 0) {
            if let Some(Content { parts }) = &candidate.content {
                self.parts(parts, out)?;
            }
        }
        Ok(())
    }

    fn parts(&mut self, parts: &List<Part<'_>>, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        parts.iter().filter_map(|part| part.call.as_ref()).try_for_each(|call| self.call(call, out))
    }

    fn call(&mut self, call: &FunctionCall<'_>, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        let index = self.counter.accept(call, &self.limits)?;
        out.push(ToolCallEvent::Finished {
            index,
            id: call.id.as_str().to_owned(),
            name: call.name.as_str().to_owned(),
            arguments: call.arguments.0.as_ref().to_owned(),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(calls: &mut GeminiToolCalls, json: &str) -> Result<Vec<String>, WireError> {
        let mut out = Vec::new();
        calls.chunk(json, &mut out)?;
        Ok(out
            .into_iter()
            .map(|event| match event {
                ToolCallEvent::Finished { index, id, name, arguments } => format!("{index} {id} {name} {arguments}"),
                other => panic!("{other:?}"),
            })
            .collect())
    }

    #[test]
    fn calls_are_found_wherever_they_lie_and_counted_on() {
        let mut calls = GeminiToolCalls::new();
        let part = r#"{"functionCall":{"name":"a","args":{ "x": 1.0 },"id":"i"},"thoughtSignature":"s"}"#;
        assert_eq!(read(&mut calls, part).unwrap(), [r#"0 i a { "x": 1.0 }"#]);
        let content = r#"{"role":"model","parts":[{"text":"t"},{"functionCall":{"name":"b"}}]}"#;
        assert_eq!(read(&mut calls, content).unwrap(), ["1  b "]);
        let list = format!(r#"[{{"candidates":[{{"content":{content}}},{{"index":1,"content":{content}}}]}},{{}}]"#);
        assert_eq!(read(&mut calls, &list).unwrap(), ["2  b "], "of the first candidate only");
        assert!(
            read(&mut calls, r#"{"candidates":[{"content":{"parts":null}},{"content":null}]}"#).unwrap().is_empty()
        );
        assert!(read(&mut calls, "[DONE]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_whole_call_is_an_error() {
        for (call, want) in [
            (r#"{"args":{}}"#, "has no name"),
            (r#"{"name":"a","willContinue":true}"#, "value by value"),
            (r#"{"name":"a","partialArgs":[]}"#, "value by value"),
        ] {
            let error = read(&mut GeminiToolCalls::new(), &format!(r#"{{"functionCall":{call}}}"#)).unwrap_err();
            assert!(error.to_string().contains(want), "{error}");
        }
        assert!(read(&mut GeminiToolCalls::new(), "[1]").is_err());
    }

    #[test]
    fn limits_are_kept() {
        let limits = ToolCallLimits { max_tool_args: 9, max_total_bytes: 12, max_index: 1 };
        let call = |args: &str| format!(r#"{{"functionCall":{{"name":"f","args":{args}}}}}"#);
        let mut calls = GeminiToolCalls::with_limits(limits);
        let error = read(&mut calls, &call(r#"{"a":"12345"}"#)).unwrap_err();
        assert!(matches!(error, WireError::ArgumentsTooLarge { limit: 9, .. }), "{error}");
        read(&mut calls, &call(r#"{"a":1}"#)).unwrap();
        let error = read(&mut calls, &call(r#"{"a":1}"#)).unwrap_err();
        assert!(matches!(error, WireError::CallsTooLarge { limit: 12 }), "{error}");
        let mut calls = GeminiToolCalls::with_limits(limits);
        read(&mut calls, &call("{}")).unwrap();
        read(&mut calls, &call("{}")).unwrap();
        let error = read(&mut calls, &call("{}")).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { what: "tool call", index: 2, max: 1 }), "{error}");
    }
}
