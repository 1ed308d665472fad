//! Only what is to be done is done, and what was done stays.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Document, Kind};
use atomr_agents_embed::{EmbedError, Embedder, MockEmbedder, Vectors};
use atomr_agents_ingest::conformance::{check_cache, check_loader};
use atomr_agents_ingest::{
    CachedEmbedder, Checkpoint, IngestError, IngestPipeline, KvCache, Loader, MemoryKvCache, PipelineOptions,
    RecordManager, Recursive, StoreKvCache,
};
use atomr_agents_retriever::{Bm25, Bm25Options, DocumentIndex, HybridIndex, HybridOptions, Retriever};
use atomr_agents_state::{MemoryStore, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use futures_util::future::BoxFuture;

const DIM: usize = 16;

/// Counts the texts it is given; fails at those with a certain word, for as long as it shall.
#[derive(Debug)]
struct Counting {
    inner: MockEmbedder,
    texts: AtomicUsize,
    calls: AtomicUsize,
    breaks_at: Mutex<Option<&'static str>>,
    partial: bool,
}

impl Counting {
    fn new(breaks_at: Option<&'static str>, partial: bool) -> Arc<Self> {
        let (texts, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let inner = MockEmbedder::new(DIM).unwrap();
        Arc::new(Self { inner, texts, calls, breaks_at: Mutex::new(breaks_at), partial })
    }
}

impl Embedder for Counting {
    fn model(&self) -> &str {
        "counting"
    }

    fn dim(&self) -> Option<usize> {
        Some(DIM)
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let word = *self.breaks_at.lock().unwrap();
            let Some(at) = texts.iter().position(|text| word.is_some_and(|word| text.contains(word))) else {
                self.texts.fetch_add(texts.len(), Ordering::SeqCst);
                return self.inner.embed(texts, ctx).await;
            };
            let cause = EmbedError::Failed {
                what: "counting".into(),
                kind: Kind::InvalidRequest,
                message: "it does not like a word".into(),
                source: None,
            };
            if !self.partial {
                return Err(cause);
            }
            let vectors = Box::new(self.inner.embed(&texts[..at], ctx).await?);
            let (model, wanted, done) = ("counting".into(), texts.len(), (0..at).collect());
            Err(EmbedError::Partial { model, wanted, done, vectors, cause: Box::new(cause) })
        })
    }
}

fn document(n: usize, word: &str) -> Document {
    Document::new(format!("d{n:03}"), format!("{word} number {n}. ").repeat(8))
}

struct Setup {
    index: Arc<HybridIndex>,
    store: Arc<dyn Store>,
    embedder: Arc<Counting>,
}

impl Setup {
    fn new(embedder: Arc<Counting>) -> Self {
        let index = HybridIndex::new(embedder.clone(), DIM, HybridOptions::default()).unwrap();
        Self { index: Arc::new(index), store: Arc::new(MemoryStore::new()), embedder }
    }

    fn pipeline(&self, documents: Vec<Document>) -> IngestPipeline {
        let loader: Arc<dyn Loader> = Arc::new(documents);
        IngestPipeline::new(loader, self.index.clone())
            .splitter(Arc::new(Recursive::new(40).build().unwrap()))
            .embedder(self.embedder.clone())
            .records(RecordManager::new(self.store.clone(), "test").unwrap())
            .options(PipelineOptions { batch: 16, ..PipelineOptions::default() })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unchanged_documents_cost_nothing_and_those_that_are_gone_disappear() {
    let setup = Setup::new(Counting::new(None, false));
    let ctx = CallCtx::new();
    let documents: Vec<Document> = (0..50).map(|n| document(n, "rain")).collect();
    let told = Arc::new(AtomicUsize::new(0));
    let seen = told.clone();
    let tell = move |now: atomr_agents_ingest::Progress| seen.store(now.written, Ordering::SeqCst);
    let first = setup.pipeline(documents.clone()).run(&ctx, Some(Arc::new(tell))).await.unwrap();
    assert_eq!((first.progress.written, first.progress.unchanged, first.failures.len()), (50, 0, 0));
    assert_eq!((first.progress.pieces, told.load(Ordering::SeqCst)), (setup.index.count().await.unwrap(), 50));
    let embedded = setup.embedder.texts.load(Ordering::SeqCst);
    assert_eq!(embedded, first.progress.pieces);

    let second = setup.pipeline(documents.clone()).run(&ctx, None).await.unwrap();
    assert_eq!((second.progress.written, second.progress.unchanged), (0, 50));
    assert_eq!(setup.embedder.texts.load(Ordering::SeqCst), embedded, "nothing is embedded again");

    let mut changed = documents;
    changed.truncate(40);
    changed[3] = document(3, "short").with("k", 1.into());
    changed[4].text.truncate(30);
    let third = setup.pipeline(changed).run(&ctx, None).await.unwrap();
    assert_eq!((third.progress.written, third.progress.unchanged, third.progress.removed), (2, 38, 10));
    assert_eq!(setup.index.ids_of("d045").await.unwrap(), Vec::<String>::new());
    assert_eq!(setup.index.ids_of("d004").await.unwrap(), ["d004#0"]);
    assert!(setup.index.retrieve(&"short".into(), &ctx).await.unwrap()[0].id.starts_with("d003#"));
    // Another way to cut writes all of them anew.
    let again = setup.pipeline(vec![document(0, "rain")]).version("2").run(&ctx, None).await.unwrap();
    assert_eq!((again.progress.written, again.progress.removed), (1, 39));
}

#[tokio::test]
async fn an_embedder_that_fails_in_the_middle_keeps_what_was_done_and_names_the_rest() {
    for partial in [true, false] {
        let setup = Setup::new(Counting::new(Some("poison"), partial));
        let documents: Vec<Document> =
            (0..20).map(|n| document(n, if n == 7 || n == 13 { "poison" } else { "rain" })).collect();
        let report = setup.pipeline(documents.clone()).run(&CallCtx::new(), None).await.unwrap();
        let failed: Vec<&str> = report.failures.iter().filter_map(IngestError::id).collect();
        assert!(failed.contains(&"d007") && failed.contains(&"d013"), "{failed:?}");
        assert_eq!(report.progress.written + failed.len(), 20);
        assert!(report.failures[0].to_string().contains("it does not like a word"));
        if !partial {
            assert_eq!(failed, ["d007", "d013"], "one text spoils no other");
        }
        let kept = setup.index.count().await.unwrap();
        assert_eq!(kept, report.progress.pieces);
        assert!(
            setup.index.ids_of("d000").await.unwrap().len() > 1 && setup.index.ids_of("d007").await.unwrap().is_empty()
        );
        // The next run does the rest, and only that.
        *setup.embedder.breaks_at.lock().unwrap() = None;
        let next = setup.pipeline(documents).run(&CallCtx::new(), None).await.unwrap();
        assert_eq!((next.progress.written, next.failures.len()), (failed.len(), 0));
        assert_eq!(setup.index.count().await.unwrap(), kept + next.progress.pieces);
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_loaded_is_not_taken_for_gone() {
    #[derive(Debug)]
    struct Failing(Vec<Document>, Option<IngestError>);
    impl Loader for Failing {
        fn load(&self, ctx: &CallCtx) -> atomr_agents_ingest::Documents {
            use futures_util::StreamExt;
            let failed = futures_util::stream::iter(self.1.clone().map(Err));
            self.0.load(ctx).chain(failed).boxed()
        }
    }
    let setup = Setup::new(Counting::new(None, false));
    let ctx = CallCtx::new();
    let all: Vec<Document> = (0..3).map(|n| document(n, "rain").with("source", format!("f{n}").into())).collect();
    setup.pipeline(all.clone()).run(&ctx, None).await.unwrap();
    for (error, removed) in [
        (IngestError::invalid("d002", "broken"), 1),
        (IngestError::invalid("f2", "broken"), 0),
        (IngestError::config("x", "is wrong"), 0),
    ] {
        let mut pipeline = setup.pipeline(Vec::new());
        pipeline = IngestPipeline::new(Arc::new(Failing(all[..1].to_vec(), Some(error))), setup.index.clone())
            .splitter(Arc::new(Recursive::new(40).build().unwrap()))
            .embedder(setup.embedder.clone())
            .records(RecordManager::new(setup.store.clone(), "test").unwrap())
            .version({
                drop(pipeline);
                ""
            });
        let report = pipeline.run(&ctx, None).await.unwrap();
        assert_eq!((report.progress.removed, report.failures.len()), (removed, 1));
        assert!(!setup.index.ids_of("d002").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn two_documents_of_one_id_are_told_and_an_empty_corpus_is_fine() {
    let setup = Setup::new(Counting::new(None, false));
    let twice = vec![document(1, "rain"), document(1, "wind"), Document::new("empty", "")];
    let report = setup.pipeline(twice).run(&CallCtx::new(), None).await.unwrap();
    assert_eq!((report.progress.written, report.progress.failed), (2, 1));
    assert!(report.failures[0].to_string().contains("same id"));
    let nothing = setup.pipeline(Vec::new()).run(&CallCtx::new(), None).await.unwrap();
    assert_eq!((nothing.progress.removed, setup.index.count().await.unwrap()), (2, 0));
}

#[tokio::test]
async fn settings_that_do_not_fit_are_refused_and_a_cancelled_run_says_so() {
    let words = Arc::new(Bm25::new(Bm25Options::default()).unwrap());
    let loader: Arc<dyn Loader> = Arc::new(vec![document(1, "rain")]);
    let mock = |dim| Arc::new(MockEmbedder::new(dim).unwrap());
    let setup = Setup::new(Counting::new(None, false));
    let ctx = CallCtx::new();
    let error = IngestPipeline::new(loader.clone(), words.clone()).embedder(mock(4)).run(&ctx, None).await.unwrap_err();
    assert_eq!(error.to_string(), "embedder is given, and the index takes no vectors");
    let error = IngestPipeline::new(loader.clone(), setup.index.clone()).run(&ctx, None).await.unwrap_err();
    assert!(error.to_string().starts_with("embedder is missing"));
    let error = IngestPipeline::new(loader, setup.index.clone()).embedder(mock(4)).run(&ctx, None).await.unwrap_err();
    assert_eq!(error.to_string(), "embedder makes vectors of dimension 4, the index takes those of 16");
    let stopped = CallCtx::new();
    stopped.cancel.cancel();
    let error = setup.pipeline(vec![document(1, "rain")]).run(&stopped, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}

#[tokio::test]
async fn caches_keep_the_rules_and_spare_the_embedder() {
    let folder = tempfile::tempdir().unwrap();
    let sqlite: Arc<dyn Store> =
        Arc::new(SqliteStore::open(folder.path().join("s.db"), SqliteOptions::default()).unwrap());
    let caches: [Arc<dyn KvCache>; 3] = [
        Arc::new(MemoryKvCache::new(100)),
        Arc::new(StoreKvCache::new(Arc::new(MemoryStore::new()))),
        Arc::new(StoreKvCache::new(sqlite)),
    ];
    for cache in caches {
        check_cache(&*cache).await.unwrap();
        let inner = Counting::new(None, false);
        let embedder = CachedEmbedder::new(inner.clone(), cache.clone());
        atomr_agents_embed::conformance::check_embedder(&embedder).await.unwrap();
        let before = inner.texts.load(Ordering::SeqCst);
        let texts = ["new one", "new two", "new one", "rain in Oslo"];
        let first = embedder.embed(&texts, &CallCtx::new()).await.unwrap();
        assert_eq!(inner.texts.load(Ordering::SeqCst), before + 2, "equal texts and known ones are not embedded");
        assert_eq!(embedder.embed(&texts, &CallCtx::new()).await.unwrap(), first);
        assert_eq!(inner.texts.load(Ordering::SeqCst), before + 2);
        // Another model has vectors of its own.
        let other = CachedEmbedder::new(Arc::new(MockEmbedder::new(DIM).unwrap()), cache.clone());
        other.embed(&["new one"], &CallCtx::new()).await.unwrap();
        // What was made before a failure is kept.
        let failing = Counting::new(Some("poison"), true);
        let embedder = CachedEmbedder::new(failing.clone(), cache);
        let texts = ["new one", "fresh", "poison", "later"];
        let Err(EmbedError::Partial { done, vectors, wanted, .. }) = embedder.embed(&texts, &CallCtx::new()).await
        else {
            panic!("it does not fail")
        };
        assert_eq!((done, vectors.len(), wanted), (vec![0, 1], 2, 4));
        assert!(embedder.embed(&["fresh"], &CallCtx::new()).await.is_ok());
        assert_eq!(failing.texts.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_memory_cache_forgets_what_was_used_longest_ago() {
    let cache = MemoryKvCache::new(2);
    let put = async |key: &str| cache.put(vec![(key.to_owned(), vec![1.0])]).await.unwrap();
    let has = async |key: &str| cache.get(&[key.to_owned()]).await.unwrap()[0].is_some();
    put("a").await;
    put("b").await;
    assert!(has("a").await);
    put("c").await;
    assert!(has("a").await && !has("b").await && has("c").await);
}

#[tokio::test]
async fn documents_that_are_there_are_a_loader() {
    check_loader(&(0..200).map(|n| document(n, "rain")).collect::<Vec<_>>()).await.unwrap();
}

// --- a process that is killed ---

/// Saves the index beside the store.
struct Saved(Arc<HybridIndex>, PathBuf);

impl Checkpoint for Saved {
    fn keep<'a>(&'a self, _: &'a CallCtx) -> BoxFuture<'a, Result<(), IngestError>> {
        let saved = self.0.save(&self.1).map_err(|error| IngestError::invalid("index", error.to_string()));
        Box::pin(std::future::ready(saved))
    }
}

/// Takes its time, so that a kill hits it at work.
#[derive(Debug)]
struct Slow(MockEmbedder);

impl Embedder for Slow {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn dim(&self) -> Option<usize> {
        self.0.dim()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(4)).await;
            self.0.embed(texts, ctx).await
        })
    }
}

async fn opened(folder: &Path) -> (IngestPipeline, Arc<HybridIndex>) {
    let embedder: Arc<dyn Embedder> = Arc::new(Slow(MockEmbedder::new(DIM).unwrap()));
    let file = folder.join("index");
    let index = if file.exists() {
        HybridIndex::load(&file, embedder.clone(), HybridOptions::default()).unwrap()
    } else {
        HybridIndex::new(embedder.clone(), DIM, HybridOptions::default()).unwrap()
    };
    let index = Arc::new(index);
    let store = Arc::new(SqliteStore::open(folder.join("store.db"), SqliteOptions::default()).unwrap());
    let documents: Arc<dyn Loader> = Arc::new((0..400).map(|n| document(n, "rain")).collect::<Vec<_>>());
    let pipeline = IngestPipeline::new(documents, index.clone())
        .splitter(Arc::new(Recursive::new(40).build().unwrap()))
        .embedder(embedder)
        .records(RecordManager::new(store, "crash").unwrap())
        .checkpoint(Arc::new(Saved(index.clone(), file)))
        .options(PipelineOptions { batch: 8, checkpoint_pieces: 100, ..PipelineOptions::default() });
    (pipeline, index)
}

#[tokio::test]
#[ignore = "the process that `a_killed_run_goes_on_where_it_was` kills"]
async fn crash_child() {
    let Some(folder) = std::env::var_os("INGEST_CRASH") else { return };
    let (pipeline, _) = opened(Path::new(&folder)).await;
    pipeline.run(&CallCtx::new(), None).await.unwrap();
}

#[tokio::test]
async fn a_killed_run_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for n in 0..60 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash_child", "--exact", "--ignored", "--quiet"])
            .env("INGEST_CRASH", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(60 + n * 17)).await;
        let ended = child.try_wait().unwrap();
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills > 0, "nothing was killed");
    let (pipeline, index) = opened(folder.path()).await;
    let report = pipeline.run(&CallCtx::new(), None).await.unwrap();
    assert!(report.progress.unchanged > 0, "after {kills} kills nothing of the work was left: {:?}", report.progress);
    // The same as a run that nobody disturbed.
    let whole = tempfile::tempdir().unwrap();
    let (pipeline, wanted) = opened(whole.path()).await;
    pipeline.run(&CallCtx::new(), None).await.unwrap();
    let contents = async |index: &HybridIndex| {
        let mut all = BTreeMap::new();
        for n in 0..400 {
            let ids = index.ids_of(&format!("d{n:03}")).await.unwrap();
            all.insert(n, index.get(&ids).await.unwrap());
        }
        all
    };
    assert_eq!(index.count().await.unwrap(), wanted.count().await.unwrap());
    assert_eq!(contents(&index).await, contents(&wanted).await);
}
