//! Several models, of which the first that answers counts.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, EventKind, Kind, ModelEvent, ModelRequest};
use futures_util::StreamExt;

use crate::{Capabilities, InferenceClient, InferenceError, Lowered, ModelStream, OutputMode};

/// A chain of models, perhaps of several providers: when a call of one fails before it has said anything, the next one
/// is asked the same. The transcript is neutral, so each provider gets it in its own words, without what only another
/// one understands. The model of the request is that of the first link; the others name their own.
///
/// A failure that the next model would meet as well (a request that no provider takes, a tool that does not exist) ends
/// the chain, and so does one in mid-answer: the caller may have acted on what it saw.
pub struct FallbackClient {
    first: Arc<dyn InferenceClient>,
    others: Vec<(Arc<dyn InferenceClient>, String)>,
}

impl FallbackClient {
    /// `first`, and then nobody yet.
    pub fn new(first: Arc<dyn InferenceClient>) -> Self {
        Self { first, others: Vec::new() }
    }

    /// Then this model of this client.
    #[must_use]
    pub fn then(mut self, client: Arc<dyn InferenceClient>, model: impl Into<String>) -> Self {
        self.others.push((client, model.into()));
        self
    }
}

/// Whether another model may do better.
fn another_may_help(error: &InferenceError) -> bool {
    match error.kind() {
        // A recording that does not fit is a fault of the test.
        Kind::Config => !matches!(error, InferenceError::Replay { .. }),
        Kind::Cancelled | Kind::Internal | Kind::BudgetExceeded => false,
        Kind::Timeout => !matches!(error, InferenceError::Timeout { phase: crate::Phase::Deadline, .. }),
        _ => true,
    }
}

/// Whether the caller may have acted on it.
fn is_speech(event: &ModelEvent) -> bool {
    !matches!(
        event,
        ModelEvent::Started { .. } | ModelEvent::AnsweredBy(_) | ModelEvent::Usage(_) | ModelEvent::Retrying { .. }
    )
}

impl InferenceClient for FallbackClient {
    fn provider(&self) -> &str {
        self.first.provider()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let mut links = vec![(Arc::clone(&self.first), Arc::clone(&request))];
        links.extend(self.others.iter().map(|(client, model)| {
            (Arc::clone(client), Arc::new(ModelRequest { model: model.clone(), ..(*request).clone() }))
        }));
        Box::pin(async_stream::stream! {
            let count = links.len();
            let mut failed: Option<(String, InferenceError)> = None;
            for (at, (client, request)) in links.into_iter().enumerate() {
                if let Some((from, error)) = failed.take() {
                    let (to, reason) = (request.model.clone(), error.to_string());
                    ctx.emit(EventKind::ModelFallback { from, to, reason });
                }
                let model = request.model.clone();
                if at > 0 {
                    yield Ok(ModelEvent::AnsweredBy(client.provider().to_owned()));
                }
                let mut spoke = false;
                let mut stream = client.stream(request, ctx.clone());
                let error = loop {
                    match stream.next().await {
                        Some(Ok(event)) => {
                            spoke |= is_speech(&event);
                            let last = matches!(event, ModelEvent::Finish { .. });
                            yield Ok(event);
                            if last {
                                return;
                            }
                        }
                        Some(Err(error)) => break error,
                        None => break InferenceError::Interrupted {
                            message: "no terminal event arrived".into(),
                            source: None,
                        },
                    }
                };
                if spoke || at + 1 == count || !another_may_help(&error) {
                    yield Err(error);
                    return;
                }
                failed = Some((model, error));
            }
        })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        // What the weakest link can do, the chain can do.
        let all = std::iter::once(self.first.capabilities(model))
            .chain(self.others.iter().map(|(client, model)| client.capabilities(model)));
        let rank = |mode: OutputMode| OutputMode::ALL.iter().position(|known| *known == mode);
        let weaker = |one, other| if rank(other) > rank(one) { other } else { one };
        all.reduce(|one, other| Capabilities {
            output: weaker(one.output, other.output),
            output_with_tools: weaker(one.output_with_tools, other.output_with_tools),
        })
        .unwrap_or_default()
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        self.first.lower(request)
    }
}

impl fmt::Debug for FallbackClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.iter().map(|(client, model)| format!("{}:{model}", client.provider()));
        f.debug_list().entry(&self.first.provider()).entries(others).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run;
    use atomr_agents_core::{FinishReason, Message};

    struct Says(&'static str, Vec<Result<ModelEvent, InferenceError>>);

    impl InferenceClient for Says {
        fn provider(&self) -> &str {
            self.0
        }

        fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
            let late = InferenceError::Timeout { phase: crate::Phase::Deadline, after: std::time::Duration::ZERO };
            let said = match ctx.remaining() {
                _ if ctx.cancel.is_cancelled() => vec![Err(InferenceError::Cancelled)],
                Some(std::time::Duration::ZERO) => vec![Err(late)],
                _ => self.1.clone(),
            };
            let model = ModelEvent::Started { id: None, model: Some(request.model.clone()) };
            let first = (said.first().is_some_and(Result::is_ok)).then_some(Ok(model));
            Box::pin(futures_util::stream::iter(first.into_iter().chain(said)))
        }
    }

    /// A model that can do this.
    struct Able(Capabilities);

    impl InferenceClient for Able {
        fn provider(&self) -> &str {
            "able"
        }

        fn stream(&self, _request: Arc<ModelRequest>, _ctx: CallCtx) -> ModelStream {
            Box::pin(futures_util::stream::empty())
        }

        fn capabilities(&self, _model: &str) -> Capabilities {
            self.0
        }
    }

    #[test]
    fn the_chain_can_do_what_its_weakest_link_can_with_tools_and_without() {
        let native = Capabilities::with_output(OutputMode::Native);
        let one = native.and_with_tools(OutputMode::Tool);
        let client = FallbackClient::new(Arc::new(Able(one))).then(Arc::new(Able(native)), "second");
        assert_eq!(client.capabilities("first"), one);
        let two = Capabilities::with_output(OutputMode::Prompted).and_with_tools(OutputMode::Native);
        let chain = client.then(Arc::new(Able(two)), "third").capabilities("first");
        assert_eq!((chain.output, chain.output_with_tools), (OutputMode::Prompted, OutputMode::Tool));
    }

    fn answer() -> Vec<Result<ModelEvent, InferenceError>> {
        let signed = [ModelEvent::Thinking("hm".into()), ModelEvent::ThinkingSignature("proof".into())];
        let end =
            [ModelEvent::Text("yes".into()), ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".into() }];
        signed.into_iter().chain(end).map(Ok).collect()
    }

    fn broken() -> InferenceError {
        InferenceError::Interrupted { message: "reset".into(), source: None }
    }

    fn chain(first: Vec<Result<ModelEvent, InferenceError>>) -> FallbackClient {
        FallbackClient::new(Arc::new(Says("one", first))).then(Arc::new(Says("two", answer())), "second")
    }

    fn request() -> Arc<ModelRequest> {
        Arc::new(ModelRequest::new("first", vec![Message::user("hi")]))
    }

    #[tokio::test]
    async fn the_next_model_answers_under_its_own_name_and_the_chain_conforms() {
        let client = chain(vec![Err(broken())]);
        let reply = run(&client, request(), CallCtx::new()).await.unwrap();
        assert_eq!((reply.message.text().as_str(), reply.model.as_deref()), ("yes", Some("second")));
        let atomr_agents_core::Part::Thinking { provider, .. } = &reply.message.parts[0] else { panic!("{reply:?}") };
        assert_eq!(provider.as_deref(), Some("two"));
        crate::conformance::check(&client, (*request()).clone()).await.unwrap();
    }

    #[tokio::test]
    async fn after_the_first_word_and_for_what_nobody_can_help_the_chain_ends() {
        let spoke = chain(vec![Ok(ModelEvent::Text("half".into())), Err(broken())]);
        assert_eq!(run(&spoke, request(), CallCtx::new()).await.unwrap_err().kind(), Kind::StreamInterrupted);
        let cancelled = chain(vec![Err(InferenceError::Cancelled)]);
        assert_eq!(run(&cancelled, request(), CallCtx::new()).await.unwrap_err().kind(), Kind::Cancelled);
    }
}
