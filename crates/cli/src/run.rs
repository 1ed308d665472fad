//! The whole command.

use std::ffi::OsString;
use std::io::Write;

use atomr_agents_state::{RunLogError, StoreError};
use clap::Parser as _;

use crate::args::{Cli, Command, Runs};
use crate::command::{self, Out};
use crate::escape::shown;
use crate::open::open_existing;
use crate::{AgentReplay, CliError, Exit, StorePlace};

/// Does what a command line says; `args` begin with the name of the program.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let exit = atomr_agents_cli::run(["atomr-agents", "--version"], Box::new(std::io::sink()), Box::new(std::io::sink())).await;
/// assert!(matches!(exit, atomr_agents_cli::Exit::Code(0)));
/// # }
/// ```
pub async fn run<A>(
    args: impl IntoIterator<Item = A>,
    mut out: Box<dyn Write + Send>,
    mut err: Box<dyn Write + Send>,
) -> Exit
where
    A: Into<OsString> + Clone,
{
    let Command::Runs(runs) = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command,
        Err(refused) => {
            let to = if refused.use_stderr() { &mut err } else { &mut out };
            // Where even this cannot be written, the code says it.
            let _ = write!(to, "{refused}").and_then(|()| to.flush());
            return Exit::Code(if refused.use_stderr() { 2 } else { 0 });
        }
    };
    let mut out = Out { json: runs.common().json, to: out };
    let done = match perform(runs, &mut out).await {
        Ok(exit) => out.to.flush().map(|()| exit).map_err(CliError::from),
        Err(error) => {
            // What was found before is told before.
            let _ = out.to.flush();
            Err(error)
        }
    };
    match done {
        Ok(exit) => exit,
        Err(error) => {
            let code = error.code();
            if code != 0 {
                let _ = writeln!(err, "error: {}", shown(&told(&error))).and_then(|()| err.flush());
            }
            Exit::Code(code)
        }
    }
}

fn told(error: &CliError) -> String {
    match error {
        CliError::Run(RunLogError::NoSuchRun { .. }) => {
            format!("{error}; `atomr-agents runs list` tells which there are")
        }
        other => other.to_string(),
    }
}

async fn perform(runs: Runs, out: &mut Out) -> Result<Exit, CliError> {
    let place: StorePlace = runs.common().store.parse()?;
    let opened = match open_existing(&place, runs.common().key_file.as_deref()).await {
        Err(CliError::Store(StoreError::Corrupt { subject, message })) if matches!(runs, Runs::Verify(_)) => {
            return Ok(Exit::Code(command::unreadable(&subject, &message, out)?));
        }
        opened => opened?,
    };
    let store = &opened.store;
    let code = match &runs {
        Runs::List(args) => command::list(store, args, out).await?,
        Runs::Show(args) => command::show(store, args, out).await?,
        Runs::Events(args) => command::events(store, args, out).await?,
        Runs::Fork(args) => command::fork(store, args, out).await?,
        Runs::Prune(args) => command::prune(store, args, out).await?,
        Runs::Verify(args) => command::verify(&opened, args, out).await?,
        Runs::Salvage(args) => command::salvage(&opened, args, out).await?,
        Runs::Remove(args) => command::remove(store, args, out).await?,
        Runs::Replay(args) => match &args.agent {
            None => command::replay(store, args, out).await?,
            Some(agent) => {
                let (store, run, agent) = (opened.store, args.run.clone(), agent.clone());
                return Ok(Exit::Replay(AgentReplay { store, run, agent, json: args.common.json }));
            }
        },
    };
    Ok(Exit::Code(code))
}
