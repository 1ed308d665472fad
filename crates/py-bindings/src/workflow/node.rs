//! Steps written in Python.

use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::Value;
use atomr_agents_py_bridge::{Args, Guest, GuestError, GuestOptions, KindRow, MethodRow, Scope, Verb, arguments};
use atomr_agents_state::StateView;
use atomr_agents_workflow::{Node, NodeCall, NodeError, Update};
use futures_util::future::BoxFuture;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::answer::update;
use super::ctx::{NodeContext, NodeGuest, no_caller};
use super::shape::{RunMirrors, Shape};
use crate::context::serving_node;
use crate::errors::guest_kind;

static NODE: KindRow = KindRow {
    kind: "step",
    decorator: "add_node",
    adapter: "Guest",
    methods: &[MethodRow { name: "run", verb: Verb::Call, required: true, itself: true, params: &["state", "ctx"] }],
};

/// What a function takes after the state.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    Nothing,
    Context,
    Config,
}

/// What the user gave the run as `config`.
#[derive(Clone)]
pub(super) struct UserConfig(pub(super) Arc<Py<PyAny>>);

pub(super) struct PythonNode {
    guest: Guest,
    shape: Arc<Shape>,
    takes: Takes,
}

impl PythonNode {
    pub(super) fn wrap(name: &str, target: &Bound<'_, PyAny>, takes: Takes, shape: &Arc<Shape>) -> PyResult<Self> {
        let guest = Guest::wrap(target.py(), &NODE, name, target, GuestOptions::default())?;
        Ok(Self { guest, shape: Arc::clone(shape), takes })
    }

    fn arguments(
        &self,
        state: StateView,
        sent: Option<Arc<Value>>,
        guest: NodeGuest,
        (mirrors, config): (RunMirrors, Option<Arc<UserConfig>>),
    ) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
        let (shape, takes) = (Arc::clone(&self.shape), self.takes);
        arguments(move |py: Python<'_>| {
            let given = shape.given(py, &state, sent.as_deref(), &mirrors.0)?;
            let all = match takes {
                Takes::Nothing => PyTuple::new(py, [given])?,
                Takes::Context => PyTuple::new(py, [given, Bound::new(py, NodeContext(guest))?.into_any()])?,
                Takes::Config => {
                    let config = config.map_or_else(|| py.None(), |config| config.0.clone_ref(py));
                    PyTuple::new(py, [given, config.into_bound(py)])?
                }
            };
            Ok(Args::positional(all))
        })
    }
}

/// What a guest failed with, as the failure of a step.
pub(super) fn failed(error: GuestError) -> NodeError {
    match error {
        GuestError::Cancelled => NodeError::Cancelled,
        error => NodeError::from_source(guest_kind(&error), error),
    }
}

impl Node for PythonNode {
    fn run(&self, call: NodeCall) -> BoxFuture<'_, Result<Update, NodeError>> {
        Box::pin(async move {
            let NodeCall { state, input, mut ctx } = call;
            let answers = Arc::<Mutex<Vec<(String, Value)>>>::default();
            loop {
                let caller = ctx.caller();
                let scope = caller.get::<Scope>().ok_or_else(no_caller)?;
                let mirrors = caller.get::<RunMirrors>().map(|mirrors| (*mirrors).clone()).unwrap_or_default();
                let guest = NodeGuest::new(ctx.clone(), &answers);
                let about = (mirrors, caller.get::<UserConfig>());
                let build = self.arguments(state.clone(), input.clone(), guest.clone(), about);
                let running = self.guest.call("run", build, update, Some(&serving_node(&scope, &guest)));
                drop(caller);
                let result = tokio::select! {
                    biased;
                    result = running => result,
                    () = ctx.cancelled().cancelled() => Err(GuestError::Cancelled),
                };
                if let Some((question, value)) = guest.take_asked() {
                    let id = question.id();
                    let answer = question.wait(value).await?;
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((id, answer));
                    ctx = ctx.again();
                    continue;
                }
                match result {
                    Ok(update) => return Ok(update),
                    // The loop of the one who waited is gone, and with it the coroutine: the next caller's runs it again.
                    Err(GuestError::Cancelled | GuestError::LoopClosed)
                        if guest.waits() && !ctx.cancelled().is_cancelled() =>
                    {
                        ctx = ctx.again();
                    }
                    Err(error) => return Err(failed(error)),
                }
            }
        })
    }
}
