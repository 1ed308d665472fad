//! Puts tool calls together from the deltas of a stream.
//!
//! The one rule above all: two calls are never merged. Where a server's numbering leaves it open which call a delta
//! belongs to, it is a new call or an error, not a guess.

use serde::de::IgnoredAny;

use crate::WireError;
use crate::chunk::{CallDelta, CallsChunk, FunctionDelta};
use crate::in_place::{InPlace, List, read_document};

/// How much an assembler takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCallLimits {
    /// Bytes of the arguments of one call.
    pub max_tool_args: usize,
    /// Bytes of the ids, names and arguments of all calls of one answer together.
    pub max_total_bytes: usize,
    /// The highest index of a call, so also one less than the number of calls.
    pub max_index: u32,
}

impl Default for ToolCallLimits {
    fn default() -> Self {
        Self { max_tool_args: 1 << 20, max_total_bytes: 16 << 20, max_index: 1023 }
    }
}

/// One delta of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolCallDelta<'a> {
    /// The provider's number of the call, where it sends one.
    pub index: Option<u64>,
    /// The call's id, empty where this delta has none.
    pub id: &'a str,
    /// The tool's name, empty where this delta has none.
    pub name: &'a str,
    /// The next piece of the arguments' JSON.
    pub arguments: &'a str,
}

/// What is known of a call. `index` is the call's place in the order of appearance, not the provider's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolCallEvent {
    /// A call began. Comes once per call, before its other events.
    Started {
        /// The call's place in the order of appearance.
        index: u32,
        /// Its id, empty where the server sends none.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// A piece of the call's arguments; all pieces joined are the arguments.
    Delta {
        /// The call's place in the order of appearance.
        index: u32,
        /// The piece, never empty.
        arguments: String,
    },
    /// The call is complete as far as the stream goes.
    Finished {
        /// The call's place in the order of appearance.
        index: u32,
        /// Its id, as announced.
        id: String,
        /// The tool's name, as announced.
        name: String,
        /// The arguments' text; whether it is valid JSON is for the caller to see.
        arguments: String,
    },
}

#[derive(Clone, Debug, Default)]
struct Call {
    /// The provider's number, where it sends one.
    index: Option<u32>,
    id: String,
    name: String,
    arguments: String,
    announced: bool,
}

/// Puts the tool calls of one answer together.
///
/// Deltas may interleave, lack an index (a new id, or a name without an id, is a new call), repeat id and name (the
/// first are kept), and carry arguments as a string, as JSON or not at all. Calls are announced as soon as their name
/// and id are known and reported finished by [`finish`](Self::finish).
///
/// ```
/// use atomr_agents_wire::{ToolCallAssembler, ToolCallEvent};
///
/// let (mut calls, mut out) = (ToolCallAssembler::new(), Vec::new());
/// calls.deltas_json(r#"[{"index":0,"id":"c1","function":{"name":"add","arguments":"{\"a\""}}]"#, &mut out)?;
/// calls.deltas_json(r#"[{"index":0,"function":{"arguments":":1}"}}]"#, &mut out)?;
/// calls.finish(&mut out)?;
/// let want = ToolCallEvent::Finished { index: 0, id: "c1".into(), name: "add".into(), arguments: r#"{"a":1}"#.into() };
/// assert_eq!(out.last(), Some(&want));
/// # Ok::<(), atomr_agents_wire::WireError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ToolCallAssembler {
    limits: ToolCallLimits,
    calls: Vec<Call>,
    /// Place in `calls` by the provider's number.
    by_index: Vec<Option<usize>>,
    /// The call that the last delta belonged to.
    last: Option<usize>,
    /// The call that came as the deprecated `function_call`.
    legacy: Option<usize>,
    total_bytes: usize,
}

impl ToolCallAssembler {
    /// An assembler with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An assembler with these limits.
    #[must_use]
    pub fn with_limits(limits: ToolCallLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the value of a `tool_calls` key: a list of deltas, or of whole calls.
    pub fn deltas_json(&mut self, tool_calls: &str, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        let mut deltas = List::<CallDelta<'_>>::default();
        read_document(tool_calls, &mut deltas)?;
        for delta in deltas.iter() {
            self.call_delta(delta, &mut |event| out.push(event))?;
        }
        Ok(())
    }

    /// Takes a chunk of a streamed chat completion, or the delta of one, and announces nothing: for those who want the
    /// whole calls only. One without calls is fine; of several choices, the first counts.
    pub fn chat_json(&mut self, chunk_or_delta: &str) -> Result<(), WireError> {
        let mut chunk = CallsChunk::default();
        read_document(chunk_or_delta, InPlace(&mut chunk))?;
        let first = chunk.choices.iter().filter(|choice| choice.index.unwrap_or(0) == 0);
        for delta in chunk.tool_calls.iter().chain(first.flat_map(|choice| choice.delta.tool_calls.iter())) {
            self.call_delta(delta, &mut |_| {})?;
        }
        Ok(())
    }

    /// Takes one delta.
    pub fn delta(&mut self, delta: ToolCallDelta<'_>, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        self.apply(delta, &mut |event| out.push(event))
    }

    /// The answer is complete: reports every call in the order of appearance.
    pub fn finish(&mut self, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        self.finish_into(false, &mut |event| out.push(event))
    }

    /// The stream broke off: reports the calls whose arguments had arrived whole, and forgets the others.
    pub fn finish_cut(&mut self, out: &mut Vec<ToolCallEvent>) -> Result<(), WireError> {
        self.finish_into(true, &mut |event| out.push(event))
    }

    /// Id, name and arguments of the call with the provider's number `index`, as far as they have arrived.
    pub(crate) fn known(&self, index: u64) -> Option<[&str; 3]> {
        let at = self.by_index.get(usize::try_from(index).ok()?).copied().flatten()?;
        self.calls.get(at).map(|call| [call.id.as_str(), call.name.as_str(), call.arguments.as_str()])
    }

    pub(crate) fn call_delta(
        &mut self,
        delta: &CallDelta<'_>,
        emit: &mut impl FnMut(ToolCallEvent),
    ) -> Result<(), WireError> {
        let (name, arguments) = delta.function.as_ref().map_or(("", ""), function_parts);
        self.apply(ToolCallDelta { index: delta.index, id: delta.id.as_str(), name, arguments }, emit)
    }

    /// The deprecated `function_call`: at most one per answer, without id and index.
    pub(crate) fn legacy_delta(
        &mut self,
        delta: &FunctionDelta<'_>,
        emit: &mut impl FnMut(ToolCallEvent),
    ) -> Result<(), WireError> {
        let (name, arguments) = function_parts(delta);
        if name.is_empty() && arguments.is_empty() {
            return Ok(());
        }
        let at = match self.legacy {
            Some(at) => at,
            None => self.open(None)?,
        };
        self.legacy = Some(at);
        self.extend(at, ToolCallDelta { index: None, id: "", name, arguments }, emit)
    }

    pub(crate) fn apply(
        &mut self,
        delta: ToolCallDelta<'_>,
        emit: &mut impl FnMut(ToolCallEvent),
    ) -> Result<(), WireError> {
        if delta.id.is_empty() && delta.name.is_empty() && delta.arguments.is_empty() {
            return Ok(());
        }
        let at = match delta.index {
            Some(index) => self.at_index(index, &delta)?,
            None => self.without_index(&delta)?,
        };
        self.last = Some(at);
        self.extend(at, delta, emit)
    }

    /// The call with the provider's number `index`, which may be new.
    fn at_index(&mut self, index: u64, delta: &ToolCallDelta<'_>) -> Result<usize, WireError> {
        let key = u32::try_from(index).ok().filter(|index| *index <= self.limits.max_index);
        let Some(key) = key else {
            return Err(WireError::IndexOutOfRange { what: "tool call", index, max: self.limits.max_index });
        };
        let slot = key as usize;
        let Some(at) = self.by_index.get(slot).copied().flatten() else {
            let at = self.open(Some(key))?;
            if self.by_index.len() <= slot {
                self.by_index.resize(slot + 1, None);
            }
            self.by_index[slot] = Some(at);
            return Ok(at);
        };
        let call = &self.calls[at];
        let other_id = !delta.id.is_empty() && delta.id != call.id && (call.announced || !call.id.is_empty());
        let other_name = !delta.name.is_empty() && !call.name.is_empty() && delta.name != call.name;
        // The same id keeps its first name; without an id another name is another call.
        if other_id || (other_name && delta.id.is_empty()) {
            let known = |id: &str, name: &str| if id.is_empty() { name.to_owned() } else { id.to_owned() };
            return Err(WireError::DuplicateIndex {
                index: key,
                first: known(&call.id, &call.name),
                second: known(delta.id, delta.name),
            });
        }
        Ok(at)
    }

    /// The call that a delta without a number belongs to: a known id is that call, a new id a new one; so is a name
    /// without an id, since only the first delta of such a call has the name. The rest goes on with the last call.
    fn without_index(&mut self, delta: &ToolCallDelta<'_>) -> Result<usize, WireError> {
        let last = self.last.map(|at| (at, &self.calls[at]));
        if !delta.id.is_empty() {
            if let Some((at, call)) = last
                && call.id == delta.id
            {
                return Ok(at);
            }
            return match self.calls.iter().position(|call| call.id == delta.id) {
                Some(at) => Ok(at),
                None => self.open(None),
            };
        }
        match last {
            Some((at, call)) if delta.name.is_empty() || (call.index.is_none() && call.name.is_empty()) => Ok(at),
            None if delta.name.is_empty() => Err(WireError::OrphanArguments),
            _ => self.open(None),
        }
    }

    fn open(&mut self, index: Option<u32>) -> Result<usize, WireError> {
        let at = self.calls.len();
        if at > self.limits.max_index as usize {
            let (index, max) = (at as u64, self.limits.max_index);
            return Err(WireError::IndexOutOfRange { what: "tool call", index, max });
        }
        self.calls.push(Call { index, ..Call::default() });
        Ok(at)
    }

    /// Adds what a delta says to its call and announces what is new.
    fn extend(
        &mut self,
        at: usize,
        delta: ToolCallDelta<'_>,
        emit: &mut impl FnMut(ToolCallEvent),
    ) -> Result<(), WireError> {
        let legacy = self.legacy == Some(at);
        let call = &mut self.calls[at];
        let limits = &self.limits;
        self.total_bytes += delta.arguments.len();
        if call.id.is_empty() && !call.announced {
            call.id.push_str(delta.id);
            self.total_bytes += delta.id.len();
        }
        if call.name.is_empty() {
            call.name.push_str(delta.name);
            self.total_bytes += delta.name.len();
        }
        if call.arguments.len() + delta.arguments.len() > limits.max_tool_args {
            return Err(WireError::ArgumentsTooLarge { name: call.name.clone(), limit: limits.max_tool_args });
        }
        if self.total_bytes > limits.max_total_bytes {
            return Err(WireError::CallsTooLarge { limit: limits.max_total_bytes });
        }
        call.arguments.push_str(delta.arguments);
        if call.announced {
            if !delta.arguments.is_empty() {
                emit(ToolCallEvent::Delta { index: at as u32, arguments: delta.arguments.to_owned() });
            }
        } else if !call.name.is_empty() && (legacy || !call.id.is_empty() || !call.arguments.is_empty()) {
            // A name alone waits for its id, until the arguments show that there is none.
            call.announce(at as u32, emit);
        }
        Ok(())
    }

    pub(crate) fn finish_into(&mut self, cut: bool, emit: &mut impl FnMut(ToolCallEvent)) -> Result<(), WireError> {
        self.by_index.clear();
        self.last = None;
        self.legacy = None;
        self.total_bytes = 0;
        for (at, mut call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let index = at as u32;
            if cut && (call.name.is_empty() || !is_whole_object(&call.arguments)) {
                continue;
            }
            if call.name.is_empty() {
                return Err(WireError::MissingToolName { index, id: call.id });
            }
            if !call.announced {
                call.announce(index, emit);
            }
            emit(ToolCallEvent::Finished { index, id: call.id, name: call.name, arguments: call.arguments });
        }
        Ok(())
    }
}

impl Call {
    fn announce(&mut self, index: u32, emit: &mut impl FnMut(ToolCallEvent)) {
        self.announced = true;
        emit(ToolCallEvent::Started { index, id: self.id.clone(), name: self.name.clone() });
        if !self.arguments.is_empty() {
            emit(ToolCallEvent::Delta { index, arguments: self.arguments.clone() });
        }
    }
}

fn is_whole_object(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

fn function_parts<'d>(function: &'d FunctionDelta<'_>) -> (&'d str, &'d str) {
    (function.name.as_str(), &function.arguments.0)
}

#[cfg(test)]
mod tests;
