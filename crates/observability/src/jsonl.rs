//! Events as lines of JSON in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Event, Kind};

use crate::output::{Output, Render, Target};
use crate::{BoxFuture, OutputOptions, Tracer, TracerError, redact_event};

const NAME: &str = "jsonl";

/// Appends each event to a file as one line of JSON, the form that [`Event`] is read back from.
///
/// The file is opened once, for appending; one that is new is made for its owner alone (mode 600). A thread of its own
/// writes, so that a slow disk holds up neither the runtime nor a run. If a process was killed in the middle of a line,
/// the next one begins a new line. What cannot be written is counted and told as the error of a later event, and of
/// the next flush; writing goes on.
///
/// ```
/// use atomr_agents_observability::{EventBus, JsonlTracer};
/// # use std::sync::Arc;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("events.jsonl");
/// let bus = EventBus::new();
/// let tracer = bus.attach_tracer(Arc::new(JsonlTracer::open(&path)?))?;
/// // … runs of agents that were given the bus …
/// tracer.detach().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonlTracer {
    output: Output,
    path: PathBuf,
}

impl JsonlTracer {
    /// Opens the file with the default options.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or there can be no thread to write it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, TracerError> {
        Self::open_with(path, OutputOptions::default())
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Those of [`JsonlTracer::open`].
    pub fn open_with(path: impl AsRef<Path>, options: OutputOptions) -> Result<Self, TracerError> {
        let path = path.as_ref().to_owned();
        let file = open(&path).map_err(|error| TracerError::Failed {
            tracer: NAME.into(),
            kind: Kind::Config,
            message: format!("{}: {error}", path.display()),
            source: Some(Arc::new(error)),
        })?;
        let output = Output::start(NAME, file, Lines { redact: options.redact }, options)?;
        Ok(Self { output, path })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many events were handed to the operating system.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.output.written()
    }

    /// How many events could not be written; each time was told as an error too.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.output.lost()
    }

    /// Writes what waits, and closes the file. Blocks, at most `deadline`; dropping the tracer does the same without
    /// waiting. Later events are errors.
    ///
    /// # Errors
    /// What could not be written and was not told yet, or that the deadline passed.
    pub fn close(&self, deadline: Duration) -> Result<(), TracerError> {
        self.output.close(deadline)
    }
}

impl Tracer for JsonlTracer {
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

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

impl Target for File {
    fn sync(&mut self) -> io::Result<()> {
        // A pipe or a terminal cannot be synchronised, and needs not.
        if self.metadata()?.is_file() { self.sync_data() } else { Ok(()) }
    }
}

struct Lines {
    redact: bool,
}

impl Render for Lines {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        let before = out.len();
        let written = if self.redact {
            serde_json::to_writer(&mut *out, &*redact_event(event))
        } else {
            serde_json::to_writer(&mut *out, event)
        };
        match written {
            Ok(()) => out.push(b'\n'),
            // An event is plain data and a vector takes every byte, so this cannot be; half a line must not stay.
            Err(_) => out.truncate(before),
        }
    }
}
