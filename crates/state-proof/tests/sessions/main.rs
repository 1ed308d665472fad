//! Sessions that several processes serve, on SQLite and on PostgreSQL: killed, made to stand still, and fought for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say why they skip

mod fight;
mod killed;
mod place;
#[path = "../../../state-sqlite/tests/support/mod.rs"]
mod processes;
#[path = "../../../agent/tests/sessions/support.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod support;
