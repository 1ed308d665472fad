//! Long memory on any store.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use atomr_agents_embed::Embedder;
use atomr_agents_state::{Batch, Durability, Expect, MemoryStore as StateInMemory, Record, Scan, Store, StoreError};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::clock::{millis, now_ms};
use crate::keeper::{Keeper, read};
use crate::parts::{check_vector, embed, text_of};
use crate::{LongStore, MemoryError, Namespace, NewItem, Search, StoreItem};

mod changes;
mod index;
mod search;
mod vector;

use changes::Changes;
use index::Indexes;
use vector::Kept;

/// How often an update is tried while others write the same item.
const ATTEMPTS: u32 = 16;

/// How a [`StoredLong`] works.
#[derive(Clone, Debug)]
pub struct LongOptions {
    /// Makes the vectors of values, so that they are found by meaning; none without another word.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// How many items one search looks at; 100,000 without another word. A search in a namespace with more is refused.
    pub max_searched: usize,
    /// How many vectors are held in memory between searches, those of the namespaces that were searched last; 200,000 without
    /// another word. What is not held is read anew when it is searched.
    pub max_indexed: usize,
    /// What a write survives; a power failure without another word.
    pub durability: Durability,
}

impl Default for LongOptions {
    fn default() -> Self {
        Self { embedder: None, max_searched: 100_000, max_indexed: 200_000, durability: Durability::Full }
    }
}

/// Keeps items on any [`Store`]: in memory, in a file, on PostgreSQL. A write takes the same time however much is kept; a
/// search looks at the vectors, or the texts, of its namespace and of no other.
///
/// The vectors of a namespace are read when it is first searched by meaning, and then held in memory
/// ([`LongOptions::max_indexed`]). Each write counts the changes of its namespace in the store, and each search looks at that
/// number first: so it sees what was written before it, by this process or by another one.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_memory::{LongOptions, LongStore, Namespace, NewItem, Search, StoredLong};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let options = LongOptions { embedder: Some(Arc::new(MockEmbedder::new(64)?)), ..LongOptions::default() };
/// let (memory, ctx) = (StoredLong::in_memory(options), CallCtx::new());
/// let ada = Namespace::new(["users", "ada"])?;
/// memory.put(NewItem::new(ada.clone(), "home", json!({"text": "lives in Oslo", "kind": "fact"})), &ctx).await?;
/// memory.put(NewItem::new(ada.clone(), "food", json!({"text": "likes fish"})), &ctx).await?;
/// let found = memory.search(&Search::below(ada).query("Oslo").top_k(1), &ctx).await?;
/// assert_eq!(found[0].key, "home");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct StoredLong {
    values: Keeper,
    vectors: Keeper,
    changes: Changes,
    indexes: Indexes,
    options: LongOptions,
}

/// What is remembered is not printed.
impl fmt::Debug for StoredLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let embedder = self.options.embedder.as_ref().map_or("no embedder", |embedder| embedder.model());
        write!(f, "StoredLong({:?}, {embedder})", self.values)
    }
}

/// A value as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    value: Value,
    created_ms: u64,
    updated_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_ms: Option<u64>,
}

impl Stored {
    fn is_over(&self, now: u64) -> bool {
        self.expires_ms.is_some_and(|expires| expires <= now)
    }

    fn item(self, namespace: Namespace, key: String) -> StoreItem {
        let Self { value, created_ms, updated_ms, expires_ms } = self;
        StoreItem { namespace, key, value, created_ms, updated_ms, expires_ms, score: None }
    }
}

impl StoredLong {
    /// On this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, options: LongOptions) -> Self {
        let values = Keeper::new(Arc::clone(&store), "memory-long");
        let changes = Changes::new(Arc::clone(&store));
        Self { values, vectors: Keeper::new(store, "memory-vector"), changes, indexes: Indexes::default(), options }
    }

    /// In this process, for as long as it lives.
    #[must_use]
    pub fn in_memory(options: LongOptions) -> Self {
        Self::new(Arc::new(StateInMemory::new()), options)
    }

    /// Forgets the items below a namespace whose time is over, and gives how many. They are not found before, either; this
    /// gives their room back.
    ///
    /// # Errors
    /// [`MemoryError::Store`].
    pub async fn purge(&self, namespace: &Namespace) -> Result<usize, MemoryError> {
        let (now, prefix) = (now_ms(), namespace.path()?);
        let (mut gone, mut after) = (0, None);
        loop {
            let scan = Scan { after: after.take(), ..Scan::of("").prefix(&prefix) };
            let page = self.values.page(scan, 1_000).await?;
            let Some((last, _)) = page.last() else { return Ok(gone) };
            after = Some(last.name().to_owned());
            for (key, record) in &page {
                if read::<Stored>(key.name(), record)?.is_over(now) && self.forget(key.name(), record).await? {
                    gone += 1;
                }
            }
        }
    }

    /// Makes the vectors below a namespace anew with the embedder of this store, where they are missing or made by another
    /// model; gives how many.
    ///
    /// # Errors
    /// [`MemoryError::Name`] without an embedder, [`MemoryError::Embed`] when it fails; what was done until then stays.
    pub async fn reindex(&self, namespace: &Namespace, ctx: &CallCtx) -> Result<usize, MemoryError> {
        let Some(embedder) = &self.options.embedder else {
            return Err(MemoryError::name("embedder", "is missing: this store makes no vectors".into()));
        };
        let limit = self.options.max_searched;
        let mut done = 0;
        for page in self.values.all(&namespace.path()?, namespace, limit).await?.chunks(256) {
            let mut stale = Vec::new();
            for (key, record) in page {
                let vector = self.vectors.get(key.name()).await?;
                let fresh = vector
                    .is_some_and(|vector| Kept::read(&vector.value).is_some_and(|kept| kept.is_of(embedder.model())));
                if !fresh {
                    stale.push((key, record, read::<Stored>(key.name(), record)?));
                }
            }
            let texts: Vec<String> = stale.iter().map(|(_, _, stored)| text_of(&stored.value)).collect();
            let vectors = embed(self.options.embedder.as_ref(), &texts, ctx).await?;
            for ((key, record, stored), vector) in stale.iter().zip(vectors) {
                let bytes = Kept::write(embedder.model(), stored.expires_ms, &vector);
                let batch = Batch::new()
                    .durability(self.options.durability)
                    .put(key, record.value.clone(), Expect::Version(record.version))
                    .put(&self.vectors.key(key.name())?, bytes, Expect::Any);
                match self.values.store.commit(self.changes.tell(batch, key.name()).await?).await {
                    Ok(()) => done += 1,
                    // It was written anew meanwhile, and with it its vector.
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(done)
    }

    /// The vector of a new item and the name of what made it; `None` for an item that has none.
    async fn vector_of(&self, item: &NewItem, ctx: &CallCtx) -> Result<Option<Bytes>, MemoryError> {
        let expires = expires(item);
        if let Some(given) = &item.embedding {
            check_vector(given)?;
            let model = self.options.embedder.as_ref().map_or("", |embedder| embedder.model());
            return Ok(Some(Kept::write(model, expires, given)));
        }
        let made = embed(self.options.embedder.as_ref(), &[text_of(&item.value)], ctx).await?;
        Ok(made
            .first()
            .zip(self.options.embedder.as_ref())
            .map(|(vector, embedder)| Kept::write(embedder.model(), expires, vector)))
    }

    /// Removes an item and its vector, as it was read; false where it was written anew meanwhile.
    async fn forget(&self, place: &str, record: &Record) -> Result<bool, MemoryError> {
        let batch = Batch::new()
            .durability(self.options.durability)
            .delete(&self.values.key(place)?, Expect::Version(record.version))
            .delete(&self.vectors.key(place)?, Expect::Any);
        match self.values.store.commit(self.changes.tell(batch, place).await?).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an item over what was read; false where somebody else was quicker.
    async fn write(
        &self,
        item: &NewItem,
        vector: Option<Bytes>,
        before: Option<(&Record, &Stored)>,
    ) -> Result<bool, MemoryError> {
        let (place, now) = (item.namespace.place(&item.key)?, now_ms());
        let created_ms = before.filter(|(_, stored)| !stored.is_over(now)).map_or(now, |(_, stored)| stored.created_ms);
        let stored = Stored { value: item.value.clone(), created_ms, updated_ms: now, expires_ms: expires(item) };
        let value = serde_json::to_vec(&stored)
            .map_err(|error| MemoryError::name("value", format!("has no form in JSON: {error}")))?;
        let expect = before.map_or(Expect::Absent, |(record, _)| Expect::Version(record.version));
        let batch = Batch::new().durability(self.options.durability).put(&self.values.key(&place)?, value, expect);
        let at = self.vectors.key(&place)?;
        let batch = match vector {
            Some(vector) => batch.put(&at, vector, Expect::Any),
            None => batch.delete(&at, Expect::Any),
        };
        match self.values.store.commit(self.changes.tell(batch, &place).await?).await {
            Ok(()) => Ok(true),
            Err(StoreError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an item whatever was there, or only if something was; answers what it was.
    async fn replace(
        &self,
        item: NewItem,
        must_be_there: bool,
        ctx: &CallCtx,
    ) -> Result<Option<StoreItem>, MemoryError> {
        let place = item.namespace.place(&item.key)?;
        let mut vector = None;
        for attempt in 0..ATTEMPTS {
            let record = self.values.get(&place).await?;
            let before = record.as_ref().map(|record| Ok((record, read::<Stored>(&place, record)?))).transpose();
            let before = before.map_err(|error: MemoryError| error)?;
            let there = before.as_ref().is_some_and(|(_, stored)| !stored.is_over(now_ms()));
            if must_be_there && !there {
                return Ok(None);
            }
            if attempt == 0 {
                vector = self.vector_of(&item, ctx).await?;
            }
            if self.write(&item, vector.clone(), before.as_ref().map(|(record, stored)| (*record, stored))).await? {
                let old = before.filter(|_| there).map(|(_, stored)| stored);
                return Ok(old.map(|stored| stored.item(item.namespace, item.key)));
            }
        }
        Err(MemoryError::Contended { place, attempts: ATTEMPTS })
    }
}

fn expires(item: &NewItem) -> Option<u64> {
    item.ttl.map(|ttl| now_ms().saturating_add(millis(ttl)))
}

impl LongStore for StoredLong {
    fn put<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), MemoryError>> {
        Box::pin(async move { self.replace(item, false, ctx).await.map(|_| ()) })
    }

    fn update<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        Box::pin(self.replace(item, true, ctx))
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<StoreItem>, MemoryError>> {
        Box::pin(async move {
            let place = namespace.place(key)?;
            let Some(record) = self.values.get(&place).await? else { return Ok(None) };
            let stored: Stored = read(&place, &record)?;
            Ok((!stored.is_over(now_ms())).then(|| stored.item(namespace.clone(), key.to_owned())))
        })
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        Box::pin(async move {
            let place = namespace.place(key)?;
            for _ in 0..ATTEMPTS {
                let Some(record) = self.values.get(&place).await? else { return Ok(false) };
                let there = !read::<Stored>(&place, &record)?.is_over(now_ms());
                if self.forget(&place, &record).await? {
                    return Ok(there);
                }
            }
            Err(MemoryError::Contended { place, attempts: ATTEMPTS })
        })
    }

    fn search<'a>(
        &'a self,
        search: &'a Search,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<StoreItem>, MemoryError>> {
        Box::pin(self.find(search, ctx))
    }

    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>> {
        Box::pin(async move {
            let path = prefix.path()?;
            let (mut found, mut after): (Vec<Namespace>, Option<String>) = (Vec::new(), None);
            while found.len() < limit {
                // One record of each namespace, then on behind its last.
                let scan = Scan { after: after.take(), ..Scan::of("").prefix(&path) };
                let Some((key, _)) = self.values.page(scan, 1).await?.into_iter().next() else { break };
                let Some((namespace, _)) = Namespace::of_place(key.name()) else {
                    let message = "its name is that of no item".to_owned();
                    return Err(MemoryError::Damaged { place: key.name().to_owned(), message });
                };
                after = Some(namespace.own()? + "\u{10FFFF}");
                found.push(namespace);
            }
            Ok(found)
        })
    }
}
