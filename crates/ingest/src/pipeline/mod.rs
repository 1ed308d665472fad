//! From a loader to an index, all steps at once.

mod embedding;
mod records;
mod run;

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_embed::Embedder;
use atomr_agents_retriever::DocumentIndex;
use futures_util::future::BoxFuture;

pub use records::RecordManager;

use crate::{AsyncSplitter, IngestError, Loader};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Documents that were loaded.
    pub loaded: usize,
    /// Those that are in the index as they are already.
    pub unchanged: usize,
    /// Those that were written.
    pub written: usize,
    /// The pieces of these.
    pub pieces: usize,
    /// Documents that are gone, and were removed.
    pub removed: usize,
    /// Documents that failed.
    pub failed: usize,
}

/// What a run did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// In numbers.
    pub progress: Progress,
    /// What is wrong with the documents that failed. Each names its document, as far as it is about one.
    pub failures: Vec<IngestError>,
}

/// Is told how far a run is, after each group of documents. It must not block.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Makes what was written to the index outlive the process, before the records say that it was written.
pub trait Checkpoint: Send + Sync + 'static {
    /// Keeps the index as it is now.
    ///
    /// # Errors
    /// [`IngestError`]: then nothing that was written since the last one is said to be written.
    fn keep<'a>(&'a self, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), IngestError>>;
}

/// How a pipeline runs.
#[derive(Clone, Copy, Debug)]
pub struct PipelineOptions {
    /// How many pieces are embedded in one call. 128.
    pub batch: usize,
    /// How many such calls are under way at once. 4.
    pub at_once: usize,
    /// How many bytes of documents and pieces may wait between the steps, about. 32 MiB.
    pub max_waiting_bytes: usize,
    /// After how many pieces, at most, the index is kept and the records are written. 4,096.
    pub checkpoint_pieces: usize,
}

impl Default for PipelineOptions {
    fn default() -> Self {
        Self { batch: 128, at_once: 4, max_waiting_bytes: 32 << 20, checkpoint_pieces: 4_096 }
    }
}

/// Loads, cuts, embeds and writes documents to an index, all at the same time and within bounds of memory.
///
/// With a [`RecordManager`] a run does only what is to be done: a document that is in the index as it is costs its loading,
/// one that is gone is removed, with its pieces, and a run that was killed goes on where it was. A document that fails
/// loses no other one, and is tried again by the next run.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_ingest::{IngestPipeline, RecordManager, Recursive};
/// use atomr_agents_retriever::{Bm25, Bm25Options};
/// use atomr_agents_state::MemoryStore;
///
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let documents = vec![Document::new("a", "Rain in Oslo."), Document::new("b", "Wind.")];
/// let records = RecordManager::new(Arc::new(MemoryStore::new()), "weather")?;
/// let pipeline = IngestPipeline::new(Arc::new(documents), Arc::new(Bm25::new(Bm25Options::default())?))
///     .splitter(Arc::new(Recursive::new(100).build()?))
///     .records(records);
/// assert_eq!(pipeline.run(&CallCtx::new(), None).await?.progress.written, 2);
/// assert_eq!(pipeline.run(&CallCtx::new(), None).await?.progress.unchanged, 2);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct IngestPipeline {
    loader: Arc<dyn Loader>,
    splitter: Option<Arc<dyn AsyncSplitter>>,
    embedder: Option<Arc<dyn Embedder>>,
    index: Arc<dyn DocumentIndex>,
    records: Option<RecordManager>,
    checkpoint: Option<Arc<dyn Checkpoint>>,
    version: String,
    options: PipelineOptions,
}

impl fmt::Debug for IngestPipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("IngestPipeline");
        shown.field("loader", &self.loader).field("splitter", &self.splitter).field("embedder", &self.embedder);
        shown.field("options", &self.options).finish_non_exhaustive()
    }
}

impl IngestPipeline {
    /// From this loader to this index; documents stay whole, and have no vectors.
    #[must_use]
    pub fn new(loader: Arc<dyn Loader>, index: Arc<dyn DocumentIndex>) -> Self {
        let options = PipelineOptions::default();
        let (splitter, embedder, records, checkpoint) = (None, None, None, None);
        Self { loader, splitter, embedder, index, records, checkpoint, version: String::new(), options }
    }

    /// Cuts documents.
    #[must_use]
    pub fn splitter(mut self, splitter: Arc<dyn AsyncSplitter>) -> Self {
        self.splitter = Some(splitter);
        self
    }

    /// Embeds the pieces.
    #[must_use]
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedder = Some(embedder);
        self
    }

    /// Remembers what is in the index.
    #[must_use]
    pub fn records(mut self, records: RecordManager) -> Self {
        self.records = Some(records);
        self
    }

    /// Keeps the index before the records say what is in it.
    #[must_use]
    pub fn checkpoint(mut self, checkpoint: Arc<dyn Checkpoint>) -> Self {
        self.checkpoint = Some(checkpoint);
        self
    }

    /// How documents are cut, in a word: when it is another one, every document is written anew. The model of the embedder
    /// counts by itself.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// How it runs.
    #[must_use]
    pub fn options(mut self, options: PipelineOptions) -> Self {
        self.options = options;
        self
    }

    /// Runs it once. Dropping the future stops it; what was written stays.
    ///
    /// # Errors
    /// [`IngestError::Cancelled`], what the index and the store of the records say, and settings that make no sense. What is
    /// wrong with single documents is in the report.
    pub async fn run(&self, ctx: &CallCtx, progress: Option<OnProgress>) -> Result<Report, IngestError> {
        run::run(self, ctx, progress).await
    }
}
