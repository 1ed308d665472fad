//! A store of a test's own, in a file or in a schema that is dropped.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_state::{Durability, Store};
use atomr_agents_state_proof::{Place, Task, Work};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use atomr_agents_testkit::postgres;
use tokio::sync::OnceCell;

/// Where the runs of a test are kept, with the world that their effects happen to.
pub(crate) struct Home {
    /// Opened when it is first looked at: making it belongs to the first life.
    store: OnceCell<Arc<dyn Store>>,
    place: Place,
    folder: tempfile::TempDir,
    _server: Option<postgres::TestServer>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs.db");
        let place = Place::Sqlite { path, checkpoint_pages: SqliteOptions::default().checkpoint_pages };
        Self { store: OnceCell::new(), place, folder, _server: None }
    }

    /// `None` where there is no server; says why.
    pub(crate) fn postgres() -> Option<Self> {
        let server = match postgres::server() {
            Ok(server) => server,
            Err(reason) => {
                println!("skipped: {reason}");
                return None;
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let schema = format!("crash_{:016x}", rand::random::<u64>());
        let place = Place::Postgres { dsn: server.dsn().to_owned(), schema };
        Some(Self { store: OnceCell::new(), place, folder, _server: Some(server) })
    }

    pub(crate) async fn store(&self) -> &Arc<dyn Store> {
        self.store.get_or_init(async || self.place.open().await.unwrap()).await
    }

    /// The folder of the file, if it is kept in one.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn task(&self, run: &str, work: Work) -> Task {
        Task {
            place: self.place.clone(),
            run: run.to_owned(),
            ledger: self.folder.path().join(format!("ledger-{run}")),
            work,
            strike: None,
            durability: Durability::Full,
            lease: Duration::from_secs(30),
            contends: false,
        }
    }

    /// The store is whole; what the test leaves behind is removed.
    pub(crate) async fn close(self) {
        if let Place::Sqlite { path, .. } = &self.place {
            let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
            assert_eq!(store.verify().await.unwrap(), []);
        }
        if let Place::Postgres { dsn, schema } = &self.place {
            let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(connection);
            client.batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await.unwrap();
        }
    }
}
