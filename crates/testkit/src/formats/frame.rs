//! One event of a stream, before it is bytes.

use serde_json::Value;

/// One event of a stream, before it is bytes.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The `event:` line, where the format has one.
    event: Option<String>,
    /// What stands behind `data:`.
    data: Vec<u8>,
    stage: Stage,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The answer begins, or goes on.
    Body,
    /// A tool call begins.
    CallStart,
    /// It says why the answer ended.
    Finish,
    /// It comes after that.
    Tail,
}

impl Frame {
    /// An event without a name.
    pub(super) fn data(stage: Stage, data: &Value) -> Self {
        Self { event: None, data: data.to_string().into(), stage }
    }

    /// An event whose name is the `type` of its data.
    pub(super) fn typed(stage: Stage, data: &Value) -> Self {
        let event = data["type"].as_str().map(str::to_owned);
        Self { event, ..Self::data(stage, data) }
    }

    /// These bytes as data; the text of an event, or what is none.
    pub(super) fn raw(stage: Stage, data: impl Into<Vec<u8>>) -> Self {
        Self { event: None, data: data.into(), stage }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether it belongs to the end of the answer.
    pub(super) fn is_end(&self) -> bool {
        matches!(self.stage, Stage::Finish | Stage::Tail)
    }
}

/// The bytes of these events.
pub(super) fn body(frames: &[Frame], line_end: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        if let Some(event) = &frame.event {
            out.extend_from_slice(format!("event: {event}{line_end}").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&frame.data);
        out.extend_from_slice(line_end.repeat(2).as_bytes());
    }
    out
}
