//! Where answers are kept.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{CacheError, CacheKey, CachedTurn};

/// A boxed future, so that the trait can be used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where answers are kept. Implementations run [`crate::conformance::check`] in their tests.
pub trait LlmCache: Send + Sync + 'static {
    /// Its name in events.
    fn name(&self) -> &str;

    /// The answer under `key`, if it is there and not too old.
    fn get(&self, key: CacheKey) -> BoxFuture<'_, Result<Option<Arc<CachedTurn>>, CacheError>>;

    /// Keeps `turn` under `key`, in place of what was there. It may also decide not to, or forget it later.
    fn put(&self, key: CacheKey, turn: Arc<CachedTurn>) -> BoxFuture<'_, Result<(), CacheError>>;

    /// The most bytes an answer may have to be kept; a larger one is not even gathered.
    fn max_turn_bytes(&self) -> usize {
        1 << 20
    }
}
