//! The files below a directory.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomr_agents_core::CallCtx;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};

use super::{ByName, Format, Source};
use crate::IngestError;
use crate::loader::{Documents, Loader, Reading, read};

/// How deep directories may lie in each other; each one that is open holds a handle.
const DEEPEST: usize = 64;

/// Loads the files below a directory whose names fit, in the order of their names. A document is called as its path below
/// the directory, with `/` between names.
///
/// Everything is opened by the handle of the directory it lies in, and no link is followed: nothing outside is ever read,
/// also where somebody replaces a directory by a link meanwhile. Links, and names that begin with a dot, are passed over. A
/// file that vanishes or is changed while it is read is an error, and loses no other one.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
    include: GlobSet,
    exclude: GlobSet,
    format: Arc<dyn Format>,
    hidden: bool,
}

fn globs(setting: &'static str, patterns: &[&str]) -> Result<GlobSet, IngestError> {
    let wrong = |error: globset::Error| IngestError::config(setting, format!("is no pattern: {error}"));
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        set.add(GlobBuilder::new(pattern).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

impl Directory {
    /// Files below `root` whose path fits one of the patterns (`**/*.md`), each read as its name says.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a pattern that is none.
    pub fn new(root: impl Into<PathBuf>, include: &[&str]) -> Result<Self, IngestError> {
        let (include, exclude) = (globs("include", include)?, GlobSet::empty());
        Ok(Self { root: root.into(), include, exclude, format: Arc::new(ByName::default()), hidden: false })
    }

    /// But none whose path fits one of these.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a pattern that is none.
    pub fn exclude(mut self, patterns: &[&str]) -> Result<Self, IngestError> {
        self.exclude = globs("exclude", patterns)?;
        Ok(self)
    }

    /// Reads all of them in this format.
    #[must_use]
    pub fn format(mut self, format: impl Format) -> Self {
        self.format = Arc::new(format);
        self
    }

    /// Also those whose names begin with a dot.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }
}

/// A directory that is open, and what is left of it.
struct Open {
    handle: OwnedFd,
    path: String,
    /// Names in falling order, so that the next one is the last.
    names: Vec<(Vec<u8>, bool)>,
}

struct Walk {
    directory: Directory,
    open: Vec<Open>,
    begun: bool,
    reading: Option<Reading>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Walk {
    /// Opens a directory and reads its names.
    fn enter(&mut self, parent: Option<&OwnedFd>, name: &[u8], path: String) -> Result<(), IngestError> {
        let shown = || if path.is_empty() { self.directory.root.to_string_lossy().into_owned() } else { path.clone() };
        let failed = |error: rustix::io::Errno| IngestError::io(shown(), error.into());
        if self.open.len() >= DEEPEST {
            let (what, limit) = ("the depth of directories".into(), DEEPEST as u64);
            return Err(IngestError::TooLarge { id: shown(), what, limit });
        }
        let handle = match parent {
            Some(parent) => openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()),
            None => openat(CWD, &self.directory.root, FOLDER, Mode::empty()),
        };
        let handle = handle.map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&handle).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            let folder = match entry.file_type() {
                FileType::Directory => true,
                FileType::RegularFile => false,
                // Some file systems do not say what an entry is.
                FileType::Unknown => openat(&handle, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()).is_ok(),
                _ => continue,
            };
            if name != b"." && name != b".." && (self.directory.hidden || !name.starts_with(b".")) {
                names.push((name.to_vec(), folder));
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        self.open.push(Open { handle, path, names });
        Ok(())
    }

    /// The next entry: a file to read, or nothing where it was a directory or none that fits.
    fn step(&mut self) -> Result<Option<Reading>, IngestError> {
        let Some(mut open) = self.open.pop() else { return Ok(None) };
        let Some((name, folder)) = open.names.pop() else { return Ok(None) };
        let shown = String::from_utf8_lossy(&name);
        let path = if open.path.is_empty() { shown.into_owned() } else { format!("{}/{shown}", open.path) };
        let taken = {
            let path = Path::new(&path);
            let excluded = self.directory.exclude.is_match(path);
            !excluded && (folder || self.directory.include.is_match(path))
        };
        let handle = open.handle.try_clone();
        self.open.push(open);
        if !taken {
            return Ok(None);
        }
        let handle = handle.map_err(|error| IngestError::io(&path, error))?;
        if folder {
            self.enter(Some(&handle), &name, path)?;
            return Ok(None);
        }
        // A pipe would wait for a writer; it is no file, and refused when it is looked at.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&handle, name.as_slice(), flags, Mode::empty());
        let file = file.map_err(|error| IngestError::io(&path, error.into()))?;
        Ok(Some(self.directory.format.read(Source::new(path, File::from(file))?)))
    }
}

impl Iterator for Walk {
    type Item = Result<atomr_agents_core::Document, IngestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if !std::mem::replace(&mut self.begun, true)
            && let Err(error) = self.enter(None, b"", String::new())
        {
            return Some(Err(error));
        }
        loop {
            if let Some(next) = self.reading.as_mut().and_then(Iterator::next) {
                return Some(next);
            }
            self.reading = None;
            if self.open.is_empty() {
                return None;
            }
            match self.step() {
                Ok(reading) => self.reading = reading,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Loader for Directory {
    fn load(&self, ctx: &CallCtx) -> Documents {
        let walk = Walk { directory: self.clone(), open: Vec::new(), begun: false, reading: None };
        read(Box::new(walk), ctx)
    }
}
