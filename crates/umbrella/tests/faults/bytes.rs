//! Bytes and heads that are not what they should be.

use atomr_agents::core::Kind;
use atomr_agents_testkit::{Exchange, Fault, Format, Reply};

use crate::case::Expected::{Ends, Retried, Whole};
use crate::case::{Case, Places, end_word, first};

pub(crate) fn cases(format: Format) -> Vec<Case> {
    let places = Places::of(format);
    let text = places.before("see. ");
    let case = |name: &str, fault, expected| Case::fault(name, format, fault, expected);
    let many = |at, bytes: &[u8], times| Fault::Insert { at, bytes: bytes.to_vec(), times };
    let unmarked = Exchange { headers: Vec::new(), ..format.stream(&first()) };
    let protocol = Ends(Kind::Protocol);
    // One event of the Responses API may hold an image; there the limit of the whole answer comes first.
    let more = if format == Format::OpenAiResponses { 4 } else { 1 };
    vec![
        case("garbage in place of HTTP", Fault::Garbage { bytes: 4096, seed: 7 }, protocol)
            .or(Ends(Kind::StreamInterrupted)),
        case("a hundred thousand headers", Fault::ManyHeaders(100_000), protocol).uncut().or(Ends(Kind::TooLarge)),
        case("a header of 4 MiB", Fault::HugeHeader(4 << 20), protocol).uncut().or(Ends(Kind::TooLarge)),
        case("packed, though nobody asked", Fault::Gzip, protocol),
        case("a bomb that unpacks to 1 GiB", Fault::GzipBomb(1 << 30), protocol).uncut(),
        case("a byte-order mark", Fault::insert(0, "\u{feff}"), Whole),
        case("a comment", Fault::insert(text, ": ping\n\n"), Whole),
        case("a hundred thousand comments", many(text, b": ping\n\n", 100_000), Whole).uncut(),
        case("a million empty lines", many(text, b"\n", 1_000_000), Whole).uncut(),
        case("a field that nobody knows", Fault::insert(text, "news: 1\nid: 7\nretry: 9\n\n"), Whole),
        case("an event without data", Fault::insert(text, "event: ping\n\n"), Whole),
        case("a line without an end", many(text, b"x", more * (3 << 20)), Ends(Kind::TooLarge)).uncut(),
        case("an event without an end", many(text, b"data: 0123456789abcdef\n", more << 17), Ends(Kind::TooLarge))
            .uncut(),
        case("more than a response may have", many(text, b": 0123456789\n\n", 1 << 20), Ends(Kind::TooLarge)).uncut(),
        case("an event of no JSON", Fault::insert(text, "data: oops\n\n"), protocol),
        case("an event of half a JSON", Fault::insert(text, "data: {\"choices\":[{\n\n"), protocol),
        case("an event of another shape", Fault::insert(text, "data: [1,2]\n\n"), protocol).or(Whole),
        case("bytes that are no text", Fault::insert(places.within("see. "), [0xff, 0xfe]), protocol),
        case("a quote in the middle of a string", Fault::insert(places.within("see. "), "\""), protocol),
        case("a zero byte in a string", Fault::insert(places.within("see. "), "\0"), protocol),
        case("an event cut by a blank line", Fault::insert(places.within("see. "), "\n\n"), protocol),
        case("garbage after the end", Fault::insert(usize::MAX, "\n\ngarbage"), Whole),
        case("garbage before the end", Fault::insert(places.before(end_word(format)), "data: \u{7}\n\n"), protocol),
        Case::new("no content type", unmarked, Whole),
        Case::new("an empty document", Exchange::new(200, "application/json", "{}"), Retried)
            .or(protocol)
            .or(Ends(Kind::StreamInterrupted)),
        Case::new("no bytes at all", Exchange::new(200, "application/json", ""), protocol)
            .or(Retried)
            .or(Ends(Kind::StreamInterrupted)),
        Case::new("a whole answer in place of a stream", format.whole(&first()), Whole),
        Case::new("half of a whole answer", Reply::new(format.whole(&first())).fault(Fault::CleanEndAt(150)), protocol)
            .or(Retried),
        Case::new(
            "a whole answer whose connection closes",
            Reply::new(format.whole(&first())).fault(Fault::CloseAt(150)),
            Retried,
        ),
    ]
}
