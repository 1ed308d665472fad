//! One life of a run: its one argument says which, as JSON.

use std::process::ExitCode;

use atomr_agents_state_proof::{Task, live};

fn main() -> ExitCode {
    let lived = || {
        let task: Task = serde_json::from_str(&std::env::args().nth(1).ok_or("a task")?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(live(task))
    };
    match lived() {
        Ok(()) => ExitCode::SUCCESS,
        // Why, it has said.
        Err(_) => ExitCode::FAILURE,
    }
}
