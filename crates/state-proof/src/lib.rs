//! The proof that durable runs lose nothing: a process that runs a graph or an agent with effects that leave a trace, made to be
//! killed, stopped and taken over by another. Its tests do that, and look at what is left.
//!
//! Nothing here is part of the product.
#![allow(clippy::expect_used, reason = "a life that cannot go on ends, and says why on its standard error")]

mod agent_life;
mod graph_life;
mod ledger;
mod strike;
mod task;

pub use agent_life::PARALLEL;
pub use graph_life::class_of;
pub use ledger::{Done, Ledger};
pub use strike::{Deadly, Strike};
pub use task::{Place, Task, Work, live, say};
