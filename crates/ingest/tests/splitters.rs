//! What holds for every splitter, on any text.
#![allow(clippy::unwrap_used)] // helpers of tests

use std::ops::Range;
use std::sync::Arc;

use atomr_agents_core::Document;
use atomr_agents_embed::MockEmbedder;
use atomr_agents_ingest::conformance::{check_pieces, check_splitter};
use atomr_agents_ingest::{
    Breakpoint, Chain, Code, CodeLanguage, Length, MarkdownHeader, Recursive, Semantic, Splitter, Token,
};
use atomr_agents_tokens::BpeCounter;
use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

fn tokens() -> Length {
    Length::tokens(Arc::new(BpeCounter), "gpt-4o")
}

/// Checks the pieces and that none is longer than it may be, except for single graphemes.
fn check(splitter: &dyn Splitter, text: &str, size: usize, length: &Length) -> Vec<Document> {
    let source = Document::new("s", text);
    let pieces = splitter.split(&source).unwrap();
    check_pieces(&source, &pieces).unwrap();
    for piece in &pieces {
        let long = length.of(&piece.text) > size;
        assert!(!long || piece.text.graphemes(true).count() == 1, "{:?} is longer than {size}", piece.text);
    }
    pieces
}

/// How much each piece shares with the one before it.
fn shared(pieces: &[Document], text: &str, length: &Length) -> Vec<usize> {
    let span = |piece: &Document| piece.span.clone().unwrap();
    pieces.windows(2).map(|two| length.of(&text[span(&two[1]).byte_start..span(&two[0]).byte_end])).collect()
}

#[tokio::test]
async fn splitters_keep_the_rules_of_the_seam() {
    for size in [1, 2, 7, 100] {
        check_splitter(&Recursive::new(size).build().unwrap()).await.unwrap();
        check_splitter(&Recursive::new(size).overlap(size / 2).build().unwrap()).await.unwrap();
        check_splitter(&Recursive::new(size).overlap(size / 2).length(tokens()).build().unwrap()).await.unwrap();
        check_splitter(&MarkdownHeader::new().chunk_size(size).overlap(size / 2).build().unwrap()).await.unwrap();
    }
    check_splitter(&MarkdownHeader::new().build().unwrap()).await.unwrap();
    check_splitter(&Chain(MarkdownHeader::new().build().unwrap(), Recursive::new(9).build().unwrap())).await.unwrap();
    for size in [1, 5, 30] {
        check_splitter(&Token::new(Arc::new(BpeCounter), "gpt-4o", size, size / 3).unwrap()).await.unwrap();
        for language in CodeLanguage::ALL {
            check_splitter(&Code::new(*language, size, size / 4).unwrap()).await.unwrap();
        }
        for breakpoint in [Breakpoint::Percentile(50.0), Breakpoint::Threshold(0.9)] {
            let embedder = Arc::new(MockEmbedder::new(16).unwrap());
            let semantic = Semantic::new(embedder).breakpoint(breakpoint).max_chars(size).batch(2).build().unwrap();
            check_splitter(&semantic).await.unwrap();
        }
    }
}

fn texts() -> impl Strategy<Value = String> {
    "([a-c]{1,9}|[ .\n]{1,3}|\n\n|\r\n|é|☔|e\u{301}|👨\u{200d}👩\u{200d}👧|🇳🇴|日本|\u{301}){0,120}"
}

proptest! {
    #[test]
    fn recursive_keeps_its_limits(text in texts(), size in 1usize..60, part in 0usize..100) {
        let overlap = size * part / 100;
        let splitter = Recursive::new(size).overlap(overlap).build().unwrap();
        let pieces = check(&splitter, &text, size, &Length::Chars);
        for shared in shared(&pieces, &text, &Length::Chars) {
            prop_assert!(shared <= overlap, "{shared} of {overlap}");
        }
        if overlap == 0 {
            let joined: String = pieces.into_iter().map(|piece| piece.text).collect();
            prop_assert_eq!(joined, text);
        }
    }

    #[test]
    fn recursive_keeps_its_limits_in_tokens(text in texts(), size in 1usize..40, part in 0usize..90) {
        let overlap = size * part / 100;
        let splitter = Recursive::new(size).overlap(overlap).length(tokens()).build().unwrap();
        let pieces = check(&splitter, &text, size, &tokens());
        for shared in shared(&pieces, &text, &tokens()) {
            prop_assert!(shared <= overlap, "{shared} of {overlap}");
        }
    }

    #[test]
    fn tokens_keep_their_limits(text in texts(), size in 1usize..40, part in 0usize..90) {
        let overlap = size * part / 100;
        let pieces = check(&Token::new(Arc::new(BpeCounter), "gpt-4o", size, overlap).unwrap(), &text, size, &tokens());
        for shared in shared(&pieces, &text, &tokens()) {
            prop_assert!(shared <= overlap, "{shared} of {overlap}");
        }
    }

    #[test]
    fn broken_programs_are_cut(text in "(def |class |\\{|\\}|\\(|fn f|;|\n|    |//|#|@a|\"|'|é|x = 1){0,60}", size in 1usize..40, at in 0usize..8) {
        check(&Code::new(CodeLanguage::ALL[at], size, size / 4).unwrap(), &text, size, &Length::Chars);
    }

    #[test]
    fn any_separators_will_do(text in texts(), separators in prop::collection::vec("[a.\n é]{1,3}", 0..4), size in 1usize..30) {
        check(&Recursive::new(size).overlap(size / 3).separators(separators).build().unwrap(), &text, size, &Length::Chars);
    }

    #[test]
    fn sections_are_pieces(text in "(#{1,7} |\n|```|~~~|---|===|- |> |<!--|-->|[a-b]{1,4}|    |1\\. ){0,60}", size in 1usize..30) {
        check(&MarkdownHeader::new().build().unwrap(), &text, usize::MAX, &Length::Chars);
        check(&MarkdownHeader::new().chunk_size(size).build().unwrap(), &text, size, &Length::Chars);
    }

    /// Against an independent reader: the same headings, where both see the same blocks.
    #[test]
    fn headings_are_those_of_commonmark(
        lines in prop::collection::vec(
            "#{1,7} [a-c]{0,3}( #)?|[a-c]{1,3}|===|---|-|```|~~~|````|```py|    # a|> # a|> a|- a|- # a|  # a|   b|<!-- a|-->|<div>|\\* \\* \\*|1\\. a|2\\. a|",
            0..14,
        ),
    ) {
        // Front matter is none of CommonMark's.
        let text = format!("a\n\n{}", lines.join("\n"));
        let sections = MarkdownHeader::new().build().unwrap().split(&Document::new("s", text.as_str())).unwrap();
        let ours: Vec<String> = sections.iter().filter_map(|s| s.metadata.get("headings")).map(|h| h.as_array().unwrap().last().unwrap().as_str().unwrap().to_owned()).collect();
        let theirs = commonmark(&text);
        // A heading with nothing below it stands with the next one: each of ours is one of theirs, in order.
        let mut rest = theirs.iter();
        for title in &ours {
            prop_assert!(rest.any(|(other, _)| other == title), "{title:?} in {text:?}: {theirs:?}");
        }
        // And each of theirs begins a section or stands with the section of a deeper one.
        let starts: Vec<usize> = sections.iter().map(|s| s.span.as_ref().unwrap().byte_start).collect();
        let mut before = None;
        for (title, lines) in theirs {
            let follows = before.is_some_and(|end: usize| text[end..lines.start].trim().is_empty());
            prop_assert!(starts.contains(&lines.start) || follows, "{title:?} at {lines:?} of {text:?} begins no section");
            before = Some(lines.end);
        }
    }
}

/// The headings of the document itself with the places of their lines, as pulldown-cmark sees them.
fn commonmark(text: &str) -> Vec<(String, Range<usize>)> {
    use pulldown_cmark::{Event, Parser, Tag, TagEnd};
    let (mut depth, mut found, mut title): (usize, Vec<_>, Option<(String, Range<usize>)>) = (0, Vec::new(), None);
    for (event, range) in Parser::new(text).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { .. }) if depth == 0 => {
                let line = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
                title = Some((String::new(), line..range.end));
            }
            Event::End(TagEnd::Heading(_)) => found.extend(title.take()),
            Event::Text(text) => title.iter_mut().for_each(|title| title.0.push_str(&text)),
            Event::SoftBreak => title.iter_mut().for_each(|title| title.0.push(' ')),
            Event::Start(Tag::BlockQuote(_) | Tag::Item | Tag::List(_)) => depth += 1,
            Event::End(TagEnd::BlockQuote(_) | TagEnd::Item | TagEnd::List(_)) => depth -= 1,
            _ => {}
        }
    }
    found
}

#[test]
fn pieces_lie_in_their_source_and_are_the_documents_that_it_is_split_into() {
    let text = "# Ä\n\nRain in Oslo.\n\n## B\n\n```python\nx = 1\n```\n";
    let source = Document::new("s", text).with("h2", "its own".into());
    let sections = MarkdownHeader::new().build().unwrap();
    let splitter = Chain(sections, Code::new("python".parse().unwrap(), 9, 2).unwrap());
    let pieces = splitter.pieces(&source).unwrap();
    let documents: Vec<_> = pieces.iter().enumerate().map(|(n, piece)| piece.document(&source, n)).collect();
    assert_eq!(documents, Splitter::split(&splitter, &source).unwrap());
    check_pieces(&source, &documents).unwrap();
    for (piece, document) in pieces.iter().zip(&documents) {
        assert_eq!(piece.text(&source), document.text);
        assert!(source.text.as_bytes().as_ptr_range().contains(&piece.text(&source).as_ptr()));
        assert_eq!((&document.metadata["h1"], &document.metadata["language"]), (&"Ä".into(), &"python".into()));
    }
    // What a splitter says of a piece stands in place of what its source says.
    let below: Vec<_> = documents.iter().map(|document| document.metadata["h2"].as_str().unwrap()).collect();
    assert_eq!((below.first(), below.last()), (Some(&"its own"), Some(&"B")));
}

#[test]
fn words_and_numbers_stay_whole_where_they_have_room() {
    let text = "Pi is 3.14 or so. E is 2.72, more or less.";
    let pieces = check(&Recursive::new(20).build().unwrap(), text, 20, &Length::Chars);
    let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
    assert_eq!(texts, ["Pi is 3.14 or so. ", "E is 2.72, more or ", "less."]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    for (error, text) in [
        (Recursive::new(0).build().unwrap_err(), "chunk_size must be at least 1, not 0"),
        (Recursive::new(5).overlap(5).build().unwrap_err(), "overlap must be smaller than chunk_size (5), not 5"),
        (Recursive::new(5).separators(["a", ""]).build().unwrap_err(), "separators must not hold an empty text"),
        (MarkdownHeader::new().levels([1, 7]).build().unwrap_err(), "levels must be from 1 to 6, not 7"),
        (MarkdownHeader::new().levels([]).build().unwrap_err(), "levels must name a level at least"),
        (
            MarkdownHeader::new().overlap(1).build().unwrap_err(),
            "overlap needs a chunk_size: sections as such share nothing",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
