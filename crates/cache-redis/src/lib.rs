//! Finished answers kept on Redis, for all machines that share the server.
//!
//! This crate knows no model and no agent: it keeps what [`atomr_agents_cache`] gives it. The server decides what goes when
//! its memory is full (`maxmemory`, best with the policy `allkeys-lru`).
//!
//! ```no_run
//! use std::sync::Arc;
//! use atomr_agents_cache::CachedClient;
//! use atomr_agents_cache_redis::{RedisLlmCache, RedisOptions};
//! use atomr_agents_testkit::ScriptedModel;
//!
//! # fn main() -> Result<(), atomr_agents_cache::CacheError> {
//! let cache = RedisLlmCache::new("redis://127.0.0.1:6379", RedisOptions::default())?;
//! let client = CachedClient::new(Arc::new(ScriptedModel::new().text("Rain.")), Arc::new(cache));
//! # Ok(()) }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_cache::{CacheError, CachedTurn, LlmCache, Question};
use futures_util::future::BoxFuture;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError};

/// The name in events and errors.
const NAME: &str = "redis";

/// How a [`RedisLlmCache`] keeps answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisOptions {
    /// What the keys begin with; `atomr:llm:` without another word. Caches with another beginning share nothing.
    pub prefix: String,
    /// How old an answer may become, by the server's clock; 24 hours without another word, `None` for as long as the server
    /// keeps it.
    pub ttl: Option<Duration>,
    /// Bytes of one answer as JSON; 1 MiB without another word. A larger one is not kept.
    pub max_turn_bytes: usize,
    /// How long connecting, or one answer of the server, may take; a second without another word. After it the call is a
    /// miss.
    pub timeout: Duration,
}

impl Default for RedisOptions {
    fn default() -> Self {
        Self {
            prefix: "atomr:llm:".to_owned(),
            ttl: Some(Duration::from_secs(86_400)),
            max_turn_bytes: 1 << 20,
            timeout: Duration::from_secs(1),
        }
    }
}

/// Keeps answers on a Redis server. Connects when it is first asked, and again when the connection was lost. Clones share
/// the connection.
#[derive(Clone)]
pub struct RedisLlmCache {
    connection: ConnectionManager,
    options: Arc<RedisOptions>,
}

/// An address may hold a password; it is not printed.
impl fmt::Debug for RedisLlmCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLlmCache").field("options", &self.options).finish_non_exhaustive()
    }
}

impl RedisLlmCache {
    /// A cache on the server of this address: `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS.
    ///
    /// # Errors
    /// [`CacheError::Store`] where this is no address, or the options make no sense. Nothing is connected yet.
    pub fn new(address: &str, options: RedisOptions) -> Result<Self, CacheError> {
        if options.ttl.is_some_and(|ttl| ttl < Duration::from_millis(1)) || options.timeout.is_zero() {
            let message = "ttl must be at least a millisecond and timeout more than nothing".to_owned();
            return Err(CacheError::Store { cache: NAME.into(), message, source: None });
        }
        let client = Client::open(address).map_err(failed)?;
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(options.timeout))
            .set_response_timeout(Some(options.timeout));
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(failed)?;
        Ok(Self { connection, options: Arc::new(options) })
    }

    fn place(&self, question: &Question) -> String {
        format!("{}{}", self.options.prefix, question.key())
    }
}

fn failed(error: RedisError) -> CacheError {
    // The driver's words name no password: they are about the address's form or the server's answer.
    CacheError::Store { cache: NAME.into(), message: error.to_string(), source: Some(Arc::new(error)) }
}

fn damaged(error: &serde_json::Error) -> CacheError {
    CacheError::Damaged { cache: NAME.into(), message: error.to_string() }
}

impl LlmCache for RedisLlmCache {
    fn name(&self) -> &str {
        NAME
    }

    fn get<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>> {
        Box::pin(async move {
            let mut connection = self.connection.clone();
            let found: Option<Vec<u8>> =
                redis::cmd("GET").arg(self.place(question)).query_async(&mut connection).await.map_err(failed)?;
            found.map(|found| serde_json::from_slice(&found).map(Arc::new)).transpose().map_err(|error| damaged(&error))
        })
    }

    fn put<'a>(&'a self, question: &'a Question, turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>> {
        Box::pin(async move {
            let value = serde_json::to_vec(&*turn).map_err(|error| damaged(&error))?;
            if value.len() > self.options.max_turn_bytes {
                return Ok(());
            }
            let mut set = redis::cmd("SET");
            set.arg(self.place(question)).arg(value);
            if let Some(ttl) = self.options.ttl {
                set.arg("PX").arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX / 2).max(1));
            }
            set.query_async(&mut self.connection.clone()).await.map_err(failed)
        })
    }

    fn max_turn_bytes(&self) -> usize {
        self.options.max_turn_bytes
    }
}
