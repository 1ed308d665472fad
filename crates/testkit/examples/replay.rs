//! Asks the replay server what OpenAI once answered, and shows the events as they come.
#![allow(clippy::print_stdout)] // showing is what it is for

use std::time::Duration;

use atomr_agents_core::CallCtx;
use atomr_agents_http::{Client, ClientConfig};
use atomr_agents_testkit::{Cut, ReplayServer, Script, recordings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let script = Script::conversation(recordings::demo()?).cut(Cut::PerEvent(Duration::from_millis(20)));
    let server = ReplayServer::start(script).await?;
    let client = Client::new(ClientConfig::new(&server.url())?)?;
    let request = r#"{"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "2 and 3?"}]}"#;
    let mut response = client.post_json("chat/completions", request.into(), &CallCtx::new()).await?;
    println!("{} answers {}", server.url(), response.status);
    while let Some(piece) = response.body.next().await {
        let piece = piece?;
        let event = String::from_utf8_lossy(&piece);
        println!("{}", event.trim_end().get(..100).unwrap_or(event.trim_end()));
    }
    println!("{:?}", server.stop().await);
    Ok(())
}
