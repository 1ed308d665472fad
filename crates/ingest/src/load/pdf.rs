//! PDF.

use std::panic::{AssertUnwindSafe, catch_unwind};

use atomr_agents_core::Document;
use lopdf::LoadOptions;
use serde_json::Value;

use super::source::document;
use super::{Format, MAX_BYTES, Records, Source};
use crate::IngestError;

/// A PDF is a document, or each of its pages is one. What it only shows as a picture is no text.
#[derive(Clone, Debug)]
pub struct Pdf {
    /// Each page is a document of its own, `<file>#page=<n>`, with the number as `page`.
    pub by_page: bool,
    /// How large a file may be. 64 MiB.
    pub max_bytes: u64,
    /// How large one packed part of it, and the text of a page, may become. 64 MiB.
    pub max_unpacked: u64,
}

impl Default for Pdf {
    fn default() -> Self {
        Self { by_page: false, max_bytes: MAX_BYTES, max_unpacked: MAX_BYTES }
    }
}

impl Pdf {
    fn wrong(&self, id: &str, what: &str, error: &lopdf::Error) -> IngestError {
        match error {
            lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => {
                IngestError::TooLarge { id: id.into(), what: format!("{what}, unpacked,"), limit: self.max_unpacked }
            }
            _ => IngestError::invalid(id, format!("{what} cannot be read: {error}")),
        }
    }

    fn pages(&self, id: &str, bytes: &[u8]) -> Result<Vec<String>, IngestError> {
        let wrong = |error: lopdf::Error| self.wrong(id, "the PDF", &error);
        let limit = usize::try_from(self.max_unpacked).unwrap_or(usize::MAX);
        let options = LoadOptions { max_decompressed_size: Some(limit), ..LoadOptions::default() };
        let pdf = lopdf::Document::load_mem_with_options(bytes, options).map_err(wrong)?;
        if pdf.is_encrypted() {
            return Err(IngestError::invalid(id, "the PDF is encrypted"));
        }
        let numbers: Vec<u32> = pdf.get_pages().into_keys().collect();
        if numbers.is_empty() {
            return Err(IngestError::invalid(id, "the PDF has no page"));
        }
        let mut pages = Vec::with_capacity(numbers.len());
        let mut total = 0;
        for number in numbers {
            let text = pdf
                .extract_text_with_limit(&[number], limit)
                .map_err(|error| self.wrong(id, &format!("page {number} of the PDF"), &error))?;
            total += text.len() as u64;
            if total > self.max_unpacked {
                return Err(IngestError::TooLarge { id: id.into(), what: "its text".into(), limit: self.max_unpacked });
            }
            pages.push(text.trim_end().to_owned());
        }
        Ok(pages)
    }

    fn documents(&self, source: Source) -> Result<Vec<Document>, IngestError> {
        let (id, bytes) = source.bytes(self.max_bytes)?;
        // The reader of a format as old as this one is not trusted to have thought of everything.
        let pages = catch_unwind(AssertUnwindSafe(|| self.pages(&id, &bytes)))
            .unwrap_or_else(|_| Err(IngestError::invalid(&id, "the PDF is broken in a way that nobody thought of")))?;
        let count = Value::from(pages.len());
        if !self.by_page {
            return Ok(vec![document(&id, pages.join("\n\n"), &id).with("pages", count)]);
        }
        let page = |(n, text): (usize, String)| {
            let made = document(format!("{id}#page={}", n + 1), text, &id);
            made.with("page", Value::from(n + 1)).with("pages", count.clone())
        };
        Ok(pages.into_iter().enumerate().map(page).collect())
    }
}

impl Format for Pdf {
    fn read(&self, source: Source) -> Records {
        let format = self.clone();
        let mut documents = None;
        let mut source = Some(source);
        Box::new(std::iter::from_fn(move || {
            if let Some(source) = source.take() {
                match format.documents(source) {
                    Ok(all) => documents = Some(all.into_iter()),
                    Err(error) => return Some(Err(error)),
                }
            }
            documents.as_mut()?.next().map(Ok)
        }))
    }
}
