//! What the agent may call.

use std::sync::Arc;

use atomr_agents_core::{AgentContext, CallCtx, Kind};
use atomr_agents_tool::{Tool, ToolDefinitionError, Toolbox};

use crate::{StrategyError, StrategyFuture};

/// Selects the tools of a run.
pub trait ToolStrategy: Send + Sync + 'static {
    /// The tools the model is offered.
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>>;

    /// All tools there are to select from, where that is known without a run: what a stored run is compared with before
    /// it goes on.
    fn all(&self) -> Option<&Toolbox> {
        None
    }
}

/// The same tools for every run.
#[derive(Clone, Debug, Default)]
pub struct StaticTools(Arc<Toolbox>);

impl StaticTools {
    /// These tools.
    ///
    /// # Errors
    /// A [`ToolDefinitionError`] for a name or schema that cannot be used and for a name used twice.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, ToolDefinitionError> {
        Ok(Self(Arc::new(Toolbox::new(tools)?)))
    }
}

impl From<Toolbox> for StaticTools {
    fn from(toolbox: Toolbox) -> Self {
        Self(Arc::new(toolbox))
    }
}

impl ToolStrategy for StaticTools {
    fn select<'a>(&'a self, _context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        Box::pin(async move { Ok(Arc::clone(&self.0)) })
    }

    fn all(&self) -> Option<&Toolbox> {
        Some(&self.0)
    }
}

/// Of these tools those that the words of the turn call for: a tool with keywords is offered where one of them stands in
/// the new messages, a tool without any always. Upper and lower case are the same, and a keyword that is a word is not
/// found inside a longer one.
#[derive(Clone, Debug, Default)]
pub struct KeywordTools {
    toolbox: Arc<Toolbox>,
    /// The keywords of each tool, in lower case, in the order of the tools.
    keywords: Vec<Vec<String>>,
}

impl KeywordTools {
    /// These tools, and the keywords of some of them by name.
    ///
    /// # Errors
    /// [`StrategyError::Failed`] of kind `config` for keywords of a tool that is not there and for an empty keyword.
    pub fn new<K: AsRef<str>>(
        tools: StaticTools,
        keywords: impl IntoIterator<Item = (impl AsRef<str>, Vec<K>)>,
    ) -> Result<Self, StrategyError> {
        let wrong = |message| StrategyError::Failed { family: "tool", kind: Kind::Config, message, source: None };
        let toolbox = tools.0;
        let mut all = vec![Vec::new(); toolbox.tools().len()];
        for (name, words) in keywords {
            let name = name.as_ref();
            let at = toolbox.tools().iter().position(|tool| tool.tool().spec().name == name);
            let Some(at) = at else { return Err(wrong(format!("there are keywords for {name:?}, but no such tool"))) };
            for word in words {
                let word = word.as_ref().trim().to_lowercase();
                if word.is_empty() {
                    return Err(wrong(format!("a keyword of {name:?} is empty, so it would be found everywhere")));
                }
                all[at].push(word);
            }
        }
        Ok(Self { toolbox, keywords: all })
    }
}

impl ToolStrategy for KeywordTools {
    fn select<'a>(&'a self, context: &'a AgentContext, _ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        Box::pin(async move {
            let text = context.turn.text().to_lowercase();
            let asked = |words: &Vec<String>| words.is_empty() || words.iter().any(|word| stands_in(&text, word));
            let chosen = self.toolbox.tools().iter().zip(&self.keywords).filter(|(_, words)| asked(words));
            Ok(Arc::new(Toolbox::from_checked(chosen.map(|(tool, _)| Arc::clone(tool)).collect())?))
        })
    }

    fn all(&self) -> Option<&Toolbox> {
        Some(&self.toolbox)
    }
}

/// Whether the word stands in the text, not inside a longer word. Scripts without upper and lower case are written
/// without spaces more often than not, so their characters end no word and begin none.
fn stands_in(text: &str, word: &str) -> bool {
    let joins = |one: Option<char>, other: Option<char>| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_lowercase() || c.is_numeric());
        letter(one) && letter(other)
    };
    text.match_indices(word).any(|(at, found)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + found.len()..].chars().next());
        !joins(before, word.chars().next()) && !joins(word.chars().next_back(), after)
    })
}

impl<S: ToolStrategy + ?Sized> ToolStrategy for Arc<S> {
    fn select<'a>(&'a self, context: &'a AgentContext, ctx: &'a CallCtx) -> StrategyFuture<'a, Arc<Toolbox>> {
        (**self).select(context, ctx)
    }

    fn all(&self) -> Option<&Toolbox> {
        (**self).all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::{RunId, TurnInput};
    use atomr_agents_tool::FnTool;
    use serde_json::json;

    fn tools(names: &[&str]) -> StaticTools {
        let tool = |name: &&str| {
            let made = FnTool::new(name, "", json!({"type": "object"}), |arguments, _| async move { Ok(arguments) });
            Arc::new(made) as Arc<dyn Tool>
        };
        StaticTools::new(names.iter().map(tool)).unwrap()
    }

    async fn chosen(strategy: &KeywordTools, text: &str) -> Vec<String> {
        let context = AgentContext { agent: "a".into(), run: RunId::new(), turn: TurnInput::user(text) };
        let toolbox = strategy.select(&context, &CallCtx::new()).await.unwrap();
        toolbox.specs().iter().map(|spec| spec.name.clone()).collect()
    }

    #[tokio::test]
    async fn keywords_are_found_as_words_and_tools_without_any_are_always_there() {
        let keywords = [("forecast", vec!["Rain", "weather tomorrow"]), ("pay", vec!["天気", "5"])];
        let strategy = KeywordTools::new(tools(&["forecast", "search", "pay"]), keywords).unwrap();
        assert_eq!(chosen(&strategy, "Will it RAIN?").await, ["forecast", "search"]);
        assert_eq!(chosen(&strategy, "When does the train leave? It rains.").await, ["search"]);
        assert_eq!(chosen(&strategy, "the weather tomorrow, please").await, ["forecast", "search"]);
        assert_eq!(chosen(&strategy, "東京の天気は").await, ["search", "pay"]);
        assert_eq!(chosen(&strategy, "15 or 50").await, ["search"]);
        assert_eq!(chosen(&strategy, "").await, ["search"]);
    }

    #[test]
    fn keywords_of_no_tool_and_empty_ones_are_refused() {
        let unknown = KeywordTools::new(tools(&["a"]), [("b", vec!["x"])]).unwrap_err();
        assert!(unknown.to_string().contains("\"b\"") && unknown.kind() == Kind::Config, "{unknown}");
        assert!(KeywordTools::new(tools(&["a"]), [("a", vec![" "])]).is_err());
    }
}
