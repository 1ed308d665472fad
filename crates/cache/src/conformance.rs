//! What every store of answers must do, as a check that any implementation can run in its tests.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, FinishReason, Message, ModelEvent, ModelRequest};

use crate::{CachedTurn, LlmCache, Question};

/// Checks the rules of [`LlmCache`] on an empty cache with room for two small answers: what was not put is not found, what was
/// put is found as it was, another key's answer is not, and a later one replaces an earlier one.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check(cache: &dyn LlmCache) -> Result<(), String> {
    if cache.name().is_empty() {
        return Err("name() is empty".into());
    }
    let asked = |text: &str| {
        let request = Arc::new(ModelRequest::new("m", vec![Message::user(text)]));
        Question::new("t", "", "p", request, CallCtx::new()).map_err(|error| error.to_string())
    };
    let (one, other) = (&asked("one")?, &asked("other")?);
    let found = async |question| cache.get(question).await.map_err(|error| format!("get failed: {error}"));
    let put = async |question, turn| cache.put(question, turn).await.map_err(|error| format!("put failed: {error}"));
    if found(one).await?.is_some() {
        return Err("an empty cache found something".into());
    }
    put(one, turn("first")).await?;
    if found(other).await?.is_some() {
        return Err("another key's answer was found".into());
    }
    put(other, turn("other")).await?;
    put(one, turn("second")).await?;
    match found(one).await? {
        Some(kept) if *kept == *turn("second") => {}
        kept => return Err(format!("the later answer should be found, not {kept:?}")),
    }
    match found(other).await? {
        Some(kept) if *kept == *turn("other") => Ok(()),
        kept => Err(format!("the other answer should be found as it was, not {kept:?}")),
    }
}

/// An answer of this text.
pub(crate) fn turn(text: &str) -> Arc<CachedTurn> {
    let end = ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".into() };
    Arc::new(CachedTurn { events: vec![ModelEvent::Text(text.to_owned()), end] })
}
