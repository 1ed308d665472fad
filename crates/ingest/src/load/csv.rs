//! Tables: CSV and its relatives.

use std::io::{self, BufRead};

use atomr_agents_core::Document;
use serde_json::Value;

use super::decoded::{Decoded, told};
use super::json::known;
use super::source::document;
use super::{Decoding, Format, Records, Source};
use crate::IngestError;

/// A file of rows between separators: each row is a document, whose text is one column and whose metadata are the others.
///
/// A field in quotes may have separators, line ends and doubled quotes in it. A row that has more or fewer fields than the
/// first one is an error that names the row and the column, and loses no other row.
///
/// It is read row by row, so that the file may be larger than memory. Before the first row is told, the whole file is looked
/// at: a byte that is no text, a quote that is never closed and a row that is too large refuse it, since no row behind them
/// can be trusted.
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
    pub decoding: Decoding,
    /// How many bytes a row may have, in UTF-8. 16 MiB.
    pub max_row_bytes: u64,
}

impl Default for Csv {
    fn default() -> Self {
        let (text, id, separator, decoding) = (None, None, None, Decoding::default());
        let (quote, header, lenient, max_row_bytes) = (b'"', true, false, 16 << 20);
        Self { text, id, separator, quote, header, lenient, decoding, max_row_bytes }
    }
}

/// Takes the bytes of a text until one of them is enough.
fn each_byte(mut text: Decoded, mut take: impl FnMut(u8) -> Result<bool, IngestError>) -> io::Result<()> {
    loop {
        let piece = text.fill_buf()?;
        let used = piece.len();
        if used == 0 {
            return Ok(());
        }
        for byte in piece {
            if take(*byte).map_err(io::Error::other)? {
                return Ok(());
            }
        }
        text.consume(used);
    }
}

/// The separator that is most often in the first row, outside of quotes; of the row, no more than `limit` bytes.
fn sniffed(text: Decoded, quote: u8, limit: u64) -> io::Result<u8> {
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    let (mut quoted, mut seen) = (false, 0);
    each_byte(text, |byte| {
        seen += 1;
        if byte == quote {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(separator, _)| *separator == byte) {
            *count += 1;
        }
        Ok(seen > limit || (!quoted && matches!(byte, b'\n' | b'\r')))
    })?;
    // Of equals, the first one.
    Ok(counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(separator, _)| separator))
}

/// Where in a table a byte stands.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// Where a quote would open a field.
    Start,
    Field,
    Quotes,
    /// Behind a quote that closes, unless another one follows.
    Closing,
}

/// Refuses a text with a quote that is opened and never closed, or with a row that is too large.
fn checked(text: Decoded, separator: u8, format: &Csv) -> io::Result<()> {
    let id = text.id().to_owned();
    let (mut within, mut line, mut row, mut bytes, mut opened) = (Within::Start, 1u64, 1u64, 0u64, 0u64);
    each_byte(text, |byte| {
        bytes += 1;
        within = match (within, byte == format.quote) {
            (Within::Start, true) => {
                opened = line;
                Within::Quotes
            }
            (Within::Quotes, true) => Within::Closing,
            (Within::Quotes, false) | (Within::Closing, true) => Within::Quotes,
            _ if byte == separator => Within::Start,
            _ if matches!(byte, b'\n' | b'\r') => {
                (bytes, row) = (0, line + u64::from(byte == b'\n'));
                Within::Start
            }
            _ => Within::Field,
        };
        line += u64::from(byte == b'\n');
        match bytes > format.max_row_bytes {
            true => {
                let what = format!("the row that begins on line {row}");
                Err(IngestError::TooLarge { id: id.clone(), what, limit: format.max_row_bytes })
            }
            false => Ok(false),
        }
    })?;
    match within {
        Within::Quotes => {
            let problem = format!("a quote is opened on line {opened} and never closed");
            Err(io::Error::other(IngestError::invalid(id, problem)))
        }
        _ => Ok(()),
    }
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
    fn check(&self) -> Result<(), IngestError> {
        let separator = self.separator.unwrap_or(b',');
        for (setting, byte) in [("separator", separator), ("quote", self.quote)] {
            if !byte.is_ascii() || matches!(byte, b'\n' | b'\r') {
                return Err(IngestError::config(
                    setting,
                    format!("must be a byte of ASCII in a line, not {byte:#04x}"),
                ));
            }
        }
        if separator == self.quote {
            return Err(IngestError::config("quote", "must not be the separator"));
        }
        Ok(())
    }

    fn rows(&self, source: Source) -> Result<Records, IngestError> {
        self.check()?;
        let text = Decoded::open(&source, self.decoding)?;
        let id = source.id.clone();
        let looked = || {
            let separator = match self.separator {
                Some(separator) => separator,
                None => sniffed(text.again()?, self.quote, self.max_row_bytes)?,
            };
            checked(text.again()?, separator, self).map(|()| separator)
        };
        let separator = looked().map_err(|error| told(&id, error))?;
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(separator).quote(self.quote).has_headers(false).flexible(true);
        let mut reader = builder.from_reader(text);
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
        let (mut n, mut over) = (0, false);
        Ok(Box::new(std::iter::from_fn(move || {
            if over {
                return None;
            }
            let (row, line) = match held.take() {
                Some(held) => held,
                None => {
                    let mut row = csv::StringRecord::new();
                    match reader.read_record(&mut row) {
                        Ok(true) => {
                            let line = row.position().map_or(0, csv::Position::line);
                            (row, line)
                        }
                        Ok(false) => {
                            over = true;
                            return source.unchanged().err().map(Err);
                        }
                        Err(error) => {
                            over = true;
                            let problem = format!("row {} cannot be read: {error}", n + 1);
                            return Some(Err(IngestError::invalid(&table.source, problem)));
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
