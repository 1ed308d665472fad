//! Texts are cut where the matter changes.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document, Kind};
use atomr_agents_embed::{EmbedError, Embedder, MockEmbedder, Vectors};
use atomr_agents_ingest::{AsyncSplitter, Breakpoint, Semantic};
use futures_util::future::BoxFuture;

async fn cut(breakpoint: Breakpoint, most: usize, text: &str) -> Vec<String> {
    let embedder = Arc::new(MockEmbedder::new(512).unwrap());
    let splitter = Semantic::new(embedder).breakpoint(breakpoint).max_chars(most).batch(2).build().unwrap();
    let pieces = splitter.split(&Document::new("s", text), &CallCtx::new()).await.unwrap();
    pieces.into_iter().map(|piece| piece.text).collect()
}

const TEXT: &str = "Pi is 3.14 here. Here pi is 3.14 again? Dogs bark. Dogs bark loudly!";

#[tokio::test]
async fn numbers_and_full_stops_stay_and_the_matter_cuts() {
    let wanted = ["Pi is 3.14 here. Here pi is 3.14 again? ", "Dogs bark. Dogs bark loudly!"];
    assert_eq!(cut(Breakpoint::Threshold(0.3), 500, TEXT).await, wanted);
    assert_eq!(cut(Breakpoint::Percentile(50.0), 500, TEXT).await, wanted);
    assert_eq!(cut(Breakpoint::Percentile(100.0), 500, TEXT).await, [TEXT]);
    assert_eq!(cut(Breakpoint::Threshold(1.0), 500, TEXT).await.len(), 4);
}

#[tokio::test]
async fn limits_are_counted_in_characters_and_kept_between_sentences() {
    let text = "Ååå ååå. Öööö öööö. Üüü.";
    assert_eq!(cut(Breakpoint::Threshold(-1.0), 10, text).await, ["Ååå ååå. ", "Öööö ", "öööö. Üüü."]);
    assert_eq!(cut(Breakpoint::Threshold(-1.0), 20, text).await, ["Ååå ååå. Öööö öööö. ", "Üüü."]);
}

#[derive(Debug)]
struct Broken;

impl Embedder for Broken {
    fn model(&self) -> &str {
        "broken"
    }

    fn dim(&self) -> Option<usize> {
        None
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], _: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            if texts.len() < 3 { Vectors::new(1, vec![1.0]) } else { Err(EmbedError::invalid("text", "is too blue")) }
        })
    }
}

#[tokio::test]
async fn what_the_embedder_does_wrong_is_an_error_with_the_name_of_the_document() {
    for (batch, problem) in [(64, "report: text is too blue"), (2, "report: broken gave 1 vectors for 2 texts")] {
        let splitter = Semantic::new(Arc::new(Broken)).batch(batch).build().unwrap();
        let error = splitter.split(&Document::new("report", TEXT), &CallCtx::new()).await.unwrap_err();
        assert_eq!(error.to_string(), problem);
        assert_eq!(error.id(), Some("report"));
    }
    let stopped = CallCtx::new();
    stopped.cancel.cancel();
    let splitter = Semantic::new(Arc::new(Broken)).build().unwrap();
    let error = splitter.split(&Document::new("report", TEXT), &stopped).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
}
