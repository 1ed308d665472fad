//! `_native.testkit`: a scripted model, a replay server with its faults, recordings of runs, and the conformance suite.

mod fault;
mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use atomr_agents_core::{self as core, CallCtx, EventKind, Kind, Message, ModelRequest, RunId, ToolSpec, Value};
use atomr_agents_inference::{self as inference, ApiError, InferenceError, Lowered, ModelStream, conformance};
use atomr_agents_observability::RunEvents;
use atomr_agents_py_bridge::{Scope, awaitable, detached, json, runtime};
use atomr_agents_testkit::{
    Cut, Exchange, RecordingClient, ReplayClient, ReplayServer, Script, ScriptedModel, TestkitError, Turn, recordings,
    status_of,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use crate::core::to_py;
use crate::inference::InferenceClient;
use crate::observability::EventBus;
use crate::seconds;

use crate::errors::config;
use crate::event::Event;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeScript>()?;
    module.add_class::<NativeReplayServer>()?;
    module.add_class::<NativeReplay>()?;
    module.add_function(wrap_pyfunction!(flood, module)?)?;
    module.add_function(wrap_pyfunction!(sample_events, module)?)?;
    module.add_function(wrap_pyfunction!(record, module)?)?;
    module.add_function(wrap_pyfunction!(conformance_of, module)?)?;
    module.add_function(wrap_pyfunction!(store::store_conformance, module)?)
}

/// Threads, so that the events come as those of a run do: from elsewhere, while Python does something else.
#[pyfunction]
#[pyo3(signature = (bus, events, *, producers = 1))]
fn flood(py: Python<'_>, bus: &EventBus, events: u64, producers: u64) -> PyResult<Py<PyAny>> {
    let (bus, producers) = (bus.0.clone(), producers.max(1));
    awaitable(py, move |_scope| async move {
        let mut threads = JoinSet::new();
        for at in 0..producers {
            let (bus, share) = (bus.clone(), events / producers + u64::from(at < events % producers));
            threads.spawn_blocking(move || {
                let ctx = CallCtx::new().with_sink(Arc::new(RunEvents::new([bus])));
                for _ in 0..share {
                    ctx.emit(EventKind::TextDelta { text: "word ".into() });
                }
            });
        }
        while threads.join_next().await.is_some() {}
        Ok::<_, PyErr>(())
    })
}

#[pyfunction]
fn sample_events() -> Vec<Event> {
    let run = RunId::new();
    let made = |(at, kind): (usize, EventKind)| core::Event {
        run,
        seq: at as u64 + 1,
        index: u32::from(kind.is_delta()),
        path: Arc::from("planner/writer"),
        parent: Some(run),
        time_ms: 1_700_000_000_000,
        kind,
    };
    EventKind::samples().into_iter().enumerate().map(|sample| Event(Arc::new(made(sample)))).collect()
}

/// The script while it is written, and the model once it was asked for.
#[derive(Default)]
struct Writing {
    turns: Vec<Turn>,
    delay: Option<Duration>,
    repeat: bool,
    by_conversation: bool,
    model: Option<Arc<ScriptedModel>>,
}

#[pyclass(frozen, module = "atomr_agents._native.testkit")]
pub(crate) struct NativeScript(Mutex<Writing>);

impl NativeScript {
    /// The script, to be changed; a model that was made from it before goes on with its own.
    fn edit(&self) -> MutexGuard<'_, Writing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, turn: Turn) -> PyResult<()> {
        let mut writing = self.edit();
        if writing.model.is_some() {
            return Err(PyRuntimeError::new_err("the model is in use; write its whole script before the first run"));
        }
        writing.turns.push(turn);
        Ok(())
    }
}

#[pymethods]
impl NativeScript {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    fn text(&self, text: &str) -> PyResult<()> {
        self.push(Turn::text(text))
    }

    #[pyo3(signature = (calls, text = ""))]
    fn tool_calls(&self, calls: Vec<(String, Bound<'_, PyAny>)>, text: &str) -> PyResult<()> {
        let calls: PyResult<Vec<(String, String)>> = calls
            .into_iter()
            .map(|(name, arguments)| match arguments.extract::<String>() {
                Ok(raw) => Ok((name, raw)),
                Err(_) => Ok((name, json::from_py(&arguments)?.to_string())),
            })
            .collect();
        self.push(Turn::raw_tool_calls(calls?).after_text(text))
    }

    fn error(&self, kind: &str, message: &str) -> PyResult<()> {
        let class: Kind = serde_json::from_value(Value::from(kind))
            .map_err(|_| config(format!("there is no kind of error named {kind:?}")))?;
        let status = status_of(Some(class));
        let error = ApiError { class: Some(class), status, message: message.to_owned(), ..ApiError::default() };
        self.push(Turn::error(error.into()))
    }

    fn delay(&self, seconds: f64) -> PyResult<()> {
        self.edit().delay = Some(seconds::duration("delay", seconds)?);
        Ok(())
    }

    fn repeat(&self) {
        self.edit().repeat = true;
    }

    fn by_conversation(&self) {
        self.edit().by_conversation = true;
    }

    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let model = self.edit().model.clone();
        let requests = model.map(|model| model.requests()).unwrap_or_default();
        requests.iter().map(|request| to_py(py, &**request)).collect()
    }

    fn client(&self) -> InferenceClient {
        let mut writing = self.edit();
        if writing.model.is_none() {
            let mut model = ScriptedModel::new();
            for turn in &writing.turns {
                model = model.turn(turn.clone());
            }
            if let Some(delay) = writing.delay {
                model = model.delay(delay);
            }
            if writing.repeat {
                model = model.repeat();
            }
            if writing.by_conversation {
                model = model.by_conversation();
            }
            writing.model = Some(Arc::new(model));
        }
        let model: Arc<ScriptedModel> = writing.model.clone().unwrap_or_default();
        InferenceClient(model)
    }
}

#[pyclass(frozen, module = "atomr_agents._native.testkit")]
pub(crate) struct NativeReplayServer(Mutex<Option<ReplayServer>>);

fn failed(error: TestkitError) -> PyErr {
    config(error.to_string())
}

#[pymethods]
impl NativeReplayServer {
    #[new]
    #[allow(clippy::too_many_arguments)] // called from one place
    fn new(
        py: Python<'_>,
        exchanges: Option<Vec<String>>,
        script: Option<&NativeScript>,
        mode: &str,
        cut: &str,
        seed: u64,
        delay_ms: u64,
        faults: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let exchanges = || match exchanges {
            None => recordings::demo().map_err(failed),
            Some(folders) => folders.iter().map(Exchange::load).collect::<Result<Vec<_>, _>>().map_err(failed),
        };
        let script = match (script, mode) {
            (Some(script), _) => Script::turns(script.edit().turns.clone()),
            (None, "conversation") => Script::conversation(exchanges()?),
            (None, "sequence") => exchanges()?.into_iter().fold(Script::new(), Script::then),
            (None, other) => {
                return Err(config(format!("mode must be sequence or conversation, not {other:?}")));
            }
        };
        let troubles: PyResult<Vec<_>> = faults.iter().map(fault::trouble).collect();
        let script = script.troubles(troubles?);
        let script = script.cut(match cut {
            "whole" => Cut::Whole,
            "event" => Cut::PerEvent(Duration::from_millis(delay_ms)),
            "byte" => Cut::Every(1),
            "seeded" => Cut::Seeded(seed),
            other => {
                return Err(config(format!("cut must be whole, event, byte or seeded, not {other:?}")));
            }
        });
        let runtime = runtime::handle(py)?;
        let server = detached(py, || runtime.block_on(ReplayServer::start(script)))?.map_err(failed)?;
        Ok(Self(Mutex::new(Some(server))))
    }

    #[getter]
    fn base_url(&self) -> PyResult<String> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map(ReplayServer::url).ok_or_else(|| PyRuntimeError::new_err("the server was closed"))
    }

    fn requests<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        // Making Python objects may run Python, so it is not done under the lock.
        let received = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ReplayServer::requests);
        received
            .unwrap_or_default()
            .iter()
            .map(|request| {
                let headers: serde_json::Map<String, Value> =
                    request.headers.iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
                to_py(
                    py,
                    &json!({
                        "method": request.method, "path": request.path, "headers": headers, "body": request.body,
                    }),
                )
            })
            .collect()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let server = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server {
            let runtime = runtime::handle(py)?;
            detached(py, || runtime.block_on(server.stop()))?;
        }
        Ok(())
    }
}

/// A client that records what `client` is asked and answers.
#[pyfunction]
fn record(client: &InferenceClient, path: &str, hide: Vec<String>) -> PyResult<InferenceClient> {
    let recording = RecordingClient::new(Arc::clone(&client.0), path).map_err(failed)?;
    Ok(InferenceClient(Arc::new(hide.into_iter().fold(recording, RecordingClient::hiding))))
}

#[pyclass(frozen, module = "atomr_agents._native.testkit")]
pub(crate) struct NativeReplay(ReplayClient);

#[pymethods]
impl NativeReplay {
    #[new]
    fn new(path: &str, paced: bool) -> PyResult<Self> {
        let client = ReplayClient::open(path).map_err(failed)?;
        Ok(Self(if paced { client.paced() } else { client }))
    }

    #[getter]
    fn model(&self) -> Option<&str> {
        self.0.model()
    }

    fn remaining(&self) -> usize {
        self.0.remaining()
    }

    fn client(&self) -> InferenceClient {
        InferenceClient(Arc::new(self.0.clone()))
    }
}

/// A client whose guests run where the awaiting task runs.
struct Here {
    client: Arc<dyn inference::InferenceClient>,
    scope: Scope,
}

impl inference::InferenceClient for Here {
    fn provider(&self) -> &str {
        self.client.provider()
    }

    fn stream(&self, request: Arc<ModelRequest>, ctx: CallCtx) -> ModelStream {
        self.client.stream(request, ctx.with(self.scope.clone()))
    }

    fn lower(&self, request: &ModelRequest) -> Result<Lowered, InferenceError> {
        self.client.lower(request)
    }
}

/// How long a guest may take to end once nobody listens to it.
const SETTLING: Duration = Duration::from_secs(3);

/// Runs the conformance suite; what is wrong, or `None`.
#[pyfunction]
fn conformance_of(
    py: Python<'_>,
    client: &InferenceClient,
    model: String,
    question: String,
    tools: Vec<Bound<'_, PyAny>>,
) -> PyResult<Py<PyAny>> {
    let client = Arc::clone(&client.0);
    let mut request = ModelRequest::new(model, vec![Message::user(question)]);
    for tool in tools {
        let spec = serde_json::from_value::<ToolSpec>(json::from_py(&tool)?);
        request.tools.push(Arc::new(spec.map_err(|error| config(format!("a tool's description is wrong: {error}")))?));
    }
    awaitable(py, move |scope| async move {
        // A count of their own: what guests leave behind is what is looked for.
        let scope = scope.aside();
        let here = Here { client, scope: scope.clone() };
        let at_rest = || async { tokio::time::timeout(SETTLING, scope.settled()).await.is_ok() };
        Ok::<_, PyErr>(conformance::check_at_rest(&here, request, at_rest).await.err())
    })
}
