//! A model client with a cache in front.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, EventKind, ModelEvent, ModelRequest, Phase, Usage};
use atomr_agents_inference::{Capabilities, InferenceClient, InferenceError, Lowered, ModelStream};
use futures_util::StreamExt;

use crate::flight::{Flights, Landing, Leader, Role};
use crate::turn::Gathering;
use crate::{CachedTurn, LlmCache, Question};

/// For whom a call is made. Put into a context ([`CallCtx::with`]), it keeps the answers of one customer from all others; it
/// wins over [`CachedClient::for_tenant`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(pub Arc<str>);

/// How [`CachedClient`] behaves.
#[derive(Clone, Debug)]
struct Settings {
    tenant: Arc<str>,
    scope: Arc<str>,
    max_wait: Duration,
    store_timeout: Duration,
    replays_usage: bool,
}

/// A model client that answers an equal request from a cache, with the same stream of events.
///
/// - Equal means equal in every byte; see [`crate::CacheKey`].
/// - Kept are answers that the model finished (`stop`, `tool_calls`). Errors, interrupted streams, refusals, answers cut by a limit or a
///   filter, answers of a fallback and answers with alternatives are not.
/// - Of equal requests at the same time one makes the call; the others wait until it has ended and get its answer. If it fails,
///   each makes its own call; if its caller goes away, one of the others makes it. Nobody waits longer than
///   [`CachedClient::with_max_wait`].
/// - A hit is announced as [`EventKind::CacheHit`]. What it tells of usage is what the first call used, unless
///   [`CachedClient::without_usage`] is set.
/// - A cache that fails or hangs is a miss.
///
/// Two clients that share a cache share answers when tenant, provider and scope are equal. The provider's name does not say
/// which server it is: give clients of different servers different scopes.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_cache::{CachedClient, InMemoryLlmCache};
/// use atomr_agents_core::{CallCtx, Message, ModelRequest};
/// use atomr_agents_inference::run;
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = ScriptedModel::new().text("Rain.");
/// let client = CachedClient::new(Arc::new(model.clone()), Arc::new(InMemoryLlmCache::default()));
/// let request = Arc::new(ModelRequest::new("m", vec![Message::user("Oslo?")]));
/// for _ in 0..3 {
///     assert_eq!(run(&client, Arc::clone(&request), CallCtx::new()).await?.message.text(), "Rain.");
/// }
/// assert_eq!(model.requests().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct CachedClient {
    client: Arc<dyn InferenceClient>,
    cache: Arc<dyn LlmCache>,
    flights: Flights,
    settings: Settings,
}

impl CachedClient {
    /// `client` behind `cache`.
    pub fn new(client: Arc<dyn InferenceClient>, cache: Arc<dyn LlmCache>) -> Self {
        let settings = Settings {
            tenant: Arc::from(""),
            scope: Arc::from(""),
            max_wait: Duration::from_secs(60),
            store_timeout: Duration::from_secs(1),
            replays_usage: true,
        };
        Self { client, cache, flights: Flights::default(), settings }
    }

    /// The same for one tenant: answers of other tenants are never seen.
    #[must_use]
    pub fn for_tenant(mut self, tenant: impl Into<Arc<str>>) -> Self {
        self.settings.tenant = tenant.into();
        self
    }

    /// The same with answers that only clients of this scope share, e.g. the address of the server.
    #[must_use]
    pub fn in_scope(mut self, scope: impl Into<Arc<str>>) -> Self {
        self.settings.scope = scope.into();
        self
    }

    /// How long a request waits for an equal one under way before it makes its own call; 60 s without another word.
    #[must_use]
    pub fn with_max_wait(mut self, max_wait: Duration) -> Self {
        self.settings.max_wait = max_wait;
        self
    }

    /// How long the cache may take to look up or to keep an answer; 1 s without another word.
    #[must_use]
    pub fn with_store_timeout(mut self, timeout: Duration) -> Self {
        self.settings.store_timeout = timeout;
        self
    }

    /// A hit tells a usage of nothing, because it cost nothing; so budgets and costs count real calls only.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.settings.replays_usage = false;
        self
    }

    fn question(&self, request: &Arc<ModelRequest>, ctx: &CallCtx) -> Option<Question> {
        let tenant = ctx.get::<Tenant>();
        let tenant = Arc::clone(tenant.as_ref().map_or(&self.settings.tenant, |tenant| &tenant.0));
        let scope = Arc::clone(&self.settings.scope);
        Question::new(tenant, scope, self.client.provider(), Arc::clone(request), ctx.clone()).ok()
    }

    /// What the cache has; a cache that fails or hangs has nothing.
    async fn look_up(&self, question: &Question) -> Option<Arc<CachedTurn>> {
        within(self.settings.store_timeout, self.cache.get(question)).await?.ok()?
    }

    /// The event of a hit as it is told now.
    fn retold(&self, event: &ModelEvent) -> ModelEvent {
        match event {
            ModelEvent::Usage(_) if !self.settings.replays_usage => ModelEvent::Usage(Usage::default()),
            event => event.clone(),
        }
    }

    /// Who makes the call, or the answer of somebody who did.
    async fn board(&self, question: &Question) -> Result<Boarding, InferenceError> {
        let ctx = question.ctx();
        let until = tokio::time::Instant::now() + self.settings.max_wait;
        loop {
            if let Some(turn) = self.look_up(question).await {
                return Ok(Boarding::Answer(turn));
            }
            let flight = match self.flights.join(question.key()) {
                Role::Leader(leader) => return Ok(Boarding::Call(Some(leader))),
                Role::Follower(flight) => flight,
            };
            let left = until.saturating_duration_since(tokio::time::Instant::now());
            let deadline = ctx.remaining();
            let late = deadline.is_some_and(|remaining| remaining <= left);
            let landing = tokio::select! {
                biased;
                () = ctx.cancel.cancelled() => return Err(InferenceError::Cancelled),
                landing = within(deadline.map_or(left, |remaining| left.min(remaining)), flight.landing()) => landing,
            };
            match landing {
                Some(Landing::Answered(turn)) => return Ok(Boarding::Answer(turn)),
                Some(Landing::Failed) => return Ok(Boarding::Call(None)),
                Some(Landing::Abandoned) => {}
                None if late => {
                    let after = deadline.unwrap_or_default();
                    return Err(InferenceError::Timeout { phase: Phase::Deadline, after });
                }
                None => return Ok(Boarding::Call(None)),
            }
        }
    }

    /// Keeps what was gathered and tells those who wait.
    async fn land(&self, question: &Question, gathering: Gathering, leader: Option<Leader>) {
        let turn = gathering.finish().map(Arc::new);
        if let Some(leader) = leader {
            leader.land(turn.clone().map_or(Landing::Failed, Landing::Answered));
        }
        if let Some(turn) = turn {
            let _ = within(self.settings.store_timeout, self.cache.put(question, turn)).await;
        }
    }
}

/// Where an answer comes from.
enum Boarding {
    Answer(Arc<CachedTurn>),
    /// From a call, made for others too if there is a leader's right.
    Call(Option<Leader>),
}

/// Why nobody waits for the answer any more, if nobody does.
fn ended(ctx: &CallCtx) -> Option<InferenceError> {
    if ctx.cancel.is_cancelled() {
        return Some(InferenceError::Cancelled);
    }
    let late = ctx.remaining().is_some_and(|left| left.is_zero());
    late.then_some(InferenceError::Timeout { phase: Phase::Deadline, after: Duration::ZERO })
}

async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

impl InferenceClient for CachedClient {
    fn provider(&self) -> &str {
        self.client.provider()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        let cached = self.clone();
        let Some(question) = self.question(&request, &ctx) else { return self.client.stream(request, ctx) };
        Box::pin(async_stream::stream! {
            if let Some(error) = ended(&ctx) {
                yield Err(error);
                return;
            }
            let leader = match cached.board(&question).await {
                Err(error) => {
                    yield Err(error);
                    return;
                }
                Ok(Boarding::Answer(turn)) => {
                    ctx.emit(EventKind::CacheHit { cache: cached.cache.name().to_owned() });
                    for event in turn.events() {
                        if let Some(error) = ended(&ctx) {
                            yield Err(error);
                            return;
                        }
                        yield Ok(cached.retold(event));
                    }
                    return;
                }
                Ok(Boarding::Call(leader)) => leader,
            };
            let mut gathering = Gathering::new(cached.cache.max_turn_bytes());
            let mut stream = cached.client.stream(request, ctx.clone());
            let error = loop {
                match stream.next().await {
                    Some(Ok(event)) => {
                        gathering.take(&event);
                        if matches!(event, ModelEvent::Finish { .. }) {
                            // Kept before it is told: who asks again after the answer finds it.
                            cached.land(&question, gathering, leader).await;
                            yield Ok(event);
                            return;
                        }
                        yield Ok(event);
                    }
                    Some(Err(error)) => break error,
                    None => {
                        let message = "no terminal event arrived".into();
                        break InferenceError::Interrupted { message, source: None };
                    }
                }
            };
            // Its own caller's wish and clock say nothing to the others.
            if let Some(leader) = leader {
                leader.land(if ended(&ctx).is_some() { Landing::Abandoned } else { Landing::Failed });
            }
            yield Err(error);
        })
    }

    fn capabilities(&self, model: &str) -> Capabilities {
        self.client.capabilities(model)
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        self.client.lower(request)
    }
}

impl fmt::Debug for CachedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedClient")
            .field("provider", &self.client.provider())
            .field("cache", &self.cache.name())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InMemoryLlmCache;
    use atomr_agents_core::Message;
    use atomr_agents_testkit::ScriptedModel;

    #[tokio::test]
    async fn no_call_under_way_is_left_behind() {
        let model = ScriptedModel::new().text("a").text("b");
        let client = CachedClient::new(Arc::new(model), Arc::new(InMemoryLlmCache::default()));
        let request = |text: &str| Arc::new(ModelRequest::new("m", vec![Message::user(text)]));
        let mut stream = client.stream(request("dropped"), CallCtx::new());
        assert!(stream.next().await.is_some());
        assert!(!client.flights.is_empty());
        drop(stream);
        assert!(client.flights.is_empty());
        for text in ["whole", "beyond the script"] {
            let _ = atomr_agents_inference::run(&client, request(text), CallCtx::new()).await;
            assert!(client.flights.is_empty());
        }
    }
}
