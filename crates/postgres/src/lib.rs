//! Connections to PostgreSQL that outlive its outages, and schemas with a format.
//!
//! [`Server`] is a pool of connections with patience: a call waits for a database that is away, and learns what an answer
//! amounts to ([`Fault`]). [`open`] brings a schema to the format of today. [`Tasks`] carries calls whose callers have gone to
//! their end.
//!
//! This crate knows no table: what is kept in a schema is told by the crate above it. It keeps no state in a session of the
//! database, unless it is told that it may prepare.

mod bell;
mod dsn;
mod fault;
mod link;
mod migrate;
mod numbers;
mod options;
mod schema;
mod server;
mod tasks;
mod tls;

pub use fault::{Fault, Refused};
pub use link::{Asking, Lent, Link, Links, Ticket};
pub use migrate::{found, open};
pub use numbers::{millis, number, number_or_none, signed};
pub use options::ServerOptions;
pub use schema::Schema;
pub use server::{Args, Patience, Server, TransactError};
pub use tasks::Tasks;
