//! What finds documents ([`Retriever`]), what keeps them to be found ([`DocumentIndex`]), and the conditions on their
//! metadata ([`Filter`]).
//!
//! This crate knows no agent, no loader and no Python. A document comes back as it was given: only its score is new.

mod analyze;
mod ask;
mod bm25;
mod combine;
pub mod conformance;
mod error;
mod filter;
mod fuse;
mod hybrid;
mod index;
mod lexical;
mod persist;
mod retriever;
mod step;
mod vector;
mod weigh;

pub use analyze::{Analyzer, Language, Words};
pub use bm25::{Bm25, Bm25Options};
pub use combine::{
    Compressor, ContextualCompression, EmbeddingReranker, EmbeddingsFilter, Ensemble, Field, FieldType, Mmr,
    ModelCompressor, ModelReranker, MultiQuery, ParentDocument, RerankedRetriever, Reranker, SelfQuery,
    SentenceCompressor, TimeWeighted, mmr,
};
pub use error::RetrieveError;
pub use filter::Filter;
pub use fuse::{RRF_K, fuse};
pub use hybrid::{HybridIndex, HybridOptions};
pub use index::{DocumentIndex, source_of};
pub use retriever::{Query, Retriever};
pub use step::step;
pub use vector::VectorRetriever;
pub use weigh::{Terms, Weights};
