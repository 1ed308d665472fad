//! A store that several processes open: a file, or a schema that is dropped.

use std::sync::Arc;

use atomr_agents_core::RunId;
use atomr_agents_state::Store;
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_testkit::postgres::{TestServer, server};

use crate::processes::open;

/// Where the sessions of a test are.
pub(crate) struct Home {
    /// As a process is told of it: the path of a file, or an address and a schema.
    pub(crate) what: String,
    folder: tempfile::TempDir,
    _server: Option<TestServer>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let what = folder.path().join("app.db").to_str().unwrap().to_owned();
        Self { what, folder, _server: None }
    }

    /// `None` where there is no server; says why.
    pub(crate) async fn postgres() -> Option<Self> {
        let found = tokio::task::spawn_blocking(server).await.unwrap();
        let server = found.map_err(|reason| println!("skipped: {reason}")).ok()?;
        let what = format!("{}|sessions_{}", server.dsn(), RunId::new().to_string().replace('-', "_"));
        Some(Self { what, folder: tempfile::tempdir().unwrap(), _server: Some(server) })
    }

    /// A folder of the test's own.
    pub(crate) fn folder(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// What the test leaves behind is removed.
    pub(crate) async fn close(self) {
        let Some((dsn, schema)) = self.what.split_once('|') else { return };
        let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(connection);
        client.batch_execute(&format!("DROP SCHEMA \"{schema}\" CASCADE")).await.unwrap();
    }
}

/// The store that such a text names.
pub(crate) async fn store(what: &str) -> Arc<dyn Store> {
    match what.split_once('|') {
        None => Arc::new(open(what)),
        Some((dsn, schema)) => {
            let options = PostgresOptions { schema: schema.to_owned(), ..PostgresOptions::default() };
            Arc::new(PostgresStore::connect(dsn, options).await.unwrap())
        }
    }
}
