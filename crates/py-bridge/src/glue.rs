//! The compiled `drive.py` and the few Python callables that every call needs, each looked up once.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyModule;

/// The callables of `drive.py` and of the standard library that the hot paths use.
pub(crate) struct Glue {
    pub(crate) module: Py<PyModule>,
    pub(crate) drive: Py<PyAny>,
    pub(crate) guest: Py<PyAny>,
    pub(crate) finish: Py<PyAny>,
    pub(crate) pump: Py<PyAny>,
    pub(crate) hire: Py<PyAny>,
    pub(crate) each: Py<PyAny>,
    pub(crate) watch: Py<PyAny>,
    pub(crate) copy_context: Py<PyAny>,
}

static GLUE: PyOnceLock<Glue> = PyOnceLock::new();

/// The glue, compiled on first use.
pub(crate) fn glue(py: Python<'_>) -> PyResult<&'static Glue> {
    GLUE.get_or_try_init(py, || {
        let module = PyModule::from_code(py, SOURCE, c"atomr_agents/_native/drive.py", c"atomr_agents._native._drive")?;
        module.add_function(wrap_pyfunction!(report_from_python, &module)?)?;
        let of = |name: &str| -> PyResult<Py<PyAny>> { Ok(module.getattr(name)?.unbind()) };
        Ok(Glue {
            drive: of("drive")?,
            guest: of("guest")?,
            finish: of("finish")?,
            pump: of("pump")?,
            hire: of("hire")?,
            each: of("each")?,
            watch: of("watch")?,
            copy_context: py.import("contextvars")?.getattr("copy_context")?.unbind(),
            module: module.unbind(),
        })
    })
}

const SOURCE: &std::ffi::CStr =
    match std::ffi::CStr::from_bytes_with_nul(concat!(include_str!("drive.py"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => c"raise ImportError('drive.py holds a NUL byte')",
    };

/// A copy of the calling thread's context variables.
pub(crate) fn copy_context(py: Python<'_>) -> PyResult<Py<PyAny>> {
    Ok(glue(py)?.copy_context.bind(py).call0()?.unbind())
}

/// `asyncio` if somebody has imported it already: without it no loop can be running, and importing it is not our business.
pub(crate) fn asyncio(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let modules = py.import("sys")?.getattr("modules")?;
    let module = modules.call_method1("get", ("asyncio",))?;
    Ok(if module.is_none() { None } else { Some(module) })
}

/// The event loop that runs in this thread, if any.
pub(crate) fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let get = match GET.get(py) {
        Some(get) => get,
        None => {
            // While asyncio is only half imported (by this very thread) no loop runs either.
            let Some(module) = asyncio(py)? else { return Ok(None) };
            let Some(get) = module.getattr_opt("_get_running_loop")? else { return Ok(None) };
            GET.get_or_init(py, || get.unbind())
        }
    };
    let found = get.bind(py).call0()?;
    Ok(if found.is_none() { None } else { Some(found) })
}

/// `asyncio.CancelledError`; only asked for once a loop has run.
pub(crate) fn cancelled_error(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static TYPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let found =
        TYPE.get_or_try_init(py, || py.import("asyncio.exceptions")?.getattr("CancelledError").map(Bound::unbind))?;
    Ok(found.bind(py).clone())
}

/// Sends an exception that nobody waits for to `sys.unraisablehook`.
pub(crate) fn report(py: Python<'_>, error: PyErr, place: Option<&Bound<'_, PyAny>>) {
    error.write_unraisable(py, place);
}

/// The same, for the coroutines of `drive.py`: only native code can make the argument of the hook.
#[pyfunction(name = "report")]
fn report_from_python(error: Bound<'_, PyAny>, place: Bound<'_, PyAny>) {
    report(error.py(), PyErr::from_value(error), Some(&place));
}
