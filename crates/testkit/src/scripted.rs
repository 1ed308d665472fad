//! A model that says what a test tells it to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atomr_agents_core::{CallCtx, ModelEvent, ModelRequest, Role, Usage, Value};
use atomr_agents_inference::{Capabilities, InferenceClient, InferenceError, ModelStream, OutputMode, Phase};

use crate::Turn;

/// A model that says what a test tells it to, turn by turn, and keeps the requests it was sent. Clones share the
/// script, its position and the requests.
///
/// A call beyond the end of the script is an [`InferenceError::Config`] that says so.
#[derive(Clone, Debug, Default)]
pub struct ScriptedModel {
    provider: Option<Arc<str>>,
    turns: Arc<Vec<Arc<Turn>>>,
    order: Order,
    delay: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Once,
    Loop,
    Conversation,
}

#[derive(Debug, Default)]
struct State {
    next: usize,
    requests: Vec<Arc<ModelRequest>>,
}

impl ScriptedModel {
    /// A model with nothing to say yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Then it says `text`, word by word.
    #[must_use]
    pub fn text(self, text: impl AsRef<str>) -> Self {
        self.turn(Turn::text(text))
    }

    /// Then it calls these tools.
    #[must_use]
    pub fn tool_calls<N: Into<String>>(self, calls: impl IntoIterator<Item = (N, Value)>) -> Self {
        self.turn(Turn::tool_calls(calls))
    }

    /// Then it fails.
    #[must_use]
    pub fn error(self, error: InferenceError) -> Self {
        self.turn(Turn::error(error))
    }

    /// Then it streams exactly these events.
    #[must_use]
    pub fn events(self, events: impl IntoIterator<Item = ModelEvent>) -> Self {
        self.turn(Turn::events(events))
    }

    /// Then it does this.
    #[must_use]
    pub fn turn(mut self, turn: Turn) -> Self {
        Arc::make_mut(&mut self.turns).push(Arc::new(turn));
        self
    }

    /// The usage that the last turn so far reports.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        if let Some(turn) = Arc::make_mut(&mut self.turns).last_mut() {
            *turn = Arc::new(Turn::clone(turn).with_usage(usage));
        }
        self
    }

    /// Waits so long before each event, on tokio's clock.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// After the last turn comes the first again.
    #[must_use]
    pub fn repeat(mut self) -> Self {
        self.order = Order::Loop;
        self
    }

    /// The turn is chosen by the number of assistant messages in the request (the rest of a division, beyond the
    /// script's end), so that many conversations can go on at once.
    #[must_use]
    pub fn by_conversation(mut self) -> Self {
        self.order = Order::Conversation;
        self
    }

    /// The provider it says it is; `scripted` without this.
    #[must_use]
    pub fn named(mut self, provider: &str) -> Self {
        self.provider = Some(Arc::from(provider));
        self
    }

    /// What it was sent so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<ModelRequest>> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn is shared: ten thousand calls at once have one script, not one each.
    fn take(&self, request: Arc<ModelRequest>) -> Arc<Turn> {
        let mut state = self.state();
        let at = match self.order {
            Order::Conversation => request.messages.iter().filter(|message| message.role == Role::Assistant).count(),
            _ => state.next,
        };
        state.next += 1;
        state.requests.push(request);
        let turn = match self.order {
            Order::Once => self.turns.get(at),
            _ => at.checked_rem(self.turns.len()).and_then(|at| self.turns.get(at)),
        };
        turn.cloned().unwrap_or_else(|| {
            let message = format!("it has {} turns and was asked for turn {}", self.turns.len(), at + 1);
            Arc::new(Turn::error(InferenceError::Config { setting: "the model's script".into(), message }))
        })
    }
}

impl InferenceClient for ScriptedModel {
    fn provider(&self) -> &str {
        self.provider.as_deref().unwrap_or("scripted")
    }

    /// A script has whatever shape it has, so nothing need be asked for another way.
    fn capabilities(&self, _model: &str) -> Capabilities {
        Capabilities::with_output(OutputMode::Native)
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let model = self.clone();
        Box::pin(async_stream::stream! {
            if let Err(error) = wait(Duration::ZERO, &ctx).await {
                yield Err(error);
                return;
            }
            let turn = model.take(request);
            for event in &turn.events {
                if let Err(error) = wait(model.delay, &ctx).await {
                    yield Err(error);
                    return;
                }
                let last = matches!(event, ModelEvent::Finish { .. });
                yield Ok(event.clone());
                // A script may hold more; a client never says more.
                if last {
                    return;
                }
            }
            if let Some(error) = turn.error.clone() {
                let waited = wait(model.delay, &ctx).await;
                yield Err(waited.err().unwrap_or(error));
            }
        })
    }
}

/// Waits, unless the call is cancelled or its deadline passes.
pub(crate) async fn wait(delay: Duration, ctx: &CallCtx) -> Result<(), InferenceError> {
    if ctx.cancel.is_cancelled() {
        return Err(InferenceError::Cancelled);
    }
    let late = ctx.remaining().filter(|left| left.is_zero() || *left < delay);
    let delay = late.unwrap_or(delay);
    if !delay.is_zero() {
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(InferenceError::Cancelled),
            () = tokio::time::sleep(delay) => {}
        }
    }
    match late {
        Some(after) => Err(InferenceError::Timeout { phase: Phase::Deadline, after }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atomr_agents_core::{Kind, Message};
    use atomr_agents_inference::{ModelReply, conformance, run};
    use futures_util::StreamExt;
    use serde_json::json;

    fn request() -> Arc<ModelRequest> {
        Arc::new(ModelRequest::new("m", vec![Message::user("hi")]))
    }

    async fn ask(model: &ScriptedModel) -> Result<ModelReply, InferenceError> {
        run(model, request(), CallCtx::new()).await
    }

    #[tokio::test]
    async fn every_kind_of_turn_conforms() {
        for model in [
            ScriptedModel::new().text("one two"),
            ScriptedModel::new().text(""),
            ScriptedModel::new().tool_calls([("add", json!({"a": 1})), ("é", json!({"ü": "日本"}))]),
            ScriptedModel::new().turn(Turn::raw_tool_calls([("broken", "{\"a\":"), ("empty", "")])),
            ScriptedModel::new().error(InferenceError::Cancelled),
            ScriptedModel::new().turn(
                Turn::text("half").then_error(InferenceError::Interrupted { message: "cut".into(), source: None }),
            ),
            ScriptedModel::new(),
        ] {
            let name = format!("{model:?}");
            conformance::check(&model, (*request()).clone()).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        }
    }

    #[tokio::test]
    async fn turns_come_in_order_and_run_out() {
        let model = ScriptedModel::new()
            .tool_calls([("add", json!({"a": 1}))])
            .text("done")
            .usage(Usage { input_tokens: 7, ..Usage::default() });
        let first = ask(&model).await.unwrap();
        let calls: Vec<_> = first.message.tool_calls().collect();
        assert_eq!((calls[0].name.as_str(), calls[0].arguments().unwrap()), ("add", json!({"a": 1})));
        let second = ask(&model).await.unwrap();
        assert_eq!((second.message.text().as_str(), second.usage.input_tokens), ("done", 7));
        let error = ask(&model).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        assert!(error.to_string().contains("2 turns and was asked for turn 3"), "{error}");
        assert_eq!(model.requests().len(), 3);
    }

    #[tokio::test]
    async fn it_can_start_again_or_follow_the_conversation() {
        let model = ScriptedModel::new().text("a").text("b").repeat();
        let mut said = String::new();
        for _ in 0..5 {
            said += &ask(&model).await.unwrap().message.text();
        }
        assert_eq!(said, "ababa");
        let model = ScriptedModel::new().text("a").text("b").by_conversation();
        let later = Arc::new(ModelRequest::new(
            "m",
            vec![Message::user("hi"), Message { role: Role::Assistant, parts: vec![] }],
        ));
        for _ in 0..2 {
            assert_eq!(ask(&model).await.unwrap().message.text(), "a");
            let reply = run(&model, Arc::clone(&later), CallCtx::new()).await.unwrap();
            assert_eq!(reply.message.text(), "b");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn delays_can_be_cancelled_and_end_at_the_deadline() {
        let model = ScriptedModel::new().text("a b").delay(Duration::from_secs(60)).repeat();
        let ctx = CallCtx::new();
        let cancel = ctx.cancel.clone();
        let mut stream = model.stream(request(), ctx);
        assert!(matches!(stream.next().await, Some(Ok(ModelEvent::Started { .. }))));
        let (next, ()) = tokio::join!(stream.next(), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            cancel.cancel();
        });
        assert!(matches!(next, Some(Err(InferenceError::Cancelled))), "{next:?}");
        assert!(stream.next().await.is_none());
        let late = run(&model, request(), CallCtx::new().with_timeout(Duration::from_secs(1))).await;
        assert!(matches!(late, Err(InferenceError::Timeout { phase: Phase::Deadline, .. })), "{late:?}");
    }

    #[tokio::test]
    async fn nothing_counts_before_it_is_polled() {
        let model = ScriptedModel::new().text("a");
        drop(model.stream(request(), CallCtx::new()));
        assert!(model.requests().is_empty());
        assert_eq!(ask(&model).await.unwrap().message.text(), "a");
    }
}
