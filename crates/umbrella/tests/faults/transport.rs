//! Connections that break or stall.

use atomr_agents::core::Kind;
use atomr_agents_testkit::{Fault, Format};

use crate::case::Expected::{Ends, Retried, Whole};
use crate::case::{Case, Places, end_word};

pub(crate) fn cases(format: Format) -> Vec<Case> {
    let places = Places::of(format);
    let end = end_word(format);
    let case = |name: &str, fault, expected| Case::fault(name, format, fault, expected);
    let interrupted = Ends(Kind::StreamInterrupted);
    let mut cases = vec![
        case("closed before the head", Fault::CloseBeforeHeaders, Retried),
        case("stalled before the head", Fault::StallBeforeHeaders, Retried).impatient(),
    ];
    // Before the first word the call is made again, after it that is the caller's decision.
    let stages = [
        ("before anything", 0, Retried, Retried),
        ("before the first word", places.before("Which "), Retried, Retried),
        ("in the thoughts", places.before("tools? "), interrupted, Ends(Kind::Timeout)),
        ("in the text", places.before("see. "), interrupted, Ends(Kind::Timeout)),
        ("in the second call", places.within("echo"), interrupted, Ends(Kind::Timeout)),
        ("before the end", places.before(end), interrupted, Ends(Kind::Timeout)),
    ];
    for (stage, at, broken, stalled) in stages {
        cases.push(case(&format!("reset {stage}"), Fault::ResetAt(at), broken));
        cases.push(case(&format!("closed {stage}"), Fault::CloseAt(at), broken));
        // Half an event is no event, whatever the stage.
        cases.push(case(&format!("ended {stage}"), Fault::CleanEndAt(at), broken));
        cases.push(case(&format!("stalled {stage}"), Fault::StallAt(at), stalled).impatient());
    }
    // Anthropic's answers end with one event more.
    let (at, broken, stalled) = match format {
        Format::Anthropic => (places.after("message_stop"), Whole, Whole),
        _ => (places.after(end), Whole, Whole),
    };
    cases.extend([
        case("reset after the end", Fault::ResetAt(at), broken),
        case("closed after the end", Fault::CloseAt(at), broken),
        case("ended after the end", Fault::CleanEndAt(at), broken),
        case("stalled after the end", Fault::StallAt(at), stalled).impatient(),
        case("half of the first event", Fault::HalfEvent(0), Retried),
        case("half of the end", Fault::CleanEndAt(places.within(end)), interrupted),
    ]);
    cases
}
