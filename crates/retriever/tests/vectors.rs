//! Documents with vectors: alone, and beside their words.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::fs;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document, Kind};
use atomr_agents_embed::{IndexOptions, MockEmbedder, VectorIndex, Vectors};
use atomr_agents_retriever::{
    Bm25Options, DocumentIndex, Filter, HybridIndex, HybridOptions, Query, RetrieveError, Retriever, VectorRetriever,
    conformance,
};
use serde_json::json;

fn embedder(dim: usize) -> Arc<MockEmbedder> {
    Arc::new(MockEmbedder::new(dim).unwrap())
}

fn vector(dim: usize) -> VectorRetriever {
    VectorRetriever::new(embedder(dim), Arc::new(VectorIndex::new(dim, IndexOptions::default()).unwrap()))
}

fn hybrid(dim: usize) -> HybridIndex {
    HybridIndex::new(embedder(dim), dim, HybridOptions::default()).unwrap()
}

fn some() -> Vec<Document> {
    let texts = [("a", "rain in Oslo"), ("b", "rain rain and wind"), ("c", "rain"), ("d", "sun and sea")];
    texts.map(|(id, text)| Document::new(id, text).with("n", json!(text.len()))).into()
}

#[tokio::test]
async fn they_keep_the_rules() {
    let ctx = CallCtx::new();
    conformance::check_index(&vector(8)).await.unwrap();
    conformance::check_index(&hybrid(8)).await.unwrap();
    let (one, both) = (vector(64), hybrid(64));
    one.add(some(), &ctx).await.unwrap();
    both.add(some(), &ctx).await.unwrap();
    conformance::check_retriever(&one, "rain").await.unwrap();
    conformance::check_retriever(&both, "rain").await.unwrap();
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_given_and_filters_see_it() {
    let ctx = CallCtx::new();
    let index = vector(64);
    index.add(some(), &ctx).await.unwrap();
    let found = index.retrieve(&Query::new("rain").filter(Filter::eq("n", 12)), &ctx).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(Document { score: None, ..found[0].clone() }, some()[0]);
    // The best of those that fit, although others are nearer.
    let found = index.retrieve(&Query::new("rain").filter(Filter::eq("n", 11)).top_k(1), &ctx).await.unwrap();
    assert_eq!(found[0].id, "d");
}

#[tokio::test]
async fn what_was_replaced_or_removed_is_not_found() {
    let ctx = CallCtx::new();
    let (one, both) = (vector(64), hybrid(64));
    for index in [&one as &dyn Both, &both] {
        for round in 0..300 {
            let text = format!("rain {round}");
            let documents = vec![Document::new("a", text), Document::new(format!("{}", round % 3), "wind")];
            let texts: Vec<&str> = documents.iter().map(|one| one.text.as_str()).collect();
            let vectors = atomr_agents_embed::Embedder::embed(&*embedder(64), &texts, &ctx).await.unwrap();
            index.upsert(documents, Some(vectors), &ctx).await.unwrap();
        }
        let found = index.retrieve(&Query::new("rain 299").top_k(10), &ctx).await.unwrap();
        assert_eq!((found.len(), found[0].text.as_str()), (4, "rain 299"), "{index:?}");
        assert_eq!(index.remove(&["a".into(), "1".into()], &ctx).await.unwrap(), 2);
        let mut left: Vec<String> =
            index.retrieve(&"rain".into(), &ctx).await.unwrap().into_iter().map(|one| one.id).collect();
        left.sort();
        assert_eq!(left, ["0", "2"]);
    }
}

trait Both: DocumentIndex + Retriever {}
impl<T: DocumentIndex + Retriever> Both for T {}

#[tokio::test]
async fn a_hybrid_finds_by_words_and_by_vectors() {
    let ctx = CallCtx::new();
    let index = hybrid(2);
    let documents =
        vec![Document::new("word", "umbrella"), Document::new("near", "something else"), Document::new("far", "x")];
    index.insert(documents, &Vectors::new(2, vec![-1.0, 0.0, 1.0, 0.0, 0.0, -1.0]).unwrap()).unwrap();
    let found = index.search(&"umbrella".into(), Some(&[1.0, 0.1])).unwrap();
    // `word` is first by words and last by vectors, `near` first by vectors.
    let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["word", "near", "far"]);
    assert_eq!(found[0].score, Some(1.0 / 61.0 + 1.0 / 63.0));
    assert_eq!(index.search(&"umbrella".into(), None).unwrap().len(), 1);
    let wrong = index.insert(vec![Document::new("new", "")], &Vectors::new(3, vec![1.0; 3]).unwrap()).unwrap_err();
    assert_eq!(wrong.kind(), Kind::InvalidRequest);
    assert_eq!(index.len(), 3);
    let bad = HybridOptions { vectors_weight: -1.0, ..HybridOptions::default() };
    assert!(matches!(
        HybridIndex::new(embedder(2), 2, bad),
        Err(RetrieveError::Invalid { option: "vectors_weight", .. })
    ));
    assert!(HybridIndex::new(embedder(2), 3, HybridOptions::default()).is_err());
    let empty = hybrid(2);
    assert!(empty.retrieve(&"rain".into(), &ctx).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_was_saved_is_loaded_and_finds_the_same() {
    let ctx = CallCtx::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.index");
    let index = hybrid(32);
    index.save(&path).unwrap();
    assert!(HybridIndex::load(&path, embedder(32), HybridOptions::default()).unwrap().is_empty());
    index.add(some(), &ctx).await.unwrap();
    index.add(vec![Document::new("b", "rain, né").with("deep", json!({"a": [1, null]}))], &ctx).await.unwrap();
    index.save(&path).unwrap();
    let loaded = HybridIndex::load(&path, embedder(32), HybridOptions::default()).unwrap();
    for query in ["rain", "sun", "nobody"] {
        let query = Query::new(query);
        assert_eq!(loaded.retrieve(&query, &ctx).await.unwrap(), index.retrieve(&query, &ctx).await.unwrap());
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3, "nothing but the index is left");
    loaded.add(vec![Document::new("e", "more rain")], &ctx).await.unwrap();
    assert_eq!(loaded.remove(&["a".into(), "b".into()], &ctx).await.unwrap(), 2);
    loaded.save(&path).unwrap();
    let again = HybridIndex::load(&path, embedder(32), HybridOptions::default()).unwrap();
    assert_eq!(
        again.retrieve(&"rain".into(), &ctx).await.unwrap(),
        loaded.retrieve(&"rain".into(), &ctx).await.unwrap()
    );
    assert_eq!(again.len(), 3);
    let words = Bm25Options { k1: 1.2, ..HybridOptions::default().words };
    let other = HybridOptions { words, ..HybridOptions::default() };
    assert!(matches!(HybridIndex::load(&path, embedder(32), other), Err(RetrieveError::Invalid { option: "k1", .. })));
    let error = HybridIndex::load(&path, embedder(16), HybridOptions::default()).unwrap_err();
    assert!(error.to_string().contains("\"mock:32\""), "{error}");
}

#[tokio::test]
async fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let load = || HybridIndex::load(&path, embedder(4), HybridOptions::default()).map(|_| ());
    assert_eq!(load().unwrap_err().kind(), Kind::Storage);
    let index = hybrid(4);
    index.add(vec![Document::new("a", "rain")], &CallCtx::new()).await.unwrap();
    index.save(&path).unwrap();
    for file in fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("vectors") {
            continue; // their index has tests of its own
        }
        let whole = fs::read(&file).unwrap();
        for at in 0..whole.len() {
            fs::write(&file, &whole[..at]).unwrap();
            assert!(matches!(load(), Err(RetrieveError::Damaged { .. })), "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x20;
            fs::write(&file, &changed).unwrap();
            let error = load().unwrap_err();
            assert!(matches!(error.kind(), Kind::Corrupt | Kind::UnsupportedFormat), "changed at {at}: {error}");
        }
        fs::write(&file, whole).unwrap();
        load().unwrap();
    }
    let plain = folder.path().join("file");
    fs::write(&plain, "x").unwrap();
    assert_eq!(index.save(plain.join("below")).unwrap_err().kind(), Kind::Storage);
}
