//! A retriever as a step of a pipeline.

use std::sync::Arc;

use atomr_agents_callable::{CallableError, FnCallable};
use atomr_agents_core::{Kind, Value};

use crate::filter::type_of;
use crate::{Query, RetrieveError, Retriever};

/// A step that takes a query (a text, or a [`Query`] as data) and gives the documents as a list.
///
/// ```
/// use atomr_agents_callable::Callable;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_retriever::{Bm25, Bm25Options, step};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let index = Bm25::new(Bm25Options::default())?;
/// index.add(vec![Document::new("a", "rain")])?;
/// let search = step("search", index);
/// assert_eq!(search.call(json!("rain"), CallCtx::new()).await?[0]["id"], "a");
/// assert_eq!(search.call(json!({"text": "rain", "top_k": 0}), CallCtx::new()).await?, json!([]));
/// # Ok(()) }
/// ```
#[must_use]
pub fn step(label: impl Into<String>, retriever: impl Retriever) -> FnCallable {
    let (label, retriever) = (label.into(), Arc::new(retriever));
    let name = label.clone();
    FnCallable::new(label, move |input, ctx| {
        let (retriever, name) = (Arc::clone(&retriever), name.clone());
        async move {
            let query = match input {
                Value::String(text) => Query::new(text),
                Value::Object(_) => serde_json::from_value(input).map_err(|error| CallableError::Contract {
                    label: name.clone(),
                    message: format!("this is no query: {error}"),
                })?,
                other => {
                    let message = format!("it takes a query, and was given {}", type_of(&other));
                    return Err(CallableError::Contract { label: name, message });
                }
            };
            let found = retriever.retrieve(&query, &ctx).await;
            let found =
                found.map_err(|error: RetrieveError| CallableError::failed(name.clone(), error.kind(), error))?;
            serde_json::to_value(found).map_err(|error| CallableError::failed(name, Kind::Internal, error))
        }
    })
}
