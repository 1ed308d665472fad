//! Pieces that arrived together.

use atomr_agents_core::ModelEvent;

/// The events of one read, neighbouring pieces of one text joined: they arrived together, so telling them one by one
/// would cost everybody downstream and bring nobody anything earlier.
pub(crate) fn joined(events: &mut Vec<ModelEvent>) -> impl Iterator<Item = ModelEvent> + '_ {
    let mut events = events.drain(..).peekable();
    std::iter::from_fn(move || {
        let mut event = events.next()?;
        while let Some(next) = events.peek_mut() {
            let more = match (&mut event, next) {
                (ModelEvent::Text(text), ModelEvent::Text(more))
                | (ModelEvent::Thinking(text), ModelEvent::Thinking(more))
                | (ModelEvent::Refusal(text), ModelEvent::Refusal(more)) => (text, more),
                (
                    ModelEvent::ToolCallDelta { index, arguments },
                    ModelEvent::ToolCallDelta { index: same, arguments: more },
                ) if index == same => (arguments, more),
                _ => break,
            };
            more.0.push_str(more.1);
            events.next();
        }
        Some(event)
    })
}

/// Whether the caller may have acted on it.
pub(crate) fn is_speech(event: &ModelEvent) -> bool {
    !matches!(event, ModelEvent::Started { .. } | ModelEvent::Usage(_) | ModelEvent::Retrying { .. })
}
