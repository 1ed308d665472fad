//! What every splitter must do, as a check that any implementation can run in its tests.

use std::fs::File;
use std::io::Seek as _;

use atomr_agents_core::{CallCtx, Document};
use serde_json::json;
use unicode_segmentation::UnicodeSegmentation;

use crate::AsyncSplitter;

/// Texts that a splitter could get wrong.
const TEXTS: [&str; 10] = [
    "",
    "a",
    " \n\n ",
    "Rain in Oslo.\n\nIt is 3.14 metres deep. Wind, too!\r\n\r\nAnd sun\tsometimes.",
    "Größe: 10 µm — naïve café ☔☔☔ 👨‍👩‍👧 end 🇳🇴🇸🇪 e\u{301}e\u{301}e\u{301}",
    "# Title\n\n```python\n# no title\n```\n\nUnder\n=====\n\n- one\n- two\n",
    "def f():\n    return 1\n\n\n@decorated\nasync def g():\n    pass\n",
    "日本語の文章には空白がありません。それでも切らなければなりません。",
    "\r\n\r\n\r\n\r\n",
    "wordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordwordword",
];

/// Checks the rules of [`Splitter`](crate::Splitter) on texts of many sorts, whole and as a piece of another text.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_splitter(splitter: &dyn AsyncSplitter) -> Result<(), String> {
    let ctx = CallCtx::new();
    for text in TEXTS {
        let source = Document::new("s", text).with("n", json!([1]));
        let pieces = splitter.split(&source, &ctx).await.map_err(|error| format!("{text:?}: {error}"))?;
        check_pieces(&source, &pieces)?;
        if pieces.iter().any(|piece| piece.metadata.get("n") != source.metadata.get("n")) {
            return Err(format!("{text:?}: a piece has other metadata than its source"));
        }
        let parts = splitter.split(&Document { id: "p".into(), ..source.clone() }, &ctx).await;
        let parts = parts.map_err(|error| format!("{text:?}: {error}"))?;
        if parts.len() != pieces.len() || parts.iter().zip(&pieces).any(|(a, b)| a.text != b.text) {
            return Err(format!("{text:?} was cut otherwise under another id"));
        }
        for piece in pieces.into_iter().take(3) {
            let again = splitter.split(&piece, &ctx).await.map_err(|error| format!("{:?}: {error}", piece.text))?;
            check_pieces(&piece, &again)?;
        }
    }
    Ok(())
}

/// Checks that these are pieces of a document: slices with their places, covering it, cut between graphemes only.
///
/// # Errors
/// The first rule that was broken, in words.
pub fn check_pieces(source: &Document, pieces: &[Document]) -> Result<(), String> {
    let (name, first_byte, first_char) = match &source.span {
        Some(span) => (&span.source, span.byte_start, span.char_start),
        None => (&source.id, 0, 0),
    };
    let mut cuts: Vec<usize> = source.text.grapheme_indices(true).map(|(at, _)| at).collect();
    cuts.push(source.text.len());
    let (mut covered, mut before) = (0, 0);
    for (n, piece) in pieces.iter().enumerate() {
        let wrong = |what: &str| Err(format!("piece {n} of {:?} ({:?}) {what}", source.text, piece.text));
        if piece.id != format!("{}#{n}", source.id) {
            return wrong(&format!("has the id {:?}", piece.id));
        }
        let Some(span) = &piece.span else { return wrong("has no span") };
        if &span.source != name {
            return wrong(&format!("says that its source is {:?}", span.source));
        }
        let Some((start, end)) = span.byte_start.checked_sub(first_byte).zip(span.byte_end.checked_sub(first_byte))
        else {
            return wrong("begins before its source");
        };
        if piece.text.is_empty() || source.text.get(start..end) != Some(piece.text.as_str()) {
            return wrong(&format!("is not what stands at {start}..{end}"));
        }
        let chars = |end| source.text.get(..end).map_or(0, |text| text.chars().count()) + first_char;
        if (span.char_start, span.char_end) != (chars(start), chars(end)) {
            return wrong("has wrong places of characters");
        }
        if cuts.binary_search(&start).is_err() || cuts.binary_search(&end).is_err() {
            return wrong("is cut inside of a grapheme");
        }
        if start > covered || start < before || end <= covered {
            return wrong(&format!("does not follow the pieces before it, which reach {covered}"));
        }
        // The splitter may say anew what it says itself.
        if source.metadata.keys().any(|key| !piece.metadata.contains_key(key)) {
            return wrong("has lost metadata of its source");
        }
        (covered, before) = (end, start);
    }
    match source.text.len() - covered {
        0 => Ok(()),
        rest => Err(format!("the last {rest} bytes of {:?} are in no piece", source.text)),
    }
}

/// Checks the rules of [`Loader`](crate::Loader): twice the same documents in the same order, each with an id of its own, and
/// an error once the context is cancelled.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_loader(loader: &dyn crate::Loader) -> Result<(), String> {
    let first = crate::load_all(loader, &CallCtx::new()).await;
    let second = crate::load_all(loader, &CallCtx::new()).await;
    if first.documents != second.documents {
        return Err("loading again gave other documents".into());
    }
    let said = |errors: &[crate::IngestError]| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    if said(&first.errors) != said(&second.errors) {
        return Err(format!("loading again gave other errors: {:?}, not {:?}", second.errors, first.errors));
    }
    let mut ids: Vec<_> = first.documents.iter().map(|document| document.id.as_str()).collect();
    ids.sort_unstable();
    if let Some(twice) = ids.windows(2).find(|two| two[0] == two[1]) {
        return Err(format!("two documents have the id {:?}", twice[0]));
    }
    let stopped = CallCtx::new();
    stopped.cancel.cancel();
    let after = crate::load_all(loader, &stopped).await;
    match after.errors.last() {
        Some(crate::IngestError::Cancelled) if after.documents.len() <= 64 => Ok(()),
        _ => Err("a cancelled context does not end the reading with an error".into()),
    }
}

/// Checks the rules of [`Format`](crate::Format) on a file: it ends, reading it again gives the same, and whatever is wrong
/// names the file. Answers what was read.
///
/// # Errors
/// The first rule that was broken, in words.
pub fn check_format(format: &dyn crate::Format, id: &str, file: &File) -> Result<crate::Loaded, String> {
    let again = || {
        let mut file = file.try_clone().map_err(|error| error.to_string())?;
        file.rewind().map_err(|error| error.to_string())?;
        let source = crate::Source::new(id, file).map_err(|error| error.to_string())?;
        let mut read = crate::Loaded::default();
        for record in format.read(source) {
            match record {
                Ok(document) => read.documents.push(document),
                Err(error) => read.errors.push(error),
            }
        }
        Ok::<_, String>(read)
    };
    let (first, second) = (again()?, again()?);
    let said = |read: &crate::Loaded| read.errors.iter().map(ToString::to_string).collect::<Vec<_>>();
    if first.documents != second.documents || said(&first) != said(&second) {
        return Err("reading it again gave something else".into());
    }
    for error in &first.errors {
        if !error.id().is_some_and(|named| named.starts_with(id)) {
            return Err(format!("an error does not name the file: {error}"));
        }
    }
    match first.documents.iter().find(|document| document.id.is_empty()) {
        Some(document) => Err(format!("a document has no id: {document:?}")),
        None => Ok(first),
    }
}

/// Checks the rules of [`KvCache`](crate::KvCache): what was put is got, bit by bit, replaced by what is put later, and not
/// got under another key.
///
/// # Errors
/// The first rule that was broken, in words.
pub async fn check_cache(cache: &dyn crate::KvCache) -> Result<(), String> {
    let failed = |error: crate::IngestError| format!("it failed: {error}");
    let keys: Vec<String> = ["check-a", "check-b", "check-c"].map(str::to_owned).to_vec();
    let (first, second) = (vec![1.5, f32::MIN_POSITIVE, -0.0], vec![2.0; 384]);
    let entries = vec![("check-a".to_owned(), first.clone()), ("check-b".to_owned(), second.clone())];
    cache.put(entries).await.map_err(failed)?;
    let found = cache.get(&keys).await.map_err(failed)?;
    let bits = |vector: &[f32]| vector.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let same = |at: usize, wanted: Option<&[f32]>| {
        found.get(at).is_some_and(|found| found.as_deref().map(bits) == wanted.map(bits))
    };
    if found.len() != 3 || !same(0, Some(&first)) || !same(1, Some(&second)) || !same(2, None) {
        return Err(format!("got {found:?}"));
    }
    cache.put(vec![("check-a".to_owned(), vec![3.0])]).await.map_err(failed)?;
    match cache.get(&keys[..1]).await.map_err(failed)?.as_slice() {
        [Some(vector)] if vector == &[3.0] => Ok(()),
        other => Err(format!("after another vector was put: {other:?}")),
    }
}
