//! How a model is set up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::OnnxError;

/// How one vector is made of those of a text's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's, which stands for the whole text in some models.
    Cls,
}

/// How a model is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnnxConfig {
    /// The model: an ONNX file.
    pub model: PathBuf,
    /// Its `tokenizer.json`.
    pub tokenizer: PathBuf,
    /// How one vector is made of those of a text's tokens, from the output `last_hidden_state`. Without it, the output
    /// `sentence_embedding` is taken where the model has one, and the mean elsewhere.
    pub pooling: Option<Pooling>,
    /// Whether vectors are scaled to length 1; they are without another word.
    pub normalize: bool,
    /// Tokens of the longest text that is read to its end, marks included; of a longer one, the beginning is read. Without
    /// it, what the tokenizer says, or 512.
    pub max_tokens: Option<usize>,
    /// How many numbers a vector must have; a model that makes others is refused.
    pub dimensions: Option<usize>,
    /// How many tokens are computed at once, those that only fill up included; 4,096 without another word. More need more
    /// memory.
    pub batch_tokens: usize,
    /// On how many threads one computation runs; on all cores without it.
    pub threads: Option<usize>,
    /// The library of the ONNX Runtime. Without it `ORT_DYLIB_PATH` is asked.
    pub runtime: Option<PathBuf>,
    /// Where the library is looked for if neither says it; without it, where the system looks for libraries.
    pub usual_runtime: Option<PathBuf>,
    /// What the embedder calls itself. Without it, `onnx:` and a hash of everything that changes a vector.
    pub name: Option<String>,
}

impl OnnxConfig {
    /// A model and its tokenizer.
    #[must_use]
    pub fn new(model: impl Into<PathBuf>, tokenizer: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            tokenizer: tokenizer.into(),
            pooling: None,
            normalize: true,
            max_tokens: None,
            dimensions: None,
            batch_tokens: 4_096,
            threads: None,
            runtime: None,
            usual_runtime: None,
            name: None,
        }
    }

    /// What lies in a folder: `model.onnx` there or in `onnx/`, `tokenizer.json`, and the settings that models of
    /// `sentence-transformers` have beside them, if they are there (`sentence_bert_config.json`, `1_Pooling/config.json`,
    /// `modules.json`).
    ///
    /// # Errors
    /// [`OnnxError::File`] without a model, [`OnnxError::Format`] for settings that are no JSON or ask for another pooling.
    pub fn of_folder(folder: impl AsRef<Path>) -> Result<Self, OnnxError> {
        let folder = folder.as_ref();
        let inner = folder.join("onnx/model.onnx");
        let model = if inner.is_file() { inner } else { folder.join("model.onnx") };
        if !model.is_file() {
            return Err(OnnxError::file(&model, std::io::ErrorKind::NotFound.into()));
        }
        let mut config = Self::new(model, folder.join("tokenizer.json"));
        if let Some(settings) = settings(&folder.join("sentence_bert_config.json"))? {
            config.max_tokens = settings["max_seq_length"].as_u64().and_then(|max| usize::try_from(max).ok());
        }
        let path = folder.join("1_Pooling/config.json");
        if let Some(settings) = settings(&path)? {
            let asks = |mode: &str| settings[mode].as_bool().unwrap_or(false);
            config.pooling = match (asks("pooling_mode_mean_tokens"), asks("pooling_mode_cls_token")) {
                (true, false) => Some(Pooling::Mean),
                (false, true) => Some(Pooling::Cls),
                _ => return Err(OnnxError::format(&path, "asks for a pooling that is neither `mean` nor `cls`", None)),
            };
        }
        if let Some(modules) = settings(&folder.join("modules.json"))? {
            let is_last = |module: &Value| module["type"].as_str().is_some_and(|kind| kind.ends_with(".Normalize"));
            config.normalize = modules.as_array().is_some_and(|modules| modules.iter().any(is_last));
        }
        Ok(config)
    }
}

/// The JSON of a file, if there is one.
fn settings(path: &Path) -> Result<Option<Value>, OnnxError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OnnxError::file(path, error)),
    };
    let read = serde_json::from_slice(&text);
    read.map(Some).map_err(|error| OnnxError::format(path, format!("is no JSON: {error}"), Some(Arc::new(error))))
}
