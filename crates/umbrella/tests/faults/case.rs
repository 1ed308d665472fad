//! One row of the table.

use atomr_agents::core::Kind;
use atomr_agents_testkit::{Exchange, Fault, Flaw, Format, Reply, Turn};
use serde_json::json;

/// One row: the first answer of a run, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) reply: Reply,
    pub(crate) expected: Vec<Expected>,
    /// Whether the client shall lose its patience soon.
    pub(crate) impatient: bool,
    /// Whether it is played a second time with the answer cut into small pieces.
    pub(crate) cuts: bool,
}

/// What becomes of a run whose first answer has the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The fault does no harm.
    Whole,
    /// The call is made again, and then all is well.
    Retried,
    /// The run ends with this kind of error after one request, and no tool has run.
    Ends(Kind),
    /// The model is told that its last call cannot be run; the others were.
    Told,
}

/// The first answer of a good run.
pub(crate) fn first() -> Turn {
    Turn::tool_calls([("add", json!({"a": 2, "b": 3})), ("echo", json!({"text": "zwölf"}))])
        .after_text("Let me see. ")
        .after_thinking("Which tools? ", Some("proof"))
}

/// The second.
pub(crate) fn second() -> Turn {
    Turn::text("5 and zwölf.")
}

/// What the good run says in the end.
pub(crate) const OUTPUT: &str = "5 and zwölf.";

impl Case {
    pub(crate) fn new(name: impl Into<String>, reply: impl Into<Reply>, expected: Expected) -> Self {
        Self { name: name.into(), reply: reply.into(), expected: vec![expected], impatient: false, cuts: true }
    }

    /// The first answer with this fault.
    pub(crate) fn fault(name: &str, format: Format, fault: Fault, expected: Expected) -> Self {
        Self::new(name, Reply::new(format.stream(&first())).fault(fault), expected)
    }

    /// The first answer with this flaw, where the format can have it.
    pub(crate) fn flaw(format: Format, flaw: Flaw, expected: &[Expected]) -> Option<Self> {
        let reply = Reply::new(format.flawed(&first(), &flaw)?);
        let cuts = !matches!(flaw, Flaw::GiantArguments(_));
        Some(Self { name: format!("{flaw:?}"), reply, expected: expected.to_vec(), impatient: false, cuts })
    }

    /// It is a matter of waiting.
    pub(crate) fn impatient(mut self) -> Self {
        self.impatient = true;
        self
    }

    /// It may also become this.
    pub(crate) fn or(mut self, expected: Expected) -> Self {
        self.expected.push(expected);
        self
    }

    /// It is too large for small pieces.
    pub(crate) fn uncut(mut self) -> Self {
        self.cuts = false;
        self
    }
}

/// Where things are in the first answer of a format.
pub(crate) struct Places {
    body: Vec<u8>,
}

impl Places {
    pub(crate) fn of(format: Format) -> Self {
        let Exchange { body, .. } = format.stream(&first());
        Self { body: body.to_vec() }
    }

    /// In the middle of this word, the last time that it is said.
    pub(crate) fn within(&self, word: &str) -> usize {
        let at = self.body.windows(word.len()).rposition(|part| part == word.as_bytes());
        at.unwrap_or_else(|| panic!("{word} is not in the answer")) + word.len() / 2
    }

    /// Where the event begins in which this word is said first.
    pub(crate) fn before(&self, word: &str) -> usize {
        let at = self.body.windows(word.len()).position(|part| part == word.as_bytes());
        let at = at.unwrap_or_else(|| panic!("{word} is not in the answer"));
        let blank = |part: &[u8]| part.ends_with(b"\n\n") || part.ends_with(b"\n\r\n");
        (0..=at).rev().find(|end| blank(&self.body[..*end])).unwrap_or(0)
    }

    /// Where the event after that begins.
    pub(crate) fn after(&self, word: &str) -> usize {
        let begin = self.before(word);
        let blank = |end: usize| self.body[..end].ends_with(b"\n\n") || self.body[..end].ends_with(b"\n\r\n");
        (begin + 3..=self.body.len()).find(|end| blank(*end)).unwrap_or(self.body.len())
    }
}

/// A word that is said only in the event that says why the answer ended.
pub(crate) fn end_word(format: Format) -> &'static str {
    match format {
        Format::OpenAiChat => "\"finish_reason\":\"tool_calls\"",
        Format::OpenAiResponses => "\"type\":\"response.completed\"",
        Format::Anthropic => "\"stop_reason\":\"tool_use\"",
        _ => "\"finishReason\"",
    }
}
