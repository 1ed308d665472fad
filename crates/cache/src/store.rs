//! Where answers are kept.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{CacheError, CachedTurn, Question};

/// Where answers are kept. Implementations run [`crate::conformance::check`] in their tests.
pub trait LlmCache: Send + Sync + 'static {
    /// Its name in events.
    fn name(&self) -> &str;

    /// The answer to `question`, if it is there and not too old. Dropping the future stops the search.
    ///
    /// # Errors
    /// [`CacheError`], which the caller takes for a miss.
    fn get<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>>;

    /// Keeps `turn` as the answer to `question`, in place of what was there. It may also decide not to, or forget it later.
    ///
    /// # Errors
    /// [`CacheError`]; the answer is not kept then.
    fn put<'a>(&'a self, question: &'a Question, turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>>;

    /// The most bytes an answer may have to be kept; a larger one is not even gathered.
    fn max_turn_bytes(&self) -> usize {
        1 << 20
    }
}
