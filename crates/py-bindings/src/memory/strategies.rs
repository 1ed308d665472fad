//! Strategies and tools over memories.

use std::sync::Arc;

use atomr_agents_memory::{
    self as memory, ChainedMemory, RecallMemory, RecencyMemory, Room, Summaries, SummarizingMemory,
};
use atomr_agents_strategy::MemoryStrategy;
use atomr_agents_tokens::BpeCounter;
use atomr_agents_tool::{CheckedTool, Tool};
use pyo3::prelude::*;

use super::long::{LongStore, by};
use super::short::MemoryStore;
use super::whose::whose_of;
use crate::errors::{config, from_kinded};
use crate::inference::InferenceClient;
use crate::state::store_of;
use crate::strategy::MemoryStrategyHandle;
use crate::tool::NativeTool;

pub(super) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(recency, module)?)?;
    module.add_function(wrap_pyfunction!(recall, module)?)?;
    module.add_function(wrap_pyfunction!(summarizing, module)?)?;
    module.add_function(wrap_pyfunction!(chained, module)?)?;
    module.add_function(wrap_pyfunction!(tools, module)?)
}

/// Room for so many tokens: counted exactly for models whose vocabulary is known, and estimated from above for others.
fn room(max_tokens: u64, model: Option<String>) -> PyResult<Room> {
    if max_tokens == 0 {
        return Err(config("max_tokens must be at least 1"));
    }
    let room = Room::tokens(max_tokens);
    Ok(match model {
        Some(model) => Room { model, counter: Arc::new(BpeCounter), ..room },
        None => room,
    })
}

fn handle(strategy: impl MemoryStrategy) -> MemoryStrategyHandle {
    MemoryStrategyHandle(Arc::new(strategy))
}

#[pyfunction]
#[pyo3(signature = (store, namespace, limit, max_tokens, model))]
fn recency(
    store: &MemoryStore,
    namespace: &Bound<'_, PyAny>,
    limit: usize,
    max_tokens: u64,
    model: Option<String>,
) -> PyResult<MemoryStrategyHandle> {
    let room = room(max_tokens, model)?;
    Ok(handle(RecencyMemory::new(Arc::clone(&store.0), whose_of(namespace)?, limit, room)))
}

#[pyfunction]
#[pyo3(signature = (store, namespace, top_k, compare, min_score, max_tokens, model))]
fn recall(
    store: &LongStore,
    namespace: &Bound<'_, PyAny>,
    top_k: usize,
    compare: &str,
    min_score: Option<f64>,
    max_tokens: u64,
    model: Option<String>,
) -> PyResult<MemoryStrategyHandle> {
    let room = room(max_tokens, model)?;
    let recall = RecallMemory::new(Arc::clone(&store.store), whose_of(namespace)?, top_k, room).by(by(compare)?);
    Ok(handle(match min_score {
        Some(least) => recall.min_score(least),
        None => recall,
    }))
}

#[pyfunction]
#[pyo3(signature = (store, namespace, client, writer, *, summaries, from_tokens, keep_last, summary_tokens, max_tokens, model))]
#[allow(clippy::too_many_arguments)] // by keyword
fn summarizing(
    store: &MemoryStore,
    namespace: &Bound<'_, PyAny>,
    client: &InferenceClient,
    writer: &str,
    summaries: Option<&Bound<'_, PyAny>>,
    from_tokens: u64,
    keep_last: usize,
    summary_tokens: u32,
    max_tokens: u64,
    model: Option<String>,
) -> PyResult<MemoryStrategyHandle> {
    let (room, whose) = (room(max_tokens, model)?, whose_of(namespace)?);
    let wanted = Summaries { from_tokens, keep_last, tokens: summary_tokens, ..Summaries::default() };
    let memory =
        SummarizingMemory::new(Arc::clone(&store.0), whose, Arc::clone(&client.0), writer, room).summaries(wanted);
    Ok(handle(match summaries {
        Some(store) => memory.kept_in(store_of(store)?),
        None => memory,
    }))
}

#[pyfunction]
#[pyo3(signature = (members, max_tokens, model))]
fn chained(
    members: Vec<PyRef<'_, MemoryStrategyHandle>>,
    max_tokens: u64,
    model: Option<String>,
) -> PyResult<MemoryStrategyHandle> {
    let members: Vec<Arc<dyn MemoryStrategy>> = members.iter().map(|member| Arc::clone(&member.0)).collect();
    Ok(handle(ChainedMemory::new(members, room(max_tokens, model)?)))
}

/// The three tools, in the order write, update, recall.
#[pyfunction]
fn tools(store: &LongStore, namespace: &Bound<'_, PyAny>, compare: &str) -> PyResult<Vec<NativeTool>> {
    let tools = memory::MemoryTools::new(Arc::clone(&store.store), whose_of(namespace)?).by(by(compare)?);
    let all: [Arc<dyn Tool>; 3] = [tools.write(), tools.update(), tools.recall()];
    all.into_iter().map(|tool| Ok(NativeTool::of(Arc::new(CheckedTool::new(tool).map_err(from_kinded)?)))).collect()
}
