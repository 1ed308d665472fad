//! Routers written in Python.

use std::sync::Arc;

use atomr_agents_core::CallCtx;
use atomr_agents_py_bridge::{Args, BadShape, Guest, GuestOptions, KindRow, MethodRow, Scope, Verb, arguments};
use atomr_agents_state::StateView;
use atomr_agents_workflow::{NodeError, Router, Target};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::answer::routes;
use super::ctx::no_caller;
use super::node::{UserConfig, failed};
use super::shape::{RunMirrors, Shape};
use crate::context::serving;

static ROUTER: KindRow = KindRow {
    kind: "router",
    decorator: "add_conditional_edges",
    adapter: "Guest",
    methods: &[MethodRow { name: "route", verb: Verb::Call, required: true, itself: true, params: &["state"] }],
};

struct PythonRouter {
    guest: Guest,
    shape: Arc<Shape>,
    mapping: Option<Arc<Py<PyDict>>>,
    takes_config: bool,
}

/// A router written in Python. A plain function is quick and runs on the loop's own thread.
pub(super) fn router(
    name: &str,
    target: &Bound<'_, PyAny>,
    mapping: Option<Bound<'_, PyDict>>,
    takes_config: bool,
    shape: &Arc<Shape>,
) -> PyResult<Router> {
    let guest = Guest::wrap(target.py(), &ROUTER, name, target, GuestOptions { inline: true })?;
    let mapping = mapping.map(|mapping| Arc::new(mapping.unbind()));
    let router = Arc::new(PythonRouter { guest, shape: Arc::clone(shape), mapping, takes_config });
    Ok(Router::waiting(move |state, ctx| Arc::clone(&router).route(state, ctx)))
}

impl PythonRouter {
    async fn route(self: Arc<Self>, state: StateView, ctx: CallCtx) -> Result<Vec<Target>, NodeError> {
        let scope = serving(&ctx).ok_or_else(no_caller)?;
        let mirrors = ctx.get::<RunMirrors>().map(|mirrors| (*mirrors).clone()).unwrap_or_default();
        let config = ctx.get::<UserConfig>().filter(|_| self.takes_config);
        let (shape, takes_config) = (Arc::clone(&self.shape), self.takes_config);
        let build = arguments(move |py: Python<'_>| {
            let mut all = vec![shape.given(py, &state, None, &mirrors.0)?];
            if takes_config {
                all.push(config.map_or_else(|| py.None(), |config| config.0.clone_ref(py)).into_bound(py));
            }
            Ok(Args::positional(PyTuple::new(py, all)?))
        });
        let mapping = self.mapping.clone();
        let decode = move |answer: &Bound<'_, PyAny>| -> Result<Vec<Target>, BadShape> {
            routes(answer, mapping.as_ref().map(|mapping| mapping.bind(answer.py())))
        };
        self.guest.call("route", build, decode, Some::<&Scope>(&scope)).await.map_err(failed)
    }
}
