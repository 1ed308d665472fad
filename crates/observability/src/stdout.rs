//! Events as lines for people.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Event;

use crate::output::{Output, Target};
use crate::{BoxFuture, LineFormatter, OutputOptions, Tracer, TracerError};

const NAME: &str = "stdout";

/// Writes each event as one readable line: the time (UTC), the end of the run's id, what happened; indented by the depth
/// of the agent that it happened in.
///
/// Pieces of text, of thoughts and of tool calls are joined and written as one line when what they are pieces of is
/// complete. Control characters are escaped, so that what a model writes cannot steer a terminal; long texts are cut;
/// what looks like a secret is masked ([`crate::redact`]). Lines are coloured only on a terminal, and not if `NO_COLOR`
/// is set. A thread of its own writes: a terminal that stands still holds up no run.
#[derive(Debug)]
pub struct StdoutTracer {
    output: Output,
}

impl StdoutTracer {
    /// Writes to the standard output.
    ///
    /// # Errors
    /// There can be no thread to write.
    pub fn new() -> Result<Self, TracerError> {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self::to(io::stdout(), colours, OutputOptions::default())
    }

    /// Writes the same lines somewhere else.
    ///
    /// # Errors
    /// There can be no thread to write.
    pub fn to(target: impl Write + Send + 'static, colours: bool, options: OutputOptions) -> Result<Self, TracerError> {
        let output = Output::start(NAME, Plain(target), LineFormatter::new(colours, options.redact), options)?;
        Ok(Self { output })
    }

    /// How many events could not be written; each time was told as an error too.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.output.lost()
    }

    /// Writes what waits, and ends. Blocks, at most `deadline`. Later events are errors.
    ///
    /// # Errors
    /// What could not be written and was not told yet, or that the deadline passed.
    pub fn close(&self, deadline: Duration) -> Result<(), TracerError> {
        self.output.close(deadline)
    }
}

impl Tracer for StdoutTracer {
    fn name(&self) -> &str {
        NAME
    }

    fn on_event(&self, event: Arc<Event>) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(self.output.put(event))
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), TracerError>> {
        Box::pin(self.output.flush())
    }
}

/// Anything that can be written to and has nothing to synchronise.
struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send + 'static> Target for Plain<W> {}
