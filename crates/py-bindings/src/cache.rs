//! `_native.cache`: answers kept in front of a model client.

use std::sync::Arc;

use atomr_agents_cache::{
    self as cache, CacheKey, CacheLimits, CacheStats, CachedClient, SemanticOptions, StoreLlmCache, StoredLimits,
};
use atomr_agents_cache_redis::{RedisLlmCache, RedisOptions};
use atomr_agents_core::{self as core, CallCtx, FinishReason, ModelEvent, ModelRequest, Value};
use atomr_agents_inference as inference;
use atomr_agents_py_bridge::{awaitable, json};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::context::call_ctx;
use crate::core::{Message, to_py};
use crate::embed::embedder_of;
use crate::errors::{Fault, config, from_kinded};
use crate::seconds;
use crate::state::{moment, store_of};

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<CachedTurn>()?;
    module.add_class::<Question>()?;
    module.add_class::<LlmCache>()?;
    module.add_class::<InMemoryLlmCache>()?;
    module.add_class::<SemanticLlmCache>()?;
    module.add_function(wrap_pyfunction!(store_llm_cache, module)?)?;
    module.add_function(wrap_pyfunction!(redis_llm_cache, module)?)
}

/// What is asked of a cache. The key is made at once, from the messages where they are; the request is put together when a
/// cache is asked that needs it.
#[pyclass(frozen, module = "atomr_agents._native.cache")]
pub(crate) struct Question {
    key: CacheKey,
    tenant: String,
    scope: String,
    provider: String,
    /// The request without its messages.
    around: ModelRequest,
    messages: Vec<Py<Message>>,
}

#[pymethods]
impl Question {
    #[new]
    #[pyo3(signature = (messages, model, *, provider = "", tenant = "", scope = "", settings = None))]
    fn new(
        py: Python<'_>,
        messages: &Bound<'_, PyAny>,
        model: &str,
        provider: &str,
        tenant: &str,
        scope: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let messages = match messages.extract::<Vec<Py<Message>>>() {
            Ok(messages) => messages,
            Err(_) => serde_json::from_value::<Vec<core::Message>>(json::from_py(messages)?)
                .map_err(|error| config(format!("messages must be Messages or their dicts: {error}")))?
                .into_iter()
                .map(|message| Py::new(py, Message(message)))
                .collect::<PyResult<_>>()?,
        };
        let mut around = ModelRequest::new(model, Vec::new());
        if let Some(settings) = settings {
            around = with_settings(&around, json::from_py(settings)?)?;
        }
        let said = messages.iter().map(|message| &message.get().0);
        let key = CacheKey::of_messages(tenant, scope, provider, &around, said).map_err(unwritten)?;
        let [tenant, scope, provider] = [tenant, scope, provider].map(str::to_owned);
        Ok(Self { key, tenant, scope, provider, around, messages })
    }

    #[getter]
    fn key(&self) -> String {
        self.key.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<Question {}>", self.key)
    }
}

impl Question {
    /// The question as caches have it.
    fn whole(&self) -> PyResult<cache::Question> {
        let mut request = self.around.clone();
        request.messages = self.messages.iter().map(|message| message.get().0.clone()).collect();
        let (tenant, scope, provider) = (self.tenant.as_str(), self.scope.as_str(), self.provider.as_str());
        cache::Question::new(tenant, scope, provider, Arc::new(request), CallCtx::new()).map_err(unwritten)
    }
}

/// What is asked cannot be written.
fn unwritten(error: serde_json::Error) -> PyErr {
    config(error.to_string())
}

/// A request with fields such as `sampling` and `tools`, as they stand in the requests that a scripted model tells of.
fn with_settings(request: &ModelRequest, settings: Value) -> PyResult<ModelRequest> {
    let failed = |error: serde_json::Error| config(format!("settings are no fields of a request: {error}"));
    let mut whole = serde_json::to_value(request).map_err(failed)?;
    if let (Value::Object(whole), Value::Object(settings)) = (&mut whole, settings) {
        if let Some(known) = ["model", "messages"].into_iter().find(|known| settings.contains_key(*known)) {
            return Err(config(format!("settings must not have {known:?}, which is said before")));
        }
        whole.extend(settings);
    }
    serde_json::from_value(whole).map_err(failed)
}

/// A finished answer.
#[pyclass(frozen, eq, module = "atomr_agents._native.cache")]
#[derive(PartialEq)]
pub(crate) struct CachedTurn(Arc<cache::CachedTurn>);

#[pymethods]
impl CachedTurn {
    #[new]
    fn new(text: String) -> PyResult<Self> {
        let end = ModelEvent::Finish { reason: FinishReason::Stop, raw: "stop".to_owned() };
        let turn = cache::CachedTurn::new(vec![ModelEvent::Text(text), end]);
        turn.map(|turn| Self(Arc::new(turn))).ok_or_else(|| config("an answer has an end"))
    }

    #[getter]
    fn text(&self) -> String {
        self.0.text()
    }

    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_py(py, &self.0.events())
    }

    fn __repr__(&self) -> String {
        format!("CachedTurn({:?})", self.0.text())
    }
}

#[pyclass(frozen, subclass, module = "atomr_agents._native.cache")]
pub(crate) struct LlmCache(Arc<dyn cache::LlmCache>);

#[pymethods]
impl LlmCache {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    fn get(&self, py: Python<'_>, question: &Question) -> PyResult<Py<PyAny>> {
        let (cache, question) = (Arc::clone(&self.0), question.whole()?);
        awaitable(py, move |scope| async move {
            let question = question.within(call_ctx(&scope, None));
            cache.get(&question).await.map(|found| found.map(CachedTurn)).map_err(Fault)
        })
    }

    fn put(&self, py: Python<'_>, question: &Question, turn: &CachedTurn) -> PyResult<Py<PyAny>> {
        let (cache, question, turn) = (Arc::clone(&self.0), question.whole()?, Arc::clone(&turn.0));
        awaitable(py, move |scope| async move {
            cache.put(&question.within(call_ctx(&scope, None)), turn).await.map_err(Fault)
        })
    }
}

/// `client` behind `cache`.
pub(crate) fn cached(
    client: Arc<dyn inference::InferenceClient>,
    cache: &LlmCache,
    tenant: &str,
    scope: &str,
    replay_usage: bool,
) -> Arc<dyn inference::InferenceClient> {
    let cached = CachedClient::new(client, Arc::clone(&cache.0)).for_tenant(tenant).in_scope(scope);
    Arc::new(if replay_usage { cached } else { cached.without_usage() })
}

fn limits(max_entries: usize, max_bytes: usize, ttl: Option<f64>) -> PyResult<CacheLimits> {
    for (setting, given) in [("max_entries", max_entries), ("max_bytes", max_bytes)] {
        if given == 0 {
            return Err(config(format!("{setting} must be at least 1")));
        }
    }
    Ok(CacheLimits { max_entries, max_bytes, ttl: seconds::optional("ttl", ttl)? })
}

fn counts(py: Python<'_>, stats: CacheStats) -> PyResult<Bound<'_, PyDict>> {
    let counts = PyDict::new(py);
    counts.set_item("entries", stats.entries)?;
    counts.set_item("bytes", stats.bytes)?;
    counts.set_item("hits", stats.hits)?;
    counts.set_item("misses", stats.misses)?;
    counts.set_item("evictions", stats.evictions)?;
    Ok(counts)
}

#[pyclass(frozen, extends = LlmCache, module = "atomr_agents._native.cache")]
pub(crate) struct SemanticLlmCache(cache::SemanticLlmCache);

#[pymethods]
impl SemanticLlmCache {
    #[new]
    #[pyo3(signature = (embedder, threshold = 0.9, *, word_threshold = 0.86, max_text = 4_000, max_entries = 1_000,
        max_bytes = 67_108_864, ttl = 3600.0))]
    fn new(
        embedder: &Bound<'_, PyAny>,
        threshold: f32,
        word_threshold: f32,
        max_text: usize,
        max_entries: usize,
        max_bytes: usize,
        ttl: Option<f64>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let limits = limits(max_entries, max_bytes, ttl)?;
        let options = SemanticOptions { threshold, word_threshold, max_text, limits };
        let semantic = cache::SemanticLlmCache::new(embedder_of(embedder)?, options).map_err(from_kinded)?;
        Ok(PyClassInitializer::from(LlmCache(Arc::new(semantic.clone()))).add_subclass(Self(semantic)))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let all = counts(py, self.0.stats())?;
        all.set_item("by_meaning", self.0.by_meaning())?;
        Ok(all)
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn __len__(&self) -> usize {
        self.0.stats().entries
    }

    /// An empty cache is a cache.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self) -> String {
        let stats = self.0.stats();
        format!("<SemanticLlmCache, {} answers, {} hits>", stats.entries, stats.hits)
    }
}

/// Answers in a store.
#[pyfunction]
#[pyo3(signature = (store, *, max_entries = 100_000, max_turn_bytes = 1_048_576, ttl = 86_400.0))]
fn store_llm_cache(
    store: &Bound<'_, PyAny>,
    max_entries: u64,
    max_turn_bytes: usize,
    ttl: Option<f64>,
) -> PyResult<LlmCache> {
    if max_entries == 0 {
        return Err(config("max_entries must be at least 1"));
    }
    let limits = StoredLimits { max_entries, max_turn_bytes, ttl: seconds::optional("ttl", ttl)? };
    Ok(LlmCache(Arc::new(StoreLlmCache::new(store_of(store)?, limits))))
}

/// Answers on Redis.
#[pyfunction]
#[pyo3(signature = (url, *, prefix = "atomr:llm:", max_turn_bytes = 1_048_576, ttl = 86_400.0, timeout = 1.0))]
fn redis_llm_cache(
    py: Python<'_>,
    url: String,
    prefix: &str,
    max_turn_bytes: usize,
    ttl: Option<f64>,
    timeout: f64,
) -> PyResult<LlmCache> {
    let (ttl, timeout) = (seconds::optional("ttl", ttl)?, seconds::duration("timeout", timeout)?);
    let options = RedisOptions { prefix: prefix.to_owned(), ttl, max_turn_bytes, timeout };
    // On the runtime, to which the connection will belong.
    let cache = moment(py, async move { RedisLlmCache::new(&url, options) })?;
    Ok(LlmCache(Arc::new(cache.map_err(|error| config(error.to_string()))?)))
}

#[pyclass(frozen, extends = LlmCache, module = "atomr_agents._native.cache")]
pub(crate) struct InMemoryLlmCache(cache::InMemoryLlmCache);

#[pymethods]
impl InMemoryLlmCache {
    #[new]
    #[pyo3(signature = (max_entries = 1_000, max_bytes = 67_108_864, ttl = 3600.0))]
    fn new(max_entries: usize, max_bytes: usize, ttl: Option<f64>) -> PyResult<PyClassInitializer<Self>> {
        let memory = cache::InMemoryLlmCache::new(limits(max_entries, max_bytes, ttl)?);
        Ok(PyClassInitializer::from(LlmCache(Arc::new(memory.clone()))).add_subclass(Self(memory)))
    }

    fn find(&self, question: &Question) -> Option<CachedTurn> {
        self.0.find(question.key).map(CachedTurn)
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts(py, self.0.stats())
    }

    fn clear(&self) {
        self.0.clear();
    }

    fn __len__(&self) -> usize {
        self.0.stats().entries
    }

    /// An empty cache is a cache.
    fn __bool__(&self) -> bool {
        true
    }

    fn __repr__(&self) -> String {
        let stats = self.0.stats();
        format!("<InMemoryLlmCache, {} answers, {} hits>", stats.entries, stats.hits)
    }
}
