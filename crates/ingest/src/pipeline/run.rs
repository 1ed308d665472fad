//! One run: three tasks, and the one that writes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_retriever::RetrieveError;
use futures_util::{StreamExt, stream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::embedding::{Cut, Embedded, embed};
use super::records::{Record, hash};
use super::{IngestPipeline, OnProgress, Progress, Report};
use crate::IngestError;

/// How many documents or groups wait between two steps, at most.
const QUEUE: usize = 16;
/// How many documents are cut at once.
const CUTTING: usize = 4;

/// What comes to the one that writes.
enum Item {
    /// It is in the index as it is.
    Unchanged(String),
    Ready(Box<Embedded>),
    Failed(IngestError),
}

/// What was loaded, on its way to be embedded.
enum Loaded {
    Unchanged(String),
    Cut(Cut),
    Failed(IngestError),
}

fn index_failed(error: RetrieveError) -> IngestError {
    let (kind, message) = (error.kind(), error.to_string());
    IngestError::Failed { what: "the index".into(), kind, message, source: Some(Arc::new(error)) }
}

/// Loads and cuts, some documents at once, in their order.
async fn cut_all(
    pipeline: IngestPipeline,
    known: Arc<HashMap<String, Record>>,
    ctx: CallCtx,
    to: mpsc::Sender<Loaded>,
) {
    let most = u32::try_from(pipeline.options.max_waiting_bytes).unwrap_or(u32::MAX).max(1);
    let room = Arc::new(Semaphore::new(most as usize));
    let model = pipeline.embedder.as_ref().map(|embedder| embedder.model().to_owned()).unwrap_or_default();
    let how = format!("{}\0{model}", pipeline.version);
    let one = |next: Result<Document, IngestError>| {
        let (room, known, how, ctx) = (Arc::clone(&room), Arc::clone(&known), how.clone(), ctx.clone());
        let splitter = pipeline.splitter.clone();
        async move {
            let document = match next {
                Ok(document) => document,
                Err(error) => return Loaded::Failed(error),
            };
            let hash = hash(&document, &how);
            if known.get(&document.id).is_some_and(|record| record.hash == hash) {
                return Loaded::Unchanged(document.id);
            }
            // Its text, its pieces and some of their vectors.
            let bytes = u32::try_from(document.text.len().saturating_mul(3)).unwrap_or(most).clamp(1, most);
            let room = room.acquire_many_owned(bytes).await.ok();
            let source = document.metadata.get("source").and_then(|source| source.as_str()).unwrap_or(&document.id);
            let (id, source) = (document.id.clone(), source.to_owned());
            let pieces = match splitter {
                Some(splitter) => splitter.split(&document, &ctx).await,
                None => Ok(vec![document]),
            };
            match pieces {
                Ok(pieces) => {
                    let ids = pieces.iter().map(|piece| piece.id.clone()).collect();
                    Loaded::Cut(Cut { record: Record { id, source, hash, pieces: ids }, pieces, room })
                }
                Err(error @ (IngestError::Cancelled | IngestError::Config { .. })) => Loaded::Failed(error),
                Err(error) if error.id().is_some() => Loaded::Failed(error),
                Err(error) => Loaded::Failed(IngestError::invalid(id, error.to_string())),
            }
        }
    };
    let mut all = pipeline.loader.load(&ctx).map(one).buffered(CUTTING);
    let mut taken = HashSet::new();
    while let Some(mut next) = all.next().await {
        if let Loaded::Unchanged(id) | Loaded::Cut(Cut { record: Record { id, .. }, .. }) = &next
            && !taken.insert(id.clone())
        {
            let problem = "another document has the same id; the first one was taken";
            next = Loaded::Failed(IngestError::invalid(id, problem));
        }
        if to.send(next).await.is_err() {
            return;
        }
    }
}

/// Puts documents together into groups of about one call of the embedder.
async fn group(from: &mut mpsc::Receiver<Loaded>, batch: usize) -> Option<(Vec<Cut>, Vec<Item>)> {
    let (mut cuts, mut items, mut pieces) = (Vec::new(), Vec::new(), 0);
    let mut next = from.recv().await;
    next.as_ref()?;
    while let Some(loaded) = next {
        match loaded {
            Loaded::Unchanged(id) => items.push(Item::Unchanged(id)),
            Loaded::Failed(error) => items.push(Item::Failed(error)),
            Loaded::Cut(cut) => {
                pieces += cut.pieces.len();
                cuts.push(cut);
            }
        }
        if pieces >= batch || items.len() >= batch {
            break;
        }
        // A slow loader is not waited for while an embedder could work: whoever holds room must give it back.
        next = match from.try_recv() {
            Ok(next) => Some(next),
            Err(_) => tokio::time::timeout(std::time::Duration::from_millis(5), from.recv()).await.ok().flatten(),
        };
    }
    Some((cuts, items))
}

/// Embeds groups, several at once, in their order.
async fn embed_all(pipeline: IngestPipeline, ctx: CallCtx, from: mpsc::Receiver<Loaded>, to: mpsc::Sender<Item>) {
    let batch = pipeline.options.batch;
    let groups = stream::unfold(from, move |mut from| async move {
        let found = group(&mut from, batch).await?;
        Some((found, from))
    });
    let embedded = groups.map(|(cuts, mut items)| {
        let (embedder, ctx) = (pipeline.embedder.clone(), ctx.clone());
        async move {
            if cuts.is_empty() {
                return items;
            }
            match embedder {
                None => items.push(Item::Ready(Box::new(Embedded { cuts, vectors: None }))),
                Some(embedder) => {
                    let (embedded, failures) = embed(&*embedder, cuts, batch, &ctx).await;
                    items.extend(embedded.map(|embedded| Item::Ready(Box::new(embedded))));
                    items.extend(failures.into_iter().map(Item::Failed));
                }
            }
            items
        }
    });
    let mut embedded = std::pin::pin!(embedded.buffered(pipeline.options.at_once));
    while let Some(items) = embedded.next().await {
        for item in items {
            if to.send(item).await.is_err() {
                return;
            }
        }
    }
}

/// The one that writes.
struct Writer<'a> {
    pipeline: &'a IngestPipeline,
    ctx: &'a CallCtx,
    known: Arc<HashMap<String, Record>>,
    seen: HashSet<String>,
    /// What is written to the index, and not yet to the records.
    due: Vec<Record>,
    due_pieces: usize,
    report: Report,
}

impl Writer<'_> {
    async fn write(&mut self, embedded: Embedded) -> Result<(), IngestError> {
        let Embedded { cuts, vectors } = embedded;
        let (mut documents, mut records, mut old) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = Vec::new();
        for cut in cuts {
            self.seen.insert(cut.record.id.clone());
            if let Some(before) = self.known.get(&cut.record.id) {
                let now: HashSet<&String> = cut.record.pieces.iter().collect();
                old.extend(before.pieces.iter().filter(|id| !now.contains(id)).cloned());
            } else if self.pipeline.records.is_some() {
                // A run that was killed may have written more of it than there is now.
                let now: HashSet<&String> = cut.record.pieces.iter().collect();
                let there = self.pipeline.index.ids_of(&cut.record.id).await.map_err(index_failed)?;
                old.extend(there.into_iter().filter(|id| !now.contains(id)));
            }
            documents.extend(cut.pieces);
            records.push(cut.record);
            room.push(cut.room);
        }
        let pieces = documents.len();
        if pieces > 0 {
            self.pipeline.index.upsert(documents, vectors, self.ctx).await.map_err(index_failed)?;
        }
        if !old.is_empty() {
            self.pipeline.index.remove(&old, self.ctx).await.map_err(index_failed)?;
        }
        drop(room);
        self.report.progress.written += records.len();
        self.report.progress.pieces += pieces;
        self.due_pieces += pieces;
        self.due.extend(records);
        if self.due_pieces >= self.pipeline.options.checkpoint_pieces {
            self.keep(&[]).await?;
        }
        Ok(())
    }

    fn fail(&mut self, error: IngestError) {
        self.report.progress.failed += 1;
        self.report.failures.push(error);
    }

    /// Keeps the index, and then says in the records what is in it.
    async fn keep(&mut self, forgotten: &[String]) -> Result<(), IngestError> {
        if self.due.is_empty() && forgotten.is_empty() {
            return Ok(());
        }
        if let Some(checkpoint) = &self.pipeline.checkpoint {
            checkpoint.keep(self.ctx).await?;
        }
        if let Some(records) = &self.pipeline.records {
            records.commit(&self.due, forgotten).await?;
        }
        self.due.clear();
        self.due_pieces = 0;
        Ok(())
    }

    /// Removes what is gone. Of a source that could not be read whole, nothing is known to be gone.
    async fn remove_gone(&mut self) -> Result<Vec<String>, IngestError> {
        let nothing_known = self.report.failures.iter().any(|failure| failure.id().is_none());
        let failed: HashSet<&str> = self.report.failures.iter().filter_map(IngestError::id).collect();
        let spared = |record: &Record| {
            let of =
                |id: &str| failed.contains(id) || failed.iter().any(|failed| failed.starts_with(&format!("{id}#")));
            nothing_known || of(&record.id) || of(&record.source)
        };
        let gone: Vec<&Record> =
            self.known.values().filter(|record| !self.seen.contains(&record.id) && !spared(record)).collect();
        for some in gone.chunks(256) {
            let ids: Vec<String> = some.iter().flat_map(|record| record.pieces.iter().cloned()).collect();
            self.pipeline.index.remove(&ids, self.ctx).await.map_err(index_failed)?;
        }
        let ids: Vec<String> = gone.into_iter().map(|record| record.id.clone()).collect();
        self.report.progress.removed = ids.len();
        Ok(ids)
    }
}

fn check(pipeline: &IngestPipeline) -> Result<(), IngestError> {
    let options = pipeline.options;
    for (setting, value) in [
        ("batch", options.batch),
        ("at_once", options.at_once),
        ("max_waiting_bytes", options.max_waiting_bytes),
        ("checkpoint_pieces", options.checkpoint_pieces),
    ] {
        if value == 0 {
            return Err(IngestError::config(setting, "must be at least 1, not 0"));
        }
    }
    match (pipeline.index.dim(), pipeline.embedder.as_ref().map(|embedder| embedder.dim())) {
        (Some(dim), None) => {
            Err(IngestError::config("embedder", format!("is missing: the index takes vectors of dimension {dim}")))
        }
        (None, Some(_)) => Err(IngestError::config("embedder", "is given, and the index takes no vectors")),
        (Some(dim), Some(Some(other))) if dim != other => {
            let problem = format!("makes vectors of dimension {other}, the index takes those of {dim}");
            Err(IngestError::config("embedder", problem))
        }
        _ => Ok(()),
    }
}

pub(super) async fn run(
    pipeline: &IngestPipeline,
    ctx: &CallCtx,
    progress: Option<OnProgress>,
) -> Result<Report, IngestError> {
    check(pipeline)?;
    let mut known = match &pipeline.records {
        Some(records) => records.all().await?,
        None => HashMap::new(),
    };
    if !known.is_empty() && pipeline.index.count().await.map_err(index_failed)? == 0 {
        // An index that is empty holds nothing of what the records say.
        known.values_mut().for_each(|record| record.hash.clear());
    }
    let known = Arc::new(known);
    let (cut, cutting) = mpsc::channel(QUEUE);
    let (ready, mut items) = mpsc::channel(QUEUE);
    // They end with this function: dropping the set stops them.
    let mut tasks = JoinSet::new();
    tasks.spawn(cut_all(pipeline.clone(), Arc::clone(&known), ctx.clone(), cut));
    tasks.spawn(embed_all(pipeline.clone(), ctx.clone(), cutting, ready));
    let (seen, due, report) = (HashSet::new(), Vec::new(), Report::default());
    let mut writer = Writer { pipeline, ctx, known, seen, due, due_pieces: 0, report };
    let tell = |now: Progress| progress.as_ref().inspect(|tell| tell(now));
    loop {
        let item = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => {
                // What is in the index already need not be made again.
                writer.keep(&[]).await?;
                return Err(IngestError::Cancelled);
            }
            item = items.recv() => item,
        };
        let Some(item) = item else { break };
        match item {
            Item::Unchanged(id) => {
                writer.seen.insert(id);
                writer.report.progress.unchanged += 1;
                writer.report.progress.loaded += 1;
            }
            Item::Failed(IngestError::Cancelled) if ctx.cancel.is_cancelled() => {}
            Item::Failed(error) => writer.fail(error),
            Item::Ready(embedded) => {
                writer.report.progress.loaded += embedded.cuts.len();
                writer.write(*embedded).await?;
                tell(writer.report.progress);
            }
        }
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended
            && error.is_panic()
        {
            let (what, message) = ("a step of the pipeline".to_owned(), error.to_string());
            return Err(IngestError::Failed { what, kind: atomr_agents_core::Kind::Internal, message, source: None });
        }
    }
    let gone = writer.remove_gone().await?;
    writer.keep(&gone).await?;
    tell(writer.report.progress);
    Ok(writer.report)
}
