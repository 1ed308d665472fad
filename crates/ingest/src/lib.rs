//! From files and pages to pieces in an index: what loads documents, what cuts them ([`Splitter`]), and what brings the
//! pieces into an index.
//!
//! This crate knows no model's provider, no kind of index and no Python. A piece is a slice of its source, byte by byte, and
//! says which; a document that is bad never loses another one.
//!
//! ```
//! use atomr_agents_core::Document;
//! use atomr_agents_ingest::{Recursive, Splitter};
//!
//! let splitter = Recursive::new(1_000).overlap(200).build()?;
//! let pieces = splitter.split(&Document::new("report.md", "Rain in Oslo."))?;
//! assert_eq!(pieces[0].id, "report.md#0");
//! # Ok::<(), atomr_agents_ingest::IngestError>(())
//! ```

mod cached;
pub mod conformance;
mod error;
mod load;
mod loader;
mod pipeline;
mod split;
mod splitter;

pub use cached::{CachedEmbedder, KvCache, MemoryKvCache, StoreKvCache};
pub use error::IngestError;
pub use load::{
    ByName, Csv, Decoding, Directory, Docx, Fields, Files, Format, Html, Json, JsonLines, MAX_BYTES, Markdown, Pdf,
    Records, Source, Text, Web, html_text,
};
pub use loader::{Documents, Loaded, Loader, load_all};
pub use pipeline::{Checkpoint, IngestPipeline, OnProgress, PipelineOptions, Progress, RecordManager, Report};
#[cfg(feature = "tree-sitter")]
pub use split::Code;
pub use split::{
    Breakpoint, CodeLanguage, Cut, Length, MarkdownHeader, MarkdownHeaderBuilder, Piece, Recursive, RecursiveBuilder,
    SEPARATORS, Semantic, SemanticBuilder, Token,
};
pub use splitter::{AsyncSplitter, Chain, Splitter};
