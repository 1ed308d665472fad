//! What every strategy must do, as checks that any implementation can run in its tests.

use atomr_agents_core::{AgentContext, CallCtx, Kind, Message, RunId, TurnInput};

use crate::{InstructionStrategy, MemoryStrategy, SkillStrategy, StrategyError, ToolStrategy};

fn context(text: &str) -> AgentContext {
    AgentContext { agent: "conformance".into(), run: RunId::new(), turn: TurnInput::user(text) }
}

/// Checks that instructions are rendered for ordinary and for empty input.
///
/// # Errors
/// What the strategy failed with.
pub async fn check_instructions(strategy: &dyn InstructionStrategy) -> Result<(), StrategyError> {
    for text in ["Hello", ""] {
        strategy.render(&context(text), &CallCtx::new()).await?;
    }
    Ok(())
}

/// Checks that tools are selected and that each can be found by its name.
///
/// # Errors
/// What the strategy failed with.
pub async fn check_tools(strategy: &dyn ToolStrategy) -> Result<(), StrategyError> {
    let toolbox = strategy.select(&context("Hello"), &CallCtx::new()).await?;
    for spec in toolbox.specs() {
        toolbox.find(&spec.name).map_err(|error| StrategyError::Failed {
            family: "tool",
            kind: error.kind(),
            message: error.to_string(),
            source: None,
        })?;
    }
    Ok(())
}

/// Checks that a memory can be read before anything was stored and after something was.
///
/// # Errors
/// What the strategy failed with.
pub async fn check_memory(strategy: &dyn MemoryStrategy) -> Result<(), StrategyError> {
    let (context, ctx) = (context("Hello"), CallCtx::new());
    strategy.retrieve(&context, &ctx).await?;
    strategy.store(&context, &[Message::user("Hello"), Message::assistant("Hi")], &ctx).await?;
    strategy.retrieve(&context, &ctx).await?;
    Ok(())
}

/// Checks that the skills of a run have names and that two runs of the same input get the same ones.
///
/// # Errors
/// What the strategy failed with, or which rule it broke.
pub async fn check_skills(strategy: &dyn SkillStrategy) -> Result<(), StrategyError> {
    let (context, ctx) = (context("Hello"), CallCtx::new());
    let broken = |message: &str| StrategyError::Failed {
        family: "skill",
        kind: Kind::Contract,
        message: message.into(),
        source: None,
    };
    let first = strategy.applicable(&context, &ctx).await?;
    let second = strategy.applicable(&context, &ctx).await?;
    if first.iter().any(|skill| skill.name.is_empty()) {
        return Err(broken("a skill has no name"));
    }
    if !first.iter().map(|skill| &skill.name).eq(second.iter().map(|skill| &skill.name)) {
        return Err(broken("two runs of the same input got different skills"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        KeywordTools, MemoryChunk, NoMemory, Skill, StaticInstructions, StaticMemory, StaticSkills, StaticTools,
    };
    use atomr_agents_tool::FnTool;
    use serde_json::json;
    use std::sync::Arc;

    #[tokio::test]
    async fn the_static_strategies_conform() {
        let tool = FnTool::new("t", "", json!({"type": "object"}), |arguments, _| async move { Ok(arguments) });
        check_instructions(&StaticInstructions::new("Be brief.")).await.unwrap();
        let tools = StaticTools::new([Arc::new(tool) as _]).unwrap();
        check_tools(&tools).await.unwrap();
        let keyword = KeywordTools::new(tools, [("t", vec!["hello"])]).unwrap();
        check_tools(&keyword).await.unwrap();
        check_memory(&NoMemory).await.unwrap();
        check_memory(&StaticMemory::new(vec![MemoryChunk { source: "s".into(), text: "t".into() }])).await.unwrap();
        check_skills(&StaticSkills::default()).await.unwrap();
        let nameless = Skill { name: String::new(), instructions: String::new(), tools: vec![] };
        assert!(check_skills(&StaticSkills::new(vec![nameless])).await.is_err());
    }
}
