//! The world that effects happen to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use atomr_agents_core::EffectClass;

/// Where effects are written down, each on the disk before it has happened for its caller. One write each: nothing is
/// lost or mixed, whatever happens to the process.
#[derive(Debug)]
pub struct Ledger(File);

/// An effect that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Done {
    /// The key that it was handed.
    pub key: String,
    /// What it declared.
    pub class: EffectClass,
}

impl Ledger {
    /// Opens the ledger in this file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(OpenOptions::new().create(true).append(true).open(path)?))
    }

    /// An effect happens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, key: &str, class: EffectClass) -> io::Result<()> {
        (&self.0).write_all(format!("{key} {}\n", class.as_str()).as_bytes())?;
        self.0.sync_data()
    }

    /// Everything that happened, in order; a line that was cut has not.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(path: &Path) -> io::Result<Vec<Done>> {
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let done = |line: &str| {
            let (key, class) = line.split_once(' ')?;
            Some(Done { key: key.to_owned(), class: class.parse().ok()? })
        };
        Ok(whole.lines().filter_map(done).collect())
    }
}
