//! The format by the name of a file.

use super::{Csv, Docx, Format, Html, Json, JsonLines, Markdown, Pdf, Records, Source, Text};

/// Reads each file as the end of its name says: `.md`, `.html`, `.json`, `.jsonl`, `.csv`, `.pdf`, `.docx`; every other one as
/// text.
#[derive(Clone, Debug, Default)]
pub struct ByName {
    /// Every text.
    pub text: Text,
    /// Markdown.
    pub markdown: Markdown,
    /// HTML.
    pub html: Html,
    /// JSON.
    pub json: Json,
    /// Lines of JSON.
    pub json_lines: JsonLines,
    /// Tables.
    pub csv: Csv,
    /// PDF.
    pub pdf: Pdf,
    /// DOCX.
    pub docx: Docx,
}

impl Format for ByName {
    fn read(&self, source: Source) -> Records {
        let end = source.id.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
        match end.as_str() {
            "md" | "markdown" => self.markdown.read(source),
            "html" | "htm" | "xhtml" => self.html.read(source),
            "json" => self.json.read(source),
            "jsonl" | "ndjson" => self.json_lines.read(source),
            "csv" | "tsv" => self.csv.read(source),
            "pdf" => self.pdf.read(source),
            "docx" => self.docx.read(source),
            _ => self.text.read(source),
        }
    }
}
