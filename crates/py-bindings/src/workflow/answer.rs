//! What functions of Python answer, as writes and ways.

use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_py_bridge::{BadShape, json};
use atomr_agents_workflow::{Command, Target, Update};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::errors::config;
use crate::state::written;

/// The classes `Command` and `Send` of Python.
struct Classes {
    command: Py<PyAny>,
    send: Py<PyAny>,
}

fn classes(py: Python<'_>) -> PyResult<&'static Classes> {
    static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();
    CLASSES.get_or_try_init(py, || {
        let module = py.import("atomr_agents._graph_types")?;
        Ok(Classes { command: module.getattr("Command")?.unbind(), send: module.getattr("Send")?.unbind() })
    })
}

/// What a step answers: nothing, a dict of channels, a command, or a list of these.
pub(super) fn update(answer: &Bound<'_, PyAny>) -> Result<Update, BadShape> {
    let mut update = Update::new();
    take(answer, &mut update, true)?;
    Ok(update)
}

/// What is written to a run from outside: an object of channels.
pub(super) fn input(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    let mut update = Update::new();
    take(given, &mut update, false).map_err(|bad| config(format!("the input of a graph: {}", bad.message)))?;
    Ok(Value::Object(update.writes.into_iter().map(|(channel, value)| (channel.to_string(), value)).collect()))
}

fn take(answer: &Bound<'_, PyAny>, update: &mut Update, nested: bool) -> Result<(), BadShape> {
    if answer.is_none() {
        return Ok(());
    }
    if let Ok(dict) = answer.cast::<PyDict>() {
        return writes(dict, update);
    }
    let py = answer.py();
    let classes = classes(py)?;
    if answer.is_instance(classes.command.bind(py))? {
        if !answer.getattr("resume")?.is_none() {
            return Err(BadShape::new("Command(resume=...) is for who calls the graph, not for a step"));
        }
        take(&answer.getattr("update")?, update, false)?;
        return ways(&answer.getattr("goto")?, &mut update.goto);
    }
    match answer.cast::<PyList>() {
        Ok(list) if nested => list.iter().try_for_each(|each| take(&each, update, false)),
        _ => of_object(answer, update),
    }
}

fn writes(dict: &Bound<'_, PyDict>, update: &mut Update) -> Result<(), BadShape> {
    for (channel, value) in dict {
        let Ok(channel) = channel.cast::<PyString>() else {
            return Err(BadShape::new("a step answers a dict of channels, whose names are text"));
        };
        let channel = channel.to_str()?;
        let value = written(&value).map_err(|fault| BadShape::new(format!("channel `{channel}`: {fault}")))?;
        update.writes.push((Arc::from(channel), value));
    }
    Ok(())
}

/// An instance of a class with fields: a dataclass or a model.
fn of_object(answer: &Bound<'_, PyAny>, update: &mut Update) -> Result<(), BadShape> {
    let fields = answer.py().import("atomr_agents._graph_types")?.call_method1("fields_of", (answer,))?;
    if let Ok(dict) = fields.cast::<PyDict>() {
        return writes(dict, update);
    }
    let class = answer.get_type().qualname()?;
    Err(BadShape::new(format!("a step answers a dict of channels, a Command or None, not {class}")))
}

/// Where to: a name, a `Send`, or a list of these.
pub(super) fn ways(answer: &Bound<'_, PyAny>, targets: &mut Vec<Target>) -> Result<(), BadShape> {
    if answer.is_none() {
        return Ok(());
    }
    if let Ok(name) = answer.cast::<PyString>() {
        targets.push(Target::to(name.to_str()?));
        return Ok(());
    }
    if let Some(target) = sent(answer)? {
        targets.push(target);
        return Ok(());
    }
    if answer.is_instance_of::<PyList>() || answer.is_instance_of::<PyTuple>() {
        return answer.try_iter()?.try_for_each(|each| ways(&each?, targets));
    }
    let class = answer.get_type().qualname()?;
    Err(BadShape::new(format!("a way is the name of a step, a Send, or a list of these, not {class}")))
}

/// What a router answers, by its mapping if it has one.
pub(super) fn routes(answer: &Bound<'_, PyAny>, mapping: Option<&Bound<'_, PyDict>>) -> Result<Vec<Target>, BadShape> {
    let mut targets = Vec::new();
    let Some(mapping) = mapping else {
        ways(answer, &mut targets)?;
        return Ok(targets);
    };
    let mut one = |answer: &Bound<'_, PyAny>| -> Result<(), BadShape> {
        if let Some(target) = sent(answer)? {
            targets.push(target);
            return Ok(());
        }
        match mapping.get_item(answer)? {
            Some(to) => ways(&to, &mut targets),
            None => Err(BadShape::new(format!(
                "it answered {}, which is none of {}",
                answer.repr()?,
                mapping.keys().repr()?
            ))),
        }
    };
    match answer.cast::<PyList>() {
        Ok(list) => list.iter().try_for_each(|each| one(&each))?,
        Err(_) => one(answer)?,
    }
    Ok(targets)
}

fn sent(answer: &Bound<'_, PyAny>) -> Result<Option<Target>, BadShape> {
    let py = answer.py();
    if !answer.is_instance(classes(py)?.send.bind(py))? {
        return Ok(None);
    }
    let node = answer.getattr("node")?.extract::<String>()?;
    let input = written(&answer.getattr("arg")?)
        .map_err(|fault| BadShape::new(format!("what is sent to step {node:?}: {fault}")))?;
    Ok(Some(Target::send(node, input)))
}

/// What a `Command` of Python says to a run that stands still.
pub(super) fn commands(command: &Bound<'_, PyAny>) -> Result<Vec<Command>, BadShape> {
    let mut commands = Vec::new();
    let mut update = Update::new();
    take(&command.getattr("update")?, &mut update, false)?;
    if !update.writes.is_empty() {
        let writes = update.writes.into_iter().map(|(channel, value)| (channel.to_string(), value));
        commands.push(Command::Update(writes.collect()));
    }
    let mut targets = Vec::new();
    ways(&command.getattr("goto")?, &mut targets)?;
    if !targets.is_empty() {
        commands.push(Command::Goto(targets));
    }
    if command.getattr("answers")?.is_truthy()? {
        let resume = command.getattr("resume")?;
        let by_id = command.getattr("by_id")?.is_truthy()?;
        match (json::from_py(&resume)?, by_id) {
            (Value::Object(answers), true) => commands.push(Command::Resume(answers.into_iter().collect())),
            (answer, _) => commands.push(Command::Answer(answer)),
        }
    }
    if commands.is_empty() {
        commands.push(Command::Continue);
    }
    Ok(commands)
}
