//! The index in this process: [`VectorIndex`].

mod block;
mod exact;
mod file;
mod graph;
mod kept;
mod mapped;
mod metric;
mod nearest;
mod options;
mod rows;
mod state;
mod stop;
mod upkeep;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atomr_agents_core::Kind;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

pub use self::metric::Metric;
pub use self::options::IndexOptions;
use self::rows::Rows;
use self::state::State;
use self::stop::Stop;
use self::upkeep::Due;
use crate::{Allowed, AnnIndex, EmbedError, Neighbour, Vectors};

/// The number that no row has.
const MOST: usize = u32::MAX as usize - 1;
/// From here on a change is made on a thread that may block.
const LONG: usize = 256;
/// How many rows are linked between two looks at whether anybody still waits.
const MOST_AT_ONCE: usize = 4096;

/// An index of vectors in memory. Cheap to clone: clones share the vectors. Any number of threads may search while one
/// changes it; a search sees the index before a change or after it.
///
/// Every vector is kept twice: as it was given, and in codes of eight bits. A search reads the codes, and then those
/// vectors whose codes leave it open; its answer is exact, up to the rounding of 32-bit sums.
///
/// ```
/// use atomr_agents_embed::{IndexOptions, VectorIndex, Vectors};
///
/// let index = VectorIndex::new(2, IndexOptions::default())?;
/// index.insert(&[7, 8], &Vectors::new(2, vec![1.0, 0.0, 0.6, 0.8])?)?;
/// let found = index.find(&[1.0, 0.1], 1, None)?;
/// assert_eq!(found[0].id, 7);
/// assert_eq!(index.delete(&[7, 99])?, 1);
/// assert_eq!(index.find(&[1.0, 0.1], 1, None)?[0].id, 8);
/// # Ok::<(), atomr_agents_embed::EmbedError>(())
/// ```
#[derive(Clone, Debug)]
pub struct VectorIndex {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dim: usize,
    options: IndexOptions,
    state: RwLock<State>,
    /// Held by the one that changes the index. It reads for as long as it takes, beside others, and writes for a moment.
    changing: Mutex<()>,
}

impl VectorIndex {
    /// An empty index of vectors of this dimension.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for a dimension of 0 or above 65,536, or an option that makes no sense.
    pub fn new(dim: usize, options: IndexOptions) -> Result<Self, EmbedError> {
        options.check(dim)?;
        Ok(Self::of(State { ef: options.ef, ..State::new(Rows::new(dim, options.metric)) }, options))
    }

    fn of(state: State, options: IndexOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                dim: state.rows.dim,
                options,
                state: RwLock::new(state),
                changing: Mutex::new(()),
            }),
        }
    }

    /// Writes the index to a file; one that is there is replaced when the new one is whole. Searches go on meanwhile.
    ///
    /// # Errors
    /// [`EmbedError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), EmbedError> {
        let _changing = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.shared.read();
        kept::save(&state, &self.shared.options, path.as_ref())
    }

    /// The index of a file, with the options it was made with. Every checksum is compared; the vectors are then read where
    /// they lie, until the index is changed for the first time. Do not write into the file meanwhile: put another one in its
    /// place, as [`VectorIndex::save`] does.
    ///
    /// # Errors
    /// [`EmbedError::File`] for a file that is not there, is cut, damaged, or something else.
    ///
    /// ```
    /// use atomr_agents_embed::{IndexOptions, VectorIndex, Vectors};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("vectors.index");
    /// let index = VectorIndex::new(2, IndexOptions::default())?;
    /// index.insert(&[7], &Vectors::new(2, vec![1.0, 0.0])?)?;
    /// index.save(&path)?;
    /// assert_eq!(VectorIndex::load(&path)?.find(&[1.0, 0.1], 1, None)?[0].id, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self, EmbedError> {
        let (state, options) = kept::load(path.as_ref())?;
        Ok(Self::of(state, options))
    }

    /// What near means here.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.shared.options.metric
    }

    /// How many values a vector must have.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.shared.dim
    }

    /// How many vectors can be found.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.read().rows.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a vector of this id.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.shared.read().rows.places.contains_key(&id)
    }

    /// The vector of this id: as it was given, by cosine scaled to the length 1.
    #[must_use]
    pub fn vector(&self, id: u64) -> Option<Vec<f32>> {
        let rows = &self.shared.read().rows;
        rows.places.get(&id).map(|row| rows.vector(*row).to_vec())
    }

    /// Keeps each vector under its id, as [`AnnIndex::upsert`] without waiting for a thread.
    ///
    /// # Errors
    /// As [`AnnIndex::upsert`]; [`EmbedError::NotFinite`] for a vector whose length is beyond 32-bit numbers;
    /// [`EmbedError::Failed`] where the index would hold more than `max_vectors`, or there is no memory.
    pub fn insert(&self, ids: &[u64], vectors: &Vectors) -> Result<(), EmbedError> {
        self.shared.stage(ids, vectors)?;
        self.settle_now()
    }

    /// Keeps each vector under its id, as [`VectorIndex::insert`], and leaves the rest of the work to [`VectorIndex::settle`].
    ///
    /// # Errors
    /// As [`VectorIndex::insert`].
    pub fn stage(&self, ids: &[u64], vectors: &Vectors) -> Result<(), EmbedError> {
        self.shared.stage(ids, vectors)
    }

    /// Does what is due after changes, on a thread that may block: packs what is left, builds or extends the graph. Searches
    /// go on meanwhile, and are the same before and after, but for their speed.
    ///
    /// Dropping the future stops the work soon, and leaves the index as it was; it is due again after the next change.
    ///
    /// # Errors
    /// [`EmbedError::Failed`] where there is no memory.
    pub async fn settle(&self) -> Result<(), EmbedError> {
        if self.shared.due() == Due::Nothing {
            return Ok(());
        }
        let (shared, stop) = (Arc::clone(&self.shared), Stop::default());
        let _dropped = stop.on_drop();
        apart(move || shared.tidy(&stop)).await
    }

    /// As [`VectorIndex::settle`], without waiting for a thread, and to the end.
    ///
    /// # Errors
    /// As [`VectorIndex::settle`].
    pub fn settle_now(&self) -> Result<(), EmbedError> {
        self.shared.tidy(&Stop::default())
    }

    /// Forgets the vectors of these ids, as [`AnnIndex::remove`] without waiting for a thread; answers how many were there.
    ///
    /// # Errors
    /// [`EmbedError::Failed`] where there is no memory to pack what is left.
    pub fn delete(&self, ids: &[u64]) -> Result<usize, EmbedError> {
        let removed = self.shared.forget(ids);
        self.settle_now()?;
        Ok(removed)
    }

    /// Forgets the vectors of these ids at once, and leaves the rest of the work to [`VectorIndex::settle`]; answers how many
    /// were there.
    pub fn forget(&self, ids: &[u64]) -> usize {
        self.shared.forget(ids)
    }

    /// The `k` nearest, as [`AnnIndex::search`] without waiting for a thread. The filter must not change the index.
    ///
    /// # Errors
    /// As [`AnnIndex::search`].
    pub fn find(&self, query: &[f32], k: usize, allowed: Option<Allowed<'_>>) -> Result<Vec<Neighbour>, EmbedError> {
        self.shared.read().find(query, k, allowed)
    }

    /// As [`VectorIndex::find`] for each of the queries, on all cores; the answers are in their order.
    ///
    /// # Errors
    /// As [`AnnIndex::search`].
    pub fn find_all(&self, queries: &Vectors, k: usize) -> Result<Vec<Vec<Neighbour>>, EmbedError> {
        let state = self.shared.read();
        let queries: Vec<&[f32]> = queries.rows().collect();
        graph::on_all_cores(&queries, |query| state.find(query, k, None)).into_iter().collect()
    }

    /// Sets how many nearest a search through the graph keeps on its way: more find more and take longer. `None`: what was
    /// measured.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for 0.
    pub fn set_ef(&self, ef: Option<usize>) -> Result<(), EmbedError> {
        options::check_ef(ef)?;
        self.shared.write().ef = ef;
        Ok(())
    }

    /// How many nearest a search through the graph keeps on its way, as it was measured or asked for; `None` where there
    /// is no graph and every search is exact.
    #[must_use]
    pub fn ef(&self) -> Option<usize> {
        let state = self.shared.read();
        state.graph.as_ref().map(|graph| state.ef.unwrap_or(graph.ef))
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn stage(&self, ids: &[u64], vectors: &Vectors) -> Result<(), EmbedError> {
        if vectors.dim() != self.dim {
            return Err(EmbedError::Dimension { expected: self.dim, found: vectors.dim() });
        }
        if ids.len() != vectors.len() {
            let problem = format!("are {}, the vectors {}: each vector has one", ids.len(), vectors.len());
            return Err(EmbedError::invalid("ids", problem));
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // The last of an id counts; the others would only be rows that nobody finds.
        let last: HashMap<u64, usize> = ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let (mut kept, mut prepared) = (Vec::with_capacity(last.len()), Vec::with_capacity(last.len()));
        {
            let rows = &self.read().rows;
            for (at, (id, vector)) in ids.iter().zip(vectors.rows()).enumerate() {
                if last.get(id) == Some(&at) {
                    prepared.push(rows.prepare(vector).ok_or(EmbedError::NotFinite { row: at, column: 0 })?);
                    kept.push(*id);
                }
            }
            let new = kept.iter().filter(|id| !rows.places.contains_key(id)).count();
            if rows.places.len() + new > self.options.max_vectors || rows.len() + kept.len() > MOST {
                return Err(full(self.options.max_vectors));
            }
        }
        {
            let rows = &mut self.write().rows;
            let first = rows.len() as u32;
            rows.push(&kept, &prepared)?;
            rows.places.extend(kept.iter().copied().zip(first..));
        }
        Ok(())
    }

    fn forget(&self, ids: &[u64]) -> usize {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = &mut self.write().rows;
        ids.iter().filter(|id| rows.places.remove(id).is_some()).count()
    }

    fn due(&self) -> Due {
        upkeep::due(&self.read(), &self.options)
    }

    /// Brings the index into order after a change, unless it is asked to stop: then it stays as it is.
    fn tidy(&self, stop: &Stop) -> Result<(), EmbedError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // Made while others search, and put in place in a moment.
        let made = match self.due() {
            Due::Nothing => return Ok(()),
            Due::Extend => return self.extend(stop),
            Due::Pack => upkeep::packed(&self.read())?,
            Due::Build => match upkeep::built(&self.read(), &self.options, stop) {
                Err(_) if stop.asked() => return Ok(()),
                made => made?,
            },
        };
        let mut state = self.write();
        let ef = state.ef;
        *state = State { ef, ..made };
        drop(state);
        // What was kept out of the graph to measure it.
        self.extend(stop)
    }

    /// Links the rows behind the graph, batch by batch, until it is asked to stop.
    fn extend(&self, stop: &Stop) -> Result<(), EmbedError> {
        while !stop.asked() {
            let (end, rows) = {
                let mut state = self.write();
                let State { rows, graph: Some(graph), .. } = &mut *state else { return Ok(()) };
                let end = rows.len().min(graph.linked + (graph.linked / 32).clamp(upkeep::TAIL, MOST_AT_ONCE));
                let space = graph::Space { coded: rows.coded(), metric: rows.metric };
                graph.grow(space, end)?;
                (end, (graph.linked as u32..end as u32).collect::<Vec<_>>())
            };
            if rows.is_empty() {
                return Ok(());
            }
            let lists = {
                let state = self.read();
                state.graph.as_ref().map(|graph| graph.plan(state.space(), &rows)).unwrap_or_default()
            };
            if let Some(graph) = &mut self.write().graph {
                graph.base.write(&lists)?;
                graph.linked = end;
            }
        }
        Ok(())
    }
}

fn full(max: usize) -> EmbedError {
    EmbedError::Failed {
        what: "the index".into(),
        kind: Kind::TooLarge,
        message: format!("it may hold {max} vectors (max_vectors)"),
        source: None,
    }
}

/// Does this on a thread that may block, where there is a runtime that has one.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbedError> + Send + 'static,
) -> Result<T, EmbedError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work();
    }
    // Owned: whoever drops the future has no task left, only a thread that ends what it began.
    let mut tasks = JoinSet::new();
    tasks.spawn_blocking(work);
    match tasks.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => Err(EmbedError::Failed {
            what: "the index".into(),
            kind: Kind::Internal,
            message: error.to_string(),
            source: Some(Arc::new(error)),
        }),
        None => Err(EmbedError::Failed {
            what: "the index".into(),
            kind: Kind::Internal,
            message: "its work was lost".into(),
            source: None,
        }),
    }
}

impl AnnIndex for VectorIndex {
    fn dim(&self) -> usize {
        self.shared.dim
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, EmbedError>> {
        Box::pin(async { Ok(self.len()) })
    }

    fn upsert<'a>(&'a self, ids: &'a [u64], vectors: &'a Vectors) -> BoxFuture<'a, Result<(), EmbedError>> {
        Box::pin(async move {
            if ids.len() < LONG {
                self.stage(ids, vectors)?;
            } else {
                let (shared, ids, vectors) = (Arc::clone(&self.shared), ids.to_vec(), vectors.clone());
                apart(move || shared.stage(&ids, &vectors)).await?;
            }
            self.settle().await
        })
    }

    fn remove<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<usize, EmbedError>> {
        Box::pin(async move {
            let removed = self.shared.forget(ids);
            self.settle().await?;
            Ok(removed)
        })
    }

    fn search<'a>(
        &'a self,
        query: &'a [f32],
        k: usize,
        allowed: Option<Allowed<'a>>,
    ) -> BoxFuture<'a, Result<Vec<Neighbour>, EmbedError>> {
        // In place: it takes microseconds to a few milliseconds, and a filter that is borrowed can go to no other thread.
        Box::pin(async move { self.find(query, k, allowed) })
    }
}
