//! Tools with arguments and results of their own types.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Part, ToolControl, ToolReturn, ToolSpec, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Invocation, Tool, ToolDescriptor, ToolError, ToolFuture, ToolMeta, ToolOptions};

/// A tool whose arguments and result are types. [`Rich`] makes a [`Tool`] of it.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_tool::{Rich, RichReturn, RichTool, ToolDescriptor, ToolError};
/// use serde_json::json;
///
/// #[derive(serde::Deserialize)]
/// struct Search { query: String }
///
/// struct Handbook;
///
/// impl RichTool for Handbook {
///     type Args = Search;
///     type Output = String;
///
///     fn descriptor(&self) -> ToolDescriptor {
///         let schema = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
///         ToolDescriptor::new("handbook", "Searches the handbook.", schema)
///     }
///
///     async fn invoke_rich(&self, search: Search, _ctx: CallCtx) -> Result<RichReturn<String>, ToolError> {
///         let artifact = json!({"hits": [{"page": 12}]});
///         Ok(RichReturn::ContentAndArtifact { content: format!("{}: see page 12", search.query), artifact })
///     }
/// }
///
/// let tool = Rich::new(Handbook);
/// assert_eq!(tool.inner().descriptor().name, "handbook");
/// ```
pub trait RichTool: Send + Sync + 'static {
    /// What the arguments are read as.
    type Args: DeserializeOwned + Send;
    /// What the model sees: text as it is, anything else as JSON.
    type Output: Serialize;

    /// What is known of it. Asked once, when it becomes a tool.
    fn descriptor(&self) -> ToolDescriptor;

    /// How it is to be run.
    fn options(&self) -> ToolOptions {
        ToolOptions::default()
    }

    /// Runs it, as [`Tool::invoke`].
    fn invoke_rich(
        &self,
        args: Self::Args,
        ctx: CallCtx,
    ) -> impl Future<Output = Result<RichReturn<Self::Output>, ToolError>> + Send;
}

/// What a typed tool gives back: [`ToolReturn`] before the content is written as text.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RichReturn<O> {
    /// Content that the model sees.
    Content(O),
    /// Content that the model sees and data that only the caller sees.
    ContentAndArtifact {
        /// What the model sees.
        content: O,
        /// What the caller finds in the tool result.
        artifact: Value,
    },
    /// Pictures and other parts that the model sees.
    Parts(Vec<Part>),
    /// An order to the loop that runs the tool.
    Command(ToolControl),
}

impl<O> From<O> for RichReturn<O> {
    fn from(content: O) -> Self {
        Self::Content(content)
    }
}

impl<O: Serialize> RichReturn<O> {
    /// With the content written as text.
    ///
    /// # Errors
    /// [`ToolError::Failed`] where the output has no form in JSON.
    fn written(self, name: &str) -> Result<ToolReturn, ToolError> {
        let write = |content: O| {
            serde_json::to_value(content).map_err(|error| ToolError::Failed {
                message: format!("what {name} returned cannot be written as JSON: {error}"),
                source: Some(Arc::new(error)),
            })
        };
        Ok(match self {
            Self::Content(content) => ToolReturn::json(write(content)?),
            Self::ContentAndArtifact { content, artifact } => match ToolReturn::json(write(content)?) {
                ToolReturn::Content { parts } => ToolReturn::ContentAndArtifact { parts, artifact },
                other => other,
            },
            Self::Parts(parts) => ToolReturn::Content { parts },
            Self::Command(control) => ToolReturn::Command(control),
        })
    }
}

/// A typed tool as a [`Tool`]: reads the arguments as its type and writes the result.
pub struct Rich<T> {
    tool: T,
    spec: Arc<ToolSpec>,
    meta: ToolMeta,
}

impl<T: RichTool> Rich<T> {
    /// The tool that runs `tool`.
    #[must_use]
    pub fn new(tool: T) -> Self {
        let descriptor = tool.descriptor();
        Self { spec: Arc::new(descriptor.spec()), meta: descriptor.meta, tool }
    }

    /// The typed tool.
    #[must_use]
    pub fn inner(&self) -> &T {
        &self.tool
    }
}

impl<T: RichTool> Tool for Rich<T> {
    fn spec(&self) -> &Arc<ToolSpec> {
        &self.spec
    }

    fn options(&self) -> ToolOptions {
        self.tool.options()
    }

    fn meta(&self) -> &ToolMeta {
        &self.meta
    }

    fn invoke(&self, Invocation { arguments, ctx, .. }: Invocation) -> ToolFuture<'_> {
        Box::pin(async move {
            let name = &self.spec.name;
            let args = serde_json::from_value(arguments)
                .map_err(|error| ToolError::InvalidArguments { name: name.clone(), message: error.to_string() })?;
            self.tool.invoke_rich(args, ctx).await?.written(name)
        })
    }
}

impl<T> fmt::Debug for Rich<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rich({})", self.spec.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Toolbox, conformance, execute};
    use atomr_agents_core::ToolCall;
    use serde_json::json;
    use std::collections::HashMap;

    #[derive(serde::Deserialize)]
    struct Split {
        total: u8,
        ways: u8,
    }

    struct Bill;

    impl RichTool for Bill {
        type Args = Split;
        type Output = HashMap<String, u8>;

        fn descriptor(&self) -> ToolDescriptor {
            let number = json!({"type": "integer"});
            let schema =
                json!({"type": "object", "properties": {"total": number, "ways": number}, "required": ["total"]});
            ToolDescriptor::new("bill", "Splits a bill.", schema).with_tags(["money"])
        }

        async fn invoke_rich(&self, args: Split, _ctx: CallCtx) -> Result<RichReturn<Self::Output>, ToolError> {
            match args.ways {
                0 => Ok(RichReturn::Command(ToolControl::Done { value: json!(args.total) })),
                1 => Ok(HashMap::from([("each".to_owned(), args.total)]).into()),
                ways => {
                    let content = HashMap::from([("each".to_owned(), args.total / ways)]);
                    Ok(RichReturn::ContentAndArtifact { content, artifact: json!({"rest": args.total % ways}) })
                }
            }
        }
    }

    async fn run(raw: &str) -> Result<ToolReturn, ToolError> {
        let toolbox = Toolbox::new([Arc::new(Rich::new(Bill)) as Arc<dyn Tool>]).unwrap();
        execute(&toolbox, &ToolCall::new("c", "bill", raw), &CallCtx::new()).await.result
    }

    #[tokio::test]
    async fn arguments_and_results_are_types_and_the_artifact_is_kept() {
        let returned = run("{\"total\": 7, \"ways\": 2}").await.unwrap();
        let parts = vec![Part::text("{\"each\":3}")];
        assert_eq!(returned, ToolReturn::ContentAndArtifact { parts, artifact: json!({"rest": 1}) });
        assert_eq!(run("{\"total\": 7, \"ways\": 1}").await.unwrap(), ToolReturn::text("{\"each\":7}"));
        let done = ToolControl::Done { value: json!(7) };
        assert_eq!(run("{\"total\": 7, \"ways\": 0}").await.unwrap(), ToolReturn::Command(done));
    }

    #[tokio::test]
    async fn arguments_that_the_type_refuses_are_invalid_arguments() {
        // The schema lets these pass: it does not say that `ways` is required, nor how large a total is.
        for (raw, fault) in [("{\"total\": 7}", "ways"), ("{\"total\": 700, \"ways\": 1}", "700")] {
            match run(raw).await {
                Err(ToolError::InvalidArguments { name, message }) => {
                    assert!(name == "bill" && message.contains(fault), "{message}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_typed_tool_is_a_good_tool() {
        let tool = Rich::new(Bill);
        assert!(tool.meta().tags.contains("money"));
        conformance::check(Arc::new(tool), "{\"total\": 7, \"ways\": 2}").await.unwrap();
    }
}
