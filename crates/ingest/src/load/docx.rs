//! DOCX.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use zip::ZipArchive;

use super::source::document;
use super::{Format, MAX_BYTES, Records, Source, one};
use crate::IngestError;

/// A document of a word processor is a document: its paragraphs, with headings as Markdown has them, and the rows of its
/// tables. A small file that unpacks to a large one is refused, and so is any document type declaration.
#[derive(Clone, Debug)]
pub struct Docx {
    /// How large a file may be. 64 MiB.
    pub max_bytes: u64,
    /// How large its text, with all marks, may be unpacked. 64 MiB.
    pub max_unpacked: u64,
    /// How many times larger it may be unpacked, from the first megabyte on. 200.
    pub max_ratio: u64,
}

impl Default for Docx {
    fn default() -> Self {
        Self { max_bytes: MAX_BYTES, max_unpacked: MAX_BYTES, max_ratio: 200 }
    }
}

const PART: &str = "word/document.xml";

impl Docx {
    fn xml(&self, id: &str, bytes: Vec<u8>) -> Result<Vec<u8>, IngestError> {
        let wrong = |error: zip::result::ZipError| IngestError::invalid(id, format!("it is no DOCX: {error}"));
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(wrong)?;
        let part = archive.by_name(PART).map_err(wrong)?;
        // What the archive says of its sizes need not be true: what comes out is counted.
        let by_ratio = part.compressed_size().saturating_mul(self.max_ratio).max(1 << 20);
        let limit = self.max_unpacked.min(by_ratio);
        let mut xml = Vec::new();
        let read = part.take(limit.saturating_add(1)).read_to_end(&mut xml);
        read.map_err(|error| IngestError::invalid(id, format!("it is no DOCX: {error}")))?;
        if xml.len() as u64 > limit {
            return Err(IngestError::TooLarge { id: id.into(), what: format!("{PART}, unpacked,"), limit });
        }
        Ok(xml)
    }
}

impl Format for Docx {
    fn read(&self, source: Source) -> Records {
        let format = self.clone();
        one(move || {
            let (id, bytes) = source.bytes(format.max_bytes)?;
            let xml = format.xml(&id, bytes)?;
            let xml = String::from_utf8(xml).map_err(|_| IngestError::invalid(&id, format!("{PART} is not UTF-8")))?;
            let text = text(&xml).map_err(|problem| IngestError::invalid(&id, problem))?;
            Ok(document(&id, text, &id))
        })
    }
}

/// Paragraphs as they are put together.
#[derive(Default)]
struct Paragraphs {
    text: String,
    paragraph: String,
    level: usize,
    /// Whether the text of a run is open.
    open: bool,
    cells: usize,
    /// How deep in what was deleted.
    deleted: usize,
}

impl Paragraphs {
    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.paragraph);
        let level = std::mem::take(&mut self.level);
        let paragraph = paragraph.trim();
        if paragraph.is_empty() {
            return;
        }
        if self.cells > 0 {
            // In a table, what a cell holds is on the line of its row.
            self.text.push_str(if self.text.is_empty() || self.text.ends_with('\n') { "" } else { " " });
            self.text.push_str(paragraph);
            return;
        }
        self.text.push_str(if self.text.is_empty() { "" } else { "\n\n" });
        if level > 0 {
            self.text.push_str(&"#".repeat(level));
            self.text.push(' ');
        }
        self.text.push_str(paragraph);
    }
}

/// The level of a style's name: `Heading2`, `heading 2`, `Title`.
fn level(style: &str) -> usize {
    let style = style.to_lowercase();
    if style == "title" {
        return 1;
    }
    let digits = style.strip_prefix("heading").map(str::trim);
    digits.and_then(|digits| digits.parse().ok()).filter(|level| (1..=6).contains(level)).unwrap_or(0)
}

/// The text of a part, in time in proportion to it.
fn text(xml: &str) -> Result<String, String> {
    let mut reader = Reader::from_str(xml);
    let mut found = Paragraphs::default();
    let broken = |at: u64, error: &dyn std::fmt::Display| format!("{PART} is broken at byte {at}: {error}");
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| broken(at, &error))?;
        match event {
            Event::Eof => break,
            Event::DocType(_) => return Err(format!("{PART} has a document type declaration, which is not taken")),
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "pStyle" => {
                let style = tag.attributes().flatten().find(|each| each.key.local_name().as_ref() == "val");
                found.level = style.map_or(0, |style| level(&style.value));
            }
            Event::Start(tag) => match tag.local_name().as_ref() {
                "t" => found.open = true,
                "tc" => found.cells += 1,
                "tbl" => found.text.push_str(if found.text.is_empty() { "" } else { "\n\n" }),
                "del" | "instrText" => found.deleted += 1,
                _ => {}
            },
            Event::Empty(tag) => match tag.local_name().as_ref() {
                "br" | "cr" => found.paragraph.push('\n'),
                "tab" if !found.paragraph.is_empty() => found.paragraph.push('\t'),
                _ => {}
            },
            Event::End(tag) => match tag.local_name().as_ref() {
                "t" => found.open = false,
                "p" => found.end_paragraph(),
                "tc" => {
                    found.cells = found.cells.saturating_sub(1);
                    found.text.push_str(" |");
                }
                "tr" => found.text.push('\n'),
                "tbl" => {
                    found.text.truncate(found.text.trim_end().len());
                }
                "del" | "instrText" => found.deleted = found.deleted.saturating_sub(1),
                _ => {}
            },
            Event::Text(text) if found.open && found.deleted == 0 => {
                found.paragraph.push_str(&text);
            }
            Event::GeneralRef(name) if found.open && found.deleted == 0 => {
                let letter = name.resolve_char_ref().ok().flatten().map(String::from);
                let name: &str = &name;
                let known = quick_xml::escape::resolve_predefined_entity(name).map(str::to_owned);
                let Some(text) = letter.or(known) else {
                    return Err(format!("{PART} has the unknown entity {name:?}"));
                };
                found.paragraph.push_str(&text);
            }
            _ => {}
        }
    }
    found.end_paragraph();
    Ok(found.text)
}
