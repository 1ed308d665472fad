use std::sync::Mutex;

use atomr_agents_core::{RunId, TurnInput};
use atomr_agents_embed::{MockEmbedder, Vectors};
use atomr_agents_tool::{FnTool, Tool};
use futures_util::future::BoxFuture;
use serde_json::json;

use super::*;

/// Counts what it is asked, and may fail the first time.
#[derive(Debug)]
struct Counting(MockEmbedder, Mutex<Vec<usize>>, bool);

impl Embedder for Counting {
    fn model(&self) -> &str {
        "counting"
    }

    fn dim(&self) -> Option<usize> {
        self.0.dim()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        let first = self.1.lock().unwrap().is_empty();
        self.1.lock().unwrap().push(texts.len());
        if first && self.2 {
            let failed =
                EmbedError::Failed { what: "it".into(), kind: Kind::Connect, message: "no".into(), source: None };
            return Box::pin(async move { Err(failed) });
        }
        self.0.embed(texts, ctx)
    }
}

fn tools() -> Toolbox {
    let tool = |(name, description): (&str, &str)| {
        let made =
            FnTool::new(name, description, json!({"type": "object"}), |arguments, _| async move { Ok(arguments) });
        Arc::new(made) as Arc<dyn Tool>
    };
    let all = [
        ("search", "find pages"),
        ("forecast", "the weather and rain of tomorrow"),
        ("refund", "pay an order back"),
        ("time", "the time in a city"),
    ];
    Toolbox::new(all.map(tool)).unwrap()
}

fn counting(fails: bool) -> Arc<Counting> {
    Arc::new(Counting(MockEmbedder::new(256).unwrap(), Mutex::default(), fails))
}

async fn chosen(strategy: &EmbeddingTools, text: &str) -> Result<Vec<String>, StrategyError> {
    let context = AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user(text) };
    let toolbox = strategy.select(&context, &CallCtx::new()).await?;
    Ok(toolbox.specs().iter().map(|spec| spec.name.clone()).collect())
}

#[tokio::test]
async fn the_nearest_are_offered_in_their_order_and_embedded_once() {
    let embedder = counting(false);
    let strategy = EmbeddingTools::new(tools(), embedder.clone(), 1).unwrap();
    assert_eq!(chosen(&strategy, "rain tomorrow?").await.unwrap(), ["forecast"]);
    assert_eq!(chosen(&strategy, "pay my order back").await.unwrap(), ["refund"]);
    assert_eq!(*embedder.1.lock().unwrap(), [4, 1, 1]);
    let strategy = EmbeddingTools::new(tools(), embedder, 2).unwrap();
    assert_eq!(chosen(&strategy, "the time of the rain").await.unwrap(), ["forecast", "time"]);
    assert_eq!(strategy.all().unwrap().tools().len(), 4);
    atomr_agents_strategy::conformance::check_tools(&strategy).await.unwrap();
}

#[tokio::test]
async fn some_are_always_offered_beside_the_nearest_of_the_others() {
    let strategy = EmbeddingTools::new(tools(), counting(false), 1).unwrap().always(["search", "forecast"]).unwrap();
    assert_eq!(chosen(&strategy, "rain tomorrow? and pay back").await.unwrap(), ["search", "forecast", "refund"]);
}

#[tokio::test]
async fn where_there_is_nothing_to_choose_nobody_is_asked() {
    let embedder = counting(false);
    let all = ["search", "forecast", "refund", "time"];
    let strategy = EmbeddingTools::new(tools(), embedder.clone(), 4).unwrap();
    assert_eq!(chosen(&strategy, "rain").await.unwrap(), all);
    let strategy = EmbeddingTools::new(tools(), embedder.clone(), 1).unwrap();
    assert_eq!(chosen(&strategy, " ").await.unwrap(), all);
    assert!(embedder.1.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_embedder_that_fails_is_told_and_asked_again_the_next_time() {
    let strategy = EmbeddingTools::new(tools(), counting(true), 1).unwrap();
    let error = chosen(&strategy, "rain").await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::Connect, "the tool strategy failed: it failed: no".into()));
    assert_eq!(chosen(&strategy, "rain").await.unwrap(), ["forecast"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(EmbeddingTools::new(tools(), counting(false), 0).unwrap_err().to_string().contains("top_k must be"));
    let error = EmbeddingTools::new(tools(), counting(false), 1).unwrap().always(["nobody"]).unwrap_err();
    assert!(error.to_string().contains("\"nobody\""), "{error}");
}
