//! Where a database is.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atomr_agents_state::StoreError;

use crate::platform;

/// The path of a database with every symbolic link resolved, so that two names of one file share their side files.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
}

impl Place {
    /// Finds the file, or the folder in which it will be made.
    pub(crate) fn find(path: &Path) -> Result<Self, StoreError> {
        let unusable = |message: String| StoreError::Io { store: shown(path), message };
        let found = match fs::canonicalize(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link to nowhere is not followed: the database would be made wherever it points.
                if fs::symlink_metadata(path).is_ok() {
                    return Err(unusable("it is a symbolic link to something that does not exist".to_owned()));
                }
                let Some(name) = path.file_name() else {
                    return Err(unusable("the path names no file".to_owned()));
                };
                let folder = match path.parent() {
                    Some(folder) if folder != Path::new("") => folder,
                    _ => Path::new("."),
                };
                fs::canonicalize(folder).map_err(|error| unusable(format!("its folder: {error}")))?.join(name)
            }
            Err(error) => return Err(unusable(error.to_string())),
        };
        if found.is_dir() {
            return Err(unusable("it is a folder".to_owned()));
        }
        Ok(Self { path: found })
    }

    /// Makes an empty file that only its owner can read. True if there was none. A file that is there is never opened
    /// here: closing it would let go of the locks that another store of this process has on it.
    pub(crate) fn create(&self) -> Result<bool, StoreError> {
        if self.path.exists() {
            return Ok(false);
        }
        // The high-water mark of a database that was removed says nothing about the new one.
        match fs::remove_file(self.beside("-high")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(self.io(&error)),
            _ => {}
        }
        match platform::create_private(&self.path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(self.io(&error)),
        }
    }

    /// Whether neither the file nor its folder can be written, or one of them cannot.
    pub(crate) fn is_read_only(&self) -> bool {
        platform::is_read_only(&self.path) || self.path.parent().is_some_and(platform::is_read_only)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A side file of the database.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(suffix);
        PathBuf::from(name)
    }

    /// How errors call it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.path)
    }

    /// What an error of the operating system amounts to.
    pub(crate) fn io(&self, error: &io::Error) -> StoreError {
        let (store, message) = (self.shown(), error.to_string());
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { store, message },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                StoreError::ReadOnly { store, message }
            }
            _ => StoreError::Io { store, message },
        }
    }
}

fn shown(path: &Path) -> String {
    format!("the SQLite file {}", path.display())
}
