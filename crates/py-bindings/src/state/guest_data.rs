//! What crosses between the store seam and a store written in Python: dicts, lists, numbers, text and bytes.

use std::fmt::Display;

use atomr_agents_py_bridge::BadShape;
use atomr_agents_state::{
    Batch, BlobId, Change, Durability, Entry, Expect, Fence, Key, Lease, NewEntry, Record, Swept,
};
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

type Read<T> = Result<T, BadShape>;

// ---- into Python

pub(super) fn key<'py>(py: Python<'py>, key: &Key) -> PyResult<Bound<'py, PyTuple>> {
    (key.space(), key.name()).into_pyobject(py)
}

pub(super) fn lease<'py>(py: Python<'py>, lease: &Lease) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("key", key(py, &lease.key)?)?;
    dict.set_item("owner", &lease.owner)?;
    dict.set_item("token", lease.token)?;
    dict.set_item("until_ms", lease.until_ms)?;
    Ok(dict)
}

pub(super) fn ids<'py>(py: Python<'py>, ids: &[BlobId]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, ids.iter().map(BlobId::to_string))
}

pub(super) fn batch<'py>(py: Python<'py>, batch: &Batch) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match &batch.fence {
        Some(fence) => dict.set_item("fence", fenced(py, fence)?)?,
        None => dict.set_item("fence", py.None())?,
    }
    let durability = match batch.durability {
        Durability::Full => "full",
        Durability::Relaxed => "relaxed",
    };
    dict.set_item("durability", durability)?;
    let changes = batch.changes.iter().map(|each| change(py, each)).collect::<PyResult<Vec<_>>>()?;
    dict.set_item("changes", changes)?;
    Ok(dict)
}

fn fenced<'py>(py: Python<'py>, fence: &Fence) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("key", key(py, &fence.key)?)?;
    dict.set_item("token", fence.token)?;
    Ok(dict)
}

fn change<'py>(py: Python<'py>, change: &Change) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    match change {
        Change::Put { key: at, value, refs, due_ms, expect } => {
            dict.set_item("op", "put")?;
            dict.set_item("key", key(py, at)?)?;
            dict.set_item("value", PyBytes::new(py, value))?;
            dict.set_item("refs", ids(py, refs)?)?;
            dict.set_item("due_ms", due_ms)?;
            expected(&dict, *expect)?;
        }
        Change::Delete { key: at, expect } => {
            dict.set_item("op", "delete")?;
            dict.set_item("key", key(py, at)?)?;
            expected(&dict, *expect)?;
        }
        Change::Append { stream, at, entries } => {
            dict.set_item("op", "append")?;
            dict.set_item("key", key(py, stream)?)?;
            dict.set_item("at", at)?;
            let entries = entries.iter().map(|entry| new_entry(py, entry)).collect::<PyResult<Vec<_>>>()?;
            dict.set_item("entries", entries)?;
        }
        Change::Cut { stream, before } => {
            dict.set_item("op", "cut")?;
            dict.set_item("key", key(py, stream)?)?;
            dict.set_item("before", before)?;
        }
        Change::Drop { stream } => {
            dict.set_item("op", "drop")?;
            dict.set_item("key", key(py, stream)?)?;
        }
        Change::Blob { id, bytes } => {
            dict.set_item("op", "blob")?;
            dict.set_item("id", id.to_string())?;
            dict.set_item("bytes", PyBytes::new(py, bytes))?;
        }
    }
    Ok(dict)
}

/// `None` for anything, 0 for nothing, else the version.
fn expected(dict: &Bound<'_, PyDict>, expect: Expect) -> PyResult<()> {
    let version = match expect {
        Expect::Any => None,
        Expect::Absent => Some(0),
        Expect::Version(version) => Some(version),
    };
    dict.set_item("expect", version)
}

fn new_entry<'py>(py: Python<'py>, entry: &NewEntry) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("body", PyBytes::new(py, &entry.body))?;
    dict.set_item("refs", ids(py, &entry.refs)?)?;
    Ok(dict)
}

// ---- out of Python

pub(super) fn record(value: &Bound<'_, PyAny>) -> Read<Record> {
    let dict = dict("a record", value)?;
    Ok(Record {
        version: field(dict, "a record", "version")?,
        value: bytes("a record", "value", &item(dict, "a record", "value")?)?,
        refs: refs(dict, "a record")?,
        due_ms: optional(dict, "a record", "due_ms")?,
    })
}

pub(super) fn maybe_record(value: &Bound<'_, PyAny>) -> Read<Option<Record>> {
    if value.is_none() { Ok(None) } else { record(value).map(Some) }
}

pub(super) fn records(space: &str, value: &Bound<'_, PyAny>) -> Read<Vec<(Key, Record)>> {
    let pair = |item: &Bound<'_, PyAny>| {
        let (name, stored) = two(item, "a pair of a name and a record")?;
        Ok((named(space, &name)?, record(&stored)?))
    };
    list("records", value)?.iter().map(pair).collect()
}

pub(super) fn entries(value: &Bound<'_, PyAny>) -> Read<Vec<Entry>> {
    let one = |item: &Bound<'_, PyAny>| {
        let dict = dict("an entry", item)?;
        Ok(Entry {
            at: field(dict, "an entry", "at")?,
            body: bytes("an entry", "body", &self::item(dict, "an entry", "body")?)?,
            refs: refs(dict, "an entry")?,
        })
    };
    list("entries", value)?.iter().map(one).collect()
}

pub(super) fn blobs(count: usize, value: &Bound<'_, PyAny>) -> Read<Vec<Option<Bytes>>> {
    let items = list("blobs", value)?;
    if items.len() != count {
        return Err(BadShape::new(format!("{count} blobs were asked for, and {} were given", items.len())));
    }
    let one = |item: &Bound<'_, PyAny>| if item.is_none() { Ok(None) } else { bytes("blobs", "each", item).map(Some) };
    items.iter().map(one).collect()
}

/// A lease of `key` for `owner`: what a guest says of it is its token and its end.
pub(super) fn leased(key: Key, owner: String, value: &Bound<'_, PyAny>) -> Read<Lease> {
    let dict = dict("a lease", value)?;
    let (token, until_ms) = (field(dict, "a lease", "token")?, field(dict, "a lease", "until_ms")?);
    Ok(Lease { key, owner, token, until_ms })
}

pub(super) fn claimed(space: &str, owner: &str, value: &Bound<'_, PyAny>) -> Read<Vec<(Key, Record, Lease)>> {
    let one = |item: &Bound<'_, PyAny>| {
        let wanted = "a name, a record and a lease";
        let [name, stored, lease] = parts(item, wanted)?.try_into().map_err(|_| not(wanted, item))?;
        let key = named(space, &name)?;
        Ok((key.clone(), record(&stored)?, leased(key, owner.to_owned(), &lease)?))
    };
    list("claims", value)?.iter().map(one).collect()
}

pub(super) fn swept(value: &Bound<'_, PyAny>) -> Read<Swept> {
    let wanted = "a pair of numbers: how many blobs, how many bytes";
    let (blobs, bytes) = two(value, wanted)?;
    let number = |value: &Bound<'_, PyAny>| value.extract::<u64>().map_err(|_| not(wanted, value));
    Ok(Swept { blobs: number(&blobs)?, bytes: number(&bytes)? })
}

pub(super) fn number(value: &Bound<'_, PyAny>) -> Read<u64> {
    value.extract().map_err(|_| not("a whole number from 0 on", value))
}

fn named(space: &str, name: &Bound<'_, PyAny>) -> Read<Key> {
    let name: String = name.extract().map_err(|_| not("a name", name))?;
    Key::new(space, &name).map_err(|error| BadShape::new(error.to_string()))
}

fn refs(dict: &Bound<'_, PyDict>, what: &str) -> Read<Vec<BlobId>> {
    let one = |id: &Bound<'_, PyAny>| {
        let text: String = id.extract().map_err(|_| not("the id of a blob", id))?;
        text.parse().map_err(|error: atomr_agents_state::BadBlobId| BadShape::new(error.to_string()))
    };
    list("refs", &item(dict, what, "refs")?)?.iter().map(one).collect()
}

fn bytes(what: impl Display, name: &str, value: &Bound<'_, PyAny>) -> Read<Bytes> {
    match value.cast::<PyBytes>() {
        Ok(bytes) => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        Err(_) => Err(BadShape::new(format!("{what}: {name}: expected bytes, got {}", class(value)))),
    }
}

fn dict<'a, 'py>(what: &str, value: &'a Bound<'py, PyAny>) -> Read<&'a Bound<'py, PyDict>> {
    value.cast().map_err(|_| BadShape::new(format!("{what} is a dict, not {}", class(value))))
}

/// The items of a list or tuple.
fn list<'py>(what: &str, value: &Bound<'py, PyAny>) -> Read<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    match value.cast::<PyTuple>() {
        Ok(tuple) => Ok(tuple.iter().collect()),
        Err(_) => Err(BadShape::new(format!("{what} are a list, not {}", class(value)))),
    }
}

fn parts<'py>(value: &Bound<'py, PyAny>, wanted: &str) -> Read<Vec<Bound<'py, PyAny>>> {
    list(wanted, value).map_err(|_| not(wanted, value))
}

fn two<'py>(value: &Bound<'py, PyAny>, wanted: &str) -> Read<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let [first, second] = parts(value, wanted)?.try_into().map_err(|_| not(wanted, value))?;
    Ok((first, second))
}

fn item<'py>(dict: &Bound<'py, PyDict>, what: &str, name: &str) -> Read<Bound<'py, PyAny>> {
    dict.get_item(name)?.ok_or_else(|| BadShape::new(format!("{what} has no {name:?}")))
}

fn field(dict: &Bound<'_, PyDict>, what: &str, name: &str) -> Read<u64> {
    let value = item(dict, what, name)?;
    number(&value).map_err(|bad| BadShape::new(format!("{what}: {name}: {}", bad.message)))
}

fn optional(dict: &Bound<'_, PyDict>, what: &str, name: &str) -> Read<Option<u64>> {
    match dict.get_item(name)? {
        Some(value) if !value.is_none() => {
            number(&value).map(Some).map_err(|bad| BadShape::new(format!("{what}: {name}: {}", bad.message)))
        }
        _ => Ok(None),
    }
}

fn not(wanted: &str, value: &Bound<'_, PyAny>) -> BadShape {
    BadShape::new(format!("expected {wanted}, got {}", class(value)))
}

fn class(value: &Bound<'_, PyAny>) -> String {
    value.get_type().qualname().map_or_else(|_| "object".to_owned(), |name| name.to_string())
}
