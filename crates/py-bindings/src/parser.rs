//! `_native.parser`: JSON that arrives in pieces, and the parsers of whole texts.

mod parsers;
mod streaming;
mod waiting;

use atomr_agents_parser::JsonSchema;
use atomr_agents_py_bridge::json;
use atomr_agents_wire::{self as wire, PartialJsonError, PartialJsonLimits, Segment, Shape};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRecursionError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::errors::from_kinded;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Change>()?;
    module.add_class::<PartialJson>()?;
    module.add_class::<streaming::StreamingPartialJson>()?;
    module.add_class::<parsers::NativeParser>()?;
    module.add_class::<waiting::NativeAsyncParser>()?;
    module.add_class::<waiting::NativeRepairModel>()
}

/// A schema, which must be one.
fn schema(schema: &Bound<'_, PyAny>) -> PyResult<JsonSchema> {
    JsonSchema::new(json::from_py(schema)?).map_err(from_kinded)
}

/// The steps to a value, as Python indexes with them.
fn steps<'py>(py: Python<'py>, path: &wire::Path) -> PyResult<Bound<'py, PyTuple>> {
    let step = |segment: &Segment| match segment {
        Segment::Key(key) => key.into_bound_py_any(py),
        Segment::Index(index) => index.into_bound_py_any(py),
    };
    let steps = path.segments().into_iter().map(step).collect::<PyResult<Vec<_>>>()?;
    PyTuple::new(py, steps)
}

/// The exception for a text that is no JSON or breaks a limit.
fn raised(py: Python<'_>, error: &PartialJsonError) -> PyErr {
    let incomplete = matches!(error, PartialJsonError::Incomplete { .. });
    let made = py
        .import("atomr_agents.parser")
        .and_then(|parser| parser.getattr("PartialJsonError"))
        .and_then(|class| class.call1((error.to_string(), error.offset(), incomplete)));
    made.map_or_else(|failed| failed, PyErr::from_value)
}

#[pyclass(frozen, module = "atomr_agents._native.parser")]
pub(crate) struct Change {
    change: wire::Change,
    /// What has finished.
    value: Option<Py<PyAny>>,
}

#[pymethods]
impl Change {
    #[getter]
    fn kind<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        let kind = match self.change {
            wire::Change::Started { .. } => intern!(py, "started"),
            wire::Change::Grew { .. } => intern!(py, "grew"),
            wire::Change::Scalar { .. } => intern!(py, "scalar"),
            wire::Change::Finished { .. } => intern!(py, "finished"),
        };
        kind.clone()
    }

    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        steps(py, self.change.path())
    }

    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        let wire::Change::Started { shape, .. } = self.change else { return None };
        let shape = match shape {
            Shape::Object => intern!(py, "object"),
            Shape::Array => intern!(py, "array"),
            Shape::String => intern!(py, "string"),
        };
        Some(shape.clone())
    }

    #[getter]
    fn piece(&self) -> &str {
        match &self.change {
            wire::Change::Grew { piece, .. } => piece,
            _ => "",
        }
    }

    #[getter]
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match (&self.change, &self.value) {
            (wire::Change::Scalar { value, .. }, _) => json::to_py(py, value).map(Some),
            (_, value) => Ok(value.as_ref().map(|value| value.bind(py).clone())),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let path = self.path(py)?.repr()?;
        let what = match &self.change {
            wire::Change::Started { .. } => self.shape(py).into_bound_py_any(py)?,
            wire::Change::Grew { piece, .. } => piece.into_bound_py_any(py)?,
            _ => self.value(py)?.into_bound_py_any(py)?,
        };
        Ok(format!("Change({:?}, {path}, {})", self.kind(py).to_str()?, what.repr()?))
    }
}

/// An open object or array.
enum Open {
    Dict(Py<PyDict>),
    List(Py<PyList>),
}

/// Where in the innermost open object or array a value goes. The key is made once and keeps its hash.
enum Step {
    Root,
    Key(Py<PyString>),
    Index(usize),
}

impl Step {
    fn last_of(py: Python<'_>, path: &wire::Path) -> Self {
        match path.last() {
            None => Self::Root,
            Some(Segment::Key(key)) => Self::Key(PyString::new(py, key).unbind()),
            Some(Segment::Index(index)) => Self::Index(*index),
        }
    }
}

/// A string that is open. Python's strings cannot grow, so it is made anew, and only when somebody looks.
struct Text {
    step: Step,
    text: String,
    /// The string as it was made last, if it is still the same.
    made: Option<Py<PyAny>>,
    /// The tree has it, maybe shorter.
    shown: bool,
}

/// The document as Python values, filled by the changes.
#[derive(Default)]
struct Tree {
    root: Option<Py<PyAny>>,
    open: Vec<Open>,
    text: Option<Text>,
}

impl Tree {
    /// Follows a change; answers the value that has finished.
    fn apply(&mut self, py: Python<'_>, change: &wire::Change) -> PyResult<Option<Py<PyAny>>> {
        match change {
            wire::Change::Started { path, shape: Shape::Object } => {
                let dict = PyDict::new(py);
                self.put(&Step::last_of(py, path), false, dict.as_any())?;
                self.open.push(Open::Dict(dict.unbind()));
            }
            wire::Change::Started { path, shape: Shape::Array } => {
                let list = PyList::empty(py);
                self.put(&Step::last_of(py, path), false, list.as_any())?;
                self.open.push(Open::List(list.unbind()));
            }
            wire::Change::Started { path, shape: Shape::String } => {
                let step = Step::last_of(py, path);
                self.text = Some(Text { step, text: String::new(), made: None, shown: false });
            }
            wire::Change::Grew { piece, .. } => {
                if let Some(text) = &mut self.text {
                    text.text.push_str(piece);
                    text.made = None;
                }
            }
            wire::Change::Scalar { path, value } => {
                self.put(&Step::last_of(py, path), false, &json::to_py(py, value)?)?;
            }
            wire::Change::Finished { .. } => {
                if self.text.is_some() {
                    self.show_text(py)?;
                    return Ok(self.text.take().and_then(|text| text.made));
                }
                return Ok(self.open.pop().map(|open| match open {
                    Open::Dict(dict) => dict.into_any(),
                    Open::List(list) => list.into_any(),
                }));
            }
        }
        Ok(None)
    }

    /// Puts in a value; `again` where something is there to replace.
    fn put(&mut self, step: &Step, again: bool, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = value.py();
        match (self.open.last(), step) {
            (Some(Open::Dict(dict)), Step::Key(key)) => dict.bind(py).set_item(key, value),
            (Some(Open::List(list)), Step::Index(index)) if again => list.bind(py).set_item(*index, value),
            (Some(Open::List(list)), _) => list.bind(py).append(value),
            _ => {
                self.root = Some(value.clone().unbind());
                Ok(())
            }
        }
    }

    /// Brings the open string up to date.
    fn show_text(&mut self, py: Python<'_>) -> PyResult<()> {
        let Some(mut text) = self.text.take_if(|text| text.made.is_none()) else { return Ok(()) };
        let value = PyString::new(py, &text.text).into_any();
        let put = self.put(&text.step, text.shown, &value);
        (text.shown, text.made) = (true, Some(value.unbind()));
        self.text = Some(text);
        put
    }

    /// The document as far as it is known.
    fn value<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.show_text(py)?;
        Ok(self.root.as_ref().map(|root| root.bind(py).clone()))
    }
}

/// Deeper than any document may be: a value that contains itself, by the doing of its user.
const TOO_DEEP: usize = 600;

/// Copies dicts and lists, and shares what is in them.
fn copied<'py>(value: &Bound<'py, PyAny>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    if depth > TOO_DEEP {
        return Err(PyRecursionError::new_err("the value is nested too deeply"));
    }
    let holds = |value: &Bound<'py, PyAny>| value.is_instance_of::<PyDict>() || value.is_instance_of::<PyList>();
    if let Ok(dict) = value.cast::<PyDict>() {
        let copy = dict.copy()?;
        for (key, value) in dict.iter().filter(|(_, value)| holds(value)) {
            copy.set_item(key, copied(&value, depth + 1)?)?;
        }
        return Ok(copy.into_any());
    }
    if let Ok(list) = value.cast::<PyList>() {
        let copy = list.get_slice(0, list.len());
        for (index, value) in list.iter().enumerate().filter(|(_, value)| holds(value)) {
            copy.set_item(index, copied(&value, depth + 1)?)?;
        }
        return Ok(copy.into_any());
    }
    Ok(value.clone())
}

#[pyclass(module = "atomr_agents._native.parser")]
pub(crate) struct PartialJson {
    decoder: wire::PartialJson,
    /// The changes of one feed; kept for its capacity.
    changes: Vec<wire::Change>,
    tree: Tree,
}

impl PartialJson {
    /// Follows the changes of one call.
    fn follow(&mut self, py: Python<'_>) -> PyResult<Vec<Change>> {
        let Self { changes, tree, .. } = self;
        changes.drain(..).map(|change| Ok(Change { value: tree.apply(py, &change)?, change })).collect()
    }
}

#[pymethods]
impl PartialJson {
    #[new]
    #[pyo3(signature = (*, max_depth = 127, max_bytes = 1_048_576))]
    fn new(max_depth: usize, max_bytes: usize) -> Self {
        let limits = PartialJsonLimits { max_depth, max_bytes };
        Self { decoder: wire::PartialJson::new(limits), changes: Vec::new(), tree: Tree::default() }
    }

    fn feed(&mut self, py: Python<'_>, text: &str) -> PyResult<Vec<Change>> {
        let fed = self.decoder.push(text, &mut self.changes);
        let changes = self.follow(py)?;
        fed.map(|()| changes).map_err(|error| raised(py, &error))
    }

    fn update(&mut self, py: Python<'_>, text: &str) -> PyResult<()> {
        let fed = self.decoder.push(text, &mut self.changes);
        for change in self.changes.drain(..) {
            self.tree.apply(py, &change)?;
        }
        fed.map_err(|error| raised(py, &error))
    }

    #[getter]
    fn value<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.tree.value(py)
    }

    fn snapshot<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.tree.value(py)?.map(|value| copied(&value, 0)).transpose()
    }

    #[getter]
    fn complete(&self) -> bool {
        self.decoder.is_complete()
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let finished = self.decoder.finish(&mut self.changes).map(|_| ());
        self.follow(py)?;
        finished.map_err(|error| raised(py, &error))?;
        self.tree.value(py)
    }
}
