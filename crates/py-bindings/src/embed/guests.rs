//! Embedders and indexes written in Python.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_embed::{Allowed, AnnIndex, EmbedError, Embedder, Neighbour, Vectors};
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestAnnIndex, GuestEmbedder, GuestError, GuestOptions, Scope, arguments, to_unit,
};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::arrays;
use crate::errors::guest_kind;
use crate::strategy::shape;

/// How many texts are given at once to an embedder that takes one at a time.
const AT_ONCE: usize = 8;

fn failed(what: &str, guest: &Guest, error: GuestError) -> EmbedError {
    let (kind, message) = (guest_kind(&error), error.to_string());
    EmbedError::Failed { what: format!("the {what} {:?}", guest.key()), kind, message, source: Some(Arc::new(error)) }
}

/// Waits for a guest until the call is cancelled.
async fn answer<T>(running: impl Future<Output = Result<T, GuestError>>, ctx: &CallCtx) -> Result<T, GuestError> {
    tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
        answer = running => answer,
    }
}

fn row(value: &Bound<'_, PyAny>) -> Result<Vec<f32>, BadShape> {
    arrays::vector("the vector", value).map_err(|_| shape("a list of numbers, or an array of floats", value))
}

/// What a guest says of its dimension: with an attribute or a method.
fn dim_of(guest: &Guest, py: Python<'_>) -> PyResult<Option<usize>> {
    let object = guest.object(py);
    match object.getattr_opt("dim")? {
        Some(dim) if dim.is_callable() => dim.call0()?.extract().map(Some),
        Some(dim) => Ok(dim.extract().ok()),
        None => Ok(None),
    }
}

#[derive(Debug)]
pub(super) struct PythonEmbedder {
    guest: GuestEmbedder,
    model: String,
    dim: Option<usize>,
}

impl PythonEmbedder {
    pub(super) fn wrap(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestEmbedder::wrap(target.py(), key, target, GuestOptions::default())?;
        let model = guest.model().and_then(|model| model.as_str()).unwrap_or(key).to_owned();
        let dim = dim_of(&guest, target.py())?;
        Ok(Self { guest, model, dim })
    }

    fn checked(&self, vectors: Result<Vectors, EmbedError>, texts: usize) -> Result<Vectors, EmbedError> {
        let broken = |message: String| EmbedError::Failed {
            what: format!("the embedder {:?}", self.guest.key()),
            kind: Kind::Contract,
            message,
            source: None,
        };
        let vectors = vectors.map_err(|error| broken(error.to_string()))?;
        if vectors.len() != texts {
            return Err(broken(format!("embed_batch of {texts} texts gave {} vectors", vectors.len())));
        }
        match self.dim {
            Some(dim) if texts > 0 && dim != vectors.dim() => {
                Err(broken(format!("its dim is {dim}, the vectors have {}", vectors.dim())))
            }
            _ => Ok(vectors),
        }
    }

    /// All texts in one call.
    async fn together(&self, texts: &[&str], ctx: &CallCtx) -> Result<Vectors, EmbedError> {
        let all: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [all])?)));
        let dim = self.dim;
        let rows = move |value: &Bound<'_, PyAny>| {
            arrays::vectors("the vectors", value, dim)
                .map_err(|error| BadShape::new(error.value(value.py()).to_string()))
        };
        let running = self.guest.embed_batch(args, rows, ctx.get::<Scope>().as_deref());
        let made = answer(running, ctx).await.map_err(|error| failed("embedder", &self.guest, error))?;
        self.checked(Ok(made), texts.len())
    }

    /// Each text in a call of its own, a few at once. What was done before one failed is in the error.
    async fn one_by_one(&self, texts: &[&str], ctx: &CallCtx) -> Result<Vectors, EmbedError> {
        let scope = ctx.get::<Scope>();
        let mut calls = Vec::with_capacity(texts.len());
        for text in texts {
            let text = (*text).to_owned();
            let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [text])?)));
            calls.push(self.guest.embed(args, row, scope.as_deref()));
        }
        let mut answers = stream::iter(calls).buffered(AT_ONCE);
        let mut made: Option<Vectors> = None;
        let mut done = 0;
        while done < texts.len() {
            let next = async { answers.next().await.unwrap_or(Err(GuestError::Cancelled)) };
            let added =
                answer(next, ctx).await.map_err(|error| failed("embedder", &self.guest, error)).and_then(|row| {
                    let row = self.checked(Vectors::new(row.len(), row), 1)?;
                    match &mut made {
                        Some(made) => made.append(&row),
                        None => {
                            made = Some(row);
                            Ok(())
                        }
                    }
                });
            if let Err(cause) = added {
                let Some(vectors) = made else { return Err(cause) };
                return Err(EmbedError::Partial {
                    model: self.model.clone(),
                    wanted: texts.len(),
                    done: (0..done).collect(),
                    vectors: Box::new(vectors),
                    cause: Box::new(cause),
                });
            }
            done += 1;
        }
        made.map_or_else(|| Vectors::empty(self.dim.unwrap_or(1)), Ok)
    }
}

impl Embedder for PythonEmbedder {
    fn model(&self) -> &str {
        &self.model
    }

    fn dim(&self) -> Option<usize> {
        self.dim
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            if texts.len() != 1 && self.guest.has("embed_batch") {
                return if texts.is_empty() {
                    Vectors::empty(self.dim.unwrap_or(1))
                } else {
                    self.together(texts, ctx).await
                };
            }
            self.one_by_one(texts, ctx).await
        })
    }
}

/// An index written in Python: it takes one vector at a time and knows no filter.
#[derive(Debug)]
pub(super) struct PythonIndex {
    guest: GuestAnnIndex,
    /// As it says, or as the first vector had; 0 before.
    dim: AtomicUsize,
}

impl PythonIndex {
    pub(super) fn wrap(target: &Bound<'_, PyAny>, key: &str) -> PyResult<Self> {
        let guest = GuestAnnIndex::wrap(target.py(), key, target, GuestOptions::default())?;
        let dim = AtomicUsize::new(dim_of(&guest, target.py())?.unwrap_or(0));
        Ok(Self { guest, dim })
    }

    fn check(&self, found: usize) -> Result<(), EmbedError> {
        match self.dim.compare_exchange(0, found, Ordering::Relaxed, Ordering::Relaxed) {
            Err(expected) if expected != found => Err(EmbedError::Dimension { expected, found }),
            _ => Ok(()),
        }
    }

    async fn asked(&self, query: &[f32], k: usize) -> Result<Vec<Neighbour>, EmbedError> {
        let query = query.to_vec();
        let args = arguments(move |py: Python<'_>| {
            let query = PyList::new(py, query)?.into_any();
            Ok(Args::positional(PyTuple::new(py, [query, k.into_bound_py_any(py)?])?))
        });
        let found = |value: &Bound<'_, PyAny>| {
            let pairs: Vec<(u64, f32)> =
                value.extract().map_err(|_| shape("a list of pairs of id and score", value))?;
            Ok(pairs.into_iter().map(|(id, score)| Neighbour { id, score }).collect())
        };
        self.guest.search(args, found, None).await.map_err(|error| failed("index", &self.guest, error))
    }
}

impl AnnIndex for PythonIndex {
    fn dim(&self) -> usize {
        self.dim.load(Ordering::Relaxed)
    }

    fn count(&self) -> BoxFuture<'_, Result<usize, EmbedError>> {
        Box::pin(async {
            let len = |value: &Bound<'_, PyAny>| value.extract().map_err(|_| shape("a whole number", value));
            let args = arguments(|py: Python<'_>| Ok(Args::positional(PyTuple::empty(py))));
            self.guest.len(args, len, None).await.map_err(|error| failed("index", &self.guest, error))
        })
    }

    fn upsert<'a>(&'a self, ids: &'a [u64], vectors: &'a Vectors) -> BoxFuture<'a, Result<(), EmbedError>> {
        Box::pin(async move {
            if ids.len() != vectors.len() {
                let problem = format!("are {}, the vectors {}: each vector has one", ids.len(), vectors.len());
                return Err(EmbedError::invalid("ids", problem));
            }
            if vectors.is_empty() {
                return Ok(());
            }
            self.check(vectors.dim())?;
            for (id, row) in ids.iter().copied().zip(vectors.rows().map(<[f32]>::to_vec)) {
                let args = arguments(move |py: Python<'_>| {
                    let row = PyList::new(py, row)?.into_any();
                    Ok(Args::positional(PyTuple::new(py, [id.into_bound_py_any(py)?, row])?))
                });
                let kept = self.guest.upsert(args, to_unit, None).await;
                kept.map_err(|error| failed("index", &self.guest, error))?;
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, ids: &'a [u64]) -> BoxFuture<'a, Result<usize, EmbedError>> {
        Box::pin(async move {
            if !self.guest.has("remove") {
                return Err(EmbedError::Failed {
                    what: format!("the index {:?}", self.guest.key()),
                    kind: Kind::Contract,
                    message: "it has no method `remove`".into(),
                    source: None,
                });
            }
            let mut removed = 0;
            for id in ids.iter().copied() {
                let args = arguments(move |py: Python<'_>| Ok(Args::positional(PyTuple::new(py, [id])?)));
                let there = |value: &Bound<'_, PyAny>| {
                    value.extract::<bool>().map_err(|_| shape("True where the id was there, else False", value))
                };
                let was = self.guest.remove(args, there, None).await;
                removed += usize::from(was.map_err(|error| failed("index", &self.guest, error))?);
            }
            Ok(removed)
        })
    }

    fn search<'a>(
        &'a self,
        query: &'a [f32],
        k: usize,
        allowed: Option<Allowed<'a>>,
    ) -> BoxFuture<'a, Result<Vec<Neighbour>, EmbedError>> {
        Box::pin(async move {
            if let Some(column) = query.iter().position(|value| !value.is_finite()) {
                return Err(EmbedError::NotFinite { row: 0, column });
            }
            let expected = self.dim();
            if expected != 0 && expected != query.len() {
                return Err(EmbedError::Dimension { expected, found: query.len() });
            }
            if k == 0 {
                return Ok(Vec::new());
            }
            // It knows no filter: more are asked for until enough of them pass, or there are no more.
            let mut wanted = k;
            loop {
                let mut found = self.asked(query, wanted).await?;
                let all = found.len();
                found.retain(|found| allowed.is_none_or(|allowed| allowed(found.id)));
                if found.len() >= k || all < wanted {
                    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
                    found.truncate(k);
                    return Ok(found);
                }
                wanted = wanted.saturating_mul(4);
            }
        })
    }
}
