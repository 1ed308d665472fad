//! Durations as Python has them: seconds, as floats.

use std::time::Duration;

use pyo3::PyResult;

use crate::errors::config;

/// Reads a duration in seconds.
pub(crate) fn duration(setting: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| config(format!("{setting} must be a positive number of seconds, not {seconds}")))
}

/// Reads a duration in seconds, if there is one.
pub(crate) fn optional(setting: &str, seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds.map(|seconds| duration(setting, seconds)).transpose()
}
