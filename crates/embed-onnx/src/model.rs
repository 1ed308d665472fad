//! A model that is loaded: what it takes, what it gives, and how one batch goes through it.

use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{Tensor, TensorElementType, ValueType};

use crate::tokens::Row;
use crate::{OnnxConfig, OnnxError, Pooling};

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
const TYPES: &str = "token_type_ids";
/// Outputs with a vector for each token.
const OF_TOKENS: &[&str] = &["last_hidden_state", "token_embeddings"];
/// The output with a vector for each text.
const OF_TEXTS: &str = "sentence_embedding";

#[derive(Debug)]
pub(crate) struct Model {
    session: Session,
    /// The names of its inputs, in the order in which it has them.
    inputs: Vec<&'static str>,
    output: String,
    /// How vectors of tokens become one; `None` where the model does it.
    pooling: Option<Pooling>,
    normalize: bool,
}

impl Model {
    pub(crate) fn load(config: &OnnxConfig) -> Result<Self, OnnxError> {
        let path: &Path = &config.model;
        let environment = crate::runtime::environment(config)?;
        crate::runtime::guarded(|| {
            let mut builder = Session::builder(&environment).map_err(|error| OnnxError::run(&error))?;
            builder =
                builder.with_optimization_level(GraphOptimizationLevel::All).unwrap_or_else(|error| error.recover());
            if let Some(threads) = config.threads {
                builder = builder.with_intra_threads(threads).map_err(|error| OnnxError::run(&error))?;
            }
            // Threads that wait in a loop for the next batch cost everybody else their cores.
            builder = builder.with_intra_op_spinning(false).unwrap_or_else(|error| error.recover());
            let session = builder
                .commit_from_file(path)
                .map_err(|error| OnnxError::format(path, format!("is no model that can be run: {error}"), None))?;
            let inputs = inputs(path, &session)?;
            let (output, pooling) = output(path, &session, config.pooling)?;
            Ok(Self { session, inputs, output, pooling, normalize: config.normalize })
        })
    }

    /// The vectors of these rows, filled up to the longest, one after the other, and their dimension.
    pub(crate) fn run(
        &mut self,
        rows: &[&Row],
        pad: i64,
        options: &RunOptions,
    ) -> Result<(usize, Vec<f32>), OnnxError> {
        let broken = |error: ort::Error| OnnxError::run(&error);
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0).max(1);
        let filled = |of: &dyn Fn(&Row, usize) -> Option<i64>, otherwise: i64| -> Vec<i64> {
            let cells = rows.iter().flat_map(|row| (0..width).map(move |at| (row, at)));
            cells.map(|(row, at)| of(row, at).unwrap_or(otherwise)).collect()
        };
        let mut given: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(self.inputs.len());
        for name in &self.inputs {
            let values = match *name {
                IDS => filled(&|row, at| row.ids.get(at).copied(), pad),
                MASK => filled(&|row, at| row.ids.get(at).map(|_| 1), 0),
                _ => filled(&|row, at| row.types.get(at).copied(), 0),
            };
            given.push((*name, Tensor::from_array(([rows.len(), width], values)).map_err(broken)?.into()));
        }
        let outputs = self.session.run_with_options(given, options).map_err(broken)?;
        let Some(made) = outputs.get(&self.output) else {
            return Err(OnnxError::Run { message: format!("it gave no output `{}`", self.output) });
        };
        let (shape, values) = made.try_extract_tensor::<f32>().map_err(broken)?;
        let sizes: Vec<usize> = shape.iter().filter_map(|size| usize::try_from(*size).ok()).collect();
        let (dim, mut vectors) = match (self.pooling, sizes.as_slice()) {
            (None, &[count, dim]) if count == rows.len() && dim > 0 => (dim, values.to_vec()),
            (Some(pooling), &[count, tokens, dim]) if count == rows.len() && tokens == width && dim > 0 => {
                (dim, pooled(values, rows, (tokens, dim), pooling))
            }
            _ => {
                let message = format!("its output `{}` has the shape {sizes:?} for {} texts", self.output, rows.len());
                return Err(OnnxError::Run { message });
            }
        };
        if self.normalize {
            vectors.chunks_exact_mut(dim).for_each(to_unit);
        }
        Ok((dim, vectors))
    }
}

/// One vector of those of each row's tokens; what fills a row up counts for nothing.
fn pooled(values: &[f32], rows: &[&Row], (tokens, dim): (usize, usize), pooling: Pooling) -> Vec<f32> {
    let mut vectors = Vec::with_capacity(rows.len() * dim);
    for (row, of_row) in rows.iter().zip(values.chunks_exact(tokens * dim)) {
        let counts = match pooling {
            Pooling::Mean => row.ids.len(),
            Pooling::Cls => 1,
        };
        let start = vectors.len();
        vectors.resize(start + dim, 0.0f32);
        let Some(vector) = vectors.get_mut(start..) else { continue };
        for token in of_row.chunks_exact(dim).take(counts) {
            vector.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
        }
        vector.iter_mut().for_each(|sum| *sum /= counts.max(1) as f32);
    }
    vectors
}

/// Scales a vector to length 1; one of zeros has no direction and stays.
fn to_unit(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

/// The inputs of a model, of which each can be made of texts.
fn inputs(path: &Path, session: &Session) -> Result<Vec<&'static str>, OnnxError> {
    let wrong = |input: &str, problem: String| {
        Err(OnnxError::Input { path: path.to_owned(), input: input.to_owned(), problem })
    };
    let mut names = Vec::new();
    for input in session.inputs() {
        let Some(name) = [IDS, MASK, TYPES].into_iter().find(|name| *name == input.name()) else {
            return wrong(input.name(), format!("what is made of texts is {IDS}, {MASK} and {TYPES}"));
        };
        let ValueType::Tensor { ty: TensorElementType::Int64, .. } = input.dtype() else {
            return wrong(name, format!("it is of the type {}, not whole numbers of 64 bits", input.dtype()));
        };
        names.push(name);
    }
    if !names.contains(&IDS) {
        return wrong(IDS, "the model has none of that name".to_owned());
    }
    Ok(names)
}

/// The output that vectors are made of, and how.
fn output(path: &Path, session: &Session, asked: Option<Pooling>) -> Result<(String, Option<Pooling>), OnnxError> {
    let there = |name: &str, rank: usize| {
        session.outputs().iter().any(|output| {
            output.name() == name
                && matches!(output.dtype(), ValueType::Tensor { ty: TensorElementType::Float32, shape, .. }
                    if shape.len() == rank || shape.is_empty())
        })
    };
    if asked.is_none() && there(OF_TEXTS, 2) {
        return Ok((OF_TEXTS.to_owned(), None));
    }
    if let Some(name) = OF_TOKENS.iter().find(|name| there(name, 3)) {
        return Ok(((*name).to_owned(), Some(asked.unwrap_or(Pooling::Mean))));
    }
    let wanted = format!("{} of texts by tokens by dimension, or {OF_TEXTS}, in float32", OF_TOKENS.join(" or "));
    let found = session.outputs().iter().map(|output| format!("{} is {}", output.name(), output.dtype()));
    Err(OnnxError::Output { path: path.to_owned(), wanted, found: found.collect::<Vec<_>>().join(", ") })
}
