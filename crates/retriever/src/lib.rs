//! What finds documents ([`Retriever`]), what keeps them to be found ([`DocumentIndex`]), and the conditions on their
//! metadata ([`Filter`]).
//!
//! This crate knows no agent, no loader and no Python. A document comes back as it was given: only its score is new.

mod analyze;
mod bm25;
pub mod conformance;
mod error;
mod filter;
mod index;
#[allow(dead_code)]
mod lexical;
mod retriever;

pub use analyze::{Analyzer, Language, Words};
pub use bm25::{Bm25, Bm25Options};
pub use error::RetrieveError;
pub use filter::Filter;
pub use index::{DocumentIndex, source_of};
pub use retriever::{Query, Retriever};
