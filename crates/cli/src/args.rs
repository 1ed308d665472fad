//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use atomr_agents_state::RunStatus;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use clap::{Args, Parser, Subcommand};

const AFTER: &str = "\
Stores:
  PATH, sqlite:PATH              a SQLite file
  postgres://USER@HOST/DATABASE  a PostgreSQL database

Exit codes:
  0  done
  1  it could not be done
  2  the command line makes no sense
  3  verify found damage, or replay a run that does not agree with itself";

/// Agents that survive their process.
#[derive(Debug, Parser)]
#[command(name = "atomr-agents", version, arg_required_else_help = true, after_help = AFTER)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The runs of a store
    #[command(subcommand, arg_required_else_help = true, after_help = AFTER)]
    Runs(Runs),
}

/// What every command on runs takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the runs are: a path, sqlite:PATH or postgres://…
    #[arg(long, env = "ATOMR_AGENTS_STORE", hide_env_values = true, value_name = "STORE")]
    pub(crate) store: String,
    /// A file with the key of an encrypted store: 64 hexadecimal digits
    #[arg(long, env = "ATOMR_AGENTS_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Write JSON, one value per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Runs {
    /// List runs, the newest first
    List(List),
    /// Show what is known of a run
    Show(Show),
    /// Show what was told in a run
    Events(Events),
    /// Begin another run where one was
    Fork(Fork),
    /// See whether a recorded run agrees with itself, or with an agent
    Replay(Replay),
    /// Forget the history of a run but for its last checkpoints
    Prune(Prune),
    /// Read everything and tell what is not as it was written
    Verify(Verify),
    /// Copy the runs that are whole to another store
    Salvage(Salvage),
    /// Remove a run
    Remove(Remove),
}

impl Runs {
    pub(crate) fn common(&self) -> &Common {
        match self {
            Self::List(args) => &args.common,
            Self::Show(args) => &args.common,
            Self::Events(args) => &args.common,
            Self::Fork(args) => &args.common,
            Self::Replay(args) => &args.common,
            Self::Prune(args) => &args.common,
            Self::Verify(args) => &args.common,
            Self::Salvage(args) => &args.common,
            Self::Remove(args) => &args.common,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Only runs of this status; may be given several times
    #[arg(long, value_parser = PossibleValuesParser::new(RunStatus::ALL.map(RunStatus::as_str)).map(status))]
    pub(crate) status: Vec<RunStatus>,
    /// Only what runs as this: agent, workflow, harness, script
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// Only runs of this agent, graph or harness
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// Only runs with this label; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Only what comes after this run in the list: the next page
    #[arg(long, value_name = "RUN")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Show the values of the channels, too
    #[arg(long)]
    pub(crate) values: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// Begin with the event of this number
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    pub(crate) from_seq: u64,
    /// At most so many
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Go on with what is told from now on, until the run ends
    #[arg(long)]
    pub(crate) follow: bool,
    /// Follow for at most so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, requires = "follow")]
    pub(crate) deadline: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Fork {
    /// The run that it comes from
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// After the checkpoint of this step
    #[arg(long, value_name = "STEP", conflicts_with = "at_seq")]
    pub(crate) at_step: Option<u64>,
    /// After the commit with the event of this number
    #[arg(long, value_name = "SEQ")]
    pub(crate) at_seq: Option<u64>,
    /// The name of the new run; a fresh id unless told
    #[arg(long, default_value = "")]
    pub(crate) name: String,
    /// A channel that has another value in it; may be given several times
    #[arg(long, value_name = "CHANNEL=JSON", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// A label of the new run; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// The agent that replays it, in Python; without it only the record is looked at
    #[arg(long, value_name = "MODULE:NAME")]
    pub(crate) agent: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
    /// How many checkpoints stay
    #[arg(long, default_value_t = 1)]
    pub(crate) keep: usize,
    /// Then remove what nothing in the store names any more
    #[arg(long)]
    pub(crate) sweep: bool,
    /// What was written in the last so many seconds is not swept
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    pub(crate) grace: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The runs; all if none is named
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Salvage {
    #[command(flatten)]
    pub(crate) common: Common,
    /// The store that they are copied to; encrypted with the same key where this one is
    #[arg(long, value_name = "STORE")]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The run
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

fn status(name: String) -> RunStatus {
    // One of the possible values.
    RunStatus::ALL.into_iter().find(|status| status.as_str() == name).unwrap_or(RunStatus::Running)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is written NAME=VALUE")?;
    if name.is_empty() { Err("the name is empty".to_owned()) } else { Ok((name.to_owned(), value.to_owned())) }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it is a number of seconds from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
