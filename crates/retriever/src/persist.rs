//! An index of words in a file, and a hybrid index in a folder: the documents, the vectors, and a file that says which two
//! belong together.
//!
//! `documents-TAG` and `vectors-TAG` are written under new names; then `index`, which names them, takes the place of the old one
//! at once. So a reader, and a crash at any moment, finds two files of one moment. Each save removes what dead ones left.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use atomr_agents_core::Document;
use atomr_agents_embed::{Beside, VectorIndex};
use serde::{Deserialize, Serialize};

use crate::lexical::{Corpus, Params};
use crate::{Bm25Options, RetrieveError};

const MARK: &[u8; 8] = b"atomrIDX";
/// That of a file which is a whole index of words.
const WORDS: &[u8; 8] = b"atomrBM1";
const VERSION: u32 = 1;
/// The file that names the others.
const INDEX: &str = "index";
/// How the names of the others begin; the rest is the tag of their save.
const PARTS: [&str; 2] = ["documents-", "vectors-"];
/// How often an index is looked for that is being replaced meanwhile.
const ATTEMPTS: usize = 5;
const CHECKSUM: usize = blake3::OUT_LEN;

/// What a file says about an index, beside the documents.
#[derive(Serialize, Deserialize)]
struct Header {
    /// What made the vectors; none where there are words alone.
    model: Option<String>,
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

/// A hybrid index that was read.
pub(crate) struct Loaded {
    pub(crate) words: Words,
    pub(crate) vectors: VectorIndex,
}

/// Documents that were read, and how they were found by their words.
pub(crate) struct Words {
    path: String,
    pub(crate) model: Option<String>,
    k1: f64,
    b: f64,
    analyzer: String,
    /// With their keys, which rise.
    pub(crate) documents: Vec<(u64, Document)>,
}

impl Words {
    /// Refuses what would not find the way it found before.
    pub(crate) fn expect(&self, option: &'static str, saved: &str, given: &str) -> Result<(), RetrieveError> {
        if saved == given {
            return Ok(());
        }
        Err(RetrieveError::invalid(option, format!("is {given:?}, and the index in {} has {saved:?}", self.path)))
    }

    /// Refuses options that would score otherwise.
    pub(crate) fn expect_options(&self, options: &Bm25Options) -> Result<(), RetrieveError> {
        self.expect("analyzer", &self.analyzer, &options.analyzer.name())?;
        self.expect("k1", &self.k1.to_string(), &options.k1.to_string())?;
        self.expect("b", &self.b.to_string(), &options.b.to_string())
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

/// Writes the mark, the version, what `fill` writes, and a checksum.
fn fill(file: &File, mark: &[u8; 8], fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = Hashing { to: BufWriter::with_capacity(1 << 18, file), hash: blake3::Hasher::new() };
    out.write_all(mark)?;
    out.write_all(&VERSION.to_le_bytes())?;
    fill(&mut out)?;
    let checksum = out.hash.finalize();
    out.to.write_all(checksum.as_bytes())?;
    out.to.flush()
}

/// Writes documents with what is known about them.
fn documents(out: &mut dyn Write, model: Option<&str>, corpus: &Corpus) -> io::Result<()> {
    let (Params { k1, b }, analyzer) = (corpus.params(), corpus.analyzer());
    let header = Header { model: model.map(str::to_owned), k1, b, analyzer, documents: corpus.len() };
    block(out, &serde_json::to_vec(&header)?)?;
    corpus.iter().try_for_each(|(key, document)| {
        out.write_all(&key.to_le_bytes())?;
        block(out, &serde_json::to_vec(document)?)
    })
}

/// Writes an index of words to a file, in place of the one that may be there.
pub(crate) fn save_words(path: &Path, corpus: &Corpus) -> Result<(), RetrieveError> {
    if path.file_name().is_none() {
        return Err(RetrieveError::invalid("path", format!("must end in the name of a file, not {}", path.display())));
    }
    let written = Beside::new(path).and_then(|new| {
        fill(new.file(), WORDS, |out| documents(out, None, corpus))?;
        new.swap_in()
    });
    written.map_err(|error| told(path, error))
}

/// Reads what [`save_words`] wrote.
pub(crate) fn load_words(path: &Path) -> Result<Words, RetrieveError> {
    words(path, &body(path, WORDS)?, path, |_| true)
}

/// Writes all that belongs to an index to a folder, in place of what is there.
pub(crate) fn save(folder: &Path, model: &str, corpus: &Corpus, vectors: &VectorIndex) -> Result<(), RetrieveError> {
    fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    let index = folder.join(INDEX);
    // While this file is there, those of its tag are left alone by everybody.
    let new = Beside::new(&index).map_err(|error| told(&index, error))?;
    sweep(folder);
    let written = written(folder, new, model, corpus, vectors);
    sweep(folder);
    written
}

fn written(
    folder: &Path,
    new: Beside,
    model: &str,
    corpus: &Corpus,
    vectors: &VectorIndex,
) -> Result<(), RetrieveError> {
    let [documents_of, vectors_of] = PARTS.map(|part| format!("{part}{}", new.tag()));
    let names = Names { documents: documents_of, vectors: vectors_of };
    let path = folder.join(&names.documents);
    File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|file| {
            fill(&file, MARK, |out| documents(out, Some(model), corpus))?;
            file.sync_all()
        })
        .map_err(|error| told(&path, error))?;
    vectors.save(folder.join(&names.vectors))?;
    fill(new.file(), MARK, |out| block(out, &serde_json::to_vec(&names)?))
        .and_then(|()| new.swap_in())
        .map_err(|error| told(&folder.join(INDEX), error))
}

/// Removes what no index names, and no save that is under way will. What cannot be removed is in nobody's way.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let found: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let index = folder.join(INDEX);
    let dead = |name: &String| {
        let plain = name.strip_prefix('.').unwrap_or(name);
        let tag = PARTS.iter().find_map(|part| plain.strip_prefix(part))?;
        // Of vectors that were being written, the end is a tag of their own.
        let tag = tag.split_once('.').map_or(tag, |(tag, _)| tag);
        let ours = tag.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        (ours && !Beside::is_there(&index, tag).ok()?).then(|| (name.clone(), tag.to_owned()))
    };
    let dead: Vec<(String, String)> = found.iter().filter_map(dead).collect();
    // In this order: a save that has ended since the folder was read is named now, or was replaced by another one. An index
    // that cannot be read may name anything.
    let named = match names_of(folder) {
        Ok(names) => vec![names.documents, names.vectors],
        Err(RetrieveError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(_) => return,
    };
    for (name, tag) in dead {
        if !PARTS.iter().any(|part| named.contains(&format!("{part}{tag}"))) {
            let _ = fs::remove_file(folder.join(name));
        }
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

/// What a file with this mark has between its version and its checksum.
fn body(path: &Path, mark: &[u8; 8]) -> Result<Vec<u8>, RetrieveError> {
    let mut bytes = fs::read(path).map_err(|error| told(path, error))?;
    let mut reader = Reader { path, rest: &bytes };
    if reader.take(mark.len()).ok() != Some(mark) {
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
    let body = body(&path, MARK)?;
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
    let body = body(&path, MARK)?;
    let vectors = VectorIndex::load(folder.join(&names.vectors))?;
    let words = words(&path, &body, folder, |key| vectors.contains(key))?;
    Ok(Loaded { words, vectors })
}

/// Reads what [`documents`] wrote; an error names `index`.
fn words(path: &Path, body: &[u8], index: &Path, has: impl Fn(u64) -> bool) -> Result<Words, RetrieveError> {
    let mut reader = Reader { path, rest: body };
    let header: Header = reader.block()?;
    let mut documents: Vec<(u64, Document)> = Vec::with_capacity(header.documents.min(body.len()));
    for _ in 0..header.documents {
        let key = u64::from_le_bytes(reader.array()?);
        let rises = documents.last().is_none_or(|(last, _)| *last < key);
        documents.push((key, reader.block()?));
        if !rises || !has(key) {
            return Err(reader.damaged(format!("the key {key} is out of order, or has no vector")));
        }
    }
    let Header { model, k1, b, analyzer, .. } = header;
    Ok(Words { path: index.display().to_string(), model, k1, b, analyzer, documents })
}
