//! The seam: what reads a text.

use std::fmt::Debug;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};
use futures_util::future::BoxFuture;

use crate::ParseError;

/// Reads what a model wrote.
///
/// A parser has no state: the same text gives the same value. It never panics, and takes time in proportion to the text.
///
/// ```
/// use atomr_agents_parser::{Json, Parser};
///
/// let value = Json.parse("Sure! ```json\n{\"city\": \"Oslo\"}\n```")?;
/// assert_eq!(value["city"], "Oslo");
/// assert!(Json.format_instructions().contains("JSON"));
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
pub trait Parser: Debug + Send + Sync + 'static {
    /// What a text becomes.
    type Output: Send + 'static;

    /// Reads a text.
    ///
    /// # Errors
    /// [`ParseError::Invalid`] says what is wrong with the text, and where.
    fn parse(&self, text: &str) -> Result<Self::Output, ParseError>;

    /// How a model is told what to write, for a prompt.
    fn format_instructions(&self) -> String;
}

impl<P: Parser + ?Sized> Parser for Arc<P> {
    type Output = P::Output;

    fn parse(&self, text: &str) -> Result<Self::Output, ParseError> {
        (**self).parse(text)
    }

    fn format_instructions(&self) -> String {
        (**self).format_instructions()
    }
}

/// Reads what a model wrote, and may wait for somebody: for another model, or for code elsewhere. Every [`Parser`] is
/// one that never waits.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_parser::{AsyncParser, CommaList};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_parser::ParseError> {
/// let ctx = CallCtx::new();
/// assert_eq!(AsyncParser::parse(&CommaList, "rain, wind", &ctx).await?, ["rain", "wind"]);
/// # Ok(()) }
/// ```
pub trait AsyncParser: Debug + Send + Sync + 'static {
    /// What a text becomes.
    type Output: Send + 'static;

    /// Reads a text. Dropping the future stops what it waits for.
    ///
    /// # Errors
    /// [`ParseError::Invalid`] for the text, [`ParseError::Failed`] for what was asked.
    fn parse<'a>(&'a self, text: &'a str, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Self::Output, ParseError>>;

    /// How a model is told what to write, for a prompt.
    fn format_instructions(&self) -> String;
}

impl<P: Parser> AsyncParser for P {
    type Output = P::Output;

    fn parse<'a>(&'a self, text: &'a str, _ctx: &'a CallCtx) -> BoxFuture<'a, Result<Self::Output, ParseError>> {
        Box::pin(std::future::ready(Parser::parse(self, text)))
    }

    fn format_instructions(&self) -> String {
        Parser::format_instructions(self)
    }
}

/// A parser whose values are JSON, so that it can stand beside others in one list.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::Value;
/// use atomr_agents_parser::{AsValue, CommaList, Json, Parser};
///
/// let all: [Arc<dyn Parser<Output = Value>>; 2] = [Arc::new(Json), Arc::new(AsValue(CommaList))];
/// assert_eq!(all[0].parse("[\"a\"]")?, all[1].parse("a")?);
/// # Ok::<(), atomr_agents_parser::ParseError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AsValue<P>(pub P);

impl<P> Parser for AsValue<P>
where
    P: Parser,
    P::Output: Into<Value>,
{
    type Output = Value;

    fn parse(&self, text: &str) -> Result<Value, ParseError> {
        self.0.parse(text).map(Into::into)
    }

    fn format_instructions(&self) -> String {
        self.0.format_instructions()
    }
}
