//! Long memory on PostgreSQL with pgvector.
//!
//! [`PgVectorLong`] is an [`atomr_agents_memory::LongStore`] whose searches are made by the database: nothing is read into a
//! process but what was found. Many processes share it, also behind a pooler that gives each transaction another connection.
//!
//! It knows no agent and no model; what a search means is said by `atomr-agents-memory`, and this crate says it in SQL.

mod extension;
mod fields;
mod filter;
mod meaning;
mod options;
mod statement;
mod store;
mod words;
mod writes;

pub use options::PgVectorOptions;
pub use store::PgVectorLong;
