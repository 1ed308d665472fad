//! An index in a file: a mark, the version, a header, the documents with their vectors, and a checksum over all of it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atomr_agents_core::Document;
use atomr_agents_embed::Vectors;
use serde::{Deserialize, Serialize};

use crate::RetrieveError;
use crate::lexical::{Corpus, Params};

const MARK: &[u8; 8] = b"atomrIDX";
const VERSION: u32 = 1;
const CHECKSUM: usize = blake3::OUT_LEN;

/// What a file says about an index, beside the documents.
pub(crate) struct Parts<'a> {
    pub(crate) model: &'a str,
    pub(crate) params: Params,
    pub(crate) analyzer: &'a str,
    pub(crate) dim: usize,
}

#[derive(Serialize, Deserialize)]
struct Header {
    model: String,
    k1: f64,
    b: f64,
    analyzer: String,
    dim: usize,
    documents: usize,
}

/// What was read.
pub(crate) struct Loaded {
    path: String,
    pub(crate) model: String,
    pub(crate) k1: f64,
    pub(crate) b: f64,
    pub(crate) analyzer: String,
    pub(crate) documents: Vec<Document>,
    pub(crate) vectors: Vectors,
}

impl Loaded {
    /// Refuses what would not find the way it found before.
    pub(crate) fn expect(&self, option: &'static str, saved: &str, given: &str) -> Result<(), RetrieveError> {
        if saved == given {
            return Ok(());
        }
        Err(RetrieveError::invalid(option, format!("is {given:?}, and the index in {} has {saved:?}", self.path)))
    }
}

fn told(path: &Path, source: io::Error) -> RetrieveError {
    RetrieveError::Io { path: path.display().to_string(), source: Arc::new(source) }
}

/// Writes and hashes.
struct Hashing<W> {
    to: W,
    hash: blake3::Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A file beside the one that is meant, of a name that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

pub(crate) fn save(
    path: &Path,
    parts: &Parts<'_>,
    corpus: &Corpus,
    vector: impl Fn(u64) -> Option<Vec<f32>>,
) -> Result<(), RetrieveError> {
    let new = beside(path);
    let written = write(&new, parts, corpus, vector).and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        return Err(told(path, error));
    }
    // The name is in the directory, which must reach the disk, too. Not every system lets a directory be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Ok(folder) = File::open(folder) {
        folder.sync_all().map_err(|error| told(path, error))?;
    }
    Ok(())
}

fn write(path: &Path, parts: &Parts<'_>, corpus: &Corpus, vector: impl Fn(u64) -> Option<Vec<f32>>) -> io::Result<()> {
    let file = File::options().write(true).create_new(true).open(path)?;
    let mut out = Hashing { to: BufWriter::with_capacity(1 << 20, file), hash: blake3::Hasher::new() };
    out.write_all(MARK)?;
    out.write_all(&VERSION.to_le_bytes())?;
    let Params { k1, b } = parts.params;
    let (model, analyzer) = (parts.model.to_owned(), parts.analyzer.to_owned());
    let header = Header { model, k1, b, analyzer, dim: parts.dim, documents: corpus.len() };
    block(&mut out, &serde_json::to_vec(&header)?)?;
    for (key, document) in corpus.iter() {
        block(&mut out, &serde_json::to_vec(document)?)?;
        let vector = vector(key).filter(|vector| vector.len() == parts.dim);
        let vector = vector.ok_or_else(|| io::Error::other(format!("the vector of {:?} is gone", document.id)))?;
        let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
    }
    let checksum = out.hash.finalize();
    out.to.write_all(checksum.as_bytes())?;
    out.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn block(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(&(bytes.len() as u64).to_le_bytes())?;
    out.write_all(bytes)
}

/// Takes pieces off the front of what is left.
struct Reader<'a> {
    path: &'a Path,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn damaged(&self, problem: impl Into<String>) -> RetrieveError {
        RetrieveError::Damaged { path: self.path.display().to_string(), problem: problem.into() }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], RetrieveError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.damaged("it ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RetrieveError> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.damaged("it ends too early"))
    }

    fn block<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, RetrieveError> {
        let len = usize::try_from(u64::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        let bytes = self.take(len)?;
        serde_json::from_slice(bytes).map_err(|error| self.damaged(error.to_string()))
    }
}

pub(crate) fn load(path: &Path) -> Result<Loaded, RetrieveError> {
    let bytes = fs::read(path).map_err(|error| told(path, error))?;
    let mut reader = Reader { path, rest: &bytes };
    if reader.take(MARK.len()).ok() != Some(MARK) {
        return Err(reader.damaged("it does not begin like one"));
    }
    let found = u32::from_le_bytes(reader.array()?);
    if found > VERSION {
        return Err(RetrieveError::Version { path: path.display().to_string(), found, known: VERSION });
    }
    let end = bytes.len().saturating_sub(CHECKSUM);
    let (body, checksum) = bytes.split_at(end);
    if blake3::hash(body).as_bytes().as_slice() != checksum {
        return Err(reader.damaged("its checksum is wrong: it was cut or changed"));
    }
    reader.rest = body.get(MARK.len() + 4..).unwrap_or_default();
    let header: Header = reader.block()?;
    let mut documents = Vec::with_capacity(header.documents.min(reader.rest.len()));
    let mut values: Vec<f32> = Vec::new();
    for _ in 0..header.documents {
        documents.push(reader.block()?);
        let vector = reader.take(header.dim.saturating_mul(4))?;
        values.extend(vector.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)));
    }
    let vectors = Vectors::new(header.dim, values).map_err(|error| reader.damaged(error.to_string()))?;
    let Header { model, k1, b, analyzer, .. } = header;
    Ok(Loaded { path: path.display().to_string(), model, k1, b, analyzer, documents, vectors })
}
