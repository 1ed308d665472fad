//! The state between two pieces of a document, and the walk that goes on from it.

use serde_json::Value;

use super::input::Input;
use super::number::{NumberState, number};
use super::text::{End, TextScanner};
use super::{Change, PartialJsonError, Path, Segment, Shape};

type Result<T> = std::result::Result<T, PartialJsonError>;

const ROOT: &str = "a value";
const MEMBER: &str = "a key in quotes";

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum State {
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The list of one that holds the document.
    Holder,
    Array,
    Object,
}

/// An open object or array.
#[derive(Clone, Debug)]
struct Frame {
    kind: Kind,
    path: Path,
    /// The elements that began so far.
    elements: usize,
    /// The place of the last value that began in it.
    child: Path,
    /// That value came with a key that was there before, so it is not the last one of the map.
    repeated: bool,
}

impl Frame {
    fn new(kind: Kind, path: Path) -> Self {
        Self { kind, path, elements: 0, child: Path::root(), repeated: false }
    }

    /// The value that began last in `node`, which is this frame's.
    fn open_child<'v>(&self, node: &'v mut Value) -> Option<&'v mut Value> {
        match node {
            Value::Array(elements) => elements.last_mut(),
            Value::Object(members) => match self.child.last() {
                Some(Segment::Key(key)) if self.repeated => members.get_mut(&**key),
                _ => members.values_mut().next_back(),
            },
            _ => None,
        }
    }
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
    state: State,
    /// From the holder to the innermost open object or array; empty only after the holder is closed, which is never.
    frames: Vec<Frame>,
    /// The key whose value has not begun.
    key: String,
    /// A number's text from the pieces before this one.
    literal: String,
    max_depth: usize,
}

impl Machine {
    pub(super) fn new(max_depth: usize) -> Self {
        let frames = vec![Frame::new(Kind::Holder, Path::root())];
        Self { state: State::Value, frames, key: String::new(), literal: String::new(), max_depth }
    }

    /// Is the document whole?
    pub(super) fn is_complete(&self) -> bool {
        self.frames.len() == 1 && matches!(self.state, State::AfterValue)
    }

    /// What has to follow.
    pub(super) fn expected(&self) -> &'static str {
        match (self.state, self.kind()) {
            (State::Value, _) => ROOT,
            (State::FirstElement, _) => "a value or ]",
            (State::FirstKey, _) => "a key in quotes or }",
            (State::NextKey, _) => MEMBER,
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
    pub(super) fn read(&mut self, holder: &mut Value, input: &mut Input<'_>, out: &mut Vec<Change>) -> Result<()> {
        self.container(holder, 0, input, out).map(|_| ())
    }

    /// The text is at its end: a number on its own is whole.
    pub(super) fn finish(&mut self, holder: &mut Value, out: &mut Vec<Change>) -> Result<()> {
        match self.state {
            State::Number { state, start } if self.frames.len() == 1 && state.is_whole() => {
                self.number_ended(holder, start, "", out)
            }
            _ => Ok(()),
        }
    }

    /// Goes on with the object or array `node`, the frame of which is at `level`; answers whether it is complete.
    ///
    /// The depth of this recursion is that of the document, which is limited.
    fn container(
        &mut self,
        node: &mut Value,
        level: usize,
        input: &mut Input<'_>,
        out: &mut Vec<Change>,
    ) -> Result<bool> {
        let mut inner_open = level + 1 < self.frames.len();
        loop {
            if inner_open {
                let child = self.frames.get(level).and_then(|frame| frame.open_child(node));
                let Some(child) = child else { return Ok(false) };
                if !self.container(child, level + 1, input, out)? {
                    return Ok(false);
                }
            }
            match self.step(node, input, out)? {
                Step::Opened => inner_open = true,
                Step::Closed => return Ok(true),
                Step::Starved => return Ok(false),
            }
        }
    }

    /// Reads within the innermost open object or array, which is `node`, until another opens, it closes, or the input
    /// ends.
    fn step(&mut self, node: &mut Value, input: &mut Input<'_>, out: &mut Vec<Change>) -> Result<Step> {
        loop {
            let go_on = match self.state {
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
            if !go_on {
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
        out: &mut Vec<Change>,
    ) -> Result<Option<Step>> {
        let offset = input.offset();
        self.state = match (self.state, byte, self.kind()) {
            (State::Value | State::FirstElement, b'{' | b'[', _) => {
                self.open(node, byte, offset, out)?;
                input.advance();
                return Ok(Some(Step::Opened));
            }
            (State::Value | State::FirstElement, b'"', _) => {
                let path = self.begin();
                out.push(Change::Started { path, shape: Shape::String });
                State::Text { scanner: TextScanner::default(), shown: false }
            }
            (State::Value | State::FirstElement, b'-' | b'0'..=b'9', _) => {
                // The number takes its first byte itself.
                self.state = State::Number { state: NumberState::Start, start: offset };
                return Ok(None);
            }
            (State::Value | State::FirstElement, b't', _) => State::Word { word: "true", seen: 1 },
            (State::Value | State::FirstElement, b'f', _) => State::Word { word: "false", seen: 1 },
            (State::Value | State::FirstElement, b'n', _) => State::Word { word: "null", seen: 1 },
            (State::FirstKey | State::NextKey, b'"', _) => {
                self.key.clear();
                State::Key(TextScanner::default())
            }
            (State::Colon, b':', _) => State::Value,
            (State::AfterValue, b',', Kind::Array) => State::Value,
            (State::AfterValue, b',', Kind::Object) => State::NextKey,
            (State::FirstElement | State::AfterValue, b']', Kind::Array)
            | (State::FirstKey | State::AfterValue, b'}', Kind::Object) => {
                input.advance();
                self.state = State::AfterValue;
                if let Some(frame) = self.frames.pop() {
                    out.push(Change::Finished { path: frame.path });
                }
                return Ok(Some(Step::Closed));
            }
            _ => return Err(input.unexpected(self.expected())),
        };
        input.advance();
        Ok(None)
    }

    fn kind(&self) -> Kind {
        self.frames.last().map_or(Kind::Holder, |frame| frame.kind)
    }

    /// A value begins in the innermost frame: answers its place.
    fn begin(&mut self) -> Path {
        let Some(frame) = self.frames.last_mut() else { return Path::root() };
        frame.child = match frame.kind {
            Kind::Holder => Path::root(),
            Kind::Array => frame.path.child(Segment::Index(frame.elements)),
            Kind::Object => frame.path.child(Segment::Key(self.key.as_str().into())),
        };
        frame.elements += 1;
        frame.child.clone()
    }

    /// The place of the value that began last.
    fn here(&self) -> Path {
        self.frames.last().map(|frame| frame.child.clone()).unwrap_or_default()
    }

    /// Puts the value that began last into the tree.
    fn show(&mut self, node: &mut Value, value: Value) {
        match node {
            Value::Array(elements) => elements.push(value),
            Value::Object(members) => {
                let repeated = members.insert(self.key.as_str().to_owned(), value).is_some();
                if let Some(frame) = self.frames.last_mut() {
                    frame.repeated = repeated;
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, node: &mut Value, bracket: u8, offset: usize, out: &mut Vec<Change>) -> Result<()> {
        if self.frames.len() > self.max_depth {
            return Err(PartialJsonError::TooDeep { offset, limit: self.max_depth });
        }
        let path = self.begin();
        let (kind, shape, value, state) = match bracket {
            b'{' => (Kind::Object, Shape::Object, Value::Object(serde_json::Map::new()), State::FirstKey),
            _ => (Kind::Array, Shape::Array, Value::Array(Vec::new()), State::FirstElement),
        };
        self.show(node, value);
        out.push(Change::Started { path: path.clone(), shape });
        self.frames.push(Frame::new(kind, path));
        self.state = state;
        Ok(())
    }

    /// Goes on with a key; answers whether there is more input.
    fn key(&mut self, mut scanner: TextScanner, input: &mut Input<'_>) -> Result<bool> {
        let (piece, end) = scanner.scan(input);
        self.key.push_str(&piece);
        match end {
            End::Closed => self.state = State::Colon,
            End::Starved => {
                self.state = State::Key(scanner);
                return Ok(false);
            }
            End::Bad(error) => return Err(error),
        }
        Ok(true)
    }

    /// Goes on with a string value; answers whether there is more input.
    fn text(
        &mut self,
        node: &mut Value,
        mut scanner: TextScanner,
        shown: bool,
        input: &mut Input<'_>,
        out: &mut Vec<Change>,
    ) -> Result<bool> {
        let (piece, end) = scanner.scan(input);
        if !shown {
            self.show(node, Value::String(piece.as_ref().to_owned()));
        } else if !piece.is_empty()
            && let Some(Value::String(text)) = self.frames.last().and_then(|frame| frame.open_child(node))
        {
            text.push_str(&piece);
        }
        if !piece.is_empty() {
            out.push(Change::Grew { path: self.here(), piece: piece.into_owned() });
        }
        match end {
            End::Closed => {
                self.state = State::AfterValue;
                out.push(Change::Finished { path: self.here() });
                Ok(true)
            }
            End::Starved => {
                self.state = State::Text { scanner, shown: true };
                Ok(false)
            }
            End::Bad(error) => Err(error),
        }
    }

    /// Goes on with a number; answers whether there is more input.
    fn number(
        &mut self,
        node: &mut Value,
        mut state: NumberState,
        start: usize,
        input: &mut Input<'_>,
        out: &mut Vec<Change>,
    ) -> Result<bool> {
        let piece = input.take_while(|byte| match state.next(byte) {
            Some(next) => {
                state = next;
                true
            }
            None => false,
        });
        if input.peek().is_none() {
            self.literal.push_str(piece);
            self.state = State::Number { state, start };
            return Ok(false);
        }
        if !state.is_whole() {
            return Err(input.unexpected("a digit"));
        }
        self.number_ended(node, start, piece, out)?;
        Ok(true)
    }

    /// A number ended with this last piece.
    fn number_ended(&mut self, node: &mut Value, start: usize, piece: &str, out: &mut Vec<Change>) -> Result<()> {
        let value = if self.literal.is_empty() {
            number(piece, start)?
        } else {
            self.literal.push_str(piece);
            let value = number(&self.literal, start)?;
            self.literal.clear();
            value
        };
        self.scalar(node, Value::Number(value), out);
        Ok(())
    }

    /// Goes on with `true`, `false` or `null`; answers whether there is more input.
    fn word(
        &mut self,
        node: &mut Value,
        word: &'static str,
        mut seen: usize,
        input: &mut Input<'_>,
        out: &mut Vec<Change>,
    ) -> Result<bool> {
        while let Some(letter) = word.as_bytes().get(seen) {
            match input.peek() {
                None => {
                    self.state = State::Word { word, seen };
                    return Ok(false);
                }
                Some(byte) if byte == *letter => input.advance(),
                Some(_) => return Err(input.unexpected(word)),
            }
            seen += 1;
        }
        let value = match word {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => Value::Null,
        };
        self.scalar(node, value, out);
        Ok(true)
    }

    fn scalar(&mut self, node: &mut Value, value: Value, out: &mut Vec<Change>) {
        let path = self.begin();
        self.show(node, value.clone());
        out.push(Change::Scalar { path, value });
        self.state = State::AfterValue;
    }
}
