//! An index in a file: a head, a table of sections with their checksums, and the sections as they lie in memory.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `ATOMRVEC` |
//! | 8..12 | version, 1 |
//! | 12..16 | number of sections |
//! | 16..48 | BLAKE3 of the table |
//! | 64.. | the table, 64 bytes a section: kind, layer (4 bytes each), offset, length (8 each), BLAKE3 (32), 8 of zero |
//!
//! All numbers are little-endian. Sections begin at multiples of 64.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use atomr_agents_core::Kind;
use bytemuck::Pod;
use memmap2::Mmap;

use super::block::Block;
use super::mapped;
use crate::{Beside, EmbedError};

const MAGIC: &[u8; 8] = b"ATOMRVEC";
const VERSION: u32 = 1;
const HEAD: usize = 64;
/// More than any index has.
const MOST_SECTIONS: usize = 256;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Section {
    About = 0,
    Ids = 1,
    Vectors = 2,
    Codes = 3,
    Factors = 4,
    Gone = 5,
    Links = 6,
    UpperCodes = 7,
    UpperFactors = 8,
    UpperBelow = 9,
    UpperLinks = 10,
}

/// What was wrong with a file.
pub(super) fn failed(path: &Path, kind: Kind, problem: impl Into<String>) -> EmbedError {
    EmbedError::File { path: path.to_owned(), kind, problem: problem.into(), source: None }
}

fn io_failed(path: &Path, error: io::Error) -> EmbedError {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::NotFound,
        io::ErrorKind::InvalidInput => Kind::Config,
        io::ErrorKind::PermissionDenied => Kind::Permission,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Kind::StorageFull,
        _ => Kind::Storage,
    };
    EmbedError::File { path: path.to_owned(), kind, problem: error.to_string(), source: Some(Arc::new(error)) }
}

/// Sections that go into a file.
#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    sections: Vec<(Section, u32, &'a [u8])>,
}

impl<'a> Writer<'a> {
    pub(super) fn add<T: Pod>(&mut self, section: Section, layer: usize, values: &'a [T]) {
        self.sections.push((section, layer as u32, bytemuck::cast_slice(values)));
    }

    /// Puts the sections into a file.
    pub(super) fn write(&self, path: &Path) -> Result<(), EmbedError> {
        little_endian(path)?;
        let written = Beside::new(path).and_then(|new| self.write_to(new.file()).and_then(|()| new.swap_in()));
        written.map_err(|error| io_failed(path, error))
    }

    fn write_to(&self, file: &File) -> io::Result<()> {
        let mut to = BufWriter::with_capacity(1 << 20, file);
        let mut table = Vec::new();
        let mut offset = HEAD + self.sections.len() * 64;
        for (section, layer, bytes) in &self.sections {
            table.extend((*section as u32).to_le_bytes());
            table.extend(layer.to_le_bytes());
            table.extend((offset as u64).to_le_bytes());
            table.extend((bytes.len() as u64).to_le_bytes());
            table.extend(blake3::hash(bytes).as_bytes());
            table.extend([0; 8]);
            offset = (offset + bytes.len()).next_multiple_of(64);
        }
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        to.write_all(&(self.sections.len() as u32).to_le_bytes())?;
        to.write_all(blake3::hash(&table).as_bytes())?;
        to.write_all(&[0; 16])?;
        to.write_all(&table)?;
        for (_, _, bytes) in &self.sections {
            to.write_all(bytes)?;
            let padding = bytes.len().next_multiple_of(64) - bytes.len();
            to.write_all([0; 64].get(..padding).unwrap_or_default())?;
        }
        to.flush()
    }
}

fn little_endian(path: &Path) -> Result<(), EmbedError> {
    if cfg!(target_endian = "little") {
        return Ok(());
    }
    Err(failed(path, Kind::UnsupportedFormat, "is little-endian, this machine is not"))
}

/// The sections of a file that was looked at: it is whole, and every byte is the one that was written.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    path: &'a Path,
    file: Arc<Mmap>,
    sections: Vec<(u32, u32, Range<usize>)>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

impl<'a> Reader<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, EmbedError> {
        little_endian(path)?;
        let file = File::open(path).map_err(|error| io_failed(path, error))?;
        let length = file.metadata().map_err(|error| io_failed(path, error))?;
        if !length.is_file() {
            return Err(failed(path, Kind::UnsupportedFormat, "is no file"));
        }
        if length.len() < HEAD as u64 {
            return Err(failed(path, Kind::Corrupt, "is no index, or only its beginning"));
        }
        let file = Arc::new(mapped::map(&file).map_err(|error| io_failed(path, error))?);
        let sections = sections(path, &file)?;
        Ok(Self { path, file, sections })
    }

    pub(super) fn corrupt(&self, problem: &str) -> EmbedError {
        failed(self.path, Kind::Corrupt, problem)
    }

    /// The numbers of a section, where they lie; a section that is not there is empty.
    pub(super) fn block<T: Pod>(&self, section: Section, layer: usize) -> Result<Block<T>, EmbedError> {
        let wanted = (section as u32, layer as u32);
        let Some((_, _, range)) = self.sections.iter().find(|(kind, of, _)| (*kind, *of) == wanted) else {
            return Ok(Block::default());
        };
        Block::of_file(&self.file, range.clone()).ok_or_else(|| self.corrupt("has a section of a part of a number"))
    }

    /// A copy of the numbers of a section.
    pub(super) fn values<T: Pod>(&self, section: Section, layer: usize) -> Result<Vec<T>, EmbedError> {
        Ok(self.block(section, layer)?.as_slice().to_vec())
    }
}

/// The table, after everything it tells was compared with the bytes.
fn sections(path: &Path, file: &Mmap) -> Result<Vec<(u32, u32, Range<usize>)>, EmbedError> {
    let corrupt = |problem: &str| failed(path, Kind::Corrupt, problem);
    if file.get(..8) != Some(MAGIC) {
        return Err(failed(path, Kind::UnsupportedFormat, "is no index of vectors"));
    }
    let cut = || corrupt("ends too early");
    let version = u32::from_le_bytes(number(file, 8).ok_or_else(cut)?);
    if version != VERSION {
        let problem = format!("has the format {version}; this version reads {VERSION}");
        return Err(failed(path, Kind::UnsupportedFormat, problem));
    }
    let count = u32::from_le_bytes(number(file, 12).ok_or_else(cut)?) as usize;
    if count > MOST_SECTIONS {
        return Err(corrupt("has a damaged head"));
    }
    let table = file.get(HEAD..HEAD + count * 64).ok_or_else(cut)?;
    if file.get(16..48) != Some(blake3::hash(table).as_bytes()) {
        return Err(corrupt("has a damaged table of sections"));
    }
    let mut sections = Vec::with_capacity(count);
    for entry in table.chunks_exact(64) {
        let offset = usize::try_from(u64::from_le_bytes(number(entry, 8).ok_or_else(cut)?)).map_err(|_| cut())?;
        let length = usize::try_from(u64::from_le_bytes(number(entry, 16).ok_or_else(cut)?)).map_err(|_| cut())?;
        let range = offset..offset.checked_add(length).ok_or_else(cut)?;
        let bytes = file.get(range.clone()).ok_or_else(cut)?;
        if entry.get(24..56) != Some(blake3::hash(bytes).as_bytes()) {
            return Err(corrupt("is damaged: a checksum is wrong"));
        }
        let kind = u32::from_le_bytes(number(entry, 0).ok_or_else(cut)?);
        sections.push((kind, u32::from_le_bytes(number(entry, 4).ok_or_else(cut)?), range));
    }
    Ok(sections)
}
