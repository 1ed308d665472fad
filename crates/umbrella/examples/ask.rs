//! Asks a model from Rust: `OPENAI_API_KEY=… cargo run -p atomr-agents --example ask -- "Your question"`.
//! Without a key it talks to the replay server, which answers with what a provider once sent.

use std::sync::Arc;

use atomr_agents::prelude::*;
use atomr_agents_testkit::{ReplayServer, Script, recordings};

#[tokio::main]
#[allow(clippy::print_stdout)] // its output is what an example is for
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let question = std::env::args().nth(1).unwrap_or_else(|| "How warm is it in Florence?".to_owned());
    let (config, replay) = match std::env::var_os("OPENAI_API_KEY") {
        Some(_) => (OpenAiConfig::from_env(None, None)?, None),
        None => {
            let last = recordings::demo()?.pop().ok_or("no recording")?;
            let server = ReplayServer::start(Script::always(last)).await?;
            (OpenAiConfig::new(&server.url(), None)?, Some(server))
        }
    };
    let agent = AgentBuilder::new(Arc::new(OpenAiClient::new(config)?), "gpt-4o-mini").build()?;
    let run = agent.begin(question, CallCtx::new());
    let mut events = run.subscribe().ok_or("no events")?;
    let print = async {
        while let Some(batch) = events.recv_batch(64).await {
            for event in batch.events {
                if let EventKind::TextDelta { text } = &event.kind {
                    print!("{text}");
                }
            }
        }
    };
    let (result, ()) = tokio::join!(run, print);
    let result = result?;
    println!("\n({} tokens in, {} out)", result.usage.input_tokens, result.usage.output_tokens);
    if let Some(server) = replay {
        server.stop().await;
    }
    Ok(())
}
