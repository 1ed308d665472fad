//! Opening a store.

use std::sync::Arc;

use atomr_agents_state::{MemoryStore, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};

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

/// As [`open`], for a store that must be there.
pub(crate) async fn open_existing(place: &StorePlace) -> Result<Opened, CliError> {
    if let StorePlace::Sqlite(path) = place
        && !path.exists()
    {
        return Err(CliError::NoStore { path: crate::escape::shown(&path.display().to_string()).into_owned() });
    }
    open(place).await
}
