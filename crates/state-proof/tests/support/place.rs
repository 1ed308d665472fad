//! A store of a test's own, in a file or in a schema that is dropped.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_state::{Durability, Store};
use atomr_agents_state_proof::{Place, Task, Work};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use atomr_agents_testkit::postgres;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

async fn connect(dsn: &str) -> (Client, JoinSet<()>) {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { connection.await.unwrap() });
    (client, tasks)
}

/// Where the runs of a test are kept, with the world that their effects happen to.
pub(crate) struct Home {
    /// Opened when it is first looked at: making it belongs to the first life.
    store: OnceCell<Arc<dyn Store>>,
    place: Place,
    folder: tempfile::TempDir,
    client: OnceCell<(Client, JoinSet<()>)>,
    _server: Option<postgres::TestServer>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store/runs.db");
        std::fs::create_dir(folder.path().join("store")).unwrap();
        let place = Place::Sqlite { path, checkpoint_pages: SqliteOptions::default().checkpoint_pages };
        Self { store: OnceCell::new(), place, folder, client: OnceCell::new(), _server: None }
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
        let dsn = server.dsn().to_owned();
        Some(Self { _server: Some(server), ..Self::at(dsn) })
    }

    /// A schema of this server.
    pub(crate) fn at(dsn: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Postgres { dsn, schema: format!("crash_{:016x}", rand::random::<u64>()) };
        Self { store: OnceCell::new(), place, folder, client: OnceCell::new(), _server: None }
    }

    pub(crate) async fn store(&self) -> &Arc<dyn Store> {
        self.store.get_or_init(async || self.place.open().await.unwrap()).await
    }

    /// The place as one life is told of it.
    pub(crate) fn named(&self, life: &str) -> Place {
        match &self.place {
            Place::Postgres { dsn, schema } => {
                let mark = match dsn.contains("://") {
                    false => ' ',
                    true if dsn.contains('?') => '&',
                    true => '?',
                };
                Place::Postgres { dsn: format!("{dsn}{mark}application_name={schema}-{life}"), schema: schema.clone() }
            }
            file @ Place::Sqlite { .. } => file.clone(),
        }
    }

    /// What the server calls a life.
    fn called(&self, life: &str) -> String {
        match &self.place {
            Place::Postgres { schema, .. } => format!("{schema}-{life}"),
            Place::Sqlite { .. } => life.to_owned(),
        }
    }

    /// Drops the connections of a life, and gives how many.
    pub(crate) async fn drop_connections(&self, life: &str) -> usize {
        let query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
        self.client().await.query(query, &[&self.called(life)]).await.unwrap().len()
    }

    async fn client(&self) -> &Client {
        let Place::Postgres { dsn, .. } = &self.place else { panic!("there is no server") };
        &self.client.get_or_init(async || connect(dsn).await).await.0
    }

    /// Waits until a server has done what a process that is dead had asked of it: that may be after its death.
    pub(crate) async fn settled(&self, life: &str) {
        if matches!(self.place, Place::Sqlite { .. }) {
            return;
        }
        loop {
            let query = "SELECT 1 FROM pg_stat_activity WHERE application_name = $1";
            if self.client().await.query(query, &[&self.called(life)]).await.unwrap().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether somebody else can write, as nobody is in the middle of it.
    pub(crate) async fn is_free(&self) -> bool {
        match &self.place {
            Place::Sqlite { path, .. } => {
                let file = rusqlite::Connection::open(path).unwrap();
                file.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
            }
            Place::Postgres { .. } => true,
        }
    }

    /// The folder of the file, if it is kept in one; what happens in the world is written elsewhere.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().join("store")
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
            let (client, _connection) = connect(dsn).await;
            client.batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await.unwrap();
        }
    }
}
