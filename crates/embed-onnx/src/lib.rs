//! Embedders of ONNX models in this process: [`OnnxEmbedder`] takes a model and its `tokenizer.json`, as they are published
//! for sentence embeddings, and makes vectors of texts without any server.
//!
//! The ONNX Runtime itself is no part of this crate. Its library is looked for when the first model is loaded: where
//! [`OnnxConfig::runtime`] says, or `ORT_DYLIB_PATH`, or where the system looks for libraries. Any version from 1.17 on will do;
//! `pip install onnxruntime` brings one.
//!
//! This crate knows no index, no document and no network: it fetches nothing.
//!
//! ```no_run
//! use atomr_agents_core::CallCtx;
//! use atomr_agents_embed::Embedder;
//! use atomr_agents_embed_onnx::{OnnxConfig, OnnxEmbedder};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let embedder = OnnxEmbedder::load(OnnxConfig::of_folder("models/all-MiniLM-L6-v2")?)?;
//! let vectors = embedder.embed(&["rain in Oslo", "wind in Bergen"], &CallCtx::new()).await?;
//! assert_eq!(vectors.dim(), 384);
//! # Ok(()) }
//! ```

mod config;
mod embedder;
mod error;
mod model;
mod runtime;
mod tokens;

pub use config::{OnnxConfig, Pooling};
pub use embedder::OnnxEmbedder;
pub use error::OnnxError;
