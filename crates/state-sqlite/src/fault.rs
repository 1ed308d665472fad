//! What goes wrong inside, and what it is called outside.

use atomr_agents_state::StoreError;
use rusqlite::ffi::{self, ErrorCode};

use crate::place::Place;
use crate::platform;

/// An error before it is known which file it belongs to.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An answer of the seam, such as a conflict.
    Store(StoreError),
    /// An answer of SQLite.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Something that is stored is not what was written.
pub(crate) fn damaged(subject: impl ToString, message: impl Into<String>) -> Fault {
    Fault::Store(StoreError::Corrupt { subject: subject.to_string(), message: message.into() })
}

impl Fault {
    fn code(&self) -> Option<ffi::Error> {
        match self {
            Self::Sql(rusqlite::Error::SqliteFailure(error, _)) => Some(*error),
            _ => None,
        }
    }

    /// Whether somebody else is at work on the file.
    pub(crate) fn is_busy(&self) -> bool {
        use ErrorCode::{DatabaseBusy, DatabaseLocked, FileLockingProtocolFailed};
        self.code().is_some_and(|error| matches!(error.code, DatabaseBusy | DatabaseLocked | FileLockingProtocolFailed))
    }

    /// Whether the medium has no room.
    pub(crate) fn is_full(&self) -> bool {
        self.code().is_some_and(|error| error.code == ErrorCode::DiskFull)
    }

    /// Whether the connections must not be used again. After a failed flush the operating system forgets what was not
    /// written, so that the next flush would succeed and mean nothing.
    pub(crate) fn poisons(&self) -> bool {
        self.code().is_some_and(|error| {
            error.code == ErrorCode::SystemIoFailure || error.extended_code == ffi::SQLITE_READONLY_DBMOVED
        })
    }

    /// What is told to callers.
    pub(crate) fn told(self, place: &Place) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(rusqlite::Error::SqliteFailure(error, message)) => {
                let message = message.unwrap_or_else(|| ffi::code_to_str(error.extended_code).to_owned());
                failure(error, format!("{message} (SQLite code {})", error.extended_code), place)
            }
            // Every query asks for the type that the schema promises: anything else is damage.
            Self::Sql(error) => StoreError::Corrupt { subject: place.shown(), message: error.to_string() },
        }
    }
}

fn failure(error: ffi::Error, message: String, place: &Place) -> StoreError {
    let store = place.shown();
    match error.code {
        ErrorCode::DiskFull => StoreError::Full { store, message },
        ErrorCode::ReadOnly if error.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
            StoreError::Io { store, message: "it was moved or replaced while it was open".to_owned() }
        }
        ErrorCode::ReadOnly => StoreError::ReadOnly { store, message },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => {
            StoreError::Corrupt { subject: store, message }
        }
        ErrorCode::SystemIoFailure if matches!(error.extended_code, ffi::SQLITE_IOERR_CORRUPTFS) => {
            StoreError::Corrupt { subject: store, message }
        }
        // A side file that cannot grow is told as a failure of the medium.
        ErrorCode::SystemIoFailure if platform::is_full(place.path()) => StoreError::Full { store, message },
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied if place.is_read_only() => {
            StoreError::ReadOnly { store, message }
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            StoreError::Locked { store }
        }
        ErrorCode::TooBig => StoreError::Config {
            setting: "batch",
            message: format!("a value is larger than SQLite can store (1 GB): {message}"),
        },
        _ => StoreError::Io { store, message },
    }
}
