//! Opening a store.

use std::path::Path;
use std::sync::Arc;

use atomr_agents_state::{EncryptedStore, EncryptionKey, MemoryStore, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use zeroize::Zeroizing;

use crate::{CliError, StorePlace};

/// A store that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The same one, where it is a file that can be verified by itself.
    pub sqlite: Option<SqliteStore>,
}

/// Opens the store at a place, with the default settings; what is not there yet is made.
///
/// # Errors
/// When the store cannot be opened.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let opened = atomr_agents_cli::open(&"memory:".parse()?).await?;
/// assert_eq!(opened.store.kind(), "memory");
/// # Ok(()) }
/// ```
pub async fn open(place: &StorePlace) -> Result<Opened, CliError> {
    Ok(match place {
        StorePlace::Memory => Opened { store: Arc::new(MemoryStore::new()), sqlite: None },
        StorePlace::Postgres(dsn) => {
            let store = PostgresStore::connect(dsn, PostgresOptions::default()).await?;
            Opened { store: Arc::new(store), sqlite: None }
        }
        StorePlace::Sqlite(path) => {
            let store = SqliteStore::open(path, SqliteOptions::default())?;
            Opened { store: Arc::new(store.clone()), sqlite: Some(store) }
        }
    })
}

/// As [`open`], for a store that must be there, and is encrypted with the key of `key_file` if that is given.
pub(crate) async fn open_existing(place: &StorePlace, key_file: Option<&Path>) -> Result<Opened, CliError> {
    if let StorePlace::Sqlite(path) = place
        && !path.exists()
    {
        return Err(CliError::NoStore { path: crate::escape::shown(&path.display().to_string()).into_owned() });
    }
    let opened = open(place).await?;
    let encrypted = EncryptedStore::is_around(&*opened.store).await?;
    match (encrypted, key_file) {
        (false, None) => Ok(opened),
        (true, Some(file)) => unlock(opened, file).await,
        (true, None) => Err(key_file_is("missing: this store is encrypted".to_owned())),
        // What was written without a key cannot be read with one; an empty store would be bound to the key.
        (false, Some(_)) => Err(key_file_is("given, and this store is not encrypted".to_owned())),
    }
}

/// The same store, read and written with a key.
pub(crate) async fn unlock(opened: Opened, key_file: &Path) -> Result<Opened, CliError> {
    let text = std::fs::read_to_string(key_file).map(Zeroizing::new);
    let text = text.map_err(|error| {
        key_file_is(format!("{}, which cannot be read: {error}", crate::escape::shown(&key_file.display().to_string())))
    })?;
    let store = EncryptedStore::open(opened.store, &EncryptionKey::from_hex(&text)?).await?;
    Ok(Opened { store: Arc::new(store), ..opened })
}

fn key_file_is(what: String) -> CliError {
    CliError::Argument { argument: "--key-file", message: format!("it is {what}") }
}
