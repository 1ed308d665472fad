//! Runs that are kept: killed anywhere, they go on in their middle.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod approvals;
mod boundaries;
mod endings;
mod forks;
mod inside;
mod kill;
#[path = "../../../state-sqlite/tests/support/mod.rs"]
mod processes;
mod support;
mod turns;
mod unknown;
