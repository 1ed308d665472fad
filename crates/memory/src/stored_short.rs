//! Short memory on any store.

use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_state::{Batch, Expect, Key, MemoryStore as StateInMemory, Record, Scan, Store};
use futures_util::future::BoxFuture;

use crate::keeper::{Keeper, read};
use crate::{MemoryError, MemoryItem, MemoryStore, Namespace, by_words};

/// How many items a search looks at: the last of the namespace.
const SEARCHED: usize = 10_000;

/// Keeps items on any [`Store`]: in memory, in a file, on PostgreSQL.
///
/// A search by words looks at the last 10,000 items of the namespace.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_memory::{MemoryItem, MemoryStore, Namespace, StoredMemory};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_memory::MemoryError> {
/// let (memory, ctx) = (StoredMemory::in_memory(), CallCtx::new());
/// let ada = Namespace::new(["users", "ada"])?;
/// memory.put(&ada, &MemoryItem::new(json!("lives in Oslo")), &ctx).await?;
/// memory.put(&ada, &MemoryItem::new(json!("likes rain")), &ctx).await?;
/// assert_eq!(memory.list(&ada, 1, None, &ctx).await?[0].content, "likes rain");
/// assert_eq!(memory.search(&ada, "Where in Oslo?", 1, &ctx).await?[0].content, "lives in Oslo");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct StoredMemory(Keeper);

impl StoredMemory {
    /// On this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self(Keeper::new(store, "memory-short"))
    }

    /// In this process, for as long as it lives.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::new(Arc::new(StateInMemory::new()))
    }

    async fn newest(
        &self,
        namespace: &Namespace,
        limit: usize,
        before: Option<&str>,
    ) -> Result<Vec<MemoryItem>, MemoryError> {
        let mut scan = Scan::of("").prefix(&namespace.own()?).reversed();
        if let Some(id) = before {
            scan = scan.after(&namespace.place(id)?);
        }
        let found = self.0.page(scan, limit).await?;
        found.iter().map(|(key, record)| read(key.name(), record)).collect()
    }
}

impl MemoryStore for StoredMemory {
    fn put<'a>(
        &'a self,
        namespace: &'a Namespace,
        item: &'a MemoryItem,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), MemoryError>> {
        Box::pin(async move {
            let place = namespace.place(&item.id)?;
            let value = serde_json::to_vec(item)
                .map_err(|error| MemoryError::name("content", format!("has no form in JSON: {error}")))?;
            Ok(self.0.store.commit(Batch::new().put(&self.0.key(&place)?, value, Expect::Any)).await?)
        })
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        limit: usize,
        before: Option<&'a str>,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        Box::pin(self.newest(namespace, limit, before))
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<MemoryItem>, MemoryError>> {
        Box::pin(async move {
            let place = namespace.place(id)?;
            self.0.get(&place).await?.map(|record| read(&place, &record)).transpose()
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        Box::pin(async move {
            let key = self.0.key(&namespace.place(id)?)?;
            let Some(record) = self.0.store.get(&key).await? else { return Ok(false) };
            removed(self.0.store.as_ref(), &key, &record).await
        })
    }

    fn search<'a>(
        &'a self,
        namespace: &'a Namespace,
        query: &'a str,
        limit: usize,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<MemoryItem>, MemoryError>> {
        Box::pin(async move { by_words(self.newest(namespace, SEARCHED, None).await?, query, limit) })
    }
}

/// Removes a record; false where somebody else removed it, or wrote it anew, meanwhile.
pub(crate) async fn removed(store: &dyn Store, key: &Key, record: &Record) -> Result<bool, MemoryError> {
    match store.commit(Batch::new().delete(key, Expect::Version(record.version))).await {
        Ok(()) => Ok(true),
        Err(atomr_agents_state::StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
