//! Splitters.

mod chars;
#[cfg(feature = "tree-sitter")]
mod code;
mod cut;
mod language;
mod length;
mod markdown;
mod markdown_lines;
mod pieces;
mod recursive;
mod semantic;
mod token;

#[cfg(feature = "tree-sitter")]
pub use code::Code;
pub use language::CodeLanguage;
pub use length::Length;
pub use markdown::{MarkdownHeader, MarkdownHeaderBuilder};
pub(crate) use markdown_lines::front_matter;
pub(crate) use pieces::documents;
pub use pieces::{Cut, Piece};
pub use recursive::{Recursive, RecursiveBuilder, SEPARATORS};
pub use semantic::{Breakpoint, Semantic, SemanticBuilder};
pub use token::Token;
