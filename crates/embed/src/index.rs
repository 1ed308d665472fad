//! The index in this process: [`VectorIndex`].

mod block;
mod exact;
mod metric;
mod nearest;
mod rows;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atomr_agents_core::Kind;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

pub use self::metric::Metric;
use self::rows::Rows;
use crate::{Allowed, AnnIndex, EmbedError, Neighbour, Vectors};

/// How an index works; [`IndexOptions::default`] fits most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IndexOptions {
    /// What near means.
    pub metric: Metric,
    /// How many vectors the index may hold: at most 4 billion, which is also the default.
    pub max_vectors: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self { metric: Metric::Cosine, max_vectors: MOST }
    }
}

/// The number that no row has.
const MOST: usize = u32::MAX as usize - 1;
/// From here on a change is made on a thread that may block.
const LONG: usize = 256;

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
    state: RwLock<Rows>,
    /// Held by the one that changes the index. It reads for as long as it takes, beside others, and writes for a moment.
    changing: Mutex<()>,
}

impl VectorIndex {
    /// An empty index of vectors of this dimension.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for a dimension of 0 or above 65,536, or an option that makes no sense.
    pub fn new(dim: usize, options: IndexOptions) -> Result<Self, EmbedError> {
        if !(1..=65_536).contains(&dim) {
            return Err(EmbedError::invalid("dim", format!("must be between 1 and 65,536, not {dim}")));
        }
        if !(1..=MOST).contains(&options.max_vectors) {
            return Err(EmbedError::invalid("max_vectors", format!("must be between 1 and {MOST}")));
        }
        Ok(Self {
            shared: Arc::new(Shared {
                dim,
                options,
                state: RwLock::new(Rows::new(dim, options.metric)),
                changing: Mutex::new(()),
            }),
        })
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
        self.shared.read().places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a vector of this id.
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.shared.read().places.contains_key(&id)
    }

    /// The vector of this id: as it was given, by cosine scaled to the length 1.
    #[must_use]
    pub fn vector(&self, id: u64) -> Option<Vec<f32>> {
        let rows = self.shared.read();
        rows.places.get(&id).map(|row| rows.vector(*row).to_vec())
    }

    /// Keeps each vector under its id, as [`AnnIndex::upsert`] without waiting for a thread.
    ///
    /// # Errors
    /// As [`AnnIndex::upsert`]; [`EmbedError::NotFinite`] for a vector whose length is beyond 32-bit numbers;
    /// [`EmbedError::Failed`] where the index would hold more than `max_vectors`, or there is no memory.
    pub fn insert(&self, ids: &[u64], vectors: &Vectors) -> Result<(), EmbedError> {
        self.shared.insert(ids, vectors)
    }

    /// Forgets the vectors of these ids, as [`AnnIndex::remove`] without waiting for a thread; answers how many were there.
    ///
    /// # Errors
    /// [`EmbedError::Failed`] where there is no memory to pack what is left.
    pub fn delete(&self, ids: &[u64]) -> Result<usize, EmbedError> {
        self.shared.delete(ids)
    }

    /// The `k` nearest, as [`AnnIndex::search`] without waiting for a thread. The filter must not change the index.
    ///
    /// # Errors
    /// As [`AnnIndex::search`].
    pub fn find(&self, query: &[f32], k: usize, allowed: Option<Allowed<'_>>) -> Result<Vec<Neighbour>, EmbedError> {
        let rows = self.shared.read();
        let asked = rows.asked(query)?;
        let mut found = Vec::new();
        let k = k.min(rows.places.len());
        if k > 0 {
            exact::search(&rows, &asked, k, allowed, 0, &mut found);
        }
        Ok(found)
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn insert(&self, ids: &[u64], vectors: &Vectors) -> Result<(), EmbedError> {
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
            let rows = self.read();
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
            let mut rows = self.write();
            let first = rows.len() as u32;
            rows.push(&kept, &prepared)?;
            rows.places.extend(kept.iter().copied().zip(first..));
        }
        self.tidy()
    }

    fn delete(&self, ids: &[u64]) -> Result<usize, EmbedError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let removed = {
            let mut rows = self.write();
            ids.iter().filter(|id| rows.places.remove(id).is_some()).count()
        };
        self.tidy()?;
        Ok(removed)
    }

    /// Packs the index where many of its rows were removed or replaced. Called by the one that changes it.
    fn tidy(&self) -> Result<(), EmbedError> {
        let packed = {
            let rows = self.read();
            let (all, there) = (rows.len(), rows.places.len());
            if all - there <= there / 2 + 64 {
                return Ok(());
            }
            let order: Vec<u32> = (0..all as u32).filter(|row| rows.alive(*row)).collect();
            rows.picked(&order)?
        };
        *self.write() = packed;
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
                return self.insert(ids, vectors);
            }
            let (shared, ids, vectors) = (Arc::clone(&self.shared), ids.to_vec(), vectors.clone());
            apart(move || shared.insert(&ids, &vectors)).await
        })
    }

    fn remove<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<usize, EmbedError>> {
        Box::pin(async move {
            let (shared, ids) = (Arc::clone(&self.shared), ids.to_vec());
            apart(move || shared.delete(&ids)).await
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
