//! What is asked of a cache.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Message, ModelRequest, Part, Role};

use crate::CacheKey;

/// A request, as a cache is asked for its answer: by whom, of which provider, and in which call.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_cache::{CacheKey, Question};
/// use atomr_agents_core::{CallCtx, Message, ModelRequest};
///
/// let request = Arc::new(ModelRequest::new("gpt-4o", vec![Message::user("Oslo?")]));
/// let question = Question::new("acme", "", "openai", Arc::clone(&request), CallCtx::new())?;
/// assert_eq!(question.key(), CacheKey::of("acme", "", "openai", &request)?);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Question {
    key: CacheKey,
    tenant: Arc<str>,
    scope: Arc<str>,
    provider: Arc<str>,
    request: Arc<ModelRequest>,
    ctx: CallCtx,
}

impl Question {
    /// A request of `tenant` to `provider` within `scope` (see [`crate::CachedClient`]).
    ///
    /// # Errors
    /// As [`CacheKey::of`].
    pub fn new(
        tenant: impl Into<Arc<str>>,
        scope: impl Into<Arc<str>>,
        provider: impl Into<Arc<str>>,
        request: Arc<ModelRequest>,
        ctx: CallCtx,
    ) -> Result<Self, serde_json::Error> {
        let (tenant, scope, provider) = (tenant.into(), scope.into(), provider.into());
        let key = CacheKey::of(&tenant, &scope, &provider, &request)?;
        Ok(Self { key, tenant, scope, provider, request, ctx })
    }

    /// What makes it the same as another one.
    #[must_use]
    pub fn key(&self) -> CacheKey {
        self.key
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &ModelRequest {
        &self.request
    }

    /// The call in which it is asked: its deadline, its cancellation and its budgets hold for what a cache does to answer.
    #[must_use]
    pub fn ctx(&self) -> &CallCtx {
        &self.ctx
    }

    /// The same in another call.
    #[must_use]
    pub fn within(self, ctx: CallCtx) -> Self {
        Self { ctx, ..self }
    }

    /// Its last words and the key of everything around them, where it ends with words of the user and nothing else: two
    /// questions with the same frame differ in these words alone.
    #[must_use]
    pub fn frame(&self) -> Option<(CacheKey, &str)> {
        let (last, before) = self.request.messages.split_last()?;
        let (Role::User, [Part::Text { text }]) = (last.role, last.parts.as_slice()) else { return None };
        // An empty last message: no request that is really asked has this frame for its key.
        let nothing = Message { role: Role::User, parts: Vec::new() };
        let messages = before.iter().chain([&nothing]);
        Some((CacheKey::of_messages(&self.tenant, &self.scope, &self.provider, &self.request, messages).ok()?, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(tenant: &str, messages: Vec<Message>) -> Question {
        Question::new(tenant, "", "p", Arc::new(ModelRequest::new("m", messages)), CallCtx::new()).unwrap()
    }

    #[test]
    fn the_frame_is_everything_but_the_last_words() {
        let one = question("t", vec![Message::system("s"), Message::user("a")]);
        let other = question("t", vec![Message::system("s"), Message::user("b")]);
        let (frame, text) = one.frame().unwrap();
        assert_eq!((text, other.frame().unwrap()), ("a", (frame, "b")));
        assert_ne!(one.key(), other.key());
        for differs in [
            question("u", vec![Message::system("s"), Message::user("a")]),
            question("t", vec![Message::system("S"), Message::user("a")]),
            question("t", vec![Message::user("a")]),
        ] {
            assert_ne!(differs.frame().unwrap().0, frame);
        }
        assert!(question("t", vec![Message::user("a"), Message::assistant("b")]).frame().is_none());
        assert!(question("t", vec![]).frame().is_none());
    }
}
