//! What every retriever and every index must do, as checks that any implementation can run in its tests.

use atomr_agents_core::{CallCtx, Document, Span};
use atomr_agents_embed::Vectors;

use crate::{DocumentIndex, Filter, Query, RetrieveError, Retriever};

/// Checks the rules of [`Retriever`] with a query that finds at least two documents: scores that fall, no document twice,
/// no more than asked for, the same answer for the same query, a filter that holds for all, and a wrong one refused.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_retriever(retriever: &dyn Retriever, query: &str) -> Result<(), String> {
    let ctx = CallCtx::new();
    let found = async |query: Query| {
        retriever.retrieve(&query, &ctx).await.map_err(|error| format!("retrieve({query:?}) failed: {error}"))
    };
    let all = found(Query::new(query)).await?;
    if all.len() < 2 {
        return Err(format!("{query:?} must find two documents to check anything, it found {}", all.len()));
    }
    let mut last = f64::INFINITY;
    for (at, document) in all.iter().enumerate() {
        match document.score {
            Some(score) if score <= last => last = score,
            score => return Err(format!("document {at} has the score {score:?} after {last}")),
        }
        if all.iter().take(at).any(|other| other.id == document.id) {
            return Err(format!("the document {:?} was found twice", document.id));
        }
    }
    if found(Query::new(query)).await? != all {
        return Err("the same query was answered differently".into());
    }
    for k in [0, 1, 2] {
        let some = found(Query::new(query).top_k(k)).await?;
        if some.len() != k
            || some.first().map(|first| &first.id) != all.first().map(|first| &first.id).filter(|_| k > 0)
        {
            let ids: Vec<_> = some.iter().map(|document| &document.id).collect();
            return Err(format!("top_k = {k} gave {ids:?}"));
        }
    }
    let none = found(Query::new(query).filter(Filter::exists("a key that no document has"))).await?;
    if !none.is_empty() {
        return Err(format!("{} documents were found that the filter excludes", none.len()));
    }
    match retriever.retrieve(&Query::new(query).filter(Filter::lt("key", true)), &ctx).await {
        Err(RetrieveError::Filter { .. }) => Ok(()),
        other => Err(format!("a filter that orders booleans was not refused: {other:?}")),
    }
}

/// The documents `(id, text, source)` of the checks.
fn documents(all: &[(&str, &str, Option<&str>)]) -> Vec<Document> {
    let document = |(id, text, source): &(&str, &str, Option<&str>)| Document {
        span: source.map(|source| Span { source: source.to_owned(), ..Span::default() }),
        ..Document::new(*id, *text)
    };
    all.iter().map(document).collect()
}

/// One vector for each document, as far as the index wants any.
fn vectors(index: &dyn DocumentIndex, len: usize) -> Result<Option<Vectors>, String> {
    let Some(dim) = index.dim() else { return Ok(None) };
    let values = (0..len * dim).map(|at| 1.0 + (at % 7) as f32).collect();
    Vectors::new(dim, values).map(Some).map_err(|error| error.to_string())
}

/// Checks the rules of [`DocumentIndex`] on an empty index: documents are kept, replaced and forgotten by id, all of a call
/// or nothing, and are found by their source.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_index(index: &dyn DocumentIndex) -> Result<(), String> {
    let ctx = CallCtx::new();
    let write = async |all: &[(&str, &str, Option<&str>)]| {
        let documents = documents(all);
        let vectors = vectors(index, documents.len())?;
        index.upsert(documents, vectors, &ctx).await.map_err(|error| format!("upsert failed: {error}"))
    };
    let expect = async |what: &str, ids: &[&str], source: &str, of: &[&str]| {
        let count = index.count().await.map_err(|error| format!("count failed: {error}"))?;
        let names: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let kept = index.get(&names).await.map_err(|error| format!("get failed: {error}"))?;
        if count != ids.len() || kept.len() != ids.len() || kept.iter().any(Option::is_none) {
            return Err(format!("{what}: {ids:?} should be there, count() says {count}, get() {kept:?}"));
        }
        match index.ids_of(source).await {
            Ok(found) if found == of => Ok(()),
            found => Err(format!("{what}: of the source {source:?} should be {of:?}, not {found:?}")),
        }
    };
    expect("empty", &[], "s", &[]).await?;
    write(&[]).await?;
    write(&[("b", "old", Some("s")), ("a", "wind", Some("s")), ("c", "sun", None), ("b", "rain", Some("s"))]).await?;
    expect("an id that stands twice is one document", &["a", "b", "c"], "s", &["a", "b"]).await?;
    let texts = |kept: Vec<Option<Document>>| kept.into_iter().map(|one| one.map(|one| one.text)).collect::<Vec<_>>();
    let kept = index.get(&["b".into(), "nobody".into()]).await.map_err(|error| format!("get failed: {error}"))?;
    if texts(kept.clone()) != [Some("rain".to_owned()), None] {
        return Err(format!("the last text of an id should count, and nobody be nobody: {kept:?}"));
    }
    expect("the source of a whole document is itself", &["a", "b", "c"], "c", &["c"]).await?;
    write(&[("a", "snow", Some("t"))]).await?;
    expect("a document that was replaced left its source", &["a", "b", "c"], "s", &["b"]).await?;
    refused(index, &ctx).await?;
    expect("what was refused left nothing", &["a", "b", "c"], "t", &["a"]).await?;
    let removed = index.remove(&["b".into(), "b".into(), "nobody".into()], &ctx).await;
    if !matches!(removed, Ok(1)) {
        return Err(format!("remove of one that is there answered {removed:?}"));
    }
    expect("removed", &["a", "c"], "s", &[]).await
}

async fn refused(index: &dyn DocumentIndex, ctx: &CallCtx) -> Result<(), String> {
    let nameless = documents(&[("new", "x", None), ("", "no id", None)]);
    match index.upsert(nameless, vectors(index, 2)?, ctx).await {
        Err(RetrieveError::Document { .. }) => {}
        other => return Err(format!("a document without an id was not refused: {other:?}")),
    }
    let wrong = match index.dim() {
        Some(_) => None,
        None => Some(Vectors::new(1, vec![1.0]).map_err(|error| error.to_string())?),
    };
    match index.upsert(documents(&[("new", "x", None)]), wrong, ctx).await {
        Err(RetrieveError::Vectors { .. }) => Ok(()),
        other => Err(format!("vectors that are missing, or too many, were not refused: {other:?}")),
    }
}
