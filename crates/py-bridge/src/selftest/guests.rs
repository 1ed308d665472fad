//! Calls of guests: one, many, from spawned tasks, dropped half-way.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::{join_all, try_join_all};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::codec::{arguments, json_args, no_args, to_json, to_object};
use crate::error::{GuestError, original};
use crate::guest::{Guest, GuestOptions};
use crate::kinds::{GuestCallable, GuestInferenceClient, GuestTracer, KINDS, kind};
use crate::scope::Scope;
use crate::ticket::Args;
use crate::{Json, awaitable, json, registry};

pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    macro_rules! add {
        ($($function:ident),+) => {
            $(module.add_function(pyo3::wrap_pyfunction!($function, module)?)?;)+
        };
    }
    add!(kinds, wrap, flavor, registered, clear, call, call_detached, call_json, call_carried);
    add!(fan_out, fan_out_corked, race, stream, notify, flush, missed, round_trips);
    Ok(())
}

/// An error of another crate that carries a guest's error as its source.
#[derive(Debug, thiserror::Error)]
#[error("the tool failed")]
struct Carrier {
    #[source]
    source: GuestError,
}

impl From<Carrier> for PyErr {
    fn from(error: Carrier) -> Self {
        match original(&error) {
            Some(guest) => guest.clone().into(),
            None => PyValueError::new_err(error.to_string()),
        }
    }
}

pub(super) fn guest(py: Python<'_>, object: &Bound<'_, PyAny>, inline: bool) -> PyResult<GuestCallable> {
    Ok(GuestCallable::wrap(py, "guest", object, GuestOptions { inline })?)
}

type Methods = Vec<(String, String, bool, bool)>;

/// The table of kinds: kind, decorator and methods as (name, verb, required, itself).
#[pyfunction]
fn kinds() -> Vec<(String, String, Methods)> {
    let methods = |row: &crate::KindRow| {
        let of =
            |m: &crate::MethodRow| (m.name.to_owned(), format!("{:?}", m.verb).to_lowercase(), m.required, m.itself);
        row.methods.iter().map(of).collect()
    };
    KINDS.iter().map(|row| (row.kind.to_owned(), row.decorator.to_owned(), methods(row))).collect()
}

/// Wraps and registers an object under any kind of the table.
#[pyfunction]
#[pyo3(signature = (kind_name, key, object, inline = false))]
fn wrap(py: Python<'_>, kind_name: &str, key: &str, object: &Bound<'_, PyAny>, inline: bool) -> PyResult<()> {
    let Some(row) = kind(kind_name) else { return Err(PyValueError::new_err("no such kind")) };
    registry::register(Guest::wrap(py, row, key, object, GuestOptions { inline })?);
    Ok(())
}

fn found(kind_name: &str, key: &str) -> PyResult<Guest> {
    registry::get(kind_name, key).ok_or_else(|| PyValueError::new_err("no such guest"))
}

#[pyfunction]
fn flavor(kind_name: &str, key: &str, method: &str) -> PyResult<Option<String>> {
    Ok(found(kind_name, key)?.flavor(method).map(|flavor| format!("{flavor:?}")))
}

#[pyfunction]
fn registered(kind_name: &str) -> Vec<String> {
    registry::list(kind_name)
}

#[pyfunction]
fn clear() {
    registry::clear();
}

/// Calls a registered guest's method by its verb, from the op's own task or from one spawned by it; gives a list.
#[pyfunction]
#[pyo3(signature = (kind_name, key, method, args, spawn = false))]
fn call(
    py: Python<'_>,
    kind_name: &str,
    key: &str,
    method: &str,
    args: Py<PyTuple>,
    spawn: bool,
) -> PyResult<Py<PyAny>> {
    let guest = found(kind_name, key)?;
    let rows = kind(kind_name).map_or(&[][..], |row| row.methods);
    let Some(row) = rows.iter().find(|row| row.name == method) else {
        return Err(PyValueError::new_err("no such method"));
    };
    let build = arguments(move |py| Ok(Args::positional(args.bind(py).clone())));
    let stream = row.verb == crate::Verb::Stream;
    let name = row.name;
    awaitable(py, move |scope| async move {
        let work = async move {
            if stream {
                let items: Vec<_> = guest.stream(name, build, to_json, Some(&scope)).collect().await;
                items.into_iter().collect::<Result<Vec<Value>, GuestError>>()
            } else {
                Ok(vec![guest.call(name, build, to_json, Some(&scope)).await?])
            }
        };
        Ok::<_, GuestError>(Json(Value::Array(if spawn { in_set(work).await? } else { work.await? })))
    })
}

/// Runs work as a task of its own, as an engine does.
async fn in_set<T: Send + 'static>(
    work: impl Future<Output = Result<T, GuestError>> + Send + 'static,
) -> Result<T, GuestError> {
    let mut set = JoinSet::new();
    set.spawn(work);
    match set.join_next().await {
        Some(Ok(result)) => result,
        Some(Err(error)) => Err(GuestError::Panicked { message: error.to_string() }),
        None => Err(GuestError::Cancelled),
    }
}

/// Calls without a scope: the guest must find the loop of its origin.
#[pyfunction]
fn call_detached(py: Python<'_>, kind_name: &str, key: &str, method: &str) -> PyResult<Py<PyAny>> {
    let guest = found(kind_name, key)?;
    let rows = kind(kind_name).map_or(&[][..], |row| row.methods);
    let Some(name) = rows.iter().find(|row| row.name == method).map(|row| row.name) else {
        return Err(PyValueError::new_err("no such method"));
    };
    awaitable(py, move |_| async move { guest.call(name, no_args(), to_object, None).await })
}

/// Calls with JSON in and out.
#[pyfunction]
fn call_json(py: Python<'_>, object: &Bound<'_, PyAny>, args: Vec<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, false)?;
    let args = args.iter().map(json::from_py).collect::<Result<Vec<_>, _>>()?;
    awaitable(py, move |scope| async move { guest.invoke(json_args(args), to_json, Some(&scope)).await.map(Json) })
}

/// Calls, and sends what goes wrong out inside another crate's error.
#[pyfunction]
fn call_carried(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, false)?;
    awaitable(py, move |scope| async move {
        guest.invoke(no_args(), to_object, Some(&scope)).await.map_err(|source| Carrier { source })
    })
}

/// Calls a guest `count` times at once; with `spawn` each call is a task of its own.
#[pyfunction]
#[pyo3(signature = (object, count, spawn = false, inline = false))]
fn fan_out(py: Python<'_>, object: &Bound<'_, PyAny>, count: usize, spawn: bool, inline: bool) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, inline)?;
    awaitable(py, move |scope| async move {
        let calls = (0..count).map(move |n| one(&guest, n, &scope));
        if !spawn {
            return try_join_all(calls).await;
        }
        let mut set = JoinSet::new();
        for (n, call) in calls.enumerate() {
            set.spawn(async move { (n, call.await) });
        }
        let mut found: Vec<_> = set.join_all().await;
        found.sort_by_key(|(n, _)| *n);
        found.into_iter().map(|(_, result)| result).collect()
    })
}

fn one(
    guest: &GuestCallable,
    n: usize,
    scope: &Scope,
) -> impl Future<Output = Result<Py<PyAny>, GuestError>> + Send + 'static + use<> {
    let build = arguments(move |py| Ok(Args::positional((n,).into_pyobject(py)?)));
    guest.invoke(build, to_object, Some(scope))
}

/// As `fan_out`, but gives only how many wake-ups of the loop it took to hand all calls over.
#[pyfunction]
#[pyo3(signature = (object, count, spawn = false))]
fn fan_out_corked(py: Python<'_>, object: &Bound<'_, PyAny>, count: usize, spawn: bool) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, false)?;
    awaitable(py, move |scope| async move {
        let before = scope.port().wake_ups();
        let calls: Vec<_> = (0..count).map(|n| one(&guest, n, &scope)).collect();
        if spawn {
            let set: JoinSet<_> = calls.into_iter().collect();
            set.join_all().await;
        } else {
            join_all(calls).await;
        }
        Ok::<_, GuestError>(scope.port().wake_ups() - before)
    })
}

/// Calls a guest and drops the call after some seconds.
#[pyfunction]
#[pyo3(signature = (object, seconds, inline = false))]
fn race(py: Python<'_>, object: &Bound<'_, PyAny>, seconds: f64, inline: bool) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, inline)?;
    awaitable(py, move |scope| async move {
        let call = guest.invoke(no_args(), to_object, Some(&scope));
        match tokio::time::timeout(Duration::from_secs_f64(seconds), call).await {
            Ok(result) => result.map(Some),
            Err(_) => Ok(None),
        }
    })
}

/// Reads a guest's stream: at most `limit` items, pausing before each; gives them.
#[pyfunction]
#[pyo3(signature = (object, limit = None, pause = 0.0))]
fn stream(py: Python<'_>, object: &Bound<'_, PyAny>, limit: Option<usize>, pause: f64) -> PyResult<Py<PyAny>> {
    let guest = GuestInferenceClient::wrap(py, "guest", object, GuestOptions::default())?;
    awaitable(py, move |scope| async move {
        let mut items = Vec::new();
        let mut stream = guest.stream(no_args(), to_json, Some(&scope));
        while limit.is_none_or(|limit| items.len() < limit) {
            if pause > 0.0 {
                tokio::time::sleep(Duration::from_secs_f64(pause)).await;
            }
            match stream.next().await {
                Some(item) => items.push(item?),
                None => break,
            }
        }
        Ok::<_, GuestError>(Json(Value::Array(items)))
    })
}

/// Tells a tracer `count` numbers.
#[pyfunction]
#[pyo3(signature = (object, count, inline = false))]
fn notify(py: Python<'_>, object: &Bound<'_, PyAny>, count: usize, inline: bool) -> PyResult<Py<PyAny>> {
    let guest = GuestTracer::wrap(py, "guest", object, GuestOptions { inline })?;
    awaitable(py, move |scope| async move {
        for n in 0..count {
            let build = arguments(move |py| Ok(Args::positional((n,).into_pyobject(py)?)));
            guest.on_event(build, Some(&scope));
        }
        Ok::<_, GuestError>(())
    })
}

/// Flushes a tracer, if it can be flushed.
#[pyfunction]
fn flush(py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let guest = GuestTracer::wrap(py, "guest", object, GuestOptions::default())?;
    awaitable(py, move |scope| async move {
        if guest.has("flush") {
            guest.flush(no_args(), to_json, Some(&scope)).await.map(Json)
        } else {
            Ok(Json(Value::Null))
        }
    })
}

/// How many notices a registered tracer missed.
#[pyfunction]
fn missed(key: &str) -> PyResult<u64> {
    Ok(found("tracer", key)?.missed())
}

/// Calls a guest `count` times one after the other; gives the mean seconds of a round trip, measured in Rust.
#[pyfunction]
#[pyo3(signature = (object, count, inline = false))]
fn round_trips(py: Python<'_>, object: &Bound<'_, PyAny>, count: u32, inline: bool) -> PyResult<Py<PyAny>> {
    let guest = guest(py, object, inline)?;
    awaitable(py, move |scope| async move {
        let start = Instant::now();
        for _ in 0..count {
            guest.invoke(no_args(), |_| Ok(()), Some(&scope)).await?;
        }
        Ok::<_, GuestError>(start.elapsed().as_secs_f64() / f64::from(count))
    })
}
