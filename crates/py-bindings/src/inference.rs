//! Clients of model providers, ours and those written in Python.

use std::sync::Arc;

use async_stream::stream;
use atomr_agents_core::{CallCtx, FinishReason, ModelEvent, ModelRequest, ToolCall, Usage, Value};
use atomr_agents_http::{RetryPolicy, Secret};
use atomr_agents_inference::{self as inference, FallbackClient, InferenceError, ModelStream};
use atomr_agents_provider::{Connection, HttpClient, Setup};
use atomr_agents_provider_anthropic::AnthropicConfig;
use atomr_agents_provider_gemini::GeminiConfig;
use atomr_agents_provider_openai::{OpenAiConfig, OpenAiResponsesConfig};
use atomr_agents_py_bridge::{
    Args, BadShape, GuestError, GuestInferenceClient, GuestOptions, Scope, arguments, to_serde,
};
use futures_util::StreamExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::Deserialize;

use crate::cache::{LlmCache, cached};
use crate::context::run_context;
use crate::errors::from_kinded;
use crate::seconds;

#[pyclass(frozen, module = "atomr_agents._native.agent")]
pub(crate) struct InferenceClient(pub(crate) Arc<dyn inference::InferenceClient>);

#[pymethods]
impl InferenceClient {
    #[staticmethod]
    #[pyo3(signature = (base_url = None, api_key = None, *, connect_timeout = None, first_byte_timeout = None,
        idle_timeout = None, max_attempts = None, max_connections = None, streaming = true))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn openai(
        base_url: Option<&str>,
        api_key: Option<String>,
        connect_timeout: Option<f64>,
        first_byte_timeout: Option<f64>,
        idle_timeout: Option<f64>,
        max_attempts: Option<u32>,
        max_connections: Option<usize>,
        streaming: bool,
    ) -> PyResult<Self> {
        let reach = Reach { connect_timeout, first_byte_timeout, idle_timeout, max_attempts, max_connections };
        let config = OpenAiConfig::from_env(base_url, api_key.map(Secret::new)).map(|mut config| {
            config.quirks.streaming = streaming;
            config
        });
        reach.client(config, |config| &mut config.connection)
    }

    #[staticmethod]
    #[pyo3(signature = (base_url = None, api_key = None, *, connect_timeout = None, first_byte_timeout = None,
        idle_timeout = None, max_attempts = None, max_connections = None))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn openai_responses(
        base_url: Option<&str>,
        api_key: Option<String>,
        connect_timeout: Option<f64>,
        first_byte_timeout: Option<f64>,
        idle_timeout: Option<f64>,
        max_attempts: Option<u32>,
        max_connections: Option<usize>,
    ) -> PyResult<Self> {
        let reach = Reach { connect_timeout, first_byte_timeout, idle_timeout, max_attempts, max_connections };
        let config = OpenAiResponsesConfig::from_env(base_url, api_key.map(Secret::new));
        reach.client(config, |config| &mut config.connection)
    }

    #[staticmethod]
    #[pyo3(signature = (base_url = None, api_key = None, *, connect_timeout = None, first_byte_timeout = None,
        idle_timeout = None, max_attempts = None, max_connections = None))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn anthropic(
        base_url: Option<&str>,
        api_key: Option<String>,
        connect_timeout: Option<f64>,
        first_byte_timeout: Option<f64>,
        idle_timeout: Option<f64>,
        max_attempts: Option<u32>,
        max_connections: Option<usize>,
    ) -> PyResult<Self> {
        let reach = Reach { connect_timeout, first_byte_timeout, idle_timeout, max_attempts, max_connections };
        let config = AnthropicConfig::from_env(base_url, api_key.map(Secret::new));
        reach.client(config, |config| &mut config.connection)
    }

    #[staticmethod]
    #[pyo3(signature = (base_url = None, api_key = None, *, connect_timeout = None, first_byte_timeout = None,
        idle_timeout = None, max_attempts = None, max_connections = None))]
    #[allow(clippy::too_many_arguments)] // called from one place, by keyword
    fn gemini(
        base_url: Option<&str>,
        api_key: Option<String>,
        connect_timeout: Option<f64>,
        first_byte_timeout: Option<f64>,
        idle_timeout: Option<f64>,
        max_attempts: Option<u32>,
        max_connections: Option<usize>,
    ) -> PyResult<Self> {
        let reach = Reach { connect_timeout, first_byte_timeout, idle_timeout, max_attempts, max_connections };
        let config = GeminiConfig::from_env(base_url, api_key.map(Secret::new));
        reach.client(config, |config| &mut config.connection)
    }

    fn with_fallbacks(&self, others: Vec<(PyRef<'_, Self>, String)>) -> Self {
        let first = FallbackClient::new(Arc::clone(&self.0));
        let chain = others.into_iter().fold(first, |chain, (client, model)| chain.then(Arc::clone(&client.0), model));
        Self(Arc::new(chain))
    }

    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestInferenceClient::wrap(target.py(), key, target, GuestOptions::default())?;
        let takes_context = takes_context(guest.object(target.py()))?;
        Ok(Self(Arc::new(PythonClient { guest, takes_context })))
    }

    #[pyo3(signature = (cache, *, tenant = "", scope = "", replay_usage = true))]
    fn cached(&self, cache: &LlmCache, tenant: &str, scope: &str, replay_usage: bool) -> Self {
        Self(cached(Arc::clone(&self.0), cache, tenant, scope, replay_usage))
    }

    #[getter]
    fn provider(&self) -> &str {
        self.0.provider()
    }

    fn __repr__(&self) -> String {
        format!("InferenceClient({:?})", self.0.provider())
    }
}

/// How a server is reached, where it is not as usual.
struct Reach {
    connect_timeout: Option<f64>,
    first_byte_timeout: Option<f64>,
    idle_timeout: Option<f64>,
    max_attempts: Option<u32>,
    max_connections: Option<usize>,
}

impl Reach {
    /// A client set up like this, and reached like that.
    fn client<S: Setup>(
        self,
        setup: Result<S, InferenceError>,
        connection: impl FnOnce(&mut S) -> &mut Connection,
    ) -> PyResult<InferenceClient> {
        let mut setup = setup.map_err(from_kinded)?;
        self.apply(connection(&mut setup))?;
        Ok(InferenceClient(Arc::new(HttpClient::new(setup).map_err(from_kinded)?)))
    }

    fn apply(self, connection: &mut Connection) -> PyResult<()> {
        for (name, given, setting) in [
            ("connect_timeout", self.connect_timeout, &mut connection.http.connect_timeout),
            ("first_byte_timeout", self.first_byte_timeout, &mut connection.http.first_byte_timeout),
            ("idle_timeout", self.idle_timeout, &mut connection.http.idle_timeout),
        ] {
            if let Some(after) = seconds::optional(name, given)? {
                *setting = after;
            }
        }
        if let Some(max_attempts) = self.max_attempts {
            connection.retry = RetryPolicy { max_attempts: max_attempts.max(1), ..connection.retry };
        }
        if let Some(max_connections) = self.max_connections {
            connection.http.max_connections = max_connections;
        }
        Ok(())
    }
}

/// A client written in Python.
struct PythonClient {
    guest: GuestInferenceClient,
    takes_context: bool,
}

/// Whether the client wants the context besides the request: it takes two positional arguments.
fn takes_context(client: Bound<'_, PyAny>) -> PyResult<bool> {
    let inspect = client.py().import("inspect")?;
    let method = client.getattr("stream").unwrap_or(client);
    let parameters = inspect.call_method1("signature", (method,))?.getattr("parameters")?.call_method0("values")?;
    let mut positional = 0;
    for parameter in parameters.try_iter()? {
        let kind: u8 = parameter?.getattr("kind")?.extract()?;
        positional += usize::from(kind <= 1); // POSITIONAL_ONLY, POSITIONAL_OR_KEYWORD
    }
    Ok(positional >= 2)
}

/// What such a client yields: text, or one of these.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Text {
        text: String,
    },
    Thinking {
        text: String,
    },
    Refusal {
        text: String,
    },
    ToolCall {
        #[serde(default)]
        id: String,
        name: String,
        arguments: Value,
    },
    Usage {
        #[serde(default)]
        input_tokens: u64,
        #[serde(default)]
        output_tokens: u64,
    },
    Finish {
        #[serde(default)]
        reason: Option<String>,
    },
}

/// Reads what was yielded; `calls` counts the tool calls of the answer.
fn heard(item: &Bound<'_, PyAny>, calls: &mut u32) -> Result<Vec<ModelEvent>, BadShape> {
    if let Ok(text) = item.extract::<String>() {
        return Ok(vec![ModelEvent::Text(text)]);
    }
    let said = to_serde::<Said>(item).map_err(|error| {
        BadShape::new(format!(
            "yield text, or a dict whose `type` is text, thinking, refusal, tool_call, usage or finish; this is {} ({})",
            item.get_type().name().map_or_else(|_| "something else".to_owned(), |name| name.to_string()),
            error.to_string().replace("internally tagged enum Said", "such a dict"),
        ))
    })?;
    Ok(match said {
        Said::Text { text } => vec![ModelEvent::Text(text)],
        Said::Thinking { text } => vec![ModelEvent::Thinking(text)],
        Said::Refusal { text } => vec![ModelEvent::Refusal(text)],
        Said::ToolCall { id, name, arguments } => {
            let index = *calls;
            *calls += 1;
            let raw = match arguments {
                Value::String(raw) => raw,
                other => other.to_string(),
            };
            let mut events = vec![ModelEvent::ToolCallStarted { index, id: id.clone(), name: name.clone() }];
            if !raw.is_empty() {
                events.push(ModelEvent::ToolCallDelta { index, arguments: raw.clone() });
            }
            events.push(ModelEvent::ToolCallFinished { index, call: ToolCall::new(id, name, raw) });
            events
        }
        Said::Usage { input_tokens, output_tokens } => {
            vec![ModelEvent::Usage(Usage { input_tokens, output_tokens, ..Usage::default() })]
        }
        Said::Finish { reason } => vec![finish(reason, *calls > 0)],
    })
}

/// The terminal event; without a reason it follows from whether tools were asked for.
fn finish(reason: Option<String>, asked: bool) -> ModelEvent {
    let raw = reason.unwrap_or_else(|| if asked { "tool_calls" } else { "stop" }.to_owned());
    let reason = serde_json::from_value(Value::from(raw.as_str())).unwrap_or(FinishReason::Other);
    ModelEvent::Finish { reason, raw }
}

impl inference::InferenceClient for PythonClient {
    fn provider(&self) -> &str {
        self.guest.key()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        if ctx.cancel.is_cancelled() {
            return Box::pin(stream! { yield Err(InferenceError::Cancelled) });
        }
        let after = ctx.remaining();
        if let Some(after) = after.filter(std::time::Duration::is_zero) {
            return Box::pin(stream! { yield Err(late(after)) });
        }
        let scope = ctx.get::<Scope>();
        let cancel = ctx.cancel.clone();
        let takes_context = self.takes_context;
        let build = arguments(move |py: Python<'_>| {
            let mut positional = vec![crate::core::to_py(py, &*request)?];
            if takes_context {
                positional.push(run_context(py, &ctx, "", "")?);
            }
            Ok(Args::positional(PyTuple::new(py, positional)?))
        });
        let mut calls = 0;
        let mut items =
            self.guest.stream(build, move |item: &Bound<'_, PyAny>| heard(item, &mut calls), scope.as_deref());
        Box::pin(stream! {
            let mut asked = false;
            let deadline = tokio::time::sleep(after.unwrap_or(std::time::Duration::MAX));
            tokio::pin!(deadline);
            loop {
                let item = tokio::select! {
                    biased;
                    () = cancel.cancelled() => Some(Err(GuestError::Cancelled)),
                    () = &mut deadline => {
                        yield Err(late(after.unwrap_or_default()));
                        return;
                    }
                    item = items.next() => item,
                };
                match item {
                    // A generator that returns has said what it had to say; one that broke off raises.
                    None => {
                        yield Ok(finish(None, asked));
                        return;
                    }
                    Some(Err(error)) => {
                        yield Err(failed(error));
                        return;
                    }
                    // Nothing follows the terminal event, whatever the guest yields.
                    Some(Ok(events)) => for event in events {
                        let terminal = matches!(event, ModelEvent::Finish { .. });
                        asked |= matches!(event, ModelEvent::ToolCallFinished { .. });
                        yield Ok(event);
                        if terminal {
                            return;
                        }
                    },
                }
            }
        })
    }
}

fn late(after: std::time::Duration) -> InferenceError {
    InferenceError::Timeout { phase: inference::Phase::Deadline, after }
}

fn failed(error: GuestError) -> InferenceError {
    match error {
        GuestError::Cancelled => InferenceError::Cancelled,
        error => InferenceError::Guest { message: error.to_string(), source: Arc::new(error) },
    }
}
