//! Answers that break their own format.

use atomr_agents::core::Kind;
use atomr_agents_testkit::{Flaw, Format};

use crate::case::Case;
use crate::case::Expected::{self, Ends, Retried, Told, Whole};

pub(crate) fn cases(format: Format) -> Vec<Case> {
    Flaw::ALL.iter().filter_map(|flaw| Case::flaw(format, *flaw, &expected(format, *flaw))).collect()
}

/// What becomes of it. Where a provider's servers are known to send it, a client takes it; two outcomes where either
/// is safe.
fn expected(format: Format, flaw: Flaw) -> Vec<Expected> {
    let chat = format == Format::OpenAiChat;
    let responses = format == Format::OpenAiResponses;
    let protocol = Ends(Kind::Protocol);
    match flaw {
        // There each call is told once more, whole, when it is done.
        Flaw::OrphanArguments if responses => vec![Whole, protocol],
        Flaw::DuplicateIndex | Flaw::HugeIndex | Flaw::OrphanArguments | Flaw::NoCallNames => vec![protocol],
        Flaw::InvalidJson | Flaw::InvalidUtf8 => vec![protocol],
        Flaw::NoIndex | Flaw::SameCallIds | Flaw::NoCallIds if chat => vec![Whole],
        Flaw::NoIndex | Flaw::SameCallIds | Flaw::NoCallIds => vec![Whole, protocol],
        // What is not streamed in pieces is one event that is too large.
        Flaw::GiantArguments(_) => vec![Ends(Kind::TooLarge)],
        Flaw::CutArguments => vec![Ends(Kind::IncompleteToolCall)],
        Flaw::BrokenArguments => vec![Told],
        Flaw::NoEnd | Flaw::NoFinish => vec![Ends(Kind::StreamInterrupted)],
        // `[DONE]` says nothing that the finish reason did not; `message_stop` is Anthropic's terminal event.
        Flaw::NoTail if format == Format::Anthropic => vec![Ends(Kind::StreamInterrupted)],
        Flaw::NoTail | Flaw::NoUsage | Flaw::UnknownEvent => vec![Whole],
        Flaw::NoEvents | Flaw::ErrorFirst => vec![Retried],
        Flaw::ErrorLast => vec![Ends(Kind::ServerError), Ends(Kind::Overloaded)],
        Flaw::TextAfterEnd => vec![Whole],
        other => panic!("{other:?} is not in the table"),
    }
}
