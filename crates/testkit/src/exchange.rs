//! One request and its answer, as they were recorded.

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::TestkitError;

/// One request and its answer, as they were recorded.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What it is called; for a recording the name of its folder.
    pub name: String,
    /// The path that was asked for, with its query.
    pub path: String,
    /// The JSON body that was sent; null where it is unknown.
    pub request: Value,
    /// The answer's status.
    pub status: u16,
    /// The answer's headers, those of transfer left out.
    pub headers: Vec<(String, String)>,
    /// The answer's body.
    pub body: Bytes,
}

impl Exchange {
    /// Answers 200 with an event stream.
    #[must_use]
    pub fn event_stream(body: impl Into<Bytes>) -> Self {
        Self::new(200, "text/event-stream", body)
    }

    /// Answers with a JSON body.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// Answers with any body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            name: String::new(),
            path: String::new(),
            request: Value::Null,
            status,
            headers: vec![("content-type".into(), content_type.into())],
            body: body.into(),
        }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Reads the recording in a folder: `request.json`, `response.meta.json` and `response.body`.
    ///
    /// # Errors
    /// [`TestkitError`] names the file that is missing or not as it should be.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, TestkitError> {
        let folder = folder.as_ref();
        let read = |name: &str| {
            let path = folder.join(name);
            let shown = path.display().to_string();
            std::fs::read(path).map_err(|source| TestkitError::Unreadable { path: shown, source })
        };
        let shown = folder.display().to_string();
        let body = read("response.body")?;
        Self::parse(&shown, &read("request.json")?, &read("response.meta.json")?, body.into())
    }

    /// Reads the parts of a recording. `folder` names it in errors, and its last part becomes its name.
    pub(crate) fn parse(folder: &str, request: &[u8], meta: &[u8], body: Bytes) -> Result<Self, TestkitError> {
        let json = |file: &str, bytes: &[u8]| {
            let malformed = |source| TestkitError::Malformed {
                path: format!("{folder}/{file}"),
                message: "it is not JSON".into(),
                source: Some(source),
            };
            serde_json::from_slice::<Value>(bytes).map_err(malformed)
        };
        let lacks = |file: &str, what: &str| TestkitError::Malformed {
            path: format!("{folder}/{file}"),
            message: format!("it says no {what}"),
            source: None,
        };
        let mut request = json("request.json", request)?;
        let meta = json("response.meta.json", meta)?;
        let status = meta["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| lacks("response.meta.json", "status"))?;
        if meta["body_bytes"].as_u64().is_some_and(|bytes| bytes != body.len() as u64) {
            return Err(lacks("response.body", "such number of bytes as response.meta.json (line ends converted?)"));
        }
        let mut headers = Vec::new();
        if let Some(kind) = meta["content_type"].as_str() {
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        for (name, value) in meta["headers"].as_object().into_iter().flatten() {
            let name = name.to_ascii_lowercase();
            let by_transfer = ["content-length", "transfer-encoding", "content-encoding", "connection", "content-type"];
            if let Some(value) = value.as_str().filter(|_| !by_transfer.contains(&name.as_str())) {
                headers.push((name, value.to_owned()));
            }
        }
        let name = folder.rsplit(['/', '\\']).next().unwrap_or(folder).to_owned();
        let path = request["path"].as_str().unwrap_or_default().to_owned();
        Ok(Self { name, path, request: request["body"].take(), status, headers, body })
    }

    /// Whether the answer is an event stream.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("text/event-stream"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_and_a_broken_one_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("case");
        let error = Exchange::load(&folder).unwrap_err();
        assert!(error.to_string().contains("response.body"), "{error}");
        std::fs::create_dir(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("response.body", "data: x\n\n");
        write("request.json", r#"{"path":"/v1/chat?x=1","body":{"model":"m"}}"#);
        let meta = |bytes| {
            format!(
                r#"{{"status":429,"content_type":"text/event-stream; charset=utf-8","body_bytes":{bytes},"headers":{{"Retry-After":"1","Content-Length":"9"}}}}"#
            )
        };
        write("response.meta.json", &meta(9));
        let exchange = Exchange::load(&folder).unwrap();
        assert_eq!((exchange.name.as_str(), exchange.path.as_str(), exchange.status), ("case", "/v1/chat?x=1", 429));
        assert_eq!(exchange.request, serde_json::json!({"model": "m"}));
        assert_eq!(exchange.headers[1..], [("retry-after".to_owned(), "1".to_owned())]);
        assert!(exchange.is_stream());
        write("response.meta.json", &meta(10));
        assert!(matches!(Exchange::load(&folder), Err(TestkitError::Malformed { .. })));
        write("response.meta.json", "{}");
        let error = Exchange::load(&folder).unwrap_err();
        assert!(error.to_string().contains("response.meta.json"), "{error}");
    }
}
