//! What is looked for in a long store.

use atomr_agents_retriever::Filter;
use serde::{Deserialize, Serialize};

use crate::Namespace;

/// How items are compared with a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By meaning where the store has an embedder or the search a vector, by words elsewhere.
    #[default]
    Best,
    /// By the cosine of the vectors. Items without a vector are not found.
    Meaning,
    /// By the words they share, as BM25 weighs them.
    Words,
    /// By both, merged by ranks.
    Both,
}

/// What is looked for in a [`LongStore`](crate::LongStore).
///
/// ```
/// use atomr_agents_memory::{Namespace, Search};
/// use atomr_agents_retriever::Filter;
///
/// let search = Search::below(Namespace::new(["users", "ada"])?).query("rain").filter(Filter::eq("kind", "fact")).top_k(3);
/// assert_eq!((search.query.as_deref(), search.top_k), (Some("rain"), 3));
/// # Ok::<(), atomr_agents_memory::MemoryError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// Items of this namespace and of all below it.
    pub namespace: Namespace,
    /// The words; without them and without a vector the items that were written last are found.
    #[serde(default)]
    pub query: Option<String>,
    /// The vector, where the caller has made it.
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
    /// How they are compared.
    #[serde(default)]
    pub by: By,
    /// What the fields of the value must fulfil; a value that is no object has none.
    #[serde(default)]
    pub filter: Option<Filter>,
    /// How many at most.
    pub top_k: usize,
}

impl Search {
    /// The ten items that were written last in this namespace and below it.
    #[must_use]
    pub fn below(namespace: Namespace) -> Self {
        Self { namespace, query: None, embedding: None, by: By::Best, filter: None, top_k: 10 }
    }

    /// Those that fit these words best.
    #[must_use]
    pub fn query(mut self, query: impl Into<String>) -> Self {
        self.query = Some(query.into());
        self
    }

    /// Those nearest to this vector.
    #[must_use]
    pub fn embedding(mut self, embedding: Vec<f32>) -> Self {
        self.embedding = Some(embedding);
        self
    }

    /// Compared so.
    #[must_use]
    pub fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// Only items whose value fulfils this.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many.
    #[must_use]
    pub fn top_k(mut self, top_k: usize) -> Self {
        self.top_k = top_k;
        self
    }
}
