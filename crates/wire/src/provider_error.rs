//! What a provider says when it refuses or fails, in an HTTP error's body or in the middle of a stream.

use std::fmt;

use serde_json::Value;

/// A message taken from a body that is no JSON is cut to this many characters.
const MAX_PLAIN_MESSAGE: usize = 500;

/// An error's code, which is a word at some servers and a number at others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A number, often the HTTP status.
    Number(i64),
    /// A word such as `insufficient_quota`.
    Text(String),
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A provider's error, from any of the shapes in use: `{"error": {...}}`, `{"error": "text"}`, flat
/// `{"message", "type", "code"}`, `{"detail": "text"}`, or no JSON at all.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderError {
    /// The provider's message, empty if it sent none.
    pub message: String,
    /// The `type` of the error, such as `invalid_request_error`, or its `status`, such as `RESOURCE_EXHAUSTED`.
    pub error_type: Option<String>,
    /// The `code` of the error.
    pub code: Option<ErrorCode>,
    /// The request parameter that the error is about.
    pub param: Option<String>,
    /// What a server further up said, where a router passes it on (`metadata.raw`).
    pub upstream: Option<String>,
    /// The error as it was sent: the value of `error`, or the whole document where there is no such key.
    pub raw: Value,
}

impl ProviderError {
    /// Reads the body of an HTTP error. Every body is some error: one that is no JSON becomes the message.
    #[must_use]
    pub fn from_body(body: &[u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(document) => Self::from_document(document),
            Err(_) => Self::plain(&String::from_utf8_lossy(body)),
        }
    }

    /// Reads a parsed document that is, or holds, an error.
    #[must_use]
    pub fn from_document(document: Value) -> Self {
        match document {
            // Some gateways wrap the object into a list of one.
            Value::Array(mut list) if list.len() == 1 && list[0].is_object() => {
                Self::from_document(list.swap_remove(0))
            }
            Value::Object(mut outer) => match outer.get_mut("error").map(Value::take) {
                Some(Value::String(message)) => {
                    // Beside a bare string the details are flat.
                    let flat = Value::Object(outer);
                    let mut error = Self::describe(&flat, Value::String(message.clone()));
                    error.message = message;
                    error
                }
                Some(inner @ Value::Object(_)) => Self::describe(&inner.clone(), inner),
                _ => {
                    let flat = Value::Object(outer);
                    Self::describe(&flat.clone(), flat)
                }
            },
            Value::String(text) => Self::plain(&text),
            other => Self::describe(&other.clone(), other),
        }
    }

    fn plain(text: &str) -> Self {
        Self {
            message: text.trim().chars().take(MAX_PLAIN_MESSAGE).collect(),
            error_type: None,
            code: None,
            param: None,
            upstream: None,
            raw: Value::String(text.to_owned()),
        }
    }

    fn describe(fields: &Value, raw: Value) -> Self {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
        let code = match fields.get("code") {
            Some(Value::String(text)) => Some(ErrorCode::Text(text.clone())),
            Some(Value::Number(number)) => number.as_i64().map(ErrorCode::Number),
            _ => None,
        };
        let upstream = fields.get("metadata").and_then(|metadata| metadata.get("raw")).map(|raw| match raw {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let detail = || fields.get("detail").filter(|detail| !detail.is_null()).map(ToString::to_string);
        let message = text("message").or_else(|| text("detail")).or_else(detail).unwrap_or_default();
        // Google calls it `status`.
        let error_type = text("type").or_else(|| text("status"));
        Self { message, error_type, code, param: text("param"), upstream, raw }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.error_type) {
            (Some(code), _) => write!(f, "{} ({code})", self.message),
            (None, Some(error_type)) => write!(f, "{} ({error_type})", self.message),
            (None, None) => self.message.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_json_become_the_message() {
        let error = ProviderError::from_body(b"  <html>502 Bad Gateway</html>\n");
        assert_eq!(error.message, "<html>502 Bad Gateway</html>");
        assert_eq!(ProviderError::from_body(b"").message, "");
        assert_eq!(ProviderError::from_body(&[0xff, 0xfe]).message, "\u{fffd}\u{fffd}");
        assert_eq!(ProviderError::from_body("é".repeat(9_000).as_bytes()).message.chars().count(), MAX_PLAIN_MESSAGE);
    }

    #[test]
    fn lists_details_and_upstream_texts() {
        let error = ProviderError::from_body(br#"[{"error":{"code":400,"message":"m","metadata":{"raw":{"a":1}}}}]"#);
        assert_eq!((error.message.as_str(), error.code), ("m", Some(ErrorCode::Number(400))));
        assert_eq!(error.upstream.as_deref(), Some(r#"{"a":1}"#));
        let error = ProviderError::from_body(br#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#);
        assert_eq!(error.message, r#"[{"loc":["body"],"msg":"field required"}]"#);
        assert_eq!(ProviderError::from_body(b"[]").message, "");
        assert_eq!(ProviderError::from_body(b"null").message, "");
        assert_eq!(ProviderError::from_body(br#""just text""#).message, "just text");
    }

    #[test]
    fn shows_message_and_code() {
        let shown = |body: &[u8]| ProviderError::from_body(body).to_string();
        assert_eq!(shown(br#"{"error":{"message":"m","type":"t","code":"c"}}"#), "m (c)");
        assert_eq!(shown(br#"{"error":{"message":"m","type":"t"}}"#), "m (t)");
        assert_eq!(shown(br#"{"error":"m"}"#), "m");
    }
}
