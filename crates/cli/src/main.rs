//! The command without Python.

use std::io;
use std::process::ExitCode;

use atomr_agents_cli::{Exit, run};

fn main() -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(run(std::env::args_os(), Box::new(io::stdout()), Box::new(io::stderr())));
    Ok(match exit {
        Exit::Code(code) => ExitCode::from(code),
        Exit::Replay(asked) => {
            use io::Write as _;
            writeln!(io::stderr(), "error: {} is Python: use the command of the Python package", asked.agent)?;
            ExitCode::from(2)
        }
    })
}
