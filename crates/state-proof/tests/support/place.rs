//! A store of a test's own, in a file or in a schema that is dropped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_state::Store;
use atomr_agents_state_proof::{Place, Task, Work};
use atomr_agents_testkit::postgres;

/// Where the runs of a test are kept, with the world that their effects happen to.
pub(crate) struct Home {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) ledger: PathBuf,
    place: Place,
    _folder: tempfile::TempDir,
    _server: Option<postgres::TestServer>,
}

impl Home {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Sqlite(folder.path().join("runs.db"));
        Self {
            store: place.open().await.unwrap(),
            ledger: folder.path().join("ledger"),
            place,
            _folder: folder,
            _server: None,
        }
    }

    /// `None` where there is no server; says why.
    pub(crate) async fn postgres() -> Option<Self> {
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
        let (store, ledger) = (place.open().await.unwrap(), folder.path().join("ledger"));
        Some(Self { store, ledger, place, _folder: folder, _server: Some(server) })
    }

    pub(crate) fn task(&self, run: &str, work: Work) -> Task {
        Task {
            place: self.place.clone(),
            run: run.to_owned(),
            ledger: self.ledger.clone(),
            work,
            strike: None,
            lease: Duration::from_secs(30),
            contends: false,
        }
    }

    /// What the test leaves behind is removed.
    pub(crate) async fn close(self) {
        if let Place::Postgres { dsn, schema } = &self.place {
            let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(connection);
            client.batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await.unwrap();
        }
    }
}

/// Both kinds of store; only the file where there is no server.
pub(crate) async fn homes() -> Vec<(&'static str, Home)> {
    let mut homes = vec![("sqlite", Home::sqlite().await)];
    homes.extend(Home::postgres().await.map(|home| ("postgres", home)));
    homes
}
