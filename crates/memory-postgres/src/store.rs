//! The store.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_memory::parts::{Asked, asked, deep, embed, fused};
use atomr_agents_memory::{LongStore, MemoryError, Namespace, NewItem, Search, StoreItem};
use atomr_agents_postgres::{Server, Tasks, found, open, signed};
use futures_util::future::BoxFuture;
use tokio_postgres::types::Type;

use crate::meaning::nearest;
use crate::options::PgVectorOptions;
use crate::statement::{Arguments, COLUMNS, Names, Scope, ask, item, quoted, text};
use crate::words::by_words;
use crate::{extension, writes};

/// What brings a schema from one format to the next; the first makes it. One that was released is never changed.
const STEPS: &[&str] = &[include_str!("schema/v1.sql")];

/// Long memory in a schema of a PostgreSQL database with pgvector, shared by as many processes as connect to it.
///
/// - The database searches. By words and in small namespaces by meaning it finds what
///   [`StoredLong`](atomr_agents_memory::StoredLong) finds, with the same scores; where more than
///   [`PgVectorOptions::exact_below`] vectors lie below a namespace, it asks an HNSW index and may miss some of the nearest.
///   Filters are part of the statement: what is found fulfils them, and there are as many as there can be.
/// - Times are those of the database's clock. A write is one statement and one transaction; nothing is prepared, and nothing
///   is set for a session, so it works behind a pooler that gives each transaction another connection.
/// - A call whose future is dropped goes on to its end in a task of the store, and what it writes is written before the store's
///   next call begins. Dropping the store ends them.
/// - While the database cannot be reached, calls wait for it ([`PgVectorOptions::outage`]). Where the answer to an update or a
///   delete is lost, that is an error which says so; what is put is put again.
#[derive(Clone)]
pub struct PgVectorLong {
    shared: Arc<Shared>,
}

struct Shared {
    /// The calls that are under way. They hold the inner part only, so that they end with the store.
    calls: Tasks,
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    names: Names,
    options: PgVectorOptions,
}

/// What is remembered is not printed.
impl fmt::Debug for PgVectorLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { server, options, .. } = &*self.shared.inner;
        let embedder = options.embedder.as_ref().map_or("no embedder", |embedder| embedder.model());
        write!(f, "PgVectorLong({}, schema {:?}, {embedder})", server.place(), server.schema())
    }
}

impl PgVectorLong {
    /// Opens the memory in the database at `dsn`: `postgres://user:password@host:port/database?sslmode=…` or
    /// `host=… port=… user=… password=… dbname=… sslmode=…`.
    ///
    /// `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`; without it a server on this machine is
    /// spoken to without TLS, and any other with it if it can. Where there is TLS, the server's certificate and name are
    /// checked against the machine's roots, or those of `sslrootcert=FILE`.
    ///
    /// # Errors
    /// [`MemoryError::Store`] with [`Config`](atomr_agents_state::StoreError::Config) for a DSN or a setting that makes no
    /// sense, for a schema that is missing or old without `migrate`, and (setting `pgvector`) for a server or a database
    /// without the extension in version 0.8 or newer, with what is to be done;
    /// [`UnsupportedFormat`](atomr_agents_state::StoreError::UnsupportedFormat) for a schema of a newer version;
    /// [`Unavailable`](atomr_agents_state::StoreError::Unavailable) when the database cannot be reached within
    /// [`PgVectorOptions::connect_timeout`].
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use atomr_agents_core::CallCtx;
    /// use atomr_agents_embed::MockEmbedder;
    /// use atomr_agents_memory::{LongStore, Namespace, NewItem, Search};
    /// use atomr_agents_memory_postgres::{PgVectorLong, PgVectorOptions};
    /// use atomr_agents_retriever::Filter;
    /// use serde_json::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = PgVectorOptions { embedder: Some(Arc::new(MockEmbedder::new(64)?)), ..PgVectorOptions::default() };
    /// let memory = PgVectorLong::connect("postgres://agents@db.internal/agents", options).await?;
    /// let (ada, ctx) = (Namespace::new(["users", "ada"])?, CallCtx::new());
    /// memory.put(NewItem::new(ada.clone(), "home", json!({"text": "lives in Oslo", "kind": "fact"})), &ctx).await?;
    /// let found = memory.search(&Search::below(ada).query("Oslo").filter(Filter::eq("kind", "fact")), &ctx).await?;
    /// assert_eq!(found[0].key, "home");
    /// # Ok(()) }
    /// ```
    pub async fn connect(dsn: &str, options: PgVectorOptions) -> Result<Self, MemoryError> {
        options.check()?;
        let server = Server::new(dsn, options.server())?;
        let calls = Tasks::default();
        let inner = calls.read(Inner::open(server, options)).await?;
        Ok(Self { shared: Arc::new(Shared { calls, inner: Arc::new(inner) }) })
    }

    /// Forgets the items below a namespace whose time is over, and gives how many. They are not found before, either; this
    /// gives their room back.
    ///
    /// # Errors
    /// [`MemoryError::Store`].
    pub async fn purge(&self, namespace: &Namespace) -> Result<usize, MemoryError> {
        let namespace = namespace.clone();
        self.write(|inner| async move { writes::purge(&inner.server, &inner.names, &namespace).await }).await
    }

    /// Makes the vectors below a namespace anew with the embedder of this store, where they are missing or made by another
    /// model; gives how many.
    ///
    /// # Errors
    /// [`MemoryError::Name`] without an embedder, [`MemoryError::Embed`] when it fails; what was done until then stays.
    pub async fn reindex(&self, namespace: &Namespace, ctx: &CallCtx) -> Result<usize, MemoryError> {
        let Some(embedder) = self.shared.inner.options.embedder.clone() else {
            return Err(MemoryError::name("embedder", "is missing: this store makes no vectors".into()));
        };
        let (mut done, mut after) = (0, String::new());
        loop {
            let (model, below) = (embedder.model().to_owned(), namespace.clone());
            let stale = self
                .read(|inner| async move { writes::stale(&inner.server, &inner.names, &below, &model, after).await })
                .await?;
            let Some(last) = stale.places.last() else { return Ok(done) };
            after = last.clone();
            let vectors = embed(Some(&embedder), &stale.texts, ctx).await?;
            done += self
                .write(|inner| async move {
                    writes::revise(&inner.server, &inner.names, &inner.options, stale, vectors).await
                })
                .await?;
        }
    }

    /// Makes the index for searches by meaning where it is missing, beside reads and writes. [`PgVectorLong::connect`] makes
    /// it by itself while there are few vectors of its dimension. One process at a time.
    ///
    /// # Errors
    /// [`MemoryError::Name`] where the dimension is not known or above 4,000, [`MemoryError::Store`] when it takes longer than
    /// [`PgVectorOptions::index_timeout`].
    pub async fn build_index(&self) -> Result<(), MemoryError> {
        let Some(dim) = self.shared.inner.options.dim() else {
            return Err(MemoryError::name("dim", "is not known: say it in the options".into()));
        };
        self.write(|inner| async move {
            extension::index(&inner.server, &inner.names, dim, inner.options.index_timeout).await
        })
        .await
    }

    /// Runs a call that does not end with its caller.
    async fn read<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> Result<T, MemoryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MemoryError>> + Send + 'static,
    {
        self.shared.calls.read(call(Arc::clone(&self.shared.inner))).await
    }

    /// As [`PgVectorLong::read`], for one that writes: the next call waits for it even if its caller has gone.
    async fn write<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> Result<T, MemoryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, MemoryError>> + Send + 'static,
    {
        self.shared.calls.write(call(Arc::clone(&self.shared.inner))).await
    }

    async fn replace(&self, item: NewItem, must: bool, ctx: &CallCtx) -> Result<Option<StoreItem>, MemoryError> {
        // No model is asked for the vector of what will not be written.
        if must && item.embedding.is_none() && self.get(&item.namespace, &item.key, ctx).await?.is_none() {
            return Ok(None);
        }
        let ready = writes::ready(&self.shared.inner.options, item, must, ctx).await?;
        self.write(|inner| async move { writes::put(&inner.server, &inner.names, ready).await }).await
    }
}

impl Inner {
    async fn open(server: Server, options: PgVectorOptions) -> Result<Self, MemoryError> {
        let there = found(&server).await?;
        if options.migrate && there.is_none() {
            extension::make(&server).await?;
        }
        // What a newer version has made is told as that, whatever the extension is.
        if there.is_some_and(|format| format as usize > STEPS.len()) {
            open(&server, STEPS).await?;
        }
        let pgvector = extension::find(&server).await?;
        let names = Names { schema: quoted(server.schema().name()), pgvector };
        let steps: Vec<String> = STEPS.iter().map(|step| names.of(step)).collect();
        open(&server, &steps.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        if let Some(dim) = options.dim().filter(|_| options.migrate && options.exact_below < usize::MAX) {
            extension::index_early(&server, &names, dim).await?;
        }
        Ok(Self { server, names, options })
    }

    async fn find(&self, search: Search, asked: Asked) -> Result<Vec<StoreItem>, MemoryError> {
        let Self { server, names, options } = self;
        let top_k = search.top_k;
        match asked {
            Asked::Nothing => Ok(Vec::new()),
            Asked::Latest => self.latest(&search).await,
            Asked::Meaning(unit) => nearest(server, names, options, &search, &unit, top_k).await,
            Asked::Words(words) => by_words(server, names, &search, &words, top_k).await,
            Asked::Both(unit, words) => {
                let deep = deep(top_k);
                let (near, worded) = futures_util::try_join!(
                    nearest(server, names, options, &search, &unit, deep),
                    by_words(server, names, &search, &words, deep)
                )?;
                let mut items = HashMap::new();
                let mut places = |found: Vec<StoreItem>| {
                    let places = found.into_iter().map(|item| {
                        let (place, score) = (item.namespace.place(&item.key)?, item.score.unwrap_or_default());
                        items.insert(place.clone(), item);
                        Ok::<_, MemoryError>((place, score))
                    });
                    places.collect::<Result<Vec<_>, _>>()
                };
                let rankings = [places(near)?, places(worded)?];
                let best = fused(rankings, top_k).into_iter();
                Ok(best
                    .filter_map(|(place, score)| Some(StoreItem { score: Some(score), ..items.remove(&place)? }))
                    .collect())
            }
        }
    }

    async fn latest(&self, search: &Search) -> Result<Vec<StoreItem>, MemoryError> {
        let mut arguments = Arguments::default();
        let limit = arguments.add(signed(search.top_k as u64), Type::INT8);
        let Scope { below, live, fits } = Scope::new(&mut arguments, &search.namespace, search.filter.as_ref())?;
        let sql = format!(
            "SELECT {COLUMNS} FROM SCHEMA.items WHERE {below} AND {live} AND {fits}
             ORDER BY updated_ms DESC, place LIMIT {limit}"
        );
        let rows = ask(&self.server, &self.names, &sql, &arguments).await?;
        rows.iter().map(|row| item(&self.server, row)).collect()
    }

    async fn get(&self, place: String) -> Result<Option<StoreItem>, MemoryError> {
        let mut arguments = Arguments::default();
        arguments.add(place, Type::TEXT);
        let sql = format!(
            "SELECT {COLUMNS} FROM SCHEMA.items
             WHERE place = $1 AND (expires_ms IS NULL OR expires_ms > (SELECT SCHEMA.now_ms()))"
        );
        let rows = ask(&self.server, &self.names, &sql, &arguments).await?;
        rows.first().map(|row| item(&self.server, row)).transpose()
    }

    /// One place of each namespace, then on behind its last.
    async fn namespaces(&self, prefix: &Namespace, limit: usize) -> Result<Vec<Namespace>, MemoryError> {
        let mut arguments = Arguments::default();
        let limit = arguments.add(signed(limit as u64), Type::INT8);
        let Scope { below, live, .. } = Scope::new(&mut arguments, prefix, None)?;
        let sql = format!(
            "WITH RECURSIVE found (own, number) AS (
                (SELECT split_part(place, '//', 1), 1 FROM SCHEMA.items WHERE {below} AND {live} ORDER BY place LIMIT 1)
                UNION ALL
                SELECT next.own, found.number + 1 FROM found CROSS JOIN LATERAL (
                    SELECT split_part(place, '//', 1) AS own FROM SCHEMA.items
                    WHERE place >= found.own || '/0' AND {below} AND {live} ORDER BY place LIMIT 1
                ) next WHERE found.number < {limit}
            )
            SELECT own FROM found ORDER BY number"
        );
        let rows = ask(&self.server, &self.names, &sql, &arguments).await?;
        let namespaces = rows.iter().map(|row| {
            let own = text(&self.server, row, 0)?;
            let message = "its name is that of no item".to_owned();
            let damaged = || MemoryError::Damaged { place: own.to_owned(), message };
            Namespace::of_place(&format!("{own}//-")).map(|(namespace, _)| namespace).ok_or_else(damaged)
        });
        namespaces.collect()
    }
}

impl LongStore for PgVectorLong {
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
            self.read(|inner| async move { inner.get(place).await }).await
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
            self.write(|inner| async move { writes::forget(&inner.server, &inner.names, place).await }).await
        })
    }

    fn search<'a>(
        &'a self,
        search: &'a Search,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<StoreItem>, MemoryError>> {
        Box::pin(async move {
            let asked = asked(search, self.shared.inner.options.embedder.as_ref(), ctx).await?;
            let search = search.clone();
            self.read(|inner| async move { inner.find(search, asked).await }).await
        })
    }

    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>> {
        Box::pin(async move {
            if limit == 0 {
                return Ok(Vec::new());
            }
            let prefix = prefix.clone();
            self.read(|inner| async move { inner.namespaces(&prefix, limit).await }).await
        })
    }
}
