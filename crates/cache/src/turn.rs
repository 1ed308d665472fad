//! A finished answer.

use atomr_agents_core::{FinishReason, ModelEvent};
use serde::{Deserialize, Serialize};

/// A finished answer, as the events of its stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CachedTurn {
    pub(crate) events: Vec<ModelEvent>,
}

impl CachedTurn {
    /// An answer of these events; `None` where the last is not its end.
    ///
    /// ```
    /// use atomr_agents_cache::CachedTurn;
    /// use atomr_agents_core::{FinishReason, ModelEvent};
    ///
    /// let end = ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".into() };
    /// let turn = CachedTurn::new(vec![ModelEvent::Text("Rain.".into()), end]).unwrap();
    /// assert_eq!(turn.text(), "Rain.");
    /// assert!(CachedTurn::new(vec![ModelEvent::Text("Ra".into())]).is_none());
    /// ```
    #[must_use]
    pub fn new(events: Vec<ModelEvent>) -> Option<Self> {
        matches!(events.last(), Some(ModelEvent::Finish { .. })).then_some(Self { events })
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> String {
        let pieces = self.events.iter().filter_map(|event| match event {
            ModelEvent::Text(text) => Some(text.as_str()),
            _ => None,
        });
        pieces.collect()
    }

    /// The events, in their order; the last is [`ModelEvent::Finish`].
    #[must_use]
    pub fn events(&self) -> &[ModelEvent] {
        &self.events
    }

    /// The bytes it takes as JSON, which is about what it takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut size = Size(0);
        // Writing to a counter cannot fail; what cannot be written counts as far as it got.
        let _ = serde_json::to_writer(&mut size, self);
        size.0
    }
}

struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Gathers the events of a stream, as long as they can become a [`CachedTurn`].
#[derive(Debug)]
pub(crate) struct Gathering {
    events: Option<Vec<ModelEvent>>,
    size: usize,
    max: usize,
}

impl Gathering {
    /// Gives up on an answer whose texts are together longer than `max` bytes.
    pub(crate) fn new(max: usize) -> Self {
        Self { events: Some(Vec::new()), size: 0, max }
    }

    pub(crate) fn take(&mut self, event: &ModelEvent) {
        match event {
            // The call begins anew: what came before is void, and nobody shall wait again when it is told from memory.
            ModelEvent::Retrying { .. } => {
                (self.events, self.size) = (Some(Vec::new()), 0);
                return;
            }
            // Another model's answer, a refusal, and one choice of several are not what this request will always get.
            ModelEvent::AnsweredBy(_) | ModelEvent::Refusal(_) | ModelEvent::Alternative { .. } => self.events = None,
            ModelEvent::Text(text) | ModelEvent::Thinking(text) => self.size += text.len(),
            ModelEvent::ToolCallDelta { arguments, .. } => self.size += arguments.len(),
            ModelEvent::ToolCallFinished { call, .. } => self.size += call.raw.len(),
            _ => {}
        }
        if self.size > self.max {
            self.events = None;
        }
        if let Some(events) = &mut self.events {
            events.push(event.clone());
        }
    }

    /// The answer, if it ended as it should: not by a limit, a filter, an error or a broken connection.
    pub(crate) fn finish(self) -> Option<CachedTurn> {
        let events = self.events?;
        match events.last()? {
            ModelEvent::Finish { reason: FinishReason::Stop | FinishReason::ToolCalls, .. } => {
                Some(CachedTurn { events })
            }
            _ => None,
        }
    }
}
