//! A turn that is ended at any moment: over real connections, with tools, an approval and a budget.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atomr_agents::agent::RunError;
use atomr_agents::core::{Amount, Budget, Meter, Sampling};
use atomr_agents::prelude::*;
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_testkit::{Cut, ReplayServer, Script, Turn};
use serde_json::json;

use crate::{Live, Numbers, sleeper, soon, tasks};

/// For each of the two providers.
const POINTS: u64 = 500;

/// A future that is given up after so many polls.
struct Polls<F> {
    future: Pin<Box<F>>,
    left: Option<u64>,
    had: u64,
}

impl<F: Future> Future for Polls<F> {
    type Output = (Option<F::Output>, u64);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == Some(self.had) {
            return Poll::Ready((None, self.had));
        }
        self.had += 1;
        match self.future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready((Some(output), self.had)),
            // The last poll was one too few to end.
            Poll::Pending if self.left == Some(self.had) => Poll::Ready((None, self.had)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Three answers: two calls, one that somebody must approve and one beside it, and the end; each cut into its events.
fn script() -> Script {
    let turns = [
        Turn::tool_calls([("look", json!({"us": 300})), ("look", json!({"us": 900}))]).after_text("Let me look. "),
        Turn::tool_calls([("pay", json!({"us": 300})), ("look", json!({"us": 100}))]),
        Turn::text("It is all done."),
    ];
    Script::turns(turns).cut(Cut::PerEvent(Duration::from_micros(100)))
}

fn agent(url: &str, live: &Live, anthropic: bool) -> Agent {
    let key = || Some(Secret::new("sk-canary"));
    let client: Arc<dyn InferenceClient> = if anthropic {
        let mut config = AnthropicConfig::new(url, key()).unwrap();
        config.connection.retry = RetryPolicy::never();
        Arc::new(AnthropicClient::new(config).unwrap())
    } else {
        let mut config = OpenAiConfig::new(url, key()).unwrap();
        config.connection.retry = RetryPolicy::never();
        Arc::new(OpenAiClient::new(config).unwrap())
    };
    let asks = ToolOptions { requires_approval: true, ..ToolOptions::default() };
    let tools = [sleeper("look", live, ToolOptions::default()), sleeper("pay", live, asks)];
    let budget = Budget { tokens: Some(1_000_000), tool_calls: Some(100), ..Budget::default() };
    let sampling = Sampling { max_tokens: Some(1_000), ..Sampling::default() };
    let options = AgentOptions { budget, sampling, ..AgentOptions::default() };
    let tools = StaticTools::new(tools).unwrap();
    AgentBuilder::new(client, "m").with_tools(tools).with_options(options).build().unwrap()
}

/// A whole turn: it is suspended in the middle, approved and taken up again.
async fn turn(agent: Agent, ctx: CallCtx) -> Result<RunResult, RunError> {
    let result = agent.run("go", ctx.clone()).await?;
    let Some(pending) = result.pending else { return Ok(result) };
    let decisions: Vec<_> = pending.calls().iter().map(|call| call.approve()).collect();
    agent.resume(*pending, &decisions, ctx).await
}

fn context() -> (CallCtx, Meter) {
    let meter = Meter::new(Budget { tokens: Some(10_000_000), ..Budget::default() });
    (CallCtx::new().with_meter(meter.clone()), meter)
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Nothing is set aside, nothing runs, nobody waits for an answer.
async fn nothing_is_left(server: &ReplayServer, live: &Live, meter: &Meter, began: usize, what: &str) {
    assert!(soon(|| live.now() == 0).await, "{what}: a tool is running");
    assert!(server.quiet(Duration::from_secs(10)).await, "{what}: the connection stays open");
    assert!(soon(|| meter.reserved() == Amount::default()).await, "{what}: {:?} stays set aside", meter.reserved());
    assert_eq!(live.began(), began, "{what}: a tool began after the end");
}

/// Drops a turn after so many polls; whether that was before its end.
async fn dropped(server: &ReplayServer, agent: &Agent, live: &Live, left: u64) -> bool {
    let (ctx, meter) = context();
    let polls = Polls { future: Box::pin(turn(agent.clone(), ctx)), left: Some(left), had: 0 };
    let (outcome, _) = polls.await;
    let early = outcome.is_none();
    if let Some(outcome) = outcome {
        assert_eq!(outcome.unwrap().output, "It is all done.");
    }
    let began = live.began();
    nothing_is_left(server, live, &meter, began, &format!("dropped after {left} polls")).await;
    early
}

/// Cancels a turn after a time; whether that was before its end.
async fn cancelled(server: &ReplayServer, agent: &Agent, live: &Live, after: Duration) -> bool {
    let (ctx, meter) = context();
    let cancel = ctx.cancel.clone();
    let (outcome, ()) = tokio::join!(turn(agent.clone(), ctx), async {
        tokio::time::sleep(after).await;
        cancel.cancel();
    });
    let (began, running) = (live.began(), live.now());
    assert_eq!(running, 0, "who cancels is told when all is over");
    let early = match outcome {
        Ok(result) => result.output != "It is all done.",
        Err(error) => {
            assert_eq!(error.kind(), Kind::Cancelled, "{error}");
            true
        }
    };
    nothing_is_left(server, live, &meter, began, &format!("cancelled after {after:?}")).await;
    early
}

async fn points(anthropic: bool, seed: u64) {
    let (before, open) = (tasks(), files());
    let server = ReplayServer::start(script()).await.unwrap();
    let live = Live::default();
    let agent = agent(&server.url(), &live, anthropic);
    let (ctx, meter) = context();
    let started = std::time::Instant::now();
    let whole = Polls { future: Box::pin(turn(agent.clone(), ctx)), left: None, had: 0 };
    let (outcome, most) = whole.await;
    let long = started.elapsed();
    assert_eq!(outcome.unwrap().unwrap().output, "It is all done.");
    assert_eq!((live.began(), meter.reserved()), (4, Amount::default()));
    assert!(most > 20, "a turn has only {most} points");
    let (mut numbers, mut early) = (Numbers(seed), 0);
    for point in 0..POINTS {
        let ended = if point % 2 == 0 {
            dropped(&server, &agent, &live, numbers.below(most + 1)).await
        } else {
            let after = Duration::from_micros(numbers.below(u64::try_from(long.as_micros()).unwrap()));
            cancelled(&server, &agent, &live, after).await
        };
        early += u64::from(ended);
    }
    println!("{early} of {POINTS} turns ended early; a whole one has {most} polls");
    assert!(early > POINTS / 4, "{early} of {POINTS} were ended early");
    // The same client works on as if nothing had been.
    let (ctx, _) = context();
    assert_eq!(turn(agent.clone(), ctx).await.unwrap().output, "It is all done.");
    drop(agent);
    server.stop().await;
    // The one that is left looks after the pool of connections, which outlives its clients.
    assert!(soon(|| tasks() <= before + 1).await, "{} tasks, {before} before", tasks());
    // Other tests of this process open files too.
    assert!(soon(|| files() <= open + 8).await, "{} files are open, {open} before", files());
}

#[tokio::test]
async fn ended_at_any_of_five_hundred_points_a_turn_with_openai_leaves_nothing() {
    points(false, 11).await;
}

#[tokio::test]
async fn ended_at_any_of_five_hundred_points_a_turn_with_anthropic_leaves_nothing() {
    points(true, 12).await;
}
