//! The embedder.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atomr_agents_core::CallCtx;
use atomr_agents_embed::{EmbedError, Embedder, Vectors};
use futures_util::future::BoxFuture;
use ort::session::RunOptions;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::model::Model;
use crate::runtime::told;
use crate::tokens::{Row, Tokens};
use crate::{OnnxConfig, OnnxError};

/// An embedder that runs an ONNX model in this process.
///
/// Texts of one call are computed in batches of about the same length. One batch is computed at a time, on
/// [`OnnxConfig::threads`] threads of the runtime's own; calls wait for each other, and no thread of the async runtime waits
/// for them. A call that is dropped stops between two steps of the model. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OnnxEmbedder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The runtime asks that nobody runs a session twice at once.
    model: Arc<Mutex<Model>>,
    tokens: Arc<Tokens>,
    name: String,
    dim: usize,
    batch_tokens: usize,
}

impl OnnxEmbedder {
    /// Loads a model and its tokenizer, and the runtime if it is the first, and makes one vector to see that they fit. This
    /// reads the whole model: in async code, do it on a thread that may block.
    ///
    /// # Errors
    /// [`OnnxError`] says what is missing or does not fit.
    pub fn load(config: OnnxConfig) -> Result<Self, OnnxError> {
        for (option, given) in [
            ("batch_tokens", Some(config.batch_tokens)),
            ("dimensions", config.dimensions),
            ("threads", config.threads),
        ] {
            if given == Some(0) {
                return Err(OnnxError::Invalid { option, problem: "must be at least 1".to_owned() });
            }
        }
        let bytes = std::fs::read(&config.tokenizer).map_err(|error| OnnxError::file(&config.tokenizer, error))?;
        let tokens = Tokens::read(&bytes, &config)?;
        // The runtime tells a file that is missing in words alone.
        std::fs::File::open(&config.model).map_err(|error| OnnxError::file(&config.model, error))?;
        let mut model = Model::load(&config)?;
        let row = tokens.of("a")?;
        let (dim, _) = crate::runtime::guarded(|| {
            let options = RunOptions::new().map_err(|error| OnnxError::run(&error))?;
            model.run(&[&row], tokens.pad, &options)
        })?;
        if let Some(expected) = config.dimensions.filter(|expected| *expected != dim) {
            return Err(OnnxError::Dimension { path: config.model, expected, found: dim });
        }
        let name = match &config.name {
            Some(name) => name.clone(),
            None => named(&config, &bytes, tokens.max_tokens).map_err(|error| OnnxError::file(&config.model, error))?,
        };
        let (model, tokens) = (Arc::new(Mutex::new(model)), Arc::new(tokens));
        Ok(Self(Arc::new(Inner { model, tokens, name, dim, batch_tokens: config.batch_tokens })))
    }
}

/// A name that is the same for the same vectors wherever the files lie: a hash of all that changes them.
fn named(config: &OnnxConfig, tokenizer: &[u8], max_tokens: usize) -> io::Result<String> {
    let mut hash = blake3::Hasher::new();
    io::copy(&mut std::fs::File::open(&config.model)?, &mut hash)?;
    // Weights beside a large model, under the names that exporters give them.
    for ending in ["_data", ".data"] {
        let mut beside = config.model.clone().into_os_string();
        beside.push(ending);
        match std::fs::File::open(&beside) {
            Ok(mut file) => io::copy(&mut file, &mut hash).map(|_| ())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    hash.update(tokenizer);
    hash.update(format!("{:?} {} {max_tokens}", config.pooling, config.normalize).as_bytes());
    let hex = hash.finalize().to_hex();
    Ok(format!("onnx:{}", hex.get(..16).unwrap_or_default()))
}

/// Tells the work that nobody waits for it any more.
struct Stop {
    told: Arc<AtomicBool>,
    options: Arc<RunOptions>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        self.told.store(true, Ordering::Release);
        // It fails only for a run that is over.
        let _ = self.options.terminate();
    }
}

impl Inner {
    async fn embed(&self, texts: &[&str]) -> Result<Vectors, EmbedError> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let model = Arc::clone(&self.model).lock_owned().await;
        let options = Arc::new(RunOptions::new().map_err(|error| OnnxError::run(&error))?);
        let told_to_stop = Arc::new(AtomicBool::new(false));
        let _stop = Stop { told: Arc::clone(&told_to_stop), options: Arc::clone(&options) };
        let (tokens, batch_tokens) = (Arc::clone(&self.tokens), self.batch_tokens);
        let mut work = JoinSet::new();
        // Owned: dropped before it began, it never does; dropped later, `Stop` ends it.
        work.spawn_blocking(move || {
            let mut model = model;
            computed(&mut model, &tokens, batch_tokens, &texts, &options, &told_to_stop)
        });
        let values = match work.join_next().await {
            Some(Ok(values)) => values?,
            Some(Err(error)) => {
                let message = error.try_into_panic().map_or_else(|error| error.to_string(), |panic| told(&*panic));
                return Err(OnnxError::Run { message }.into());
            }
            None => return Err(OnnxError::Cancelled.into()),
        };
        Vectors::new(self.dim, values)
    }
}

/// The vectors of the texts in their order, one after the other.
fn computed(
    model: &mut Model,
    tokens: &Tokens,
    batch_tokens: usize,
    texts: &[String],
    options: &RunOptions,
    stop: &AtomicBool,
) -> Result<Vec<f32>, OnnxError> {
    let rows = texts.iter().map(|text| tokens.of(text)).collect::<Result<Vec<Row>, _>>()?;
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| rows.get(*at).map_or(0, |row| row.ids.len()));
    let mut made: Vec<Vec<f32>> = vec![Vec::new(); rows.len()];
    let mut rest = order.as_slice();
    while !rest.is_empty() {
        if stop.load(Ordering::Acquire) {
            return Err(OnnxError::Cancelled);
        }
        // They rise in length: the last of a batch is as wide as all become.
        let fits = |(count, at): (usize, &usize)| {
            let width = rows.get(*at).map_or(0, |row| row.ids.len());
            count == 0 || (count + 1) * width <= batch_tokens
        };
        let count = rest.iter().enumerate().take_while(|place| fits(*place)).count();
        let (batch, later) = rest.split_at(count);
        let batch_rows: Vec<&Row> = batch.iter().filter_map(|at| rows.get(*at)).collect();
        let (dim, values) = model.run(&batch_rows, tokens.pad, options)?;
        for (at, vector) in batch.iter().zip(values.chunks_exact(dim)) {
            if let Some(place) = made.get_mut(*at) {
                *place = vector.to_vec();
            }
        }
        rest = later;
    }
    Ok(made.into_iter().flatten().collect())
}

impl Embedder for OnnxEmbedder {
    fn model(&self) -> &str {
        &self.0.name
    }

    fn dim(&self) -> Option<usize> {
        Some(self.0.dim)
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(async move {
            if texts.is_empty() {
                return Vectors::empty(self.0.dim);
            }
            let late = async {
                match ctx.remaining() {
                    Some(left) => tokio::time::sleep(left).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = ctx.cancel.cancelled() => Err(OnnxError::Cancelled.into()),
                made = self.0.embed(texts) => made,
                () = late => Err(OnnxError::Late.into()),
            }
        })
    }
}
