//! Sessions: one turn at a time, whoever sends what from wherever.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod history;
mod killed;
mod others;
mod policies;
#[path = "../../../state-sqlite/tests/support/mod.rs"]
mod processes;
mod support;
mod unfinished;
