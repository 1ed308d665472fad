//! What one life is told, and how it lives.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use atomr_agents_core::Kind;
use atomr_agents_state::{Durability, Store, StoreError};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use serde::{Deserialize, Serialize};

use crate::{Deadly, Strike, agent_life, graph_life};

/// When this process had been loaded, and whether it has come to its first effect. A process is one life.
static BORN: OnceLock<Instant> = OnceLock::new();
static BEGAN: AtomicBool = AtomicBool::new(false);

/// How long a life that is kept out waits before it tries again.
const AGAIN: Duration = Duration::from_millis(5);

/// What one life is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// Where the run is kept.
    pub place: Place,
    /// Its name.
    pub run: String,
    /// The file of the [`crate::Ledger`].
    pub ledger: PathBuf,
    /// What runs.
    pub work: Work,
    /// When the process kills itself.
    pub strike: Option<Strike>,
    /// What its commits survive.
    pub durability: Durability,
    /// For how long it keeps others out when it is not heard of.
    pub lease: Duration,
    /// It tries again, when somebody else has the run, until the run has ended.
    pub contends: bool,
}

/// Where a run is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Place {
    /// In a file.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// After how many pages its log is copied into it.
        checkpoint_pages: u32,
    },
    /// In this schema of this server.
    Postgres {
        /// The server.
        dsn: String,
        /// The schema.
        schema: String,
    },
}

/// What runs.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Work {
    /// A graph that loops over one step with one effect.
    Graph {
        /// How many super-steps.
        steps: u64,
        /// Every which effect must not happen twice; 0 for none.
        once_every: u64,
    },
    /// An agent whose model asks for tools, several at once.
    Agent {
        /// How many times.
        rounds: usize,
    },
}

impl Place {
    /// Opens the store.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite { path, checkpoint_pages } => {
                let options = SqliteOptions { checkpoint_pages: *checkpoint_pages, ..SqliteOptions::default() };
                Arc::new(SqliteStore::open(path, options)?)
            }
            Self::Postgres { dsn, schema } => {
                let options = PostgresOptions { schema: schema.clone(), connections: 2, ..PostgresOptions::default() };
                Arc::new(PostgresStore::connect(dsn, options).await?)
            }
        })
    }
}

/// Says something on standard output, in one write: what was said is heard, whatever happens next. The first word says
/// what: `ack N` (step N is done), `told KEY` (that effect is done), `began MICROS` (the first effect of this life is about
/// to happen, so long after the process was loaded and began to open its store), `held` (somebody else has the run), `fenced`
/// (somebody else took it), `unknown KEY` (nobody knows whether that happened), `done`, `failed KIND WHY`.
pub fn say(what: &str) {
    let _ = std::io::stdout().write_all(format!("{what}\n").as_bytes());
    let _ = std::io::stdout().flush();
}

/// An effect is about to happen.
pub(crate) fn begins() {
    if !BEGAN.swap(true, Ordering::Relaxed) {
        let since = BORN.get().map_or(Duration::ZERO, Instant::elapsed);
        say(&format!("began {}", since.as_micros()));
    }
}

/// How a life stopped short.
#[derive(Debug)]
pub(crate) enum Stopped {
    Held,
    Fenced,
    Unknown(String),
    Failed(Kind, Box<dyn std::error::Error>),
}

impl Stopped {
    /// Sorts an error by its kind.
    pub(crate) fn of(kind: Kind, unknown: Option<String>, error: impl std::error::Error + 'static) -> Self {
        match (kind, unknown) {
            (Kind::Locked, _) => Self::Held,
            (Kind::Fenced, _) => Self::Fenced,
            (Kind::OutcomeUnknown, Some(key)) => Self::Unknown(key),
            _ => Self::Failed(kind, Box::new(error)),
        }
    }
}

/// Lives.
///
/// # Errors
/// Whatever goes wrong that no kill and no other process explains.
pub async fn live(task: Task) -> Result<(), Box<dyn std::error::Error>> {
    BORN.get_or_init(Instant::now);
    let mut store = task.place.open().await.inspect_err(|error| say(&format!("failed {:?} {error}", error.kind())))?;
    if let Some(strike) = task.strike {
        store = Arc::new(Deadly::new(store, strike));
    }
    loop {
        let stopped = match task.work {
            Work::Graph { steps, once_every } => graph_life::live(&task, &store, steps, once_every).await,
            Work::Agent { rounds } => agent_life::live(&task, &store, rounds).await,
        };
        match stopped {
            Ok(()) => {
                say("done");
                return Ok(());
            }
            Err(Stopped::Unknown(key)) => {
                say(&format!("unknown {key}"));
                return Ok(());
            }
            Err(Stopped::Failed(kind, error)) => {
                say(&format!("failed {kind:?} {error}"));
                return Err(error);
            }
            Err(Stopped::Held) => say("held"),
            Err(Stopped::Fenced) => say("fenced"),
        }
        if !task.contends {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}
