//! What makes two requests the same.

use std::fmt;

use atomr_agents_core::ModelRequest;
use serde::{Deserialize, Serialize};

/// Changes when what is hashed, or what an entry holds, changes: an old entry of a store that lasts is not found then.
const VERSION: &str = "atomr-agents-cache/1";

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
        // One JSON array: where a field ends is never in doubt. Hashed in one go, which is quicker than piece by piece.
        let written = serde_json::to_vec(&(VERSION, tenant, scope, provider, request))?;
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

/// Takes the writer's small pieces to the hash, without a copy of the request.
#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use atomr_agents_core::{CachePoint, Message, OutputSchema, Sampling, ToolChoice, ToolSpec, Value};

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
}
