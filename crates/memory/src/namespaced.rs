//! A part of a store as a store.

use std::sync::Arc;

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;

use crate::{LongStore, MemoryError, MemoryItem, MemoryStore, Namespace, NewItem, Search, StoreItem};

/// What lies below one namespace of a [`LongStore`], as a store whose namespaces begin there. Nothing else of the store can be
/// reached through it.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_memory::{LongOptions, LongStore, Namespace, NamespacedLong, NewItem, StoredLong};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_memory::MemoryError> {
/// let (whole, ctx) = (Arc::new(StoredLong::in_memory(LongOptions::default())), CallCtx::new());
/// let team = NamespacedLong::new(whole.clone(), Namespace::new(["teams", "blue"])?);
/// team.put(NewItem::new(Namespace::new(["notes"])?, "n", json!(1)), &ctx).await?;
/// assert!(whole.get(&Namespace::new(["teams", "blue", "notes"])?, "n", &ctx).await?.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct NamespacedLong {
    inner: Arc<dyn LongStore>,
    prefix: Namespace,
}

impl NamespacedLong {
    /// What lies below `prefix`.
    #[must_use]
    pub fn new(inner: Arc<dyn LongStore>, prefix: Namespace) -> Self {
        Self { inner, prefix }
    }

    fn seen(&self, namespace: &Namespace) -> Result<Namespace, MemoryError> {
        Namespace::new(namespace.parts().iter().skip(self.prefix.parts().len()).cloned())
    }

    fn item(&self, item: StoreItem) -> Result<StoreItem, MemoryError> {
        Ok(StoreItem { namespace: self.seen(&item.namespace)?, ..item })
    }
}

/// The namespace of an item that is seen as `seen`; also here nothing is kept above all.
fn inside(prefix: &Namespace, seen: &Namespace) -> Result<Namespace, MemoryError> {
    seen.own()?;
    prefix.join(seen)
}

impl LongStore for NamespacedLong {
    fn put<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), MemoryError>> {
        Box::pin(async move {
            let namespace = inside(&self.prefix, &item.namespace)?;
            self.inner.put(NewItem { namespace, ..item }, ctx).await
        })
    }

    fn update<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        Box::pin(async move {
            let namespace = inside(&self.prefix, &item.namespace)?;
            let old = self.inner.update(NewItem { namespace, ..item }, ctx).await?;
            old.map(|old| self.item(old)).transpose()
        })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        Box::pin(async move {
            let found = self.inner.get(&inside(&self.prefix, namespace)?, key, ctx).await?;
            found.map(|found| self.item(found)).transpose()
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        Box::pin(async move { self.inner.delete(&inside(&self.prefix, namespace)?, key, ctx).await })
    }

    fn search<'a>(
        &'a self,
        search: &'a Search,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<StoreItem>, MemoryError>> {
        Box::pin(async move {
            let search = Search { namespace: self.prefix.join(&search.namespace)?, ..search.clone() };
            self.inner.search(&search, ctx).await?.into_iter().map(|item| self.item(item)).collect()
        })
    }

    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>> {
        Box::pin(async move {
            let found = self.inner.list_namespaces(&self.prefix.join(prefix)?, limit, ctx).await?;
            found.iter().map(|namespace| self.seen(namespace)).collect()
        })
    }
}

/// What lies below one namespace of a [`MemoryStore`], as a store whose namespaces begin there.
#[derive(Clone, Debug)]
pub struct NamespacedMemory {
    inner: Arc<dyn MemoryStore>,
    prefix: Namespace,
}

impl NamespacedMemory {
    /// What lies below `prefix`.
    #[must_use]
    pub fn new(inner: Arc<dyn MemoryStore>, prefix: Namespace) -> Self {
        Self { inner, prefix }
    }
}

impl MemoryStore for NamespacedMemory {
    fn put<'a>(
        &'a self,
        namespace: &'a Namespace,
        item: &'a MemoryItem,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), MemoryError>> {
        Box::pin(async move { self.inner.put(&inside(&self.prefix, namespace)?, item, ctx).await })
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        limit: usize,
        before: Option<&'a str>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        Box::pin(async move { self.inner.list(&inside(&self.prefix, namespace)?, limit, before, ctx).await })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<MemoryItem>, MemoryError>> {
        Box::pin(async move { self.inner.get(&inside(&self.prefix, namespace)?, id, ctx).await })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        Box::pin(async move { self.inner.delete(&inside(&self.prefix, namespace)?, id, ctx).await })
    }

    fn search<'a>(
        &'a self,
        namespace: &'a Namespace,
        query: &'a str,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        Box::pin(async move { self.inner.search(&inside(&self.prefix, namespace)?, query, limit, ctx).await })
    }
}
