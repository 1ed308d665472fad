//! The store on PostgreSQL.
//!
//! [`PostgresStore`] is an [`atomr_agents_state::Store`] that many processes share: one fenced statement per commit, leases
//! on the database's clock, claims that never wait for each other, and a pool that outlives its server.
//!
//! It knows no run, no workflow and no agent: what it stores are records, logs, blobs and leases. It keeps no state in a
//! session of the database.

mod append;
mod commit;
mod leases;
mod numbers;
mod options;
mod reads;
mod store;

pub use options::PostgresOptions;
pub use store::PostgresStore;
