//! `_native.embed`: embedders and indexes of vectors.

mod arrays;
mod guests;
mod index;

use std::path::PathBuf;
use std::sync::Arc;

use atomr_agents_embed::{self as embed, BatchOptions, Batched, EmbedError, Embedder as _, MockEmbedder, Vectors};
use atomr_agents_embed_onnx::{OnnxConfig, OnnxEmbedder, Pooling};
use atomr_agents_embed_remote::{Api, RemoteConfig, RemoteEmbedder};
use atomr_agents_embed_tools::EmbeddingTools;
use atomr_agents_http::Secret;
use atomr_agents_py_bridge::awaitable;
use atomr_agents_tool::Toolbox;
use pyo3::prelude::*;
use pyo3::types::PyList;

pub(crate) use self::index::NativeAnnIndex;

use crate::context::call_ctx;
use crate::errors::{config, from_kinded};
use crate::seconds;
use crate::strategy::{ToolStrategyHandle, checked};
use crate::tool::NativeTool;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeEmbedder>()?;
    module.add_class::<NativeOnnxSetup>()?;
    module.add_class::<index::NativeAnnIndex>()?;
    module.add_class::<index::InMemoryAnnIndex>()?;
    module.add_function(wrap_pyfunction!(nearest_tools, module)?)
}

/// The exception for what went wrong. That of an embedder that stopped in the middle has what was done.
fn raised(error: EmbedError) -> PyErr {
    let done = match &error {
        EmbedError::Partial { done, vectors, .. } => {
            Some((done.clone(), vectors.rows().map(<[f32]>::to_vec).collect()))
        }
        _ => None,
    };
    let raised = from_kinded(error);
    if let Some((done, vectors)) = done {
        let vectors: Vec<Vec<f32>> = vectors;
        Python::attach(|py| {
            // An exception of the user may refuse attributes; it is still the better thing to raise.
            let value = raised.value(py);
            let _ = value.setattr("done", done).and_then(|()| value.setattr("vectors", vectors));
        });
    }
    raised
}

/// An error on its way to the interpreter.
struct Failed(EmbedError);

impl From<Failed> for PyErr {
    fn from(failed: Failed) -> Self {
        raised(failed.0)
    }
}

/// The tools that are nearest to what is asked.
#[pyfunction]
fn nearest_tools(
    embedder: &NativeEmbedder,
    tools: Vec<PyRef<'_, NativeTool>>,
    top_k: usize,
    always: Vec<String>,
) -> PyResult<ToolStrategyHandle> {
    let toolbox = Toolbox::from_checked(checked(&tools)).map_err(from_kinded)?;
    let nearest = EmbeddingTools::new(toolbox, Arc::clone(&embedder.0), top_k);
    Ok(ToolStrategyHandle(Arc::new(nearest.and_then(|tools| tools.always(always)).map_err(from_kinded)?)))
}

/// How an answer looks in Python.
#[derive(Clone, Copy)]
enum Form {
    One,
    Lists,
    Table,
}

struct Made(Vectors, Form);

impl<'py> IntoPyObject<'py> for Made {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Self(vectors, form) = self;
        match form {
            Form::One => Ok(PyList::new(py, vectors.values())?.into_any()),
            Form::Lists => {
                let rows = vectors.rows().map(|row| PyList::new(py, row)).collect::<PyResult<Vec<_>>>()?;
                Ok(PyList::new(py, rows)?.into_any())
            }
            Form::Table => arrays::table(py, &vectors),
        }
    }
}

/// How a model in this process is set up.
#[pyclass(frozen, module = "atomr_agents._native.embed")]
struct NativeOnnxSetup(OnnxConfig);

#[pymethods]
impl NativeOnnxSetup {
    /// Of a folder, or of a model with its tokenizer; what is not given is as the folder says, or usual.
    #[new]
    #[pyo3(signature = (
        path, *, tokenizer, pooling, normalize, max_tokens, dimensions, batch_tokens, threads, runtime, usual_runtime, name
    ))]
    // One argument for each setting: only Python's names tell them apart.
    #[allow(clippy::too_many_arguments)]
    fn new(
        path: PathBuf,
        tokenizer: Option<PathBuf>,
        pooling: Option<&str>,
        normalize: Option<bool>,
        max_tokens: Option<usize>,
        dimensions: Option<usize>,
        batch_tokens: Option<usize>,
        threads: Option<usize>,
        runtime: Option<PathBuf>,
        usual_runtime: Option<PathBuf>,
        name: Option<String>,
    ) -> PyResult<Self> {
        let mut setup = match tokenizer {
            Some(tokenizer) => OnnxConfig::new(path, tokenizer),
            None => OnnxConfig::of_folder(path).map_err(from_kinded)?,
        };
        setup.pooling = match pooling {
            Some("mean") => Some(Pooling::Mean),
            Some("cls") => Some(Pooling::Cls),
            Some(other) => return Err(config(format!("pooling must be 'mean' or 'cls', not {other:?}"))),
            None => setup.pooling,
        };
        setup.normalize = normalize.unwrap_or(setup.normalize);
        setup.max_tokens = max_tokens.or(setup.max_tokens);
        setup.batch_tokens = batch_tokens.unwrap_or(setup.batch_tokens);
        setup.dimensions = dimensions;
        setup.threads = threads;
        setup.runtime = runtime;
        setup.usual_runtime = usual_runtime;
        setup.name = name;
        Ok(Self(setup))
    }
}

#[pyclass(frozen, module = "atomr_agents._native.embed")]
pub(crate) struct NativeEmbedder(pub(crate) Arc<dyn embed::Embedder>);

#[pymethods]
impl NativeEmbedder {
    #[staticmethod]
    fn mock(dim: usize) -> PyResult<Self> {
        Ok(Self(Arc::new(MockEmbedder::new(dim).map_err(raised)?)))
    }

    #[staticmethod]
    fn guest(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        Ok(Self(Arc::new(guests::PythonEmbedder::wrap(target, key)?)))
    }

    /// A server that is asked over HTTP, in batches.
    #[staticmethod]
    #[pyo3(signature = (api, model, *, base_url, api_key, dimensions, max_attempts, timeout))]
    fn remote(
        api: &str,
        model: &str,
        base_url: Option<&str>,
        api_key: Option<String>,
        dimensions: Option<usize>,
        max_attempts: Option<u32>,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let api = Api::named(api).ok_or_else(|| config(format!("nobody speaks {api:?}")))?;
        let mut setup = RemoteConfig::from_env(api, model, base_url, api_key.map(Secret::new)).map_err(raised)?;
        setup.dimensions = dimensions;
        if let Some(max_attempts) = max_attempts {
            setup.connection.retry.max_attempts = max_attempts;
        }
        if let Some(after) = seconds::optional("timeout", timeout)? {
            setup.connection.http.first_byte_timeout = after;
        }
        let embedder = RemoteEmbedder::new(setup).and_then(|embedder| embedder.batched(None)).map_err(raised)?;
        Ok(Self(Arc::new(embedder)))
    }

    /// A model in this process. The lock of the interpreter is not held while it is loaded.
    #[staticmethod]
    fn onnx(py: Python<'_>, setup: &NativeOnnxSetup) -> PyResult<Self> {
        let setup = setup.0.clone();
        py.detach(|| OnnxEmbedder::load(setup)).map(|embedder| Self(Arc::new(embedder))).map_err(from_kinded)
    }

    /// Another one in calls of a fair size.
    fn batched(&self, max_texts: usize, max_bytes: usize, concurrency: usize) -> PyResult<Self> {
        let options = BatchOptions { max_texts, max_bytes, concurrency };
        Ok(Self(Arc::new(Batched::new(Arc::clone(&self.0), options).map_err(raised)?)))
    }

    #[getter]
    fn model(&self) -> &str {
        self.0.model()
    }

    #[getter]
    fn dim(&self) -> Option<usize> {
        self.0.dim()
    }

    fn embed(&self, py: Python<'_>, text: String) -> PyResult<Py<PyAny>> {
        self.made(py, vec![text], Form::One)
    }

    fn embed_batch(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<Py<PyAny>> {
        self.made(py, texts, Form::Lists)
    }

    fn embed_table(&self, py: Python<'_>, texts: Vec<String>) -> PyResult<Py<PyAny>> {
        self.made(py, texts, Form::Table)
    }
}

impl NativeEmbedder {
    fn made(&self, py: Python<'_>, texts: Vec<String>, form: Form) -> PyResult<Py<PyAny>> {
        let embedder = Arc::clone(&self.0);
        awaitable(py, move |scope| async move {
            let ctx = call_ctx(&scope, None);
            let _end = ctx.cancel.clone().drop_guard();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            embedder.embed(&texts, &ctx).await.map(|vectors| Made(vectors, form)).map_err(Failed)
        })
    }
}

/// The embedder that an object stands for: everything that takes one takes it through this.
pub(crate) fn embedder_of(given: &Bound<'_, PyAny>) -> PyResult<Arc<dyn embed::Embedder>> {
    let class = given.py().import("atomr_agents._embedders")?.getattr("Embedder")?;
    let embedder = class.call1((given,))?.getattr("native")?;
    Ok(Arc::clone(&embedder.cast::<NativeEmbedder>()?.get().0))
}
