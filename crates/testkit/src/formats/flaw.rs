//! How an answer breaks the format it is written in.

use atomr_agents_core::FinishReason;
use serde::{Deserialize, Serialize};

use super::Format;
use super::frame::{Frame, Stage};
use super::sketch::{Place, Sketch};
use crate::Turn;

/// How an answer breaks the format it is written in. Those about tool calls need a turn with two of them.
///
/// Some are harmless: a client that takes servers as they are takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Flaw {
    /// The second call has the number of the first.
    DuplicateIndex,
    /// The second call has the number 2³², which a careless cast takes for 0.
    HugeIndex,
    /// The calls have no number.
    NoIndex,
    /// The arguments of the first call have so many bytes more than they need, in pieces of 16 KiB.
    GiantArguments(usize),
    /// The arguments of the last call are cut, and the output limit is the reason.
    CutArguments,
    /// The arguments of the last call are cut, though the answer says that it is complete.
    BrokenArguments,
    /// The first call is never begun; its arguments come all the same.
    OrphanArguments,
    /// The calls have no id.
    NoCallIds,
    /// The calls have one id.
    SameCallIds,
    /// The calls name no tool.
    NoCallNames,
    /// The answer ends before it says why it ended.
    NoEnd,
    /// It does not say why it ended, and still ends with what comes last (`[DONE]`, `message_stop`).
    NoFinish,
    /// It says why it ended, but what comes last is missing.
    NoTail,
    /// It counts no tokens.
    NoUsage,
    /// There are no events at all.
    NoEvents,
    /// The provider says that it is overloaded, and nothing else.
    ErrorFirst,
    /// The provider says that it is overloaded, in place of the end.
    ErrorLast,
    /// An event whose data is no JSON, before the end.
    InvalidJson,
    /// An event whose data is no UTF-8, before the end.
    InvalidUtf8,
    /// An event of a kind that no client knows, before the end.
    UnknownEvent,
    /// A piece of text after the end.
    TextAfterEnd,
}

/// How large a piece of the arguments is that have grown.
const PIECE: usize = 16 << 10;

impl Flaw {
    /// Every flaw; arguments grow by 2 MiB.
    pub const ALL: &'static [Flaw] = &[
        Flaw::DuplicateIndex,
        Flaw::HugeIndex,
        Flaw::NoIndex,
        Flaw::GiantArguments(2 << 20),
        Flaw::CutArguments,
        Flaw::BrokenArguments,
        Flaw::OrphanArguments,
        Flaw::NoCallIds,
        Flaw::SameCallIds,
        Flaw::NoCallNames,
        Flaw::NoEnd,
        Flaw::NoFinish,
        Flaw::NoTail,
        Flaw::NoUsage,
        Flaw::NoEvents,
        Flaw::ErrorFirst,
        Flaw::ErrorLast,
        Flaw::InvalidJson,
        Flaw::InvalidUtf8,
        Flaw::UnknownEvent,
        Flaw::TextAfterEnd,
    ];

    /// The events of `turn` with this flaw; `None` where the format has no place for it.
    pub(super) fn frames(self, format: Format, turn: &Turn) -> Option<Vec<Frame>> {
        let writer = format.writer();
        let mut sketch = Sketch::of(turn);
        if !self.fits(format, sketch.has_calls()) {
            return None;
        }
        self.bend(&mut sketch);
        let mut frames = writer.frames(&sketch);
        let end = frames.iter().position(Frame::is_end).unwrap_or(frames.len());
        match self {
            Flaw::OrphanArguments => {
                let start = frames.iter().position(|frame| frame.stage() == Stage::CallStart)?;
                frames.remove(start);
            }
            Flaw::NoEnd => frames.truncate(end),
            Flaw::NoFinish => frames.retain(|frame| frame.stage() != Stage::Finish),
            Flaw::NoTail => {
                frames.pop();
            }
            Flaw::NoEvents => frames.clear(),
            Flaw::ErrorFirst => frames = writer.failure("Overloaded"),
            Flaw::ErrorLast => {
                frames.truncate(end);
                frames.extend(writer.failure("Overloaded"));
            }
            Flaw::InvalidJson => frames.insert(end, Frame::raw(Stage::Body, "{\"choices\": [}")),
            Flaw::InvalidUtf8 => frames.insert(end, Frame::raw(Stage::Body, b"{\"text\": \"\xff\"}")),
            Flaw::UnknownEvent => frames.insert(end, writer.unknown()),
            Flaw::TextAfterEnd => frames.push(writer.stray()),
            _ => {}
        }
        Some(frames)
    }

    /// Whether the format has a place for it.
    fn fits(self, format: Format, has_calls: bool) -> bool {
        let gemini = format == Format::Gemini;
        let has_tail = matches!(format, Format::OpenAiChat | Format::Anthropic);
        match self {
            // Its calls are written whole and have neither numbers nor ids.
            Flaw::DuplicateIndex
            | Flaw::HugeIndex
            | Flaw::NoIndex
            | Flaw::OrphanArguments
            | Flaw::NoCallIds
            | Flaw::SameCallIds
            | Flaw::CutArguments
            | Flaw::BrokenArguments => has_calls && !gemini,
            Flaw::GiantArguments(_) | Flaw::NoCallNames => has_calls,
            Flaw::NoFinish | Flaw::NoTail => has_tail,
            _ => true,
        }
    }

    /// Flaws of what is said, whatever the format.
    fn bend(self, sketch: &mut Sketch) {
        let second = |sketch: &mut Sketch, place| {
            if let Some(call) = sketch.calls().nth(1) {
                call.place = place;
            }
        };
        match self {
            Flaw::DuplicateIndex => second(sketch, Place::OfTheFirst),
            Flaw::HugeIndex => second(sketch, Place::Exactly(1 << 32)),
            Flaw::NoIndex => sketch.calls().for_each(|call| call.place = Place::Missing),
            Flaw::NoCallIds => sketch.calls().for_each(|call| call.id = None),
            Flaw::SameCallIds => sketch.calls().for_each(|call| call.id = Some("call_same".into())),
            Flaw::NoCallNames => sketch.calls().for_each(|call| call.name = None),
            Flaw::NoUsage => sketch.usage = None,
            Flaw::GiantArguments(bytes) => {
                if let Some(call) = sketch.calls().next() {
                    let raw = call.raw();
                    let more = if raw.starts_with("{\"") { "," } else { "" };
                    let mut pieces = vec!["{\"filler\":\"".to_owned()];
                    pieces.extend((0..bytes.div_ceil(PIECE)).map(|_| "x".repeat(PIECE)));
                    pieces.push(format!("\"{more}{}", raw.strip_prefix('{').unwrap_or("}")));
                    call.pieces = pieces;
                }
            }
            Flaw::CutArguments | Flaw::BrokenArguments => {
                if let Some(call) = sketch.calls().last() {
                    let raw = call.raw();
                    let half = raw.floor_char_boundary(raw.len() / 2);
                    call.pieces = vec![raw[..half].to_owned()];
                }
                if self == Flaw::CutArguments {
                    sketch.finish = Some((FinishReason::Length, "length".into()));
                }
            }
            _ => {}
        }
    }
}
