//! The strategies an agent is made of: what it is told to be ([`InstructionStrategy`]), what it may call
//! ([`ToolStrategy`]), what it remembers ([`MemoryStrategy`]) and what it knows how to do ([`SkillStrategy`]).
//! Each is resolved once per run. Here are the traits and the implementations that always answer the same.
//!
//! This crate knows no agent loop and no store.

pub mod conformance;
mod error;
mod instruction;
mod memory;
mod skill;
mod tools;

pub use error::StrategyError;
pub use instruction::{InstructionStrategy, StaticInstructions};
pub use memory::{MemoryChunk, MemoryStrategy, NoMemory, StaticMemory};
pub use skill::{Skill, SkillStrategy, StaticSkills};
pub use tools::{KeywordTools, StaticTools, ToolStrategy};

use futures_util::future::BoxFuture;

/// The future of one resolution.
pub type StrategyFuture<'a, T> = BoxFuture<'a, Result<T, StrategyError>>;
