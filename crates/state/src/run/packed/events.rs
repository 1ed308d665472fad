//! Events as bytes: the byte of their kind, and its fields one after the other.

use bytes::Bytes;

use atomr_agents_core::EventKind;

use super::bytes::{Broken, Pack, Reader, Writer};

/// Before an event as JSON text: one of a kind that has no byte.
const TEXT: u8 = 255;

/// Each kind with its byte and its fields in their order. Both stay as they are for ever. A field that is new comes last and is an
/// [`Option`]: who reads an event that was written without it finds none.
macro_rules! kinds {
    ($($number:literal $kind:ident { $($field:ident)* })*) => {
        /// What happened, as bytes.
        pub(in super::super) fn pack_event(kind: &EventKind) -> Result<Bytes, serde_json::Error> {
            let mut to = Writer::default();
            match kind {
                $(EventKind::$kind { $($field),* } => {
                    to.byte($number);
                    $($field.pack(&mut to);)*
                })*
                other => return Ok(event_of_text(&serde_json::to_string(other)?)),
            }
            Ok(to.bytes.into())
        }

        fn of_byte(number: u8, from: &mut Reader<'_>) -> Result<EventKind, Broken> {
            Ok(match number {
                $($number => EventKind::$kind { $($field: from.field()?),* },)*
                _ => return Err(Broken("an event in it is of no kind that is known")),
            })
        }
    };
}
kinds! {
    0 RunStarted { agent model }
    1 RunFinished { usage cost elapsed_ms }
    2 RunFailed { error message elapsed_ms }
    3 RunSuspended { pending elapsed_ms }
    4 ModelRequested { model iteration messages tools prompt_hash }
    5 ModelRetried { attempt wait_ms reason }
    6 TextDelta { text }
    7 ThinkingDelta { text }
    8 RefusalDelta { text }
    9 ToolCallStreamed { call_index call_id name arguments }
    10 ModelFinished { finish usage tool_calls elapsed_ms }
    11 ServerToolUsed { name }
    12 ModelFallback { from to reason }
    13 CacheHit { cache }
    14 PromptPrefixChanged { byte owner }
    15 OutputRejected { attempt message }
    16 BudgetReserved { tokens cost }
    17 BudgetSpent { tokens cost }
    18 ApprovalRequested { call_index call_id name arguments }
    19 ApprovalResolved { call_index call_id name approved }
    20 HandedOff { from to }
    21 NodeStarted { node step }
    22 NodeFinished { node step ok error elapsed_ms }
    23 NodeRetried { node attempt wait_ms reason }
    24 CheckpointSaved { step source }
    25 StateWritten { step channels }
    26 InterruptRaised { interrupt node }
    27 InterruptResumed { interrupt }
    28 ToolStarted { call_index call_id name arguments }
    29 ToolInvoked { call_index call_id name ok error result elapsed_ms }
    30 HarnessStarted { harness iteration }
    31 HarnessIteration { harness iteration label tokens remaining_tokens elapsed_ms }
    32 HarnessFinished { harness iteration reason elapsed_ms }
    33 Lagged { missed }
}

/// An event that is JSON text, as bytes.
pub(in super::super) fn event_of_text(text: &str) -> Bytes {
    [&[TEXT], text.as_bytes()].concat().into()
}

/// What [`pack_event`] wrote.
pub(in super::super) fn unpack_event(bytes: &Bytes) -> Result<EventKind, String> {
    let mut from = Reader::new(bytes, &[]);
    match from.byte() {
        Ok(TEXT) => serde_json::from_slice(&bytes[1..]).map_err(|error| error.to_string()),
        // What follows the fields that are known was written by a version that knows more.
        Ok(number) => of_byte(number, &mut from).map_err(|broken| broken.to_string()),
        Err(broken) => Err(broken.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_byte_and_comes_back() {
        let mut bytes = Vec::new();
        for kind in EventKind::samples() {
            let packed = pack_event(&kind).unwrap();
            assert_ne!(packed[0], TEXT, "{} has no byte", kind.name());
            assert_eq!(unpack_event(&packed), Ok(kind.clone()));
            let text = event_of_text(&serde_json::to_string(&kind).unwrap());
            assert!(packed.len() * 2 < text.len() + 60, "{}: {} of {}", kind.name(), packed.len(), text.len());
            assert_eq!(unpack_event(&text), Ok(kind));
            bytes.push(packed[0]);
        }
        bytes.sort_unstable();
        assert_eq!(bytes, (0..34).collect::<Vec<_>>());
    }

    #[test]
    fn the_bytes_of_events_stay_what_they_are() {
        let all: Vec<u8> = EventKind::samples().iter().flat_map(|kind| pack_event(kind).unwrap()).collect();
        // A kind that is new makes another sum; it must be the only reason.
        assert_eq!(blake3::hash(&all).to_hex()[..32], *"e6bc183157baeba836358e212e03ef0d");
    }

    #[test]
    fn fields_of_another_version_are_none_or_passed_over() {
        let kind =
            EventKind::ModelRequested { model: "m".into(), iteration: 1, messages: 2, tools: 3, prompt_hash: None };
        let whole = pack_event(&kind).unwrap();
        assert_eq!(unpack_event(&whole.slice(..whole.len() - 1)), Ok(kind.clone()));
        assert_eq!(unpack_event(&[&whole[..], b"more"].concat().into()), Ok(kind));
        let cut = unpack_event(&whole.slice(..3)).unwrap_err();
        assert!(cut.contains("ends in the middle"), "{cut}");
        assert!(unpack_event(&Bytes::from_static(&[200])).unwrap_err().contains("no kind"));
        assert!(unpack_event(&Bytes::new()).is_err());
    }
}
