//! What a super-step costs: a loop over one step that counts and appends a message, a checkpoint after each, in memory; and
//! a fan-out to 100 steps with a join.
//!
//! `cargo run --release -p atomr-agents-workflow --example loop_cost`

use std::time::{Duration, Instant};

use atomr_agents_core::Value;
use atomr_agents_state::{AppendList, LastWriteWins, StateSchema};
use atomr_agents_workflow::{
    END, Graph, NodeCall, Router, RunOptions, START, StatefulRunner, Target, Update, dispatch_fan_out,
};
use serde_json::json;

fn schema() -> Result<StateSchema, atomr_agents_state::StateError> {
    StateSchema::builder().add_with_default("count", LastWriteWins, json!(0)).add("messages", AppendList).build()
}

fn looping(rounds: u64, text: &str) -> Result<Graph, Box<dyn std::error::Error>> {
    let text = text.to_owned();
    let step = move |call: NodeCall| {
        let text = text.clone();
        async move {
            let count: u64 = call.state.get("count")?;
            let message = json!([{"role": "user", "content": text}]);
            Ok(Update::new().write("count", count + 1).write("messages", message))
        }
    };
    let router = Router::new(move |state| match state.get::<u64>("count") {
        Ok(count) if count < rounds => vec![Target::to("step")],
        _ => vec![Target::end()],
    });
    let graph = Graph::builder("loop", schema()?).node("step", step).edge(START, "step");
    Ok(graph.branch("step", router, ["step", END]).build()?)
}

fn fan() -> Result<Graph, Box<dyn std::error::Error>> {
    let worker = |call: NodeCall| async move {
        tokio::task::yield_now().await;
        Ok(Update::new().write("messages", json!([call.input.as_deref()])))
    };
    let graph = Graph::builder("fan", schema()?)
        .node("worker", worker)
        .node("collect", |_: NodeCall| async { Ok(Update::new().write("count", 1)) })
        .branch(START, Router::new(|_| dispatch_fan_out("worker", (0..100).map(Value::from))), ["worker"])
        .edge("worker", "collect");
    Ok(graph.build()?)
}

/// The best of several runs.
async fn best(runner: &StatefulRunner, runs: usize) -> Result<Duration, Box<dyn std::error::Error>> {
    let mut best = Duration::MAX;
    for _ in 0..runs {
        let began = Instant::now();
        runner.run(json!({}), RunOptions::default()).await?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words = "a message of about one hundred bytes, as one says it in a conversation about the weather in Oslo";
    for (text, name) in [(words.to_owned(), "100 B"), (words.repeat(42), "4 KB")] {
        for steps in [300, 1_000] {
            let runner = StatefulRunner::new(looping(steps, &text)?);
            let took = best(&runner, 20).await?;
            let each = took.as_secs_f64() * 1e6 / steps as f64;
            writeln(&format!("{steps:>5} super-steps, messages of {name}: {each:.2} µs each"));
        }
    }
    let took = best(&StatefulRunner::new(fan()?), 50).await?;
    writeln(&format!("fan-out to 100 steps and join: {:.2} ms", took.as_secs_f64() * 1e3));
    Ok(())
}

fn writeln(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
