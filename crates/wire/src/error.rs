//! What can be wrong with bytes from a provider.

/// Bytes of the offending document kept in [`WireError::InvalidJson`].
const CONTEXT_BYTES: usize = 200;
/// Of which this many lie before the place of the error.
const CONTEXT_BEFORE: usize = 120;

/// A reason why bytes from a provider cannot be decoded.
///
/// None of them says anything about the transport: a stream that ends too early is seen by whoever reads it, from the
/// missing [`Finish`](crate::ChatEventKind::Finish).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The data of an event is not UTF-8.
    #[error("invalid UTF-8 at byte {offset} of an event's data")]
    InvalidUtf8 {
        /// Where the first bad sequence begins, counted from the start of this event's data.
        offset: usize,
    },
    /// A document is no JSON, or not of the shape that the protocol has.
    #[error("invalid JSON at byte {offset}, near `{context}`: {source}")]
    InvalidJson {
        /// Where decoding stopped, counted from the start of the document.
        offset: usize,
        /// At most 200 bytes of the document around that place, control characters escaped.
        context: String,
        /// The decoder's own words.
        source: serde_json::Error,
    },
    /// One server-sent event is larger than the decoder may hold.
    #[error("an event is larger than {limit} bytes")]
    EventTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The arguments of one tool call are larger than allowed.
    #[error("the arguments of tool call `{name}` are larger than {limit} bytes")]
    ArgumentsTooLarge {
        /// The tool's name as far as it is known.
        name: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The calls of one answer (ids, names, arguments) are together larger than allowed.
    #[error("the tool calls of one answer are larger than {limit} bytes together")]
    CallsTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Two calls claim one index. They are never merged.
    #[error("two tool calls claim index {index}: `{first}` and `{second}`")]
    DuplicateIndex {
        /// The index that the provider used twice.
        index: u32,
        /// The id (or, where no ids are sent, the name) of the call that came first.
        first: String,
        /// The id (or name) of the second.
        second: String,
    },
    /// The index of a tool call, an output item, a choice or a block is too high to be meant.
    #[error("{what} index {index} is out of range (0 to {max})")]
    IndexOutOfRange {
        /// Whose index: `tool call`, `output item`, `choice` or `content block`.
        what: &'static str,
        /// The index as sent, or the number of calls so far where the provider sends none.
        index: u64,
        /// The highest that is accepted.
        max: u32,
    },
    /// Arguments arrived that belong to no call: no index, no id, no name, and no call before them.
    #[error("tool call arguments without a call")]
    OrphanArguments,
    /// Two calls of one answer have the same id, so no result could say which one it answers.
    #[error("two tool calls have the id `{id}`")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A provider that tells a call's arguments twice, in pieces and whole, tells two different things.
    #[error("the arguments of tool call `{name}` differ from the pieces that were sent of them")]
    ArgumentsDiffer {
        /// The tool's name as far as it is known.
        name: String,
    },
    /// An event is called one thing and says that it is another.
    #[error("an event is named `{name}` and says that it is `{kind}`")]
    NamesDiffer {
        /// The event's name.
        name: String,
        /// What its data says.
        kind: String,
    },
    /// The stream finished without ever naming the tool of a call.
    #[error("tool call {index} (id `{id}`) has no name")]
    MissingToolName {
        /// The call's place in the order of appearance.
        index: u32,
        /// Its id, empty if none was sent.
        id: String,
    },
    /// A call's arguments arrive value by value, in a form that is sent only where it is asked for.
    #[error("the arguments of tool call `{name}` arrive value by value, which is not understood")]
    PartialArguments {
        /// The tool's name.
        name: String,
    },
}

impl WireError {
    /// Wraps a JSON error of `document`, keeping the place and a short piece of text around it.
    pub(crate) fn json(document: &str, source: serde_json::Error) -> Self {
        let offset = byte_offset(document, source.line(), source.column());
        Self::InvalidJson { offset, context: context(document, offset), source }
    }
}

/// serde_json counts lines and columns (in bytes, from one); documents here are usually one line.
fn byte_offset(document: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match memchr::memchr(b'\n', document.as_bytes().get(start..).unwrap_or_default()) {
            Some(n) => start += n + 1,
            None => break,
        }
    }
    (start + column.saturating_sub(1)).min(document.len())
}

fn context(document: &str, offset: usize) -> String {
    let mut from = offset.saturating_sub(CONTEXT_BEFORE);
    while !document.is_char_boundary(from) {
        from += 1;
    }
    let mut out = String::new();
    for c in document.get(from..).unwrap_or_default().chars() {
        let before = out.len();
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
        if out.len() > CONTEXT_BYTES {
            out.truncate(before);
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(document: &str) -> (usize, String) {
        let source = serde_json::from_str::<serde_json::Value>(document).unwrap_err();
        match WireError::json(document, source) {
            WireError::InvalidJson { offset, context, .. } => (offset, context),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn offset_and_context_point_at_the_error() {
        let (offset, context) = fail(r#"{"a": 1, x}"#);
        assert_eq!(offset, 9);
        assert_eq!(context, r#"{"a": 1, x}"#);
        let (offset, context) = fail("{\"a\":\n\n  x}");
        assert_eq!(offset, 9);
        assert_eq!(context, "{\"a\":\\n\\n  x}");
    }

    #[test]
    fn context_is_short_and_printable() {
        let long = format!("[\"{}\", \u{1b}]", "é".repeat(5_000));
        let (offset, context) = fail(&long);
        assert_eq!(long.as_bytes()[offset], 0x1b);
        assert!(context.len() <= CONTEXT_BYTES, "{}", context.len());
        assert!(context.ends_with("\\u{1b}]"), "{context}");
        let nul = "\0".repeat(10_000);
        assert!(fail(&nul).1.len() <= CONTEXT_BYTES);
    }

    #[test]
    fn cut_document_points_at_its_end() {
        let (offset, context) = fail(r#"{"a": "b"#);
        assert!((7..=8).contains(&offset), "{offset}");
        assert_eq!(context, r#"{"a": "b"#);
    }
}
