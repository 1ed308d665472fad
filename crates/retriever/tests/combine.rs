//! Retrievers made of retrievers.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atomr_agents_core::{CallCtx, Document, Kind, Span};
use atomr_agents_embed::{EmbedError, Embedder, MockEmbedder, Vectors};
use atomr_agents_retriever::{
    Bm25, Bm25Options, ContextualCompression, EmbeddingReranker, EmbeddingsFilter, Ensemble, Field, FieldType, Filter,
    Mmr, ModelReranker, MultiQuery, ParentDocument, Query, RerankedRetriever, RetrieveError, Retriever, SelfQuery,
    SentenceCompressor, TimeWeighted, conformance,
};
use atomr_agents_testkit::ScriptedModel;
use futures_util::future::BoxFuture;
use serde_json::json;

fn index(documents: Vec<Document>) -> Arc<Bm25> {
    let index = Bm25::new(Bm25Options { top_k: 10, ..Bm25Options::default() }).unwrap();
    index.add(documents).unwrap();
    Arc::new(index)
}

fn some() -> Arc<Bm25> {
    let texts = [("a", "rain in Oslo"), ("b", "rain, rain and wind"), ("c", "a rain of frogs in Bergen"), ("d", "sun")];
    index(texts.map(|(id, text)| Document::new(id, text).with("ts_ms", json!(1_000))).into())
}

fn ids(found: &[Document]) -> Vec<&str> {
    found.iter().map(|document| document.id.as_str()).collect()
}

/// Gives a fixed list.
#[derive(Debug)]
struct Fixed(Vec<&'static str>, Option<Arc<tokio::sync::Barrier>>);

impl Retriever for Fixed {
    fn retrieve<'a>(&'a self, query: &'a Query, _: &'a CallCtx) -> BoxFuture<'a, Result<Vec<Document>, RetrieveError>> {
        Box::pin(async move {
            query.check()?;
            if let Some(all) = &self.1 {
                all.wait().await;
            }
            let scored = |(at, id): (usize, &&str)| Document::new(*id, "").scored(1.0 / (at + 1) as f64);
            Ok(self.0.iter().enumerate().map(scored).take(query.top_k.unwrap_or(10)).collect())
        })
    }
}

#[tokio::test]
async fn each_keeps_the_rules() {
    let embedder: Arc<dyn Embedder> = Arc::new(MockEmbedder::new(64).unwrap());
    let all: Vec<Box<dyn Retriever>> = vec![
        Box::new(Ensemble::new(vec![(1.0, some()), (0.5, some())]).unwrap()),
        Box::new(MultiQuery::fixed(some(), vec!["wind".into(), "frogs".into()])),
        Box::new(EmbeddingsFilter::new(some(), Arc::clone(&embedder), -1.0).unwrap()),
        Box::new(EmbeddingsFilter::new(some(), Arc::clone(&embedder), -1.0).unwrap().rescore(true)),
        Box::new(RerankedRetriever::new(some(), Arc::new(EmbeddingReranker(Arc::clone(&embedder))))),
        Box::new(TimeWeighted::new(some(), 0.01).unwrap().at(9_000_000)),
        Box::new(Mmr::new(some(), Arc::clone(&embedder), 0.5).unwrap()),
        Box::new(ParentDocument::new(some(), some())),
        Box::new(ContextualCompression::new(some(), Arc::new(SentenceCompressor::default()))),
    ];
    for retriever in all {
        conformance::check_retriever(&*retriever, "rain")
            .await
            .map_err(|broken| format!("{retriever:?}: {broken}"))
            .unwrap();
    }
}

#[tokio::test]
async fn an_ensemble_honours_weights_asks_at_once_and_orders_ties_by_rank_then_id() {
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let member = |ids: &[&'static str]| Arc::new(Fixed(ids.to_vec(), Some(Arc::clone(&barrier)))) as Arc<dyn Retriever>;
    // One after the other, the first would wait for the second for ever.
    let ensemble = Ensemble::new(vec![(1.0, member(&["x", "b"])), (1.0, member(&["y", "a"]))]).unwrap();
    let ctx = CallCtx::new();
    let query = Query::new("q");
    let found = tokio::time::timeout(Duration::from_secs(5), ensemble.retrieve(&query, &ctx)).await.unwrap().unwrap();
    assert_eq!(ids(&found), ["x", "y", "a", "b"]);
    let plain = |ids: &[&'static str]| Arc::new(Fixed(ids.to_vec(), None)) as Arc<dyn Retriever>;
    let heavy =
        Ensemble::new(vec![(1.0, plain(&["x", "b"])), (3.0, plain(&["y", "a"])), (0.0, plain(&["z"]))]).unwrap();
    let found = heavy.retrieve(&query, &ctx).await.unwrap();
    assert_eq!(ids(&found), ["y", "a", "x", "b"]);
    assert_eq!(found[1].score, Some(3.0 / 62.0));
    assert!(matches!(Ensemble::new(vec![]), Err(RetrieveError::Invalid { option: "members", .. })));
    for weight in [-1.0, f64::NAN] {
        let error = Ensemble::new(vec![(weight, plain(&[]))]).unwrap_err();
        assert!(matches!(error, RetrieveError::Invalid { option: "weights", .. }));
    }
}

#[tokio::test]
async fn a_model_writes_the_queries_and_each_is_asked_once() {
    let model = Arc::new(ScriptedModel::new().text(r#"Sure: {"queries": ["frogs", " rain ", "frogs", "", "sun"]}"#));
    let search = MultiQuery::new(some(), model.clone(), "scripted").queries(5).unwrap();
    let found = search.retrieve(&Query::new("rain").filter(Filter::ne("ts_ms", 0)), &CallCtx::new()).await.unwrap();
    // `c` stands in two lists, `d` in one of its own.
    assert_eq!(found[0].id, "c");
    assert_eq!(found.len(), 4);
    let request = &model.requests()[0];
    assert!(request.output.is_some() && request.messages[1].text().contains("Write 5"));
    let broken = ScriptedModel::new().text("no JSON").text("still none");
    let error = MultiQuery::new(some(), Arc::new(broken), "scripted").retrieve(&"rain".into(), &CallCtx::new()).await;
    assert_eq!(error.unwrap_err().kind(), Kind::InvalidOutput);
    assert!(MultiQuery::fixed(some(), vec![]).queries(0).is_err());
}

#[tokio::test]
async fn compression_goes_by_words_and_leaves_numbers_whole() {
    let documents = vec![
        Document::new("a", "Pi is 3.14 and a bit. Cats sleep. A rain fell."),
        Document::new("b", "Training a brain is hard. The rain in Spain."),
    ];
    let short = ContextualCompression::new(index(documents), Arc::new(SentenceCompressor::default()));
    let found = short.retrieve(&"a rain".into(), &CallCtx::new()).await.unwrap();
    let mut texts: Vec<&str> = found.iter().map(|one| one.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["A rain fell.", "The rain in Spain."]);
    let found = short.retrieve(&"pi".into(), &CallCtx::new()).await.unwrap();
    assert_eq!(found[0].text, "Pi is 3.14 and a bit.");
}

#[tokio::test]
async fn parents_are_given_once_in_the_order_of_their_best_piece() {
    let piece = |id: &str, source: &str, text: &str| Document {
        span: Some(Span { source: source.into(), ..Span::default() }),
        ..Document::new(id, text)
    };
    let pieces = index(vec![
        piece("a#0", "a", "rain"),
        piece("a#1", "a", "rain rain rain"),
        piece("b#0", "b", "rain rain"),
        piece("gone#0", "gone", "rain and some other words"),
    ]);
    let whole = index(vec![Document::new("a", "all of a"), Document::new("b", "all of b")]);
    let search = ParentDocument::new(pieces, whole);
    let found = search.retrieve(&"rain".into(), &CallCtx::new()).await.unwrap();
    let mut sorted = ids(&found);
    assert_eq!(found[0].text, "all of a");
    sorted.sort_unstable();
    assert_eq!(sorted, ["a", "b", "gone#0"]);
}

#[tokio::test]
async fn a_question_becomes_words_and_a_typed_filter_that_is_part_of_the_search() {
    let report = |n: u32| {
        let text = "rain ".repeat((n % 5 + 1) as usize);
        Document::new(format!("{n:03}"), text).with("year", json!(1900 + n)).with("tags", json!(["wet"]))
    };
    let documents = index((0..100).map(report).collect());
    let fields = || {
        vec![
            Field::new("year", FieldType::Number, "The year."),
            Field::new("tags", FieldType::List, "What it is about."),
            Field::new("city", FieldType::Text, "Where."),
        ]
    };
    let ask = async |answers: &[&str], question: &str| {
        let model = Arc::new(answers.iter().fold(ScriptedModel::new(), |model, answer| model.text(answer)));
        let search = SelfQuery::new(documents.clone(), model.clone(), "scripted", fields()).unwrap();
        (search.retrieve(&Query::new(question).top_k(3), &CallCtx::new()).await, model)
    };
    let both = r#"{"query": "rain", "match": "all", "conditions": [
        {"key": "year", "op": "lt", "value": 1902}, {"key": "tags", "op": "contains", "value": "wet"}]}"#;
    let (found, model) = ask(&[both], "wet rain before 1902").await;
    assert_eq!(ids(&found.unwrap()), ["001", "000"]);
    assert!(model.requests()[0].messages[1].text().contains("- year (number; eq, ne, lt, le, gt, ge, in): The year."));
    // A URL and a time are words, whatever they look like.
    let none = r#"{"query": "rain https://a.b/c at 12:30", "match": "all", "conditions": []}"#;
    let (found, _) = ask(&[none], "rain https://a.b/c at 12:30").await;
    assert_eq!(found.unwrap().len(), 3);
    // A wrong type is told back once; then it is an error that names it.
    let wrong = r#"{"query": "rain", "match": "all", "conditions": [{"key": "year", "op": "eq", "value": "1902"}]}"#;
    let (found, model) = ask(&[wrong, both], "rain").await;
    assert_eq!(found.unwrap().len(), 2);
    assert!(model.requests()[1].messages[3].text().contains("\"year\" is a number and was compared with a text"));
    let (found, _) = ask(&[wrong, wrong], "rain").await;
    let error = found.unwrap_err();
    assert!(error.kind() == Kind::InvalidOutput && error.to_string().contains("\"year\" is a number"), "{error}");
    let unknown = r#"{"query": "rain", "match": "any", "conditions": [{"key": "colour", "op": "eq", "value": "x"}]}"#;
    assert_eq!(ask(&[unknown, unknown], "rain").await.0.unwrap_err().kind(), Kind::InvalidOutput);
    let twice = vec![Field::new("a", FieldType::Text, ""), Field::new("a", FieldType::Number, "")];
    assert!(SelfQuery::new(some(), Arc::new(ScriptedModel::new()), "m", twice).is_err());
}

/// Counts the calls.
#[derive(Debug)]
struct Counting(MockEmbedder, AtomicUsize);

impl Embedder for Counting {
    fn model(&self) -> &str {
        self.0.model()
    }
    fn dim(&self) -> Option<usize> {
        self.0.dim()
    }
    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.embed(texts, ctx)
    }
}

#[tokio::test]
async fn the_embeddings_filter_makes_one_call_and_keeps_the_scores() {
    let counting = Arc::new(Counting(MockEmbedder::new(128).unwrap(), AtomicUsize::new(0)));
    let ctx = CallCtx::new();
    let plain = some().retrieve(&"rain".into(), &ctx).await.unwrap();
    let filter = EmbeddingsFilter::new(some(), counting.clone(), 0.5).unwrap();
    let found = filter.retrieve(&"rain".into(), &ctx).await.unwrap();
    assert_eq!(counting.1.load(Ordering::Relaxed), 1);
    assert!(!found.is_empty() && found.len() < plain.len());
    assert!(found.iter().all(|document| plain.contains(document)));
    assert!(filter.retrieve(&"nobody".into(), &ctx).await.unwrap().is_empty());
    assert_eq!(counting.1.load(Ordering::Relaxed), 1);
    assert!(EmbeddingsFilter::new(some(), counting, f64::NAN).is_err());
}

#[tokio::test]
async fn age_lowers_a_score_and_what_is_no_time_is_named() {
    let hour = 3_600_000i64;
    let documents = |old: serde_json::Value| {
        index(vec![
            Document::new("new", "rain").with("ts_ms", json!(100 * hour)),
            Document::new("old", "rain").with("ts_ms", old),
            Document::new("timeless", "rain"),
            Document::new("future", "rain").with("ts_ms", json!(1000 * hour)),
        ])
    };
    let search = TimeWeighted::new(documents(json!(90 * hour)), 0.1).unwrap().at(100 * hour);
    let found = search.retrieve(&"rain".into(), &CallCtx::new()).await.unwrap();
    assert_eq!(ids(&found), ["future", "new", "timeless", "old"]);
    assert!((found[3].score.unwrap() / found[0].score.unwrap() - (-1.0f64).exp()).abs() < 1e-12);
    let search = TimeWeighted::new(documents(json!("yesterday")), 0.1).unwrap();
    let error = search.retrieve(&"rain".into(), &CallCtx::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "document \"old\" has a text as \"ts_ms\", not milliseconds");
    assert!(TimeWeighted::new(some(), -0.1).is_err());
}

#[tokio::test]
async fn a_model_reorders_and_an_answer_of_the_wrong_length_is_told_back() {
    let model = ScriptedModel::new().text(r#"{"scores": [1]}"#).text(r#"{"scores": [1, 9.5, 3]}"#);
    let model = Arc::new(model);
    let search = RerankedRetriever::new(some(), Arc::new(ModelReranker::new(model.clone(), "scripted"))).top_k(2);
    let found = search.retrieve(&"rain".into(), &CallCtx::new()).await.unwrap();
    let plain = some().retrieve(&"rain".into(), &CallCtx::new()).await.unwrap();
    assert_eq!(ids(&found), [plain[1].id.as_str(), plain[2].id.as_str()]);
    assert_eq!((found[0].score, model.requests().len()), (Some(9.5), 2));
}
