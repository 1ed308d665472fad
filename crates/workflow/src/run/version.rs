//! Which graph began a run, and what is different in this one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use atomr_agents_state::{Batch, Expect, Key, RunLogError, Store};

use super::engine::Engine;
use crate::{GraphDifference, GraphShape, WorkflowError};

/// The space of the shapes of graphs, by their versions.
const GRAPHS: &str = "graph";

impl Engine {
    /// Whether this graph looks like the one of this version.
    pub(crate) async fn check_version(
        &self,
        store: &Arc<dyn Store>,
        run: &str,
        version: &str,
    ) -> Result<(), WorkflowError> {
        match self.difference(store, version).await? {
            None => Ok(()),
            Some(difference) => {
                Err(WorkflowError::Changed { run: run.to_owned(), graph: self.graph.name().to_owned(), difference })
            }
        }
    }

    /// What is different in this graph from the one of a version; `None` if it is that one.
    pub(crate) async fn difference(
        &self,
        store: &Arc<dyn Store>,
        version: &str,
    ) -> Result<Option<GraphDifference>, WorkflowError> {
        if version == self.graph.version() {
            return Ok(None);
        }
        let was = match Key::new(GRAPHS, version) {
            Ok(key) => store.get(&key).await?,
            Err(_) => None,
        };
        let was: Option<GraphShape> = was.and_then(|record| serde_json::from_slice(&record.value).ok());
        Ok(Some(was.map(|was| was.difference(self.graph.shape())).unwrap_or_default()))
    }

    /// Keeps what the graph looks like, so that a later one can be compared with it.
    pub(super) async fn keep_shape(&self, store: &Arc<dyn Store>) -> Result<(), WorkflowError> {
        if self.shape_kept.load(Ordering::Acquire) {
            return Ok(());
        }
        let key = Key::new(GRAPHS, self.graph.version())?;
        if store.get(&key).await?.is_none() {
            let shape = serde_json::to_vec(self.graph.shape())
                .map_err(|error| RunLogError::NotJson { message: error.to_string() })?;
            store.commit(Batch::new().put(&key, shape, Expect::Any)).await?;
        }
        self.shape_kept.store(true, Ordering::Release);
        Ok(())
    }
}
