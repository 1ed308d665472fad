//! JSON and lines of JSON.

use std::io::{BufRead, BufReader, Read};

use atomr_agents_core::Document;
use serde_json::{Map, Value};

use super::source::document;
use super::{Decoding, Format, MAX_BYTES, Records, Source};
use crate::IngestError;

/// Where in a record its parts stand, as JSON pointers. A record that is a text is one without more.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Its text. `/text`.
    pub text: String,
    /// Its id: a text or a whole number. Where a record has none, it is called after its place. `/id`.
    pub id: String,
    /// An object: what is known about it. It need not be there. `/metadata`.
    pub metadata: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self { text: "/text".into(), id: "/id".into(), metadata: "/metadata".into() }
    }
}

impl Fields {
    /// That each of them is a pointer.
    ///
    /// # Errors
    /// [`IngestError::Config`] names the one that is none.
    pub fn check(&self) -> Result<(), IngestError> {
        for (setting, pointer) in [("text", &self.text), ("id", &self.id), ("metadata", &self.metadata)] {
            check_pointer(setting, pointer)?;
        }
        Ok(())
    }

    /// The document of a record at `place` in `source`.
    fn document(&self, source: &str, place: &str, record: Value) -> Result<Document, IngestError> {
        let fallback = format!("{source}{place}");
        let wrong = |problem: String| Err(IngestError::invalid(&fallback, problem));
        if let Value::String(text) = record {
            return Ok(document(&fallback, text, source));
        }
        let id = match record.pointer(&self.id) {
            None | Some(Value::Null) => fallback.clone(),
            Some(Value::String(id)) if !id.is_empty() => id.clone(),
            Some(Value::Number(id)) if id.is_i64() || id.is_u64() => id.to_string(),
            Some(other) => return wrong(format!("{} must be a text or a whole number, not {}", self.id, named(other))),
        };
        let text = match record.pointer(&self.text) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => return wrong(format!("{} must be a text, not {}", self.text, named(other))),
            None => return wrong(format!("there is no {}", self.text)),
        };
        let mut made = document(id, text, source);
        match record.pointer(&self.metadata) {
            Some(Value::Object(known)) => made.metadata.extend(known.clone()),
            None | Some(Value::Null) => {}
            Some(other) => return wrong(format!("{} must be an object, not {}", self.metadata, named(other))),
        }
        Ok(made)
    }
}

fn check_pointer(setting: &'static str, pointer: &str) -> Result<(), IngestError> {
    if pointer.is_empty() || pointer.starts_with('/') {
        return Ok(());
    }
    Err(IngestError::config(setting, format!("must be a JSON pointer such as \"/text\", not {pointer:?}")))
}

fn named(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "an empty text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A file of JSON: each record of an array is a document, or its one value is.
#[derive(Clone, Debug)]
pub struct Json {
    /// Where the records stand: an array of them, or one. The whole value.
    pub records: String,
    /// Where in a record its parts stand.
    pub fields: Fields,
    /// How bytes become text.
    pub decoding: Decoding,
    /// How large a file may be.
    pub max_bytes: u64,
}

impl Default for Json {
    fn default() -> Self {
        Self { records: String::new(), fields: Fields::default(), decoding: Decoding::default(), max_bytes: MAX_BYTES }
    }
}

impl Json {
    fn records(&self, source: Source) -> Result<(String, Vec<(String, Value)>), IngestError> {
        check_pointer("records", &self.records)?;
        self.fields.check()?;
        let (id, bytes) = source.bytes(self.max_bytes)?;
        let text = self.decoding.decode(&id, &bytes)?;
        let mut whole: Value = serde_json::from_str(&text)
            .map_err(|error| IngestError::invalid(&id, format!("it is no JSON: {error}")))?;
        let Some(found) = whole.pointer_mut(&self.records) else {
            return Err(IngestError::invalid(id, format!("there is no {}", self.records)));
        };
        let all = match found.take() {
            Value::Array(all) => {
                all.into_iter().enumerate().map(|(n, each)| (format!("#{}/{n}", self.records), each)).collect()
            }
            one => vec![(String::new(), one)],
        };
        Ok((id, all))
    }
}

impl Format for Json {
    fn read(&self, source: Source) -> Records {
        let fields = self.fields.clone();
        match self.records(source) {
            Err(error) => Box::new(std::iter::once(Err(error))),
            Ok((id, all)) => Box::new(all.into_iter().map(move |(place, record)| fields.document(&id, &place, record))),
        }
    }
}

/// A file with a JSON value on each line, in UTF-8: each is a document. It is read line by line, so that the file may be
/// larger than memory. Blank lines count and say nothing; a line that cannot be read is an error of its own.
#[derive(Clone, Debug)]
pub struct JsonLines {
    /// Where in a record its parts stand.
    pub fields: Fields,
    /// How many bytes a line may have. 16 MiB.
    pub max_line_bytes: u64,
}

impl Default for JsonLines {
    fn default() -> Self {
        Self { fields: Fields::default(), max_line_bytes: 16 << 20 }
    }
}

struct Lines {
    format: JsonLines,
    source: Source,
    reader: BufReader<std::fs::File>,
    line: u64,
    over: bool,
}

impl Lines {
    /// The next line, without its end; none at the end of the file.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, IngestError> {
        let place = format!("{}#{}", self.source.id, self.line + 1);
        let limit = self.format.max_line_bytes;
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(limit.saturating_add(1)).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| IngestError::io(&place, error))?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.pop_if(|last| *last == b'\n').is_none() && bytes.len() as u64 > limit {
            // The rest of it is passed over, and none of it kept.
            loop {
                let buffer = self.reader.fill_buf().map_err(|error| IngestError::io(&place, error))?;
                let end = memchr::memchr(b'\n', buffer);
                let used = end.map_or(buffer.len(), |end| end + 1);
                self.reader.consume(used);
                if end.is_some() || used == 0 {
                    break;
                }
            }
            return Err(IngestError::TooLarge { id: place, what: "the line".into(), limit });
        }
        if self.line == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        Ok(Some(bytes))
    }

    fn record(&self, bytes: &[u8]) -> Result<Document, IngestError> {
        let place = format!("#{}", self.line);
        let wrong = |problem| IngestError::invalid(format!("{}{place}", self.source.id), problem);
        let record = serde_json::from_slice(bytes).map_err(|error| wrong(format!("the line is no JSON: {error}")))?;
        self.format.fields.document(&self.source.id, &place, record)
    }
}

impl Iterator for Lines {
    type Item = Result<Document, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            match self.bytes() {
                Err(error) => {
                    self.over = matches!(error, IngestError::Io { .. });
                    return Some(Err(error));
                }
                Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => {}
                Ok(Some(bytes)) => return Some(self.record(&bytes)),
                Ok(None) => {
                    self.over = true;
                    return self.source.unchanged().err().map(Err);
                }
            }
        }
        None
    }
}

impl Format for JsonLines {
    fn read(&self, source: Source) -> Records {
        let id = source.id.clone();
        let opened = self.fields.check().and_then(|()| source.reader().map_err(|error| IngestError::io(id, error)));
        match opened {
            Err(error) => Box::new(std::iter::once(Err(error))),
            Ok((source, reader)) => Box::new(Lines { format: self.clone(), source, reader, line: 0, over: false }),
        }
    }
}

/// A map without what is not known.
pub(super) fn known(pairs: impl IntoIterator<Item = (String, Value)>) -> Map<String, Value> {
    pairs.into_iter().filter(|(_, value)| !value.is_null()).collect()
}
