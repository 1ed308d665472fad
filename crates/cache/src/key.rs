//! What makes two requests the same.

use std::fmt;

use atomr_agents_core::{Message, ModelRequest, Part};
use serde::{Deserialize, Serialize};

/// Changes when what is hashed, or what an entry holds, changes: an old entry of a store that lasts is not found then.
const VERSION: &str = "atomr-agents-cache/2";

/// What makes two requests the same: BLAKE3 of the tenant, the scope, the provider and the whole request (model, messages, tools,
/// tool choice, shape of the answer, sampling, cache points, metadata, extra body). A difference anywhere is another key;
/// nothing is rounded, sorted, trimmed or compared by meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of `request` to `provider`, for `tenant` within `scope` (see [`crate::CachedClient`]).
    ///
    /// ```
    /// use atomr_agents_cache::CacheKey;
    /// use atomr_agents_core::{Message, ModelRequest};
    ///
    /// let request = ModelRequest::new("gpt-4o", vec![Message::user("Oslo?")]);
    /// let key = |tenant: &str| CacheKey::of(tenant, "", "openai", &request).unwrap();
    /// assert_eq!(key("a"), key("a"));
    /// assert_ne!(key("a"), key("b"));
    /// ```
    ///
    /// # Errors
    /// The writer's error for a request that cannot be written as JSON; it cannot be cached.
    pub fn of(tenant: &str, scope: &str, provider: &str, request: &ModelRequest) -> Result<Self, serde_json::Error> {
        Self::of_messages(tenant, scope, provider, request, &request.messages)
    }

    /// The key of a request that has the messages given here in place of its own: it need not be put together for this.
    ///
    /// ```
    /// use atomr_agents_cache::CacheKey;
    /// use atomr_agents_core::{Message, ModelRequest};
    ///
    /// let messages = [Message::user("Oslo?")];
    /// let key = CacheKey::of_messages("", "", "openai", &ModelRequest::new("gpt-4o", vec![]), &messages).unwrap();
    /// assert_eq!(key, CacheKey::of("", "", "openai", &ModelRequest::new("gpt-4o", messages.to_vec())).unwrap());
    /// ```
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn of_messages<'a>(
        tenant: &str,
        scope: &str,
        provider: &str,
        around: &ModelRequest,
        messages: impl IntoIterator<Item = &'a Message>,
    ) -> Result<Self, serde_json::Error> {
        // All of them named, so that a field that is new is not forgotten.
        let ModelRequest { model, messages: _, tools, tool_choice, output, sampling, cache, metadata, extra_body } =
            around;
        // One JSON array: where a field ends is never in doubt. Hashed in one go, which is quicker than piece by piece.
        let said = (VERSION, tenant, scope, provider, model);
        let mut written = Vec::with_capacity(8 * 1024);
        serde_json::to_writer(
            &mut written,
            &(said, tools, tool_choice, output, sampling, cache, metadata, extra_body),
        )?;
        for message in messages {
            write_message(message, &mut written)?;
        }
        Ok(Self(blake3::hash(&written).into()))
    }

    /// The 32 bytes, for stores.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CacheKey({self})")
    }
}

/// A message, so that where it ends is never in doubt: its role, the number of its parts, and each as text of a certain length
/// or as JSON. Long texts are most of a request, and are not looked through for what JSON would have to escape.
fn write_message(message: &Message, into: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let Message { role, parts } = message;
    serde_json::to_writer(&mut *into, role)?;
    into.extend((parts.len() as u64).to_le_bytes());
    for part in parts {
        if let Part::Text { text } = part {
            into.push(b't');
            into.extend((text.len() as u64).to_le_bytes());
            into.extend(text.as_bytes());
        } else {
            into.push(b'j');
            serde_json::to_writer(&mut *into, part)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use atomr_agents_core::{CachePoint, OutputSchema, Role, Sampling, ToolChoice, ToolSpec, Value};

    fn key(request: &ModelRequest) -> CacheKey {
        CacheKey::of("t", "s", "p", request).unwrap()
    }

    fn changed(change: impl FnOnce(&mut ModelRequest)) -> CacheKey {
        let mut request = ModelRequest::new("m", vec![Message::system("s"), Message::user("u")]);
        change(&mut request);
        key(&request)
    }

    #[test]
    fn every_field_of_a_request_is_in_its_key() {
        let tool = |description: &str| {
            let (name, description) = ("t".to_owned(), description.to_owned());
            vec![Arc::new(ToolSpec { name, description, parameters: Value::Null, strict: false })]
        };
        let sampling = |temperature| Sampling { temperature: Some(temperature), ..Sampling::default() };
        let keys = [
            changed(|_| {}),
            changed(|r| r.model = "m2".into()),
            changed(|r| r.messages[0] = Message::system("S")),
            changed(|r| r.messages[1] = Message::user("u ")),
            changed(|r| r.messages.swap(0, 1)),
            changed(|r| _ = r.messages.pop()),
            changed(|r| r.messages[1].parts.clear()),
            changed(|r| r.messages[1].parts.push(Part::text("u"))),
            changed(|r| r.messages[1].parts = vec![Part::thinking("u")]),
            changed(|r| r.messages[1] = Message::assistant("u")),
            changed(|r| r.tools = tool("a")),
            changed(|r| r.tools = tool("b")),
            changed(|r| r.tool_choice = ToolChoice::Required),
            changed(|r| r.output = Some(OutputSchema { name: "o".into(), schema: Value::Null, strict: false })),
            changed(|r| r.output = Some(OutputSchema { name: "o".into(), schema: Value::Null, strict: true })),
            changed(|r| r.sampling = sampling(0.0)),
            changed(|r| r.sampling = sampling(0.1)),
            changed(|r| r.sampling.max_tokens = Some(1)),
            changed(|r| r.cache = vec![CachePoint::Tools]),
            changed(|r| _ = r.metadata.insert("user".into(), Value::from("x"))),
            changed(|r| _ = r.extra_body.insert("user".into(), Value::from("x"))),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(changed(|_| {}), keys[0]);
    }

    #[test]
    fn where_a_field_ends_is_never_in_doubt() {
        let request = ModelRequest::new("m", vec![]);
        let keys = [("ab", "c", "p"), ("a", "bc", "p"), ("a\",\"b", "c", "p"), ("", "abc", "p"), ("ab", "cp", "")]
            .map(|(tenant, scope, provider)| CacheKey::of(tenant, scope, provider, &request).unwrap());
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(keys[0].to_string().len(), 64);
    }

    #[test]
    fn where_a_text_ends_is_never_in_doubt() {
        let said = |texts: &[&[&str]]| {
            let parts = |texts: &[&str]| texts.iter().copied().map(Part::text).collect();
            let messages = texts.iter().map(|texts| Message { role: Role::User, parts: parts(texts) });
            key(&ModelRequest::new("m", messages.collect()))
        };
        let forged = "a\"user\"\u{1}\0\0\0\0\0\0\0t\u{1}\0\0\0\0\0\0\0b";
        let keys = [
            said(&[&["ab"]]),
            said(&[&["a", "b"]]),
            said(&[&["", "ab"]]),
            said(&[&["a"], &["b"]]),
            said(&[&[], &["ab"]]),
            said(&[&["ab"], &[]]),
            said(&[&[forged]]),
        ];
        let different: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
    }
}
