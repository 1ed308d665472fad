//! The seam: what keeps what was said lately.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;

use crate::keeper;
use crate::{MemoryError, MemoryItem, Namespace};

/// Keeps items in order, by namespace. What is in one namespace is not seen from another one, also not from one above it.
///
/// A call whose future is dropped has either happened or not. [`conformance::check_short`](crate::conformance::check_short)
/// tests the rules.
pub trait MemoryStore: Debug + Send + Sync + 'static {
    /// Keeps an item, in place of the one with the same id.
    ///
    /// # Errors
    /// [`MemoryError`]; nothing was kept then.
    fn put<'a>(
        &'a self,
        namespace: &'a Namespace,
        item: &'a MemoryItem,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), MemoryError>>;

    /// Up to `limit` items, the last one first; with `before`, only those in front of the item of this id.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        limit: usize,
        before: Option<&'a str>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>>;

    /// The item of this id.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<MemoryItem>, MemoryError>>;

    /// Forgets an item; answers whether it was there.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>>;

    /// Up to `limit` items of the namespace that share words with `query`, the best first. A query without a word finds
    /// nothing.
    ///
    /// # Errors
    /// [`MemoryError`].
    fn search<'a>(
        &'a self,
        namespace: &'a Namespace,
        query: &'a str,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>>;
}

impl<S: MemoryStore + ?Sized> MemoryStore for Arc<S> {
    fn put<'a>(
        &'a self,
        namespace: &'a Namespace,
        item: &'a MemoryItem,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), MemoryError>> {
        (**self).put(namespace, item, ctx)
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        limit: usize,
        before: Option<&'a str>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        (**self).list(namespace, limit, before, ctx)
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<MemoryItem>, MemoryError>> {
        (**self).get(namespace, id, ctx)
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        (**self).delete(namespace, id, ctx)
    }

    fn search<'a>(
        &'a self,
        namespace: &'a Namespace,
        query: &'a str,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        (**self).search(namespace, query, limit, ctx)
    }
}

/// Up to `limit` of these items that share words with `query`, the best first, equals in their order: how a store that
/// cannot search answers [`MemoryStore::search`].
///
/// ```
/// use atomr_agents_memory::{MemoryItem, by_words};
/// use serde_json::json;
///
/// let items = ["lives in Oslo", "likes rain"].map(|text| MemoryItem::new(json!(text)));
/// assert_eq!(by_words(items.to_vec(), "rain?", 5)?, items[1..]);
/// # Ok::<(), atomr_agents_memory::MemoryError>(())
/// ```
///
/// # Errors
/// [`MemoryError::Retrieve`] for a query that cannot be asked.
pub fn by_words(items: Vec<MemoryItem>, query: &str, limit: usize) -> Result<Vec<MemoryItem>, MemoryError> {
    let texts: Vec<String> = items.iter().map(MemoryItem::text).collect();
    let best = keeper::by_words(&texts, query, limit)?;
    Ok(best.into_iter().filter_map(|(at, _)| items.get(at).cloned()).collect())
}
