//! What every strategy must do, as checks that any implementation can run in its tests.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use atomr_agents_core::{AgentContext, Amount, CallCtx, Kind, Message, Money, RunId, TurnInput, Value};

use crate::{
    HarnessState, InstructionStrategy, LoopStep, LoopStrategy, MemoryStrategy, SkillStrategy, StepEvent, StrategyError,
    TerminationStrategy, ToolStrategy, Verdict,
};

fn context(text: &str) -> AgentContext {
    AgentContext { agent: "conformance".into(), run: RunId::new(), turn: TurnInput::user(text) }
}

fn broken(family: &'static str, message: &str) -> StrategyError {
    StrategyError::Failed { family, kind: Kind::Contract, message: message.into(), source: None }
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
    let broken = |message: &str| broken("skill", message);
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

/// Checks that a loop, begun with `input`, can be stepped as often as it says that it goes on (up to three times), that a
/// step which is dropped half way does not spoil the next one, that what it says of its effect stays, and that it does
/// not cancel the context it was given.
///
/// # Errors
/// What the strategy failed with, or which rule it broke.
pub async fn check_loop(strategy: &dyn LoopStrategy, input: Value) -> Result<(), StrategyError> {
    let (ctx, effect) = (CallCtx::new(), strategy.effect());
    let mut state = HarnessState::new(input);
    let mut dropped = strategy.step(&state, &ctx);
    poll_fn(|cx| {
        drop(dropped.as_mut().poll(cx));
        Poll::Ready(())
    })
    .await;
    drop(dropped);
    for iteration in 1..=3 {
        let step = strategy.step(&state, &ctx).await?;
        if ctx.cancel.is_cancelled() {
            return Err(broken("loop", "it cancelled the context it was given"));
        }
        let LoopStep::Continue { working_memory, label } = step else { break };
        state.advance(StepEvent { iteration, label, ..StepEvent::default() }, Some(Arc::new(working_memory)));
    }
    if strategy.effect() == effect { Ok(()) } else { Err(broken("loop", "its effect is not always the same")) }
}

/// Checks that a termination decides by the state and its notes alone, that a reason has words, and that one which says
/// that it ends every loop does so.
///
/// # Errors
/// What the strategy failed with, or which rule it broke.
pub async fn check_termination(strategy: &dyn TerminationStrategy) -> Result<(), StrategyError> {
    let broken = |message| Err(broken("termination", message));
    let ctx = CallCtx::new();
    let (mut state, mut notes) = (HarnessState::new(Value::from("conformance")), Value::Null);
    for iteration in 1..=5 {
        let mut again = notes.clone();
        let verdict = strategy.should_terminate(&state, &mut notes, &ctx).await?;
        if verdict != strategy.should_terminate(&state, &mut again, &ctx).await? || again != notes {
            return broken("asked twice of the same state it answered differently");
        }
        if matches!(&verdict, Verdict::Stop(reason) if reason.trim().is_empty()) {
            return broken("it gives a reason without words");
        }
        state.advance(StepEvent { iteration, ..StepEvent::default() }, None);
    }
    state.iteration = u64::MAX;
    state.elapsed = Duration::MAX;
    state.spent = Amount { tokens: 0, cost: Money::default(), iterations: u64::MAX, tool_calls: 0 };
    state.working_memory = Arc::new(Value::from("changed"));
    let last = strategy.should_terminate(&state, &mut notes, &ctx).await?;
    if strategy.ends_every_loop() && last == Verdict::Continue {
        return broken("it says that it ends every loop, and went on after the last iteration there can be");
    }
    if ctx.cancel.is_cancelled() { broken("it cancelled the context it was given") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        All, Any, CostLimit, FnLoop, IterationCap, KeywordTools, MemoryChunk, Never, NoMemory, NoProgress, Not,
        Predicate, Skill, StaticInstructions, StaticLoop, StaticMemory, StaticSkills, StaticTools, StepEffect,
        StrategyFuture, TimeLimit, TokenLimit,
    };
    use atomr_agents_tool::FnTool;
    use serde_json::json;
    use std::sync::atomic::{AtomicU64, Ordering};

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

    #[tokio::test]
    async fn the_loops_and_terminations_of_this_crate_conform() {
        check_loop(&StaticLoop::new(LoopStep::done(json!(1))), json!(null)).await.unwrap();
        let count = FnLoop::new(|state, _| async move { Ok(LoopStep::proceed(json!(state.iteration))) });
        check_loop(&count, json!({})).await.unwrap();
        let cap = || IterationCap::default();
        let all: [&dyn TerminationStrategy; 12] = [
            &Never,
            &cap(),
            &IterationCap(0),
            &TokenLimit(3),
            &CostLimit(Money::from_micro_usd(1)),
            &TimeLimit(Duration::from_secs(1)),
            &NoProgress::new(2),
            &NoProgress::by(2, |state| json!(state.iteration / 3)),
            &Predicate::new("big", |state| state.iteration > 3),
            &Any::new().with(NoProgress::new(2)).with(cap()),
            &All::new().with(cap()).with(TimeLimit(Duration::from_secs(1))),
            &Not::new("idle", NoProgress::new(1)),
        ];
        for termination in all {
            check_termination(termination).await.unwrap();
        }
    }

    /// Breaks one rule of a termination.
    #[derive(Default)]
    struct Bad {
        remembers: Option<AtomicU64>,
        wordless: bool,
        promises: bool,
        cancels: bool,
    }

    impl TerminationStrategy for Bad {
        fn should_terminate<'a>(
            &'a self,
            _: &'a HarnessState,
            _: &'a mut Value,
            ctx: &'a CallCtx,
        ) -> StrategyFuture<'a, Verdict> {
            let second = self.remembers.as_ref().is_some_and(|calls| calls.fetch_add(1, Ordering::Relaxed) == 1);
            if self.cancels {
                ctx.cancel.cancel();
            }
            Box::pin(async move { Ok(Verdict::stop_if(second || self.wordless, if second { "later" } else { " " })) })
        }

        fn ends_every_loop(&self) -> bool {
            self.promises
        }
    }

    #[tokio::test]
    async fn each_broken_rule_of_a_loop_and_a_termination_is_named() {
        check_termination(&Bad::default()).await.unwrap();
        for (bad, fault) in [
            (Bad { remembers: Some(AtomicU64::new(0)), ..Bad::default() }, "answered differently"),
            (Bad { wordless: true, ..Bad::default() }, "without words"),
            (Bad { promises: true, ..Bad::default() }, "ends every loop"),
            (Bad { cancels: true, ..Bad::default() }, "cancelled the context"),
        ] {
            let said = check_termination(&bad).await.unwrap_err().to_string();
            assert!(said.contains(fault), "{said} should say {fault}");
        }
        let cancels = FnLoop::new(|_, ctx| async move {
            ctx.cancel.cancel();
            Ok(LoopStep::done(Value::Null))
        });
        let said = check_loop(&cancels, json!(1)).await.unwrap_err().to_string();
        assert!(said.contains("cancelled the context"), "{said}");
        struct Fickle(AtomicU64);
        impl LoopStrategy for Fickle {
            fn step<'a>(&'a self, _: &'a HarnessState, _: &'a CallCtx) -> StrategyFuture<'a, LoopStep> {
                Box::pin(async { Ok(LoopStep::done(Value::Null)) })
            }
            fn effect(&self) -> StepEffect {
                if self.0.fetch_add(1, Ordering::Relaxed) == 0 { StepEffect::Once } else { StepEffect::None }
            }
        }
        let said = check_loop(&Fickle(AtomicU64::new(0)), json!(1)).await.unwrap_err().to_string();
        assert!(said.contains("not always the same"), "{said}");
    }
}
