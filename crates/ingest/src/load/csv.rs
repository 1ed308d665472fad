//! Tables: CSV and its relatives.

use atomr_agents_core::Document;
use serde_json::Value;

use super::json::known;
use super::source::document;
use super::{Format, Records, Source, Text};
use crate::IngestError;

/// A file of rows between separators: each row is a document, whose text is one column and whose metadata are the others.
///
/// A field in quotes may have separators, line ends and doubled quotes in it. A row that has more or fewer fields than the
/// first one is an error that names the row and the column, and loses no other row.
#[derive(Clone, Debug)]
pub struct Csv {
    /// The name of the column with the text. Where none is given, the text is every column, as `name: value` in lines.
    pub text: Option<String>,
    /// The name of the column with the id. Where none is given, a row is called after its number.
    pub id: Option<String>,
    /// What separates fields; without it, the one of `,` `;` tab `|` that is most often in the first row.
    pub separator: Option<u8>,
    /// What quotes a field. `"`.
    pub quote: u8,
    /// Whether the first row has the names of the columns. Otherwise they are `0`, `1`, …
    pub header: bool,
    /// Takes rows of any length: what is missing is left out, what is too much is called by its number.
    pub lenient: bool,
    /// How bytes become text.
    pub file: Text,
}

impl Default for Csv {
    fn default() -> Self {
        let (text, id, separator) = (None, None, None);
        Self { text, id, separator, quote: b'"', header: true, lenient: false, file: Text::default() }
    }
}

/// The separator that is most often in the first row, outside of quotes.
fn sniffed(text: &str, quote: u8) -> u8 {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in text.bytes() {
        if byte == quote {
            quoted = !quoted;
        } else if quoted {
            continue;
        } else if byte == b'\n' {
            break;
        } else if let Some((_, count)) = counts.iter_mut().find(|(separator, _)| *separator == byte) {
            *count += 1;
        }
    }
    // Of equals, the first one.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| separator)
}

/// Where a quote is opened that is never closed: its line, from 1.
fn open_quote(text: &str, separator: u8, quote: u8) -> Option<usize> {
    let (mut line, mut opened, mut start) = (1, None, true);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        line += usize::from(byte == b'\n');
        if opened.is_some() {
            if byte == quote && bytes.next_if_eq(&quote).is_none() {
                opened = None;
            }
        } else if byte == quote && start {
            opened = Some(line);
        }
        start = byte == separator || byte == b'\n';
    }
    opened
}

struct Table {
    format: Csv,
    source: String,
    names: Vec<String>,
    /// The places of the columns for text and id.
    columns: (Option<usize>, Option<usize>),
}

impl Table {
    fn name(&self, at: usize) -> String {
        self.names.get(at).cloned().unwrap_or_else(|| at.to_string())
    }

    fn row(&self, n: usize, line: u64, row: &csv::StringRecord) -> Result<Document, IngestError> {
        let place = format!("{}#{n}", self.source);
        let (have, want) = (row.len(), self.names.len());
        if have != want && !self.format.lenient {
            let problem = if have < want {
                format!("column {:?} is missing", self.name(have))
            } else {
                format!("field {} belongs to no column", want + 1)
            };
            let problem = format!("row {n} (line {line}) has {have} fields, not {want}: {problem}");
            return Err(IngestError::invalid(place, problem));
        }
        let field = |at: Option<usize>| at.and_then(|at| row.get(at));
        let missing = |at: Option<usize>| {
            let name = at.map(|at| self.name(at)).unwrap_or_default();
            IngestError::invalid(&place, format!("row {n} (line {line}): column {name:?} is missing"))
        };
        let id = match (self.columns.1, field(self.columns.1)) {
            (None, _) => place.clone(),
            (Some(_), Some(id)) if !id.is_empty() => id.to_owned(),
            (at, _) => return Err(missing(at)),
        };
        let text = match (self.columns.0, field(self.columns.0)) {
            (None, _) => {
                let lines = row.iter().enumerate().map(|(at, value)| format!("{}: {value}", self.name(at)));
                lines.collect::<Vec<_>>().join("\n")
            }
            (Some(_), Some(text)) => text.to_owned(),
            (at, None) => return Err(missing(at)),
        };
        let mut made = document(id, text, &self.source).with("row", Value::from(n));
        let others = row.iter().enumerate().filter(|(at, _)| self.columns.0 != Some(*at));
        for (key, value) in known(others.map(|(at, value)| (self.name(at), Value::from(value)))) {
            made.metadata.entry(key).or_insert(value);
        }
        Ok(made)
    }
}

impl Csv {
    fn rows(&self, source: Source) -> Result<Records, IngestError> {
        let (id, text) = self.file.text(source)?;
        let separator = self.separator.unwrap_or_else(|| sniffed(&text, self.quote));
        if let Some(line) = open_quote(&text, separator, self.quote) {
            return Err(IngestError::invalid(id, format!("a quote is opened on line {line} and never closed")));
        }
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(separator).quote(self.quote).has_headers(false).flexible(true);
        let mut reader = builder.from_reader(std::io::Cursor::new(text.into_bytes()));
        let mut first = csv::StringRecord::new();
        let wrong = |error: csv::Error| IngestError::invalid(&id, format!("it is no table: {error}"));
        if !reader.read_record(&mut first).map_err(wrong)? {
            return Ok(Box::new(std::iter::empty()));
        }
        let named = first.iter().map(|name| name.trim().to_owned());
        let names: Vec<String> =
            if self.header { named.collect() } else { (0..first.len()).map(|n| n.to_string()).collect() };
        let column = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match names.iter().position(|known| known == name) {
                Some(at) => Ok(Some(at)),
                None => {
                    let problem = format!("there is no column {name:?}; there are {}", names.join(", "));
                    Err(IngestError::invalid(&id, problem))
                }
            },
        };
        let columns = (column(&self.text)?, column(&self.id)?);
        let table = Table { format: self.clone(), source: id, names, columns };
        let mut held = (!self.header).then_some((first, 1));
        let mut n = 0;
        Ok(Box::new(std::iter::from_fn(move || {
            let (row, line) = match held.take() {
                Some(held) => held,
                None => {
                    let mut row = csv::StringRecord::new();
                    match reader.read_record(&mut row) {
                        Ok(false) => return None,
                        Ok(true) => {
                            let line = row.position().map_or(0, csv::Position::line);
                            (row, line)
                        }
                        Err(error) => {
                            n += 1;
                            let place = format!("{}#{n}", table.source);
                            return Some(Err(IngestError::invalid(place, format!("row {n} cannot be read: {error}"))));
                        }
                    }
                }
            };
            n += 1;
            Some(table.row(n, line, &row))
        })))
    }
}

impl Format for Csv {
    fn read(&self, source: Source) -> Records {
        self.rows(source).unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
    }
}
