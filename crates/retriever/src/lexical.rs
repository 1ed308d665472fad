//! Documents and their words in one place, without a lock: what the indexes are made of.

mod corpus;
mod interner;
mod inverted;
mod lookup;
mod pending;
mod search;
mod table;

pub(crate) use corpus::{Corpus, distinct};
pub(crate) use inverted::Params;
pub(crate) use search::{share, weight};
pub(crate) use table::Table;
