//! A parser as a step of a pipeline.

use std::sync::Arc;

use atomr_agents_callable::{CallableError, FnCallable};
use atomr_agents_core::Value;

use crate::{AsyncParser, ParseError};

/// A step that takes a text and gives what the parser reads in it.
///
/// ```
/// use atomr_agents_callable::Callable;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_parser::{CommaList, step};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_callable::CallableError> {
/// let list = step("list", CommaList);
/// assert_eq!(list.call(json!("rain, wind"), CallCtx::new()).await?, json!(["rain", "wind"]));
/// # Ok(()) }
/// ```
#[must_use]
pub fn step<P>(label: impl Into<String>, parser: P) -> FnCallable
where
    P: AsyncParser,
    P::Output: Into<Value>,
{
    let (label, parser) = (label.into(), Arc::new(parser));
    let name = label.clone();
    FnCallable::new(label, move |input, ctx| {
        let (parser, name) = (Arc::clone(&parser), name.clone());
        async move {
            let Value::String(text) = input else {
                let message = format!("it reads a text, and was given {}", what(&input));
                return Err(CallableError::Contract { label: name, message });
            };
            let read = parser.parse(&text, &ctx).await;
            read.map(Into::into).map_err(|error: ParseError| CallableError::failed(name, error.kind(), error))
        }
    })
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Json;
    use atomr_agents_callable::{Callable as _, conformance};
    use atomr_agents_core::{CallCtx, Kind};
    use serde_json::json;

    #[tokio::test]
    async fn it_keeps_the_rules_of_callables_and_its_errors_keep_their_kind() {
        let parser = step("json", Json);
        conformance::check(&parser, json!("[1]")).await.unwrap();
        let error = parser.call(json!("no"), CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOutput);
        let error = parser.call(json!([1]), CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Contract);
        assert!(error.to_string().contains("was given a list"));
    }
}
