//! What a step written in Python can do besides answering.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_py_bridge::{
    Args, Guest, GuestOptions, Json, KindRow, MethodRow, Scope, Verb, arguments, awaitable, block_on, json, to_json,
};
use atomr_agents_workflow::{EffectCall, NodeCtx, NodeError, Question, WorkflowError};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::dag::effect_of;
use super::node::failed;
use crate::context::{deps_of, served_node};
use crate::errors::{Fault, config};

/// A visit of a step, as the code of the step sees it.
#[derive(Clone)]
pub(crate) struct NodeGuest(Arc<Inner>);

struct Inner {
    ctx: NodeCtx,
    /// What a plain function asked and ended for.
    asked: Mutex<Option<(Question, Value)>>,
    /// How many questions a coroutine waits for.
    hot: AtomicUsize,
    /// Answers that are not at hand in the log, by their ids.
    answers: Arc<Mutex<Vec<(String, Value)>>>,
}

impl NodeGuest {
    pub(super) fn new(ctx: NodeCtx, answers: &Arc<Mutex<Vec<(String, Value)>>>) -> Self {
        let answers = Arc::clone(answers);
        Self(Arc::new(Inner { ctx, asked: Mutex::default(), hot: AtomicUsize::new(0), answers }))
    }

    /// The context for something that the step calls.
    pub(crate) fn call_ctx(&self) -> CallCtx {
        self.0.ctx.call_ctx().with(self.clone())
    }

    pub(super) fn take_asked(&self) -> Option<(Question, Value)> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether a coroutine of the step waits for an answer.
    pub(super) fn waits(&self) -> bool {
        self.0.hot.load(Ordering::Acquire) > 0
    }
}

/// Errors of steps by themselves become exceptions as those of runs do.
pub(super) fn fault(ctx: &NodeCtx, error: NodeError) -> Fault<WorkflowError> {
    Fault(WorkflowError::Step {
        run: ctx.run(),
        path: ctx.path().to_owned(),
        step: ctx.step(),
        source: Box::new(error),
    })
}

#[pyclass(frozen, module = "atomr_agents._native.workflow")]
pub(crate) struct NodeContext(pub(super) NodeGuest);

impl NodeContext {
    fn ctx(&self) -> &NodeCtx {
        &self.0.0.ctx
    }
}

#[pymethods]
impl NodeContext {
    #[getter]
    fn run_id(&self) -> String {
        self.ctx().run()
    }

    #[getter]
    fn node(&self) -> &str {
        self.ctx().node()
    }

    #[getter]
    fn path(&self) -> &str {
        self.ctx().path()
    }

    #[getter]
    fn step(&self) -> u64 {
        self.ctx().step()
    }

    #[getter]
    fn attempt(&self) -> u32 {
        self.ctx().attempt()
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.ctx().cancelled().is_cancelled()
    }

    #[getter]
    fn context(&self, py: Python<'_>) -> Py<PyAny> {
        deps_of(py, &self.ctx().caller())
    }

    /// Waits for an answer, in the very coroutine that asks.
    fn interrupt(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let (value, question, guest) = (json::from_py(value)?, self.ctx().question(), self.0.clone());
        awaitable(py, move |_scope| async move {
            guest.0.hot.fetch_add(1, Ordering::AcqRel);
            let answer = question.wait(value).await.map_err(|error| fault(&guest.0.ctx, error))?;
            // Where the wait is given up it goes on counting: the step is then run again.
            guest.0.hot.fetch_sub(1, Ordering::AcqRel);
            Ok::<_, Fault<WorkflowError>>(Json(answer))
        })
    }

    /// The answer of a question that was asked before, in a tuple; or None, and the code that asks must end.
    fn ask(&self, value: &Bound<'_, PyAny>) -> PyResult<Option<(Json,)>> {
        let question = self.ctx().question();
        let id = question.id();
        let at_hand = {
            let answers = self.0.0.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.iter().find(|(of, _)| *of == id).map(|(_, answer)| answer.clone())
        };
        let answer = match at_hand {
            Some(answer) => Some(answer),
            None => question.answered().map_err(|error| fault(self.ctx(), error))?,
        };
        if answer.is_none() {
            let asked = (question, json::from_py(value)?);
            *self.0.0.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        }
        Ok(answer.map(|answer| (Json(answer),)))
    }

    #[pyo3(signature = (name, perform, effect = "once"))]
    fn effect<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        perform: &Bound<'py, PyAny>,
        effect: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let helper = slf.py().import("atomr_agents._graph_nodes")?;
        helper.call_method1("effect", (slf, name, perform, effect))
    }

    fn _perform(&self, name: &str, perform: &Bound<'_, PyAny>, effect: &str, takes_key: bool) -> PyResult<Py<PyAny>> {
        let work = self.performed(name, perform, effect, takes_key)?;
        awaitable(perform.py(), move |scope| async move { work(scope).await.map(Json) })
    }

    fn _perform_sync(&self, name: &str, perform: &Bound<'_, PyAny>, effect: &str, takes_key: bool) -> PyResult<Json> {
        let work = self.performed(name, perform, effect, takes_key)?;
        let scope = self.ctx().caller().get::<Scope>().map(|scope| (*scope).clone());
        let scope = scope.ok_or_else(|| config("this step has no caller in Python"))?;
        Ok(Json(block_on(perform.py(), async move { work(scope).await })??))
    }

    fn now<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let milliseconds = self.ctx().now_ms().map_err(|error| fault(self.ctx(), error))?;
        let module = py.import("datetime")?;
        let utc = module.getattr("timezone")?.getattr("utc")?;
        module.getattr("datetime")?.call_method1("fromtimestamp", (milliseconds as f64 / 1000.0, utc))
    }

    fn random(&self) -> PyResult<f64> {
        Ok(self.ctx().random().map_err(|error| fault(self.ctx(), error))?)
    }

    fn uuid<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let made = self.ctx().uuid().map_err(|error| fault(self.ctx(), error))?;
        py.import("uuid")?.getattr("UUID")?.call1((made.to_string(),))
    }

    fn write(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ctx().write(json::from_py(value)?);
        Ok(())
    }

    fn progress(&self) {
        self.ctx().progress();
    }

    fn __repr__(&self) -> String {
        format!("<NodeContext {} in super-step {}>", self.ctx().path(), self.ctx().step())
    }
}

static EFFECT: KindRow = KindRow {
    kind: "effect",
    decorator: "ctx.effect",
    adapter: "Guest",
    methods: &[MethodRow { name: "perform", verb: Verb::Call, required: true, itself: true, params: &["key"] }],
};

type Performed = Result<Value, Fault<WorkflowError>>;

impl NodeContext {
    fn performed(
        &self,
        name: &str,
        perform: &Bound<'_, PyAny>,
        effect: &str,
        takes_key: bool,
    ) -> PyResult<impl FnOnce(Scope) -> BoxFuture<'static, Performed> + Send + use<>> {
        let class = effect_of(effect)?;
        let guest = Guest::wrap(perform.py(), &EFFECT, name, perform, GuestOptions::default())?;
        let (ctx, name) = (self.ctx().clone(), name.to_owned());
        Ok(move |scope: Scope| -> BoxFuture<'static, Performed> {
            Box::pin(async move {
                let perform = |call: EffectCall| async move {
                    let build = arguments(move |py: Python<'_>| {
                        let key = takes_key.then_some(call.idempotency_key);
                        Ok(Args::positional(PyTuple::new(py, key)?))
                    });
                    guest.call("perform", build, to_json, Some(&scope)).await.map_err(failed)
                };
                ctx.effect(&name, class, perform).await.map_err(|error| fault(&ctx, error))
            })
        })
    }
}

/// The context of the step that the calling code is in; None outside of steps.
#[pyfunction]
pub(super) fn current_node(py: Python<'_>) -> Option<NodeContext> {
    served_node(py).map(NodeContext)
}

/// A step cannot be run without a caller in Python, which has an event loop.
pub(super) fn no_caller() -> NodeError {
    NodeError::failed(Kind::Runtime, "a step written in Python needs a caller in Python")
}
