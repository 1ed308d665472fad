//! What translators of decoded events share.

use atomr_agents_core::ModelEvent;

/// The answer began; an empty text is one that the server did not send.
#[must_use]
pub fn started(id: String, model: String) -> ModelEvent {
    let sent = |text: String| Some(text).filter(|text| !text.is_empty());
    ModelEvent::Started { id: sent(id), model: sent(model) }
}

/// The event of one of several answers: the first one's are told plainly, those of the others as alternatives.
#[must_use]
pub fn of_choice(choice: u32, event: ModelEvent) -> ModelEvent {
    match choice {
        0 => event,
        choice => ModelEvent::Alternative { choice, event: Box::new(event) },
    }
}

/// Takes the terminal event of the first answer out of what was decoded at the end: it ends the stream, so it is told
/// last.
pub fn take_terminal<E>(decoded: &mut Vec<E>, is_terminal: impl Fn(&E) -> bool) -> Option<E> {
    let at = decoded.iter().rposition(is_terminal)?;
    Some(decoded.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_event_is_taken_from_wherever_it_stands() {
        let mut decoded = vec!['a', '.', 'b'];
        assert_eq!(take_terminal(&mut decoded, |event| *event == '.'), Some('.'));
        assert_eq!(take_terminal(&mut decoded, |event| *event == '.'), None);
        assert_eq!(decoded, ['a', 'b']);
    }
}
