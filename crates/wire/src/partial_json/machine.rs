//! The state between two pieces of a document, and the walk that goes on from it.

use serde_json::Value;

use super::frame::{Frame, Kind};
use super::input::Input;
use super::number::NumberState;
use super::output::Output;
use super::text::TextScanner;
use super::{Change, PartialJsonError, Path, Shape};

pub(super) type Result<T> = std::result::Result<T, PartialJsonError>;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// A value has to come.
    Value,
    /// After `[`: a value or `]`.
    FirstElement,
    /// After `{`: a key or `}`.
    FirstKey,
    /// After a comma in an object.
    NextKey,
    Key(TextScanner),
    Colon,
    /// A string value; `shown` once it lies in the tree.
    Text {
        scanner: TextScanner,
        shown: bool,
    },
    /// A number that began at `start`.
    Number {
        state: NumberState,
        start: usize,
    },
    /// `true`, `false` or `null`, of which this many letters came.
    Word {
        word: &'static str,
        seen: usize,
    },
    /// After a value: a comma or the end of what it lies in.
    AfterValue,
}

/// How a step within an object or array ended.
enum Step {
    /// An object or array began in it.
    Opened,
    /// It is complete.
    Closed,
    /// The input is at its end.
    Starved,
}

#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) state: State,
    /// The innermost open object or array, or the holder.
    pub(super) frame: Frame,
    /// What that lies in, the holder first.
    outer: Vec<Frame>,
    /// A number's text from the pieces before this one.
    pub(super) literal: String,
    max_depth: usize,
}

impl Machine {
    pub(super) fn new(max_depth: usize) -> Self {
        let frame = Frame::new(Kind::Holder, Path::root());
        Self { state: State::Value, frame, outer: Vec::new(), literal: String::new(), max_depth }
    }

    /// Is the document whole?
    pub(super) fn is_complete(&self) -> bool {
        self.outer.is_empty() && matches!(self.state, State::AfterValue)
    }

    /// What has to follow.
    pub(super) fn expected(&self) -> &'static str {
        match (self.state, self.frame.kind) {
            (State::Value, _) => "a value",
            (State::FirstElement, _) => "a value or ]",
            (State::FirstKey, _) => "a key in quotes or }",
            (State::NextKey, _) => "a key in quotes",
            (State::Key(_) | State::Text { .. }, _) => "the end of a string",
            (State::Colon, _) => "a colon",
            (State::Number { state, .. }, _) if state.is_whole() => "the end of a number",
            (State::Number { .. }, _) => "a digit",
            (State::Word { word, .. }, _) => word,
            (State::AfterValue, Kind::Holder) => "the end of the text",
            (State::AfterValue, Kind::Array) => "a comma or ]",
            (State::AfterValue, Kind::Object) => "a comma or }",
        }
    }

    /// Takes all of `input` into the tree under `holder`.
    pub(super) fn read(&mut self, holder: &mut Value, input: &mut Input<'_>, out: &mut Output<'_>) -> Result<()> {
        self.container(holder, 0, input, out).map(|_| ())
    }

    /// The text is at its end: a number on its own is whole.
    pub(super) fn finish(&mut self, holder: &mut Value, out: &mut Output<'_>) -> Result<()> {
        match self.state {
            State::Number { state, start } if self.outer.is_empty() && state.is_whole() => {
                self.number_ended(holder, start, "", out)
            }
            _ => Ok(()),
        }
    }

    /// Goes on with the object or array `node`, which `level` others lie around; answers whether it is complete.
    ///
    /// The depth of this recursion is that of the document, which is limited.
    fn container(
        &mut self,
        node: &mut Value,
        level: usize,
        input: &mut Input<'_>,
        out: &mut Output<'_>,
    ) -> Result<bool> {
        loop {
            if let Some(frame) = self.outer.get(level) {
                let Some(inner) = frame.shown(node) else { return Ok(false) };
                if !self.container(inner, level + 1, input, out)? {
                    return Ok(false);
                }
            }
            match self.step(node, input, out)? {
                Step::Opened => {}
                Step::Closed => return Ok(true),
                Step::Starved => return Ok(false),
            }
        }
    }

    /// Reads within the innermost object or array, which is `node`, until another opens, it closes, or the input ends.
    fn step(&mut self, node: &mut Value, input: &mut Input<'_>, out: &mut Output<'_>) -> Result<Step> {
        loop {
            let more = match self.state {
                State::Key(scanner) => self.key(scanner, input)?,
                State::Text { scanner, shown } => self.text(node, scanner, shown, input, out)?,
                State::Number { state, start } => self.number(node, state, start, input, out)?,
                State::Word { word, seen } => self.word(node, word, seen, input, out)?,
                _ => {
                    let Some(byte) = input.peek_token() else { return Ok(Step::Starved) };
                    if let Some(step) = self.token(node, byte, input, out)? {
                        return Ok(step);
                    }
                    true
                }
            };
            if !more {
                return Ok(Step::Starved);
            }
        }
    }

    /// Takes the byte at which something begins, ends or goes on.
    fn token(
        &mut self,
        node: &mut Value,
        byte: u8,
        input: &mut Input<'_>,
        out: &mut Output<'_>,
    ) -> Result<Option<Step>> {
        let step = match (self.state, byte, self.frame.kind) {
            (State::Value | State::FirstElement, _, _) if self.value_begins(node, byte, input, out)? => {
                matches!(byte, b'{' | b'[').then_some(Step::Opened)
            }
            (State::FirstKey | State::NextKey, b'"', _) => {
                self.frame.key.clear();
                self.state = State::Key(TextScanner::default());
                None
            }
            (State::Colon, b':', _) | (State::AfterValue, b',', Kind::Array) => {
                self.state = State::Value;
                None
            }
            (State::AfterValue, b',', Kind::Object) => {
                self.state = State::NextKey;
                None
            }
            (State::FirstElement | State::AfterValue, b']', Kind::Array)
            | (State::FirstKey | State::AfterValue, b'}', Kind::Object) => {
                if let Some(outer) = self.outer.pop() {
                    let closed = std::mem::replace(&mut self.frame, outer);
                    out.push(|| Change::Finished { path: closed.path });
                }
                self.state = State::AfterValue;
                Some(Step::Closed)
            }
            _ => return Err(input.unexpected(self.expected())),
        };
        // A number takes its first byte itself.
        if !matches!(self.state, State::Number { .. }) {
            input.advance();
        }
        Ok(step)
    }

    /// Begins the value that `byte` is the first of; `false` where no value begins so.
    fn value_begins(&mut self, node: &mut Value, byte: u8, input: &Input<'_>, out: &mut Output<'_>) -> Result<bool> {
        let word = |word| State::Word { word, seen: 1 };
        self.state = match byte {
            b'{' => {
                self.open(node, Kind::Object, input, out)?;
                State::FirstKey
            }
            b'[' => {
                self.open(node, Kind::Array, input, out)?;
                State::FirstElement
            }
            b'"' => {
                self.frame.begin();
                out.push(|| Change::Started { path: self.frame.child_path(), shape: Shape::String });
                State::Text { scanner: TextScanner::default(), shown: false }
            }
            b'-' | b'0'..=b'9' => State::Number { state: NumberState::Start, start: input.offset() },
            b't' => word("true"),
            b'f' => word("false"),
            b'n' => word("null"),
            _ => return Ok(false),
        };
        Ok(true)
    }

    fn open(&mut self, node: &mut Value, kind: Kind, input: &Input<'_>, out: &mut Output<'_>) -> Result<()> {
        if self.outer.len() >= self.max_depth {
            return Err(PartialJsonError::TooDeep { offset: input.offset(), limit: self.max_depth });
        }
        let (value, shape) = match kind {
            Kind::Object => (Value::Object(serde_json::Map::new()), Shape::Object),
            _ => (Value::Array(Vec::new()), Shape::Array),
        };
        self.frame.begin();
        self.frame.show(node, value);
        let path = self.frame.child_path();
        out.push(|| Change::Started { path: path.clone(), shape });
        self.outer.push(std::mem::replace(&mut self.frame, Frame::new(kind, path)));
        Ok(())
    }
}
