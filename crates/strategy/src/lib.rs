//! The strategies an agent is made of: what it is told to be ([`InstructionStrategy`]), what it may call
//! ([`ToolStrategy`]), what it remembers ([`MemoryStrategy`]) and what it knows how to do ([`SkillStrategy`]).
//! Each is resolved once per run. And those a harness is made of: what it does in an iteration ([`LoopStrategy`]) and when
//! it ends all the same ([`TerminationStrategy`]). Here are the traits, the implementations that always answer the same,
//! and the terminations that only look at the state.
//!
//! This crate knows no agent, no engine that loops and no store.

pub mod conformance;
mod error;
mod fingerprint;
mod harness_state;
mod instruction;
mod loops;
mod memory;
mod skill;
mod termination;
mod tools;

pub use error::StrategyError;
pub use harness_state::{HarnessState, StepEvent};
pub use instruction::{InstructionStrategy, StaticInstructions};
pub use loops::{FnLoop, IdempotencyKey, LoopStep, LoopStrategy, StaticLoop, StepEffect};
pub use memory::{MemoryChunk, MemoryStrategy, NoMemory, StaticMemory};
pub use skill::{Skill, SkillStrategy, StaticSkills};
pub use termination::{
    All, Any, CostLimit, IterationCap, Never, NoProgress, Not, Predicate, TerminationStrategy, TimeLimit, TokenLimit,
    Verdict,
};
pub use tools::{KeywordTools, StaticTools, ToolStrategy};

use futures_util::future::BoxFuture;

/// The future of one resolution.
pub type StrategyFuture<'a, T> = BoxFuture<'a, Result<T, StrategyError>>;
