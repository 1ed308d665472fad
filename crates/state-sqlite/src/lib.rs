//! The embedded store: everything that outlives a process in one SQLite file, with no service beside it.
//!
//! ```
//! use atomr_agents_state::{Batch, Expect, Key, Store};
//! use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("runs.db");
//! let key = Key::new("run", "r1")?;
//! let store = SqliteStore::open(&path, SqliteOptions::default())?;
//! store.commit(Batch::new().put(&key, "begun", Expect::Absent)).await?;
//! drop(store);
//!
//! let again = SqliteStore::open(&path, SqliteOptions::default())?;
//! assert_eq!(&again.get(&key).await?.unwrap().value[..], b"begun");
//! # Ok(()) }
//! ```
//!
//! # Several processes on one file
//!
//! Any number of processes of one machine may have the file open. Each write is one `BEGIN IMMEDIATE` transaction, so it
//! sees everything that was committed before it, and waits for [`SqliteOptions::patience`] for a foreign one to end
//! ([`StoreError::Locked`](atomr_agents_state::StoreError::Locked) after that). Who may write a run is decided by leases,
//! which are checked in the same transaction: there is no lock file, and a process that dies leaves nothing to clean up.
//! The file must be on a local file system, and no other SQLite library of the same process may open it: that is noticed on
//! Linux, when the store is opened and every few dozen commits, and warned of once ([`on_warning`]).
//!
//! # What a commit survives
//!
//! `Durability::Full` is `synchronous=FULL`: the write-ahead log is flushed before the commit returns. `Durability::Relaxed`
//! is `synchronous=NORMAL`: the commit survives the process, and a power failure takes at most what was committed since
//! the last full commit or checkpoint (a checkpoint follows about every [`SqliteOptions::checkpoint_pages`] pages); never a
//! commit before one that is kept.
//!
//! # Damage
//!
//! SQLite has no checksums of its pages. So every row carries one over its place and its content, the end of each log is kept
//! beside its entries, and a name is looked up in two trees before it counts as absent: what is read is what was written,
//! or `Corrupt`. SQLite also rolls back silently what a cut write-ahead log has lost. Beside the database lies a small file
//! (`<database>-high`) with the number of the last commit; a database that has fewer is `Corrupt`. Whoever puts an older
//! copy in the place of a database on purpose removes that file with it.

mod backup;
mod connect;
mod fault;
mod high;
mod options;
mod place;
mod platform;
mod readers;
mod schema;
mod store;
mod sum;
mod tables;
mod verify;
mod watch;
mod writer;

pub use options::SqliteOptions;
pub use store::SqliteStore;
pub use verify::Damage;
pub use watch::on_warning;
