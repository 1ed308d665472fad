//! Plain text and Markdown.

use atomr_agents_parser::{Parser, Yaml};
use serde_json::Value;

use super::source::document;
use super::{Decoding, Format, Records, Source, one};
use crate::IngestError;
use crate::split::front_matter;

/// The largest file that is taken whole, where nothing else was said: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;

/// A file is a document.
#[derive(Clone, Debug)]
pub struct Text {
    /// How bytes become text.
    pub decoding: Decoding,
    /// How large a file may be.
    pub max_bytes: u64,
}

impl Default for Text {
    fn default() -> Self {
        Self { decoding: Decoding::default(), max_bytes: MAX_BYTES }
    }
}

impl Text {
    pub(crate) fn text(&self, source: Source) -> Result<(String, String), IngestError> {
        let (id, bytes) = source.bytes(self.max_bytes)?;
        let text = self.decoding.decode(&id, &bytes)?;
        Ok((id, text))
    }
}

impl Format for Text {
    fn read(&self, source: Source) -> Records {
        let format = self.clone();
        one(move || {
            let (id, text) = format.text(source)?;
            Ok(document(&id, text, &id))
        })
    }
}

/// A file of Markdown is a document. Front matter (YAML between two lines of `---` at the top) is its metadata and no part
/// of its text.
#[derive(Clone, Debug, Default)]
pub struct Markdown(pub Text);

impl Format for Markdown {
    fn read(&self, source: Source) -> Records {
        let format = self.0.clone();
        one(move || {
            let (id, text) = format.text(source)?;
            let Some(end) = front_matter(&text) else { return Ok(document(&id, text, &id)) };
            let (front, rest) = text.split_at(end);
            let inner: String = front
                .lines()
                .skip(1)
                .filter(|line| !matches!(line.trim_end(), "---" | "..."))
                .fold(String::new(), |all, line| all + line + "\n");
            let mut made = document(&id, rest.to_owned(), &id);
            if inner.trim().is_empty() {
                return Ok(made);
            }
            match Yaml.parse(&inner) {
                Ok(Value::Object(fields)) => {
                    for (key, value) in fields {
                        made.metadata.entry(key).or_insert(value);
                    }
                    Ok(made)
                }
                Ok(_) => Err(IngestError::invalid(id, "its front matter is no mapping")),
                Err(error) => Err(IngestError::invalid(id, format!("its front matter cannot be read: {error}"))),
            }
        })
    }
}
