//! What a run may use.

use std::time::Duration;

use atomr_agents_core::{self as core, Money};
use pyo3::prelude::*;

use crate::errors::config;
use crate::seconds;

#[pyclass(frozen, eq, module = "atomr_agents._native.core")]
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Budget(pub(crate) core::Budget);

/// An amount of USD.
pub(crate) fn money(setting: &str, usd: f64) -> PyResult<Money> {
    if usd.is_finite() && (0.0..1e9).contains(&usd) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
        Ok(Money::from_micro_usd((usd * 1e6).round() as u64))
    } else {
        Err(config(format!("{setting} must be an amount of USD, 0 or above, not {usd}")))
    }
}

#[pymethods]
impl Budget {
    #[new]
    #[pyo3(signature = (*, tokens = None, usd = None, seconds = None, iterations = None, tool_calls = None))]
    fn new(
        tokens: Option<u64>,
        usd: Option<f64>,
        seconds: Option<f64>,
        iterations: Option<u64>,
        tool_calls: Option<u64>,
    ) -> PyResult<Self> {
        let cost = usd.map(|usd| money("usd", usd)).transpose()?;
        let time = seconds::optional("seconds", seconds)?;
        Ok(Self(core::Budget { tokens, cost, time, iterations, tool_calls }))
    }

    #[getter]
    fn tokens(&self) -> Option<u64> {
        self.0.tokens
    }

    #[getter]
    fn usd(&self) -> Option<f64> {
        self.0.cost.map(Money::usd)
    }

    #[getter]
    fn seconds(&self) -> Option<f64> {
        self.0.time.as_ref().map(Duration::as_secs_f64)
    }

    #[getter]
    fn iterations(&self) -> Option<u64> {
        self.0.iterations
    }

    #[getter]
    fn tool_calls(&self) -> Option<u64> {
        self.0.tool_calls
    }

    /// All its limits are keywords, which a pickle cannot name.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, ())> {
        let (py, limits) = (slf.py(), pyo3::types::PyDict::new(slf.py()));
        for name in ["tokens", "usd", "seconds", "iterations", "tool_calls"] {
            limits.set_item(name, slf.getattr(name)?)?;
        }
        let made = py.import("functools")?.getattr("partial")?.call((slf.get_type(),), Some(&limits))?;
        Ok((made, ()))
    }

    fn __repr__(&self) -> String {
        let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name}={value}"));
        let float = |name: &str, value: Option<f64>| value.map(|value| format!("{name}={value}"));
        let limits = [
            number("tokens", self.tokens()),
            float("usd", self.usd()),
            float("seconds", self.seconds()),
            number("iterations", self.iterations()),
            number("tool_calls", self.tool_calls()),
        ];
        format!("Budget({})", limits.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}
