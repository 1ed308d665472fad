//! A hybrid index in a folder: the documents, the vectors, and a file that says which two belong together.
//!
//! `documents-…` and `vectors-…` are written under new names; then `index`, which names them, takes the place of the old one at
//! once. So a reader, and a crash at any moment, finds two files of one moment.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use atomr_agents_core::Document;
use atomr_agents_embed::VectorIndex;
use serde::{Deserialize, Serialize};

use crate::RetrieveError;
use crate::lexical::{Corpus, Params};

const MARK: &[u8; 8] = b"atomrIDX";
const VERSION: u32 = 1;
/// The file that names the others.
const INDEX: &str = "index";
/// How often an index is looked for that is being replaced meanwhile.
const ATTEMPTS: usize = 5;
const CHECKSUM: usize = blake3::OUT_LEN;

/// What a file says about an index, beside the documents.
pub(crate) struct Parts<'a> {
    pub(crate) model: &'a str,
    pub(crate) params: Params,
    pub(crate) analyzer: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Header {
    model: String,
    k1: f64,
    b: f64,
    analyzer: String,
    documents: usize,
}

/// Which files belong together.
#[derive(PartialEq, Serialize, Deserialize)]
struct Names {
    documents: String,
    vectors: String,
}

/// What was read.
pub(crate) struct Loaded {
    path: String,
    pub(crate) model: String,
    pub(crate) k1: f64,
    pub(crate) b: f64,
    pub(crate) analyzer: String,
    /// With their keys, which rise.
    pub(crate) documents: Vec<(u64, Document)>,
    pub(crate) vectors: VectorIndex,
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

/// The end of a name that nobody else uses.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{since:x}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Writes to a new file: the mark, the version, what `fill` writes, and a checksum.
fn file(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let file = File::options().write(true).create_new(true).open(path)?;
    let mut out = Hashing { to: BufWriter::with_capacity(1 << 18, file), hash: blake3::Hasher::new() };
    out.write_all(MARK)?;
    out.write_all(&VERSION.to_le_bytes())?;
    fill(&mut out)?;
    let checksum = out.hash.finalize();
    out.to.write_all(checksum.as_bytes())?;
    out.to.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Writes all that belongs to an index to a folder, in place of what is there.
pub(crate) fn save(
    folder: &Path,
    parts: &Parts<'_>,
    corpus: &Corpus,
    vectors: &VectorIndex,
) -> Result<(), RetrieveError> {
    fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    let end = unique();
    let names = Names { documents: format!("documents-{end}"), vectors: format!("vectors-{end}") };
    let before = names_of(folder).ok();
    let manifest = folder.join(format!("index-{end}.tmp"));
    let written = written(folder, &names, &manifest, parts, corpus, vectors);
    let gone = if written.is_ok() { before } else { Some(names) };
    // What nobody names any more; where it cannot be removed, it is in nobody's way.
    for name in gone.iter().flat_map(|names| [&names.documents, &names.vectors]) {
        let _ = fs::remove_file(folder.join(name));
    }
    if written.is_err() {
        let _ = fs::remove_file(&manifest);
    }
    written
}

fn written(
    folder: &Path,
    names: &Names,
    manifest: &Path,
    parts: &Parts<'_>,
    corpus: &Corpus,
    vectors: &VectorIndex,
) -> Result<(), RetrieveError> {
    let Params { k1, b } = parts.params;
    let (model, analyzer) = (parts.model.to_owned(), parts.analyzer.to_owned());
    let header = Header { model, k1, b, analyzer, documents: corpus.len() };
    let documents = folder.join(&names.documents);
    file(&documents, |out| {
        block(out, &serde_json::to_vec(&header)?)?;
        corpus.iter().try_for_each(|(key, document)| {
            out.write_all(&key.to_le_bytes())?;
            block(out, &serde_json::to_vec(document)?)
        })
    })
    .map_err(|error| told(&documents, error))?;
    vectors.save(folder.join(&names.vectors))?;
    let index = folder.join(INDEX);
    file(manifest, |out| block(out, &serde_json::to_vec(names)?))
        .and_then(|()| fs::rename(manifest, &index))
        .map_err(|error| told(&index, error))?;
    // The names are in the folder, which must reach the disk, too. Not every system lets a folder be opened.
    match File::open(folder) {
        Ok(open) => open.sync_all().map_err(|error| told(folder, error)),
        Err(_) => Ok(()),
    }
}

fn block(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
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

/// What a file has between its version and its checksum.
fn body(path: &Path) -> Result<Vec<u8>, RetrieveError> {
    let mut bytes = fs::read(path).map_err(|error| told(path, error))?;
    let mut reader = Reader { path, rest: &bytes };
    if reader.take(MARK.len()).ok() != Some(MARK) {
        return Err(reader.damaged("it does not begin like one"));
    }
    let found = u32::from_le_bytes(reader.array()?);
    if found > VERSION {
        return Err(RetrieveError::Version { path: path.display().to_string(), found, known: VERSION });
    }
    let (body, checksum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM));
    if blake3::hash(body).as_bytes().as_slice() != checksum || body.len() < MARK.len() + 4 {
        return Err(reader.damaged("its checksum is wrong: it was cut or changed"));
    }
    bytes.truncate(bytes.len().saturating_sub(CHECKSUM));
    bytes.drain(..MARK.len() + 4);
    Ok(bytes)
}

fn names_of(folder: &Path) -> Result<Names, RetrieveError> {
    let path = folder.join(INDEX);
    let body = body(&path)?;
    let mut reader = Reader { path: &path, rest: &body };
    let names: Names = reader.block()?;
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\', ':']) && !name.starts_with('.');
    match plain(&names.documents) && plain(&names.vectors) {
        true => Ok(names),
        false => Err(reader.damaged("it names files elsewhere")),
    }
}

/// Reads what [`save`] wrote.
pub(crate) fn load(folder: &Path) -> Result<Loaded, RetrieveError> {
    let mut names = names_of(folder)?;
    let mut attempts = 1;
    loop {
        let error = match read(folder, &names) {
            Ok(loaded) => return Ok(loaded),
            Err(error) => error,
        };
        // Somebody may have replaced it since its names were read.
        let now = names_of(folder)?;
        if now == names || attempts == ATTEMPTS {
            return Err(error);
        }
        (names, attempts) = (now, attempts + 1);
    }
}

fn read(folder: &Path, names: &Names) -> Result<Loaded, RetrieveError> {
    let path = folder.join(&names.documents);
    let body = body(&path)?;
    let mut reader = Reader { path: &path, rest: &body };
    let header: Header = reader.block()?;
    let vectors = VectorIndex::load(folder.join(&names.vectors))?;
    let mut documents: Vec<(u64, Document)> = Vec::with_capacity(header.documents.min(body.len()));
    for _ in 0..header.documents {
        let key = u64::from_le_bytes(reader.array()?);
        let rises = documents.last().is_none_or(|(last, _)| *last < key);
        documents.push((key, reader.block()?));
        if !rises || !vectors.contains(key) {
            return Err(reader.damaged(format!("the key {key} is out of order, or has no vector")));
        }
    }
    let Header { model, k1, b, analyzer, .. } = header;
    Ok(Loaded { path: folder.display().to_string(), model, k1, b, analyzer, documents, vectors })
}
