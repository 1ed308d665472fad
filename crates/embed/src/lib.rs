//! The seam to embeddings: what makes vectors of texts ([`Embedder`]), and what finds the nearest of them ([`AnnIndex`]).
//!
//! This crate knows no document, no store and no Python. A vector that it lets in has the right dimension and no NaN.
//!
//! ```
//! use atomr_agents_core::CallCtx;
//! use atomr_agents_embed::{Embedder, MockEmbedder};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_embed::EmbedError> {
//! let embedder = MockEmbedder::new(64)?;
//! let vectors = embedder.embed(&["rain", "wind"], &CallCtx::new()).await?;
//! assert_eq!((vectors.len(), vectors.dim()), (2, 64));
//! # Ok(()) }
//! ```

mod ann;
mod batched;
mod beside;
pub mod conformance;
mod embedder;
mod error;
mod index;
mod kernels;
mod mock;
mod vectors;

pub use ann::{Allowed, AnnIndex, Neighbour};
pub use batched::{BatchOptions, Batched};
pub use beside::Beside;
pub use embedder::Embedder;
pub use error::EmbedError;
pub use index::{IndexOptions, Metric, VectorIndex};
pub use mock::MockEmbedder;
pub use vectors::Vectors;
