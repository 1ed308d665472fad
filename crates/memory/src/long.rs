//! The seam: what keeps what shall be found again.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;

use crate::{MemoryError, Namespace, Search, StoreItem};

/// Something to be kept in a [`LongStore`].
///
/// ```
/// use std::time::Duration;
/// use atomr_agents_memory::{Namespace, NewItem};
/// use serde_json::json;
///
/// let item = NewItem::new(Namespace::new(["users", "ada"])?, "city", json!("Oslo")).ttl(Duration::from_secs(60));
/// assert_eq!(item.key, "city");
/// # Ok::<(), atomr_agents_memory::MemoryError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// Whose it is.
    pub namespace: Namespace,
    /// Its name there.
    pub key: String,
    /// What it is.
    pub value: Value,
    /// Its vector, where the caller has made it. Without one the store's embedder makes it of the value's text, if the store
    /// has an embedder.
    pub embedding: Option<Vec<f32>>,
    /// After how long it is forgotten; never without another word.
    pub ttl: Option<Duration>,
}

impl NewItem {
    /// An item that is never forgotten.
    #[must_use]
    pub fn new(namespace: Namespace, key: impl Into<String>, value: Value) -> Self {
        Self { namespace, key: key.into(), value, embedding: None, ttl: None }
    }

    /// With this vector.
    #[must_use]
    pub fn embedding(mut self, embedding: Vec<f32>) -> Self {
        self.embedding = Some(embedding);
        self
    }

    /// Forgotten after this time.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// Keeps items by namespace and key, and finds them by words, by meaning and by their fields.
///
/// A call whose future is dropped has either happened or not. What a finished call wrote, the next one sees. An item whose
/// time is over is not there. [`conformance::check_long`](crate::conformance::check_long) tests the rules.
pub trait LongStore: Debug + Send + Sync + 'static {
    /// Keeps an item, in place of the one of the same namespace and key.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was kept then.
    fn put<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), MemoryError>>;

    /// Replaces the value of an item that is there, and answers what it was; `None`, and nothing done, where there is none.
    /// Of two who do it at once, the second sees what the first wrote.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was changed then.
    fn update<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>>;

    /// The item of this key.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>>;

    /// Forgets an item; answers whether it was there.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>>;

    /// The items that fit best, the best first, equals by namespace and key; none for `top_k` = 0.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn search<'a>(&'a self, search: &'a Search, ctx: &'a CallCtx)
    -> BoxFuture<'a, Result<Vec<StoreItem>, MemoryError>>;

    /// Up to `limit` namespaces at `prefix` and below it in which something is kept, in order.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>>;
}

impl<S: LongStore + ?Sized> LongStore for Arc<S> {
    fn put<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), MemoryError>> {
        (**self).put(item, ctx)
    }

    fn update<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        (**self).update(item, ctx)
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        (**self).get(namespace, key, ctx)
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        (**self).delete(namespace, key, ctx)
    }

    fn search<'a>(
        &'a self,
        search: &'a Search,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<StoreItem>, MemoryError>> {
        (**self).search(search, ctx)
    }

    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>> {
        (**self).list_namespaces(prefix, limit, ctx)
    }
}
