//! Memories that are written in Python.

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_memory::{self as memory, LongStore, MemoryError, MemoryStore, Namespace, NewItem, Search};
use atomr_agents_py_bridge::{
    Args, BadShape, Guest, GuestError, GuestLongStore, GuestMemoryStore, Scope, arguments, json, to_json,
};
use futures_util::future::BoxFuture;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde_json::Value;

use super::item::{MemoryItem, StoreItem, tuple};
use crate::core::to_py;
use crate::errors::guest_kind;
use crate::strategy::shape;

/// How many of the last items are looked at where a guest cannot look by itself.
const LOOKED_AT: usize = 10_000;

/// Waits for a guest until the call is cancelled; what it raised is the memory's failure.
async fn answer<T>(
    guest: &Guest,
    running: impl Future<Output = Result<T, GuestError>>,
    ctx: &CallCtx,
) -> Result<T, MemoryError> {
    let answer = tokio::select! {
        biased;
        () = ctx.cancel.cancelled() => Err(GuestError::Cancelled),
        answer = running => answer,
    };
    answer.map_err(|error| MemoryError::Failed {
        what: format!("the memory {:?}", guest.key()),
        kind: guest_kind(&error),
        message: error.to_string(),
        source: Some(Arc::new(error)),
    })
}

fn lacks(guest: &Guest, method: &str) -> MemoryError {
    MemoryError::Failed {
        what: format!("the memory {:?}", guest.key()),
        kind: Kind::Contract,
        message: format!("it has no method {method}, which this call needs"),
        source: None,
    }
}

/// One argument of a guest's method.
enum Given {
    Text(String),
    Number(usize),
    Maybe(Option<String>),
    Json(Value),
    Numbers(Option<Vec<f32>>),
    Seconds(Option<f64>),
    Space(Namespace),
    Item(memory::MemoryItem),
}

impl Given {
    fn into_py<'py>(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Text(text) => text.into_bound_py_any(py),
            Self::Number(number) => number.into_bound_py_any(py),
            Self::Maybe(text) => text.into_bound_py_any(py),
            Self::Json(value) => json::to_py(py, &value),
            Self::Numbers(numbers) => numbers.into_bound_py_any(py),
            Self::Seconds(seconds) => seconds.into_bound_py_any(py),
            Self::Space(namespace) => tuple(py, &namespace).map(Bound::into_any),
            Self::Item(item) => MemoryItem(item).into_bound_py_any(py),
        }
    }
}

fn given<const N: usize>(all: [Given; N]) -> impl for<'py> FnOnce(Python<'py>) -> PyResult<Args<'py>> + Send + 'static {
    arguments(move |py: Python<'_>| {
        let all = all.into_iter().map(|one| one.into_py(py)).collect::<PyResult<Vec<_>>>()?;
        Ok(Args::positional(PyTuple::new(py, all)?))
    })
}

fn scope(ctx: &CallCtx) -> Option<Arc<Scope>> {
    ctx.get::<Scope>()
}

fn nothing(_: &Bound<'_, PyAny>) -> Result<(), BadShape> {
    Ok(())
}

fn truth(value: &Bound<'_, PyAny>) -> Result<bool, BadShape> {
    value.extract().map_err(|_| shape("True or False: whether it was there", value))
}

/// A list of what `one` reads.
fn list<T>(
    wanted: &'static str,
    one: impl Fn(&Bound<'_, PyAny>) -> Result<T, BadShape>,
) -> impl Fn(&Bound<'_, PyAny>) -> Result<Vec<T>, BadShape> {
    move |value| {
        let items = value.try_iter().map_err(|_| shape(wanted, value))?;
        items.map(|item| one(&item?)).collect()
    }
}

fn optional<T>(
    one: impl Fn(&Bound<'_, PyAny>) -> Result<T, BadShape>,
) -> impl Fn(&Bound<'_, PyAny>) -> Result<Option<T>, BadShape> {
    move |value| if value.is_none() { Ok(None) } else { one(value).map(Some) }
}

fn memory_item(value: &Bound<'_, PyAny>) -> Result<memory::MemoryItem, BadShape> {
    if let Ok(item) = value.cast::<MemoryItem>() {
        return Ok(item.get().0.clone());
    }
    serde_json::from_value(to_json(value)?)
        .map_err(|_| shape("a MemoryItem, or a dict with id, content and created_ms", value))
}

/// An item; where a dict does not say them, its namespace and key are those that were asked for.
fn store_item(asked: Option<(Namespace, String)>) -> impl Fn(&Bound<'_, PyAny>) -> Result<memory::StoreItem, BadShape> {
    move |value| {
        if let Ok(item) = value.cast::<StoreItem>() {
            return Ok(item.get().0.clone());
        }
        let wrong = || shape("a StoreItem, or a dict with namespace, key and value", value);
        let Value::Object(mut fields) = to_json(value)? else { return Err(wrong()) };
        if let Some((namespace, key)) = &asked {
            fields.entry("namespace").or_insert_with(|| namespace.parts().into());
            fields.entry("key").or_insert_with(|| key.as_str().into());
        }
        fields.entry("created_ms").or_insert_with(|| 0.into());
        let created = fields.get("created_ms").cloned().unwrap_or_default();
        fields.entry("updated_ms").or_insert(created);
        serde_json::from_value(Value::Object(fields)).map_err(|_| wrong())
    }
}

fn space(value: &Bound<'_, PyAny>) -> Result<Namespace, BadShape> {
    value.extract::<super::Parts>().map(|parts| parts.0).map_err(|_| shape("a tuple of texts", value))
}

#[derive(Debug)]
pub(super) struct PythonMemoryStore(pub(super) GuestMemoryStore);

impl MemoryStore for PythonMemoryStore {
    fn put<'a>(
        &'a self,
        namespace: &'a Namespace,
        item: &'a memory::MemoryItem,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<(), MemoryError>> {
        let args = given([Given::Space(namespace.clone()), Given::Item(item.clone())]);
        let running = self.0.put(args, nothing, scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn list<'a>(
        &'a self,
        namespace: &'a Namespace,
        limit: usize,
        before: Option<&'a str>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<memory::MemoryItem>, MemoryError>> {
        let before = Given::Maybe(before.map(str::to_owned));
        let args = given([Given::Space(namespace.clone()), Given::Number(limit), before]);
        let running = self.0.list(args, list("a list of items", memory_item), scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<memory::MemoryItem>, MemoryError>> {
        if !self.0.has("get") {
            return Box::pin(async move {
                let items = self.list(namespace, LOOKED_AT, None, ctx).await?;
                Ok(items.into_iter().find(|item| item.id == id))
            });
        }
        let args = given([Given::Space(namespace.clone()), Given::Text(id.to_owned())]);
        let running = self.0.get(args, optional(memory_item), scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        id: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        if !self.0.has("delete") {
            return Box::pin(std::future::ready(Err(lacks(&self.0, "delete"))));
        }
        let args = given([Given::Space(namespace.clone()), Given::Text(id.to_owned())]);
        let running = self.0.delete(args, truth, scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn search<'a>(
        &'a self,
        namespace: &'a Namespace,
        query: &'a str,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<memory::MemoryItem>, MemoryError>> {
        if !self.0.has("search") {
            return Box::pin(async move {
                memory::by_words(self.list(namespace, LOOKED_AT, None, ctx).await?, query, limit)
            });
        }
        let args = given([Given::Space(namespace.clone()), Given::Text(query.to_owned()), Given::Number(limit)]);
        let running = self.0.search(args, list("a list of items", memory_item), scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }
}

#[derive(Debug)]
pub(super) struct PythonLongStore(pub(super) GuestLongStore);

impl PythonLongStore {
    fn written(item: NewItem) -> [Given; 5] {
        let NewItem { namespace, key, value, embedding, ttl } = item;
        let seconds = Given::Seconds(ttl.map(|ttl| ttl.as_secs_f64()));
        [Given::Space(namespace), Given::Text(key), Given::Json(value), Given::Numbers(embedding), seconds]
    }
}

impl LongStore for PythonLongStore {
    fn put<'a>(&'a self, item: NewItem, ctx: &'a CallCtx) -> BoxFuture<'a, Result<(), MemoryError>> {
        let running = self.0.put(given(Self::written(item)), nothing, scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn update<'a>(
        &'a self,
        item: NewItem,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<memory::StoreItem>, MemoryError>> {
        let asked = Some((item.namespace.clone(), item.key.clone()));
        if self.0.has("update") {
            let args = given(Self::written(item));
            let running = self.0.update(args, optional(store_item(asked)), scope(ctx).as_deref());
            return Box::pin(answer(&self.0, running, ctx));
        }
        Box::pin(async move {
            let old = self.get(&item.namespace, &item.key, ctx).await?;
            if old.is_some() {
                self.put(item, ctx).await?;
            }
            Ok(old)
        })
    }

    fn get<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Option<memory::StoreItem>, MemoryError>> {
        let args = given([Given::Space(namespace.clone()), Given::Text(key.to_owned())]);
        let one = optional(store_item(Some((namespace.clone(), key.to_owned()))));
        let running = self.0.get(args, one, scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a Namespace,
        key: &'a str,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<bool, MemoryError>> {
        let args = given([Given::Space(namespace.clone()), Given::Text(key.to_owned())]);
        let running = self.0.delete(args, truth, scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn search<'a>(
        &'a self,
        search: &'a Search,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<memory::StoreItem>, MemoryError>> {
        let asked = search.clone();
        let args = arguments(move |py: Python<'_>| {
            let about = to_py(py, &asked)?;
            about.del_item("namespace")?;
            let namespace = tuple(py, &asked.namespace)?;
            Ok(Args::positional(PyTuple::new(py, [namespace.into_any(), about])?))
        });
        let running = self.0.search(args, list("a list of items", store_item(None)), scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }

    fn list_namespaces<'a>(
        &'a self,
        prefix: &'a Namespace,
        limit: usize,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Namespace>, MemoryError>> {
        if !self.0.has("list_namespaces") {
            return Box::pin(std::future::ready(Err(lacks(&self.0, "list_namespaces"))));
        }
        let args = given([Given::Space(prefix.clone()), Given::Number(limit)]);
        let running = self.0.list_namespaces(args, list("a list of tuples of texts", space), scope(ctx).as_deref());
        Box::pin(answer(&self.0, running, ctx))
    }
}
