//! `atomr-agents`: the runs of a store from the command line.
//!
//! [`run`] is all of it; the binary and the Python package call it. [`open`] makes a store of a path or a text such as
//! `sqlite:runs.db` and `postgres://…`.
//!
//! | code | what it says |
//! |---|---|
//! | 0 | done |
//! | 1 | it could not be done; the last line of the error output says why |
//! | 2 | the command line makes no sense |
//! | 3 | `verify` found damage; `replay` found a run that does not agree with itself |
//!
//! This crate knows no model and no Python: an agent is replayed by whoever has it.

mod args;
mod command;
mod escape;
mod exit;
mod open;
mod place;
mod run;
mod table;
mod time;

pub use exit::{AgentReplay, CliError, Exit};
pub use open::{Opened, open};
pub use place::{BadPlace, StorePlace};
pub use run::run;
