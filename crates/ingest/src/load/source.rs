//! A file that is open, and how it is read within limits.

use std::fs::File;
use std::io::{BufReader, Read};
use std::time::SystemTime;

use atomr_agents_core::Document;
use serde_json::Value;

use crate::IngestError;

/// A file to be read, by its handle: what happens to its name no longer matters.
#[derive(Debug)]
pub struct Source {
    /// What its documents are called after: the path as it was given, or below the directory.
    pub id: String,
    file: File,
    /// Its size and when it was changed last, as it was opened.
    before: (u64, Option<SystemTime>),
}

impl Source {
    /// A file under a name.
    ///
    /// # Errors
    /// [`IngestError::Io`] where the system does not say how large it is, [`IngestError::Invalid`] where it is no file.
    pub fn new(id: impl Into<String>, file: File) -> Result<Self, IngestError> {
        let id = id.into();
        let facts = file.metadata().map_err(|error| IngestError::io(&id, error))?;
        if !facts.is_file() {
            return Err(IngestError::invalid(id, "it is no file"));
        }
        Ok(Self { id, file, before: (facts.len(), facts.modified().ok()) })
    }

    /// All of its bytes, if they are at most `limit`.
    ///
    /// # Errors
    /// [`IngestError::TooLarge`], [`IngestError::Io`], and [`IngestError::Invalid`] where it was changed meanwhile.
    pub fn bytes(mut self, limit: u64) -> Result<(String, Vec<u8>), IngestError> {
        let too_large = |id: String| IngestError::TooLarge { id, what: "the file".into(), limit };
        if self.before.0 > limit {
            return Err(too_large(self.id));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.before.0).unwrap_or(0));
        let read = (&mut self.file).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(IngestError::io(self.id, error));
        }
        if bytes.len() as u64 > limit {
            return Err(too_large(self.id));
        }
        self.unchanged()?;
        Ok((self.id, bytes))
    }

    /// Its bytes as they are wanted; the source comes along, to be asked at the end.
    pub(crate) fn reader(self) -> std::io::Result<(Self, BufReader<File>)> {
        let reader = BufReader::with_capacity(1 << 16, self.file.try_clone()?);
        Ok((self, reader))
    }

    /// Its file once more, to be read by place.
    pub(crate) fn handle(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// Whether the file is still what it was.
    pub(crate) fn unchanged(&self) -> Result<(), IngestError> {
        let facts = self.file.metadata().map_err(|error| IngestError::io(&self.id, error))?;
        if (facts.len(), facts.modified().ok()) == self.before {
            return Ok(());
        }
        Err(IngestError::invalid(&self.id, "it was changed while it was read"))
    }
}

/// A document of a file, which knows from which.
pub(crate) fn document(id: impl Into<String>, text: String, source: &str) -> Document {
    Document::new(id, text).with("source", Value::from(source))
}
