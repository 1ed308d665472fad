//! One JSON document that arrives in pieces, readable before it is whole.

use serde_json::Value;

mod change;
mod error;
mod frame;
mod input;
mod machine;
mod number;
mod output;
mod path;
mod text;
mod values;

pub use change::{Change, Shape};
pub use error::PartialJsonError;
pub use path::{Path, Segment};

use input::Input;
use machine::Machine;
use output::Output;

/// The deepest nesting that any limits allow: values that lie in each other deeper cannot be dropped safely.
const DEEPEST: usize = 512;

/// How much a [`PartialJson`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialJsonLimits {
    /// How many objects and arrays may lie in each other: 127, as `serde_json` takes by default; at most 512.
    pub max_depth: usize,
    /// Bytes of the document, white space included: 1 MiB, as for the arguments of a tool call. A value takes up to
    /// fifty times the memory of its text (a list of short numbers does).
    pub max_bytes: usize,
}

impl Default for PartialJsonLimits {
    fn default() -> Self {
        Self { max_depth: 127, max_bytes: 1 << 20 }
    }
}

/// Decodes one JSON document while it is being written.
///
/// [`push`](Self::push) takes the next piece of the text and tells what became known; [`value`](Self::value) is the
/// document as far as it is known, kept up to date, so that looking costs nothing. A push costs what its own piece
/// costs, plus one step per open object or array; what was parsed before is not looked at again.
///
/// What the value shows of a document that is not whole:
///
/// - an open object or array with the members that are known;
/// - an open string as far as it came, from its opening quote on, always whole characters: an escape, and both halves
///   of a surrogate pair, are held back until they are whole;
/// - a number once the character after it shows that it is whole; `true`, `false` and `null` with their last letter;
/// - a member from the start of its value on: a key alone does not show, nor does a comma.
///
/// So the value only grows, but for one case: a key that comes again replaces its first value, as in `serde_json`, at
/// the first one's place. Integers beyond 64 bit are refused rather than rounded. Text cut at different places gives
/// the same value and the same error, and the same changes but for the pieces of strings.
///
/// ```
/// use atomr_agents_wire::{Change, PartialJson, PartialJsonLimits};
/// use serde_json::json;
///
/// let (mut decoder, mut changes) = (PartialJson::new(PartialJsonLimits::default()), Vec::new());
/// decoder.push(r#"{"city": "Os"#, &mut changes)?;
/// assert_eq!(decoder.value(), Some(&json!({ "city": "Os" })));
/// changes.clear();
/// decoder.push(r#"lo", "days": 1"#, &mut changes)?;
/// assert!(matches!(&changes[0], Change::Grew { path, piece } if path.to_string() == "/city" && piece == "lo"));
/// assert_eq!(decoder.value(), Some(&json!({ "city": "Oslo" })));
/// decoder.push("4}", &mut changes)?;
/// assert_eq!(decoder.finish(&mut changes)?, &json!({ "city": "Oslo", "days": 14 }));
/// # Ok::<(), atomr_agents_wire::PartialJsonError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PartialJson {
    limits: PartialJsonLimits,
    machine: Machine,
    /// The document as the one element of a list, so that it lies in something like every other value.
    holder: Value,
    /// Bytes that came so far.
    taken: usize,
    failed: Option<PartialJsonError>,
}

impl Default for PartialJson {
    fn default() -> Self {
        Self::new(PartialJsonLimits::default())
    }
}

impl PartialJson {
    /// A decoder at the start of a document.
    #[must_use]
    pub fn new(limits: PartialJsonLimits) -> Self {
        let limits = PartialJsonLimits { max_depth: limits.max_depth.min(DEEPEST), ..limits };
        Self {
            limits,
            machine: Machine::new(limits.max_depth),
            holder: Value::Array(Vec::new()),
            taken: 0,
            failed: None,
        }
    }

    /// Takes the next piece of the text and adds to `changes` what became known by it.
    ///
    /// # Errors
    /// [`PartialJsonError`] when the text is not JSON or breaks a limit; every later call answers the same. What lies
    /// before the error stays known, its changes included.
    pub fn push(&mut self, text: &str, changes: &mut Vec<Change>) -> Result<(), PartialJsonError> {
        self.take(text, &mut Output(Some(changes)))
    }

    /// Takes the next piece of the text where only the value is of interest: no changes are made, which about halves
    /// the time. May alternate with [`push`](Self::push).
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_quiet(&mut self, text: &str) -> Result<(), PartialJsonError> {
        self.take(text, &mut Output(None))
    }

    fn take(&mut self, text: &str, out: &mut Output<'_>) -> Result<(), PartialJsonError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let limit = self.limits.max_bytes;
        let fits = text.floor_char_boundary(limit.saturating_sub(self.taken));
        let mut input = Input::new(text.get(..fits).unwrap_or_default(), self.taken);
        self.taken += fits;
        let read = self.machine.read(&mut self.holder, &mut input, out);
        let read = read.and(if fits < text.len() { Err(PartialJsonError::TooLarge { limit }) } else { Ok(()) });
        self.failed = read.clone().err();
        read
    }

    /// The document as far as it is known; `None` before its value began.
    #[inline]
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        self.holder.get(0)
    }

    /// Takes the document as far as it is known.
    #[must_use]
    pub fn into_value(self) -> Option<Value> {
        match self.holder {
            Value::Array(values) => values.into_iter().next(),
            _ => None,
        }
    }

    /// Is the document whole? A number on its own is only after [`finish`](Self::finish), or with white space behind.
    #[inline]
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_none() && self.machine.is_complete()
    }

    /// The text is at its end: answers the whole document. Adds to `changes` a number that was waiting for its end.
    ///
    /// # Errors
    /// The error of an earlier push, or [`PartialJsonError::Incomplete`]; after that one more text may be pushed.
    pub fn finish(&mut self, changes: &mut Vec<Change>) -> Result<&Value, PartialJsonError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Err(error) = self.machine.finish(&mut self.holder, &mut Output(Some(changes))) {
            self.failed = Some(error.clone());
            return Err(error);
        }
        let expected = self.machine.expected();
        self.value()
            .filter(|_| self.machine.is_complete())
            .ok_or(PartialJsonError::Incomplete { offset: self.taken, expected })
    }
}

#[cfg(test)]
mod tests;
