//! The seam: what loads documents.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::IngestError;

/// Documents as they come. An error is one document that could not be loaded; others follow, until the stream ends.
pub type Documents = BoxStream<'static, Result<Document, IngestError>>;

/// Loads documents.
///
/// A bad document is an error that says which, and never loses the others. What is loaded and not taken is little: a
/// loader reads on only when somebody asks. The same source gives the same ids, in the same order.
///
/// [`conformance::check_loader`](crate::conformance::check_loader) tests the rules.
///
/// ```
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_ingest::{Loader, Loaded, load_all};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let loader = vec![Document::new("a", "Rain."), Document::new("b", "Wind.")];
/// let Loaded { documents, errors } = load_all(&loader, &CallCtx::new()).await;
/// assert_eq!((documents.len(), errors.len()), (2, 0));
/// # }
/// ```
pub trait Loader: Debug + Send + Sync + 'static {
    /// The documents, from the first. Dropping the stream ends the reading; cancelling the context ends it with
    /// [`IngestError::Cancelled`].
    fn load(&self, ctx: &CallCtx) -> Documents;
}

impl<L: Loader + ?Sized> Loader for Arc<L> {
    fn load(&self, ctx: &CallCtx) -> Documents {
        (**self).load(ctx)
    }
}

/// Documents that are there already.
impl Loader for Vec<Document> {
    fn load(&self, ctx: &CallCtx) -> Documents {
        read(Box::new(self.clone().into_iter().map(Ok)), ctx)
    }
}

/// Several loaders, one after the other.
impl Loader for Vec<Arc<dyn Loader>> {
    fn load(&self, ctx: &CallCtx) -> Documents {
        let (loaders, ctx) = (self.clone(), ctx.clone());
        stream::iter(loaders).flat_map(move |loader| loader.load(&ctx)).boxed()
    }
}

/// What a loader gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The documents, in their order.
    pub documents: Vec<Document>,
    /// What is wrong with those that are not among them.
    pub errors: Vec<IngestError>,
}

/// Everything that a loader gives.
pub async fn load_all(loader: &dyn Loader, ctx: &CallCtx) -> Loaded {
    let mut all = Loaded::default();
    let mut documents = loader.load(ctx);
    while let Some(next) = documents.next().await {
        match next {
            Ok(document) => all.documents.push(document),
            Err(error) => all.errors.push(error),
        }
    }
    all
}

/// What reads one document after the other, and blocks meanwhile.
pub(crate) type Reading = crate::Records;

/// How many documents are read before somebody takes them, at most.
const BATCH: usize = 64;
/// How many bytes of text are, about.
const BATCH_BYTES: usize = 1 << 20;

/// Reads on threads that may block, some documents at a time, whenever those before are taken.
pub(crate) fn read(reading: Reading, ctx: &CallCtx) -> Documents {
    let cancel = ctx.cancel.clone();
    let batches = stream::unfold(Some(reading), move |reading| {
        let cancel = cancel.clone();
        async move {
            let mut reading = reading?;
            if cancel.is_cancelled() {
                return Some((vec![Err(IngestError::Cancelled)], None));
            }
            let batch = tokio::task::spawn_blocking(move || {
                let (mut batch, mut bytes) = (Vec::new(), 0);
                while batch.len() < BATCH && bytes < BATCH_BYTES && !cancel.is_cancelled() {
                    let Some(next) = reading.next() else { return (batch, None) };
                    bytes += next.as_ref().map_or(0, |document| document.text.len());
                    batch.push(next);
                }
                (batch, Some(reading))
            });
            match batch.await {
                Ok(batch) => Some(batch),
                Err(_) => Some((vec![Err(IngestError::Cancelled)], None)),
            }
        }
    });
    batches.flat_map(stream::iter).boxed()
}
