//! What can be done with runs.

mod change;
mod events;
mod list;
mod replay;
mod salvage;
mod show;
mod verify;

use std::io::Write;

use atomr_agents_core::Value;

use crate::CliError;
use crate::escape::{shown, shown_json};

pub(crate) use change::{fork, prune, remove};
pub(crate) use events::events;
pub(crate) use list::list;
pub(crate) use replay::replay;
pub(crate) use salvage::salvage;
pub(crate) use show::show;
pub(crate) use verify::{unreadable, verify};

/// Where a command writes, and how.
pub(crate) struct Out {
    pub(crate) json: bool,
    pub(crate) to: Box<dyn Write + Send>,
}

impl Out {
    /// A line for people.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), CliError> {
        Ok(writeln!(self.to, "{}", shown(text))?)
    }

    /// A line of JSON.
    pub(crate) fn value(&mut self, value: &Value) -> Result<(), CliError> {
        let line = serde_json::to_string(value)?;
        Ok(writeln!(self.to, "{}", shown_json(&line))?)
    }
}

/// `1 run`, `2 runs`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let more = if number == 1 { "" } else { "s" };
    format!("{number} {what}{more}")
}
