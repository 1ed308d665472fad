//! Of many tools those that a request is about: [`EmbeddingTools`] offers the tools whose names and descriptions are nearest
//! to it, by the vectors of an embedder.
//!
//! This crate knows no agent and no model; it asks the embedder once for the tools and once for each request.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Kind};
use atomr_agents_embed::{EmbedError, Embedder, IndexOptions, VectorIndex};
use atomr_agents_strategy::{StrategyError, StrategyFuture, ToolStrategy};
use atomr_agents_tool::Toolbox;
use tokio::sync::OnceCell;

/// Offers the tools that are nearest to the new messages of a turn, in the order in which they were given. The tools are
/// embedded when they are first needed, and never again. Where there are no more than would be offered, or the turn has no
/// text, nobody is asked and all are offered.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{AgentContext, CallCtx, RunId, TurnInput};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_embed_tools::EmbeddingTools;
/// use atomr_agents_strategy::ToolStrategy;
/// use atomr_agents_tool::{FnTool, Tool, Toolbox};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tool = |name: &str, description: &str| {
///     let run = |arguments, _| async move { Ok(arguments) };
///     Arc::new(FnTool::new(name, description, json!({"type": "object"}), run)) as Arc<dyn Tool>
/// };
/// let tools = Toolbox::new([tool("forecast", "The weather in a city"), tool("refund", "Pays an order back")])?;
/// let strategy = EmbeddingTools::new(tools, Arc::new(MockEmbedder::new(64)?), 1)?;
/// let turn = TurnInput::user("How is the weather in Oslo, the city?");
/// let context = AgentContext { agent: "a".into(), run: RunId::new(), turn };
/// let chosen = strategy.select(&context, &CallCtx::new()).await?;
/// assert_eq!(chosen.specs()[0].name, "forecast");
/// # Ok(()) }
/// ```
pub struct EmbeddingTools {
    toolbox: Arc<Toolbox>,
    embedder: Arc<dyn Embedder>,
    top_k: usize,
    /// Whether a tool is offered whatever is asked, in the order of the tools.
    always: Vec<bool>,
    index: OnceCell<VectorIndex>,
}

impl fmt::Debug for EmbeddingTools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tools = self.toolbox.tools().len();
        f.debug_struct("EmbeddingTools").field("tools", &tools).field("top_k", &self.top_k).finish_non_exhaustive()
    }
}

fn failed(error: EmbedError) -> StrategyError {
    let (kind, message) = (error.kind(), error.to_string());
    StrategyError::Failed { family: "tool", kind, message, source: Some(Arc::new(error)) }
}

fn wrong(message: String) -> StrategyError {
    StrategyError::Failed { family: "tool", kind: Kind::Config, message, source: None }
}

impl EmbeddingTools {
    /// Of these tools the `top_k` nearest.
    ///
    /// # Errors
    /// [`StrategyError::Failed`] of kind `config` for a `top_k` of 0.
    pub fn new(tools: Toolbox, embedder: Arc<dyn Embedder>, top_k: usize) -> Result<Self, StrategyError> {
        if top_k == 0 {
            return Err(wrong("top_k must be at least 1".into()));
        }
        let always = vec![false; tools.tools().len()];
        Ok(Self { toolbox: Arc::new(tools), embedder, top_k, always, index: OnceCell::new() })
    }

    /// These tools are offered whatever is asked, beside the nearest of the others.
    ///
    /// # Errors
    /// [`StrategyError::Failed`] of kind `config` for a name that no tool has.
    pub fn always(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, StrategyError> {
        for name in names {
            let name = name.as_ref();
            let mut tools = self.toolbox.tools().iter().zip(&mut self.always);
            match tools.find(|(tool, _)| tool.tool().spec().name == name) {
                Some((_, always)) => *always = true,
                None => return Err(wrong(format!("{name:?} shall always be offered, but there is no such tool"))),
            }
        }
        Ok(self)
    }

    /// The vectors of the tools, by their places.
    async fn index(&self, ctx: &CallCtx) -> Result<&VectorIndex, EmbedError> {
        self.index
            .get_or_try_init(async || {
                let text = |spec: &atomr_agents_core::ToolSpec| format!("{}: {}", spec.name, spec.description);
                let texts: Vec<String> = self.toolbox.tools().iter().map(|tool| text(tool.tool().spec())).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let vectors = self.embedder.embed(&texts, ctx).await?;
                let index = VectorIndex::new(vectors.dim(), IndexOptions::default())?;
                index.insert(&(0..texts.len() as u64).collect::<Vec<_>>(), &vectors)?;
                Ok(index)
            })
            .await
    }

    async fn nearest(&self, text: &str, ctx: &CallCtx) -> Result<Vec<u64>, EmbedError> {
        let index = self.index(ctx).await?;
        let asked = self.embedder.embed(&[text], ctx).await?;
        let query = asked.row(0).unwrap_or_default();
        let others = |place: u64| self.always.get(place as usize) == Some(&false);
        Ok(index.find(query, self.top_k, Some(&others))?.into_iter().map(|found| found.id).collect())
    }
}

impl ToolStrategy for EmbeddingTools {
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        Box::pin(async move {
            let text = context.turn.text();
            let others = self.always.iter().filter(|always| !**always).count();
            if others <= self.top_k || text.trim().is_empty() {
                return Ok(Arc::clone(&self.toolbox));
            }
            let nearest = self.nearest(&text, ctx).await.map_err(failed)?;
            let chosen = |(place, always): (usize, &bool)| *always || nearest.contains(&(place as u64));
            let tools = self.toolbox.tools().iter().zip(self.always.iter().enumerate());
            let tools = tools.filter(|(_, place)| chosen(*place)).map(|(tool, _)| Arc::clone(tool));
            Ok(Arc::new(Toolbox::from_checked(tools.collect())?))
        })
    }

    fn all(&self) -> Option<&Toolbox> {
        Some(&self.toolbox)
    }
}

#[cfg(test)]
mod tests;
