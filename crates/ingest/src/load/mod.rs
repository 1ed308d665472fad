//! What reads files: formats, and where files come from.

mod by_name;
mod csv;
mod decode;
mod decoded;
mod directory;
mod docx;
mod files;
mod html;
mod json;
mod pdf;
mod source;
mod text;
mod web;

use std::fmt::Debug;

use atomr_agents_core::Document;

pub use by_name::ByName;
pub use csv::Csv;
pub use decode::Decoding;
pub use directory::Directory;
pub use docx::Docx;
pub use files::Files;
pub use html::{Html, html_text};
pub use json::{Fields, Json, JsonLines};
pub use pdf::Pdf;
pub use source::Source;
pub use text::{MAX_BYTES, Markdown, Text};
pub use web::Web;

use crate::IngestError;

/// The documents of a file, one after the other; reading them may block. An error is one of them that cannot be read.
pub type Records = Box<dyn Iterator<Item = Result<Document, IngestError>> + Send>;

/// Reads the documents of a file.
pub trait Format: Debug + Send + Sync + 'static {
    /// Its documents.
    fn read(&self, source: Source) -> Records;
}

/// The one document of a file, read when it is asked for.
fn one(read: impl FnOnce() -> Result<Document, IngestError> + Send + 'static) -> Records {
    let mut read = Some(read);
    Box::new(std::iter::from_fn(move || read.take().map(|read| read())))
}
