//! What can go wrong with a model in this process.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomr_agents_core::Kind;
use atomr_agents_embed::EmbedError;
use thiserror::Error;

type Source = Arc<dyn StdError + Send + Sync>;

/// A model could not be loaded or run.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// There is no library to run models with.
    #[error(
        "no ONNX Runtime at {}: {message}; install one (`pip install onnxruntime`), or say where its library lies, with \
         `runtime` or the variable ORT_DYLIB_PATH",
        path.display()
    )]
    NoRuntime {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// A library that is no ONNX Runtime, or too old a one.
    #[error("{} cannot be used: {message}; an ONNX Runtime of version 1.17 or later is needed (`pip install -U onnxruntime`)", path.display())]
    WrongRuntime {
        /// The library.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Another library was loaded before; a process has one.
    #[error("this process runs the ONNX Runtime {} already and cannot load {}, too", loaded.display(), asked.display())]
    OtherRuntime {
        /// The one it has.
        loaded: PathBuf,
        /// The one that was asked for.
        asked: PathBuf,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A file that is not what it should be: no model, no tokenizer, no settings.
    #[error("{} {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// The reader's own error, if there is one.
        #[source]
        source: Option<Source>,
    },
    /// A model that wants something that is not made of texts, or wants it in another type.
    #[error("the model {} cannot be given its input `{input}`: {problem}", path.display())]
    Input {
        /// The model.
        path: PathBuf,
        /// The input.
        input: String,
        /// Why not.
        problem: String,
    },
    /// A model that gives nothing that a vector can be made of.
    #[error("the model {} has no output that is wanted ({wanted}): {found}", path.display())]
    Output {
        /// The model.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// The vectors have another dimension than the one that was asked for.
    #[error("the model {} makes vectors of {found} numbers, not of {expected}", path.display())]
    Dimension {
        /// The model.
        path: PathBuf,
        /// What was asked for.
        expected: usize,
        /// What it makes.
        found: usize,
    },
    /// An option makes no sense.
    #[error("{option} {problem}")]
    Invalid {
        /// The option.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The runtime failed while it worked.
    #[error("the ONNX Runtime failed: {message}")]
    Run {
        /// What it said.
        message: String,
    },
    /// The caller does not wait any more.
    #[error("the embedding was cancelled")]
    Cancelled,
    /// The call's deadline passed.
    #[error("the embedding did not end before its deadline")]
    Late,
}

impl OnnxError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::NoRuntime { .. } | Self::WrongRuntime { .. } | Self::OtherRuntime { .. } | Self::Invalid { .. } => {
                Kind::Config
            }
            Self::Dimension { .. } => Kind::Config,
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Kind::NotFound,
            Self::File { .. } => Kind::Storage,
            Self::Format { .. } | Self::Input { .. } | Self::Output { .. } => Kind::UnsupportedFormat,
            Self::Run { .. } => Kind::Internal,
            Self::Cancelled => Kind::Cancelled,
            Self::Late => Kind::Timeout,
        }
    }

    pub(crate) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source: Arc::new(source) }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>, source: Option<Source>) -> Self {
        Self::Format { path: path.to_owned(), problem: problem.into(), source }
    }

    pub(crate) fn run(error: &dyn StdError) -> Self {
        Self::Run { message: error.to_string() }
    }
}

impl From<OnnxError> for EmbedError {
    fn from(error: OnnxError) -> Self {
        let (kind, message) = (error.kind(), error.to_string());
        Self::Failed { what: "the ONNX embedder".into(), kind, message, source: Some(Arc::new(error)) }
    }
}
