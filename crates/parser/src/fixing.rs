//! Parsers that have a model repair what they cannot read.

use std::borrow::Cow;
use std::fmt::Debug;

use atomr_agents_core::{CallCtx, Kind};
use futures_util::future::BoxFuture;

use crate::{AsyncParser, ParseError, RepairModel};

/// How often a model is asked, unless somebody says otherwise.
const ATTEMPTS: u32 = 3;

/// Reads a text with another parser; what that cannot read is repaired by a model, at most three times, and read again.
///
/// Each repair that is paid for is read: the model is asked at most as often as was allowed, and the parser reads one text
/// more than that.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_parser::{AsyncParser, ClientRepair, CommaList, OutputFixing};
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_parser::ParseError> {
/// let model = ScriptedModel::new().text("\"rain").text("\"rain\"");
/// let parser = OutputFixing::new(CommaList, ClientRepair::new(Arc::new(model), "scripted")).max_attempts(2);
/// assert_eq!(parser.parse("\"rain, wind", &CallCtx::new()).await?, ["rain"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct OutputFixing<P, M> {
    inner: P,
    model: M,
    max_attempts: u32,
}

impl<P: AsyncParser, M: RepairModel> OutputFixing<P, M> {
    /// Reads with `inner`, repairs with `model`.
    #[must_use]
    pub fn new(inner: P, model: M) -> Self {
        Self { inner, model, max_attempts: ATTEMPTS }
    }

    /// How often the model may be asked; with 0 it never is.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }
}

impl<P: AsyncParser, M: RepairModel> AsyncParser for OutputFixing<P, M> {
    type Output = P::Output;

    fn parse<'a>(&'a self, text: &'a str, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Self::Output, ParseError>> {
        Box::pin(repaired(&self.inner, &self.model, self.max_attempts, None, text, ctx))
    }

    fn format_instructions(&self) -> String {
        self.inner.format_instructions()
    }
}

/// As [`OutputFixing`], and the model is shown the prompt that was answered, too: it can write what is missing.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_parser::{AsyncParser, ClientRepair, Enum, RetryWithError};
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_parser::ParseError> {
/// let model = ScriptedModel::new().text("no");
/// let prompt = "Does it rain in the Sahara? yes or no";
/// let parser = RetryWithError::new(Enum::new(["yes", "no"])?, ClientRepair::new(Arc::new(model), "scripted"), prompt);
/// assert_eq!(parser.parse("Hardly ever.", &CallCtx::new()).await?, "no");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RetryWithError<P, M> {
    fixing: OutputFixing<P, M>,
    prompt: String,
}

impl<P: AsyncParser, M: RepairModel> RetryWithError<P, M> {
    /// Reads with `inner` what `prompt` was answered with, repairs with `model`.
    #[must_use]
    pub fn new(inner: P, model: M, prompt: impl Into<String>) -> Self {
        Self { fixing: OutputFixing::new(inner, model), prompt: prompt.into() }
    }

    /// How often the model may be asked; with 0 it never is.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.fixing.max_attempts = attempts;
        self
    }
}

impl<P: AsyncParser, M: RepairModel> AsyncParser for RetryWithError<P, M> {
    type Output = P::Output;

    fn parse<'a>(&'a self, text: &'a str, ctx: &'a CallCtx) -> BoxFuture<'a, Result<Self::Output, ParseError>> {
        let OutputFixing { inner, model, max_attempts } = &self.fixing;
        Box::pin(repaired(inner, model, *max_attempts, Some(&self.prompt), text, ctx))
    }

    fn format_instructions(&self) -> String {
        self.fixing.inner.format_instructions()
    }
}

async fn repaired<P: AsyncParser>(
    inner: &P,
    model: &dyn RepairModel,
    max_attempts: u32,
    prompt: Option<&str>,
    text: &str,
    ctx: &CallCtx,
) -> Result<P::Output, ParseError> {
    let mut text = Cow::Borrowed(text);
    let mut attempts = 0;
    loop {
        let error = match inner.parse(&text, ctx).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // Only a text can be repaired, not a setting, and not a model that is away.
        if error.fault().is_none() || max_attempts == 0 {
            return Err(error);
        }
        if attempts == max_attempts {
            return Err(ParseError::Unrepaired { attempts, source: Box::new(error) });
        }
        if ctx.cancel.is_cancelled() {
            let (parser, message) = ("the repair".into(), "it was cancelled".into());
            return Err(ParseError::Failed { parser, kind: Kind::Cancelled, message, source: None });
        }
        attempts += 1;
        let hint = hint(&error, prompt, &inner.format_instructions());
        text = Cow::Owned(model.repair(&text, &hint, ctx).await?);
    }
}

/// What is wrong, and what was asked for.
fn hint(error: &ParseError, prompt: Option<&str>, instructions: &str) -> String {
    let asked = prompt.map_or_else(String::new, |prompt| format!("The text answers this prompt:\n{prompt}\n\n"));
    let wrong = error.fault().map_or_else(|| error.to_string(), ToString::to_string);
    format!("{asked}The text cannot be read. {wrong}\n\nWhat is wanted: {instructions}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CommaList, Json};
    use atomr_agents_core::Value;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Gives its answers in their order, and keeps what it was asked.
    #[derive(Debug, Default)]
    struct Script {
        answers: Vec<&'static str>,
        asked: Mutex<Vec<(String, String)>>,
        fails: bool,
    }

    impl RepairModel for Script {
        fn repair<'a>(
            &'a self,
            original: &'a str,
            hint: &'a str,
            _: &'a CallCtx,
        ) -> BoxFuture<'a, Result<String, ParseError>> {
            let mut asked = self.asked.lock().unwrap();
            let answer = self.answers.get(asked.len()).copied().unwrap_or("still wrong");
            asked.push((original.into(), hint.into()));
            let failed =
                || ParseError::Failed { parser: "x".into(), kind: Kind::Connect, message: "away".into(), source: None };
            Box::pin(std::future::ready(if self.fails { Err(failed()) } else { Ok(answer.into()) }))
        }
    }

    /// Counts how often it reads.
    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    impl crate::Parser for Counting {
        type Output = Value;

        fn parse(&self, text: &str) -> Result<Value, ParseError> {
            self.0.fetch_add(1, Ordering::Relaxed);
            crate::Parser::parse(&Json, text)
        }

        fn format_instructions(&self) -> String {
            "JSON, please".into()
        }
    }

    fn script(answers: &[&'static str]) -> std::sync::Arc<Script> {
        std::sync::Arc::new(Script { answers: answers.to_vec(), ..Script::default() })
    }

    #[tokio::test]
    async fn each_repair_that_was_paid_for_is_read_and_no_other_is_paid_for() {
        for attempts in 0..4 {
            let model = script(&[]);
            let parser = OutputFixing::new(Counting::default(), model.clone()).max_attempts(attempts);
            let error = parser.parse("wrong", &CallCtx::new()).await.unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidOutput);
            assert_eq!(model.asked.lock().unwrap().len(), attempts as usize);
            assert_eq!(parser.inner.0.load(Ordering::Relaxed), attempts + 1);
            let shown = if attempts == 0 { "wrong" } else { "still wrong" };
            assert_eq!(error.fault().unwrap().context, shown);
        }
        let model = script(&["{", "{}"]);
        let parser = OutputFixing::new(Json, model.clone()).max_attempts(2);
        assert_eq!(parser.parse("x", &CallCtx::new()).await.unwrap(), serde_json::json!({}));
        let asked = model.asked.lock().unwrap().clone();
        assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), ("x", "{"), "each repair goes on from the last text");
    }

    #[tokio::test]
    async fn a_text_that_can_be_read_asks_nobody() {
        let model = script(&[]);
        let parser = OutputFixing::new(CommaList, model.clone());
        assert_eq!(parser.parse("a, b", &CallCtx::new()).await.unwrap(), ["a", "b"]);
        assert!(model.asked.lock().unwrap().is_empty());
        assert_eq!(AsyncParser::format_instructions(&parser), crate::Parser::format_instructions(&CommaList));
    }

    #[tokio::test]
    async fn the_hint_has_the_fault_the_instructions_and_the_prompt() {
        let model = script(&["1"]);
        let parser = RetryWithError::new(Counting::default(), model.clone(), "How many?").max_attempts(1);
        assert_eq!(parser.parse("many", &CallCtx::new()).await.unwrap(), 1);
        let (original, hint) = model.asked.lock().unwrap()[0].clone();
        assert_eq!(original, "many");
        for part in ["How many?", "not JSON", "JSON, please"] {
            assert!(hint.contains(part), "{hint}");
        }
    }

    #[tokio::test]
    async fn a_model_that_is_away_ends_it_and_so_does_cancelling() {
        let model = Script { fails: true, ..Script::default() };
        let error = OutputFixing::new(Json, model).parse("x", &CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Connect);
        let (model, ctx) = (script(&[]), CallCtx::new());
        ctx.cancel.cancel();
        let error = OutputFixing::new(Json, model.clone()).parse("x", &ctx).await.unwrap_err();
        assert_eq!((error.kind(), model.asked.lock().unwrap().len()), (Kind::Cancelled, 0));
    }

    #[tokio::test]
    async fn parsers_that_repair_can_lie_in_each_other() {
        let (one, two) = (script(&["wrong"]), script(&["7"]));
        let inner = OutputFixing::new(Json, one.clone()).max_attempts(1);
        let parser = OutputFixing::new(inner, two.clone()).max_attempts(1);
        assert_eq!(parser.parse("x", &CallCtx::new()).await.unwrap(), 7);
        assert_eq!((one.asked.lock().unwrap().len(), two.asked.lock().unwrap().len()), (1, 1));
    }
}
