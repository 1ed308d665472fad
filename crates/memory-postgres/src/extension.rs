//! pgvector in the database, and the indexes that it makes.

use atomr_agents_memory::MemoryError;
use atomr_agents_postgres::{Patience, Server, TransactError};
use atomr_agents_state::StoreError;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error};

use crate::statement::{Arguments, Names, quoted};

/// The oldest version whose indexes are searched on until enough is found that fulfils a filter.
const OLDEST: (u32, u32) = (0, 8);
/// With so many vectors at most the index is made when a memory is connected to; it takes a moment, and writes wait.
const FEW: i64 = 2_000;

fn missing(message: String) -> StoreError {
    StoreError::Config { setting: "pgvector", message }
}

/// Makes the extension where it is not.
pub(crate) async fn make(server: &Server) -> Result<(), StoreError> {
    let patience = Patience::of(server.options().connect_timeout);
    server
        .transact(&patience, async |client| {
            let transaction = client.transaction().await?;
            lock(transaction.client(), "atomr-agents extension vector").await?;
            let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'vector')";
            if !transaction.query_typed_one(there, &[]).await?.try_get::<_, bool>(0)? {
                transaction
                    .batch_execute("CREATE EXTENSION IF NOT EXISTS vector")
                    .await
                    .map_err(|error| refused(server.place(), error))?;
            }
            transaction.commit().await?;
            Ok(())
        })
        .await
}

/// What is to be done where the extension cannot be made.
fn refused(place: &str, error: Error) -> TransactError {
    match error.code().map(|code| code.code()) {
        Some("58P01" | "0A000") => missing(format!(
            "the server of {place} has no extension vector: install pgvector 0.8 or newer on it (packages are called \
             postgresql-NN-pgvector), and connect again"
        ))
        .into(),
        Some("42501") => missing(format!(
            "this role may not make the extension vector in {place}: let the owner of the database or a superuser run \
             CREATE EXTENSION vector there once"
        ))
        .into(),
        _ => error.into(),
    }
}

async fn lock(client: &Client, name: &str) -> Result<(), Error> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    client.query_typed(sql, &[(&name, Type::TEXT)]).await.map(drop)
}

/// The quoted schema in which the extension is.
pub(crate) async fn find(server: &Server) -> Result<String, StoreError> {
    let sql = "SELECT n.nspname::text, e.extversion FROM pg_catalog.pg_extension e
        JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'vector'";
    let rows = server.ask(sql, &[]).await?;
    let Some(row) = rows.first() else {
        return Err(missing(format!(
            "{} has no extension vector: run CREATE EXTENSION vector there, or connect with `migrate`",
            server.place()
        )));
    };
    let (schema, version): (&str, &str) =
        (row.try_get(0).map_err(|error| server.odd(error))?, row.try_get(1).map_err(|error| server.odd(error))?);
    if !is_new_enough(version) {
        return Err(missing(format!(
            "{} has the extension vector {version}, 0.8 or newer is needed: install it on the server, and run \
             ALTER EXTENSION vector UPDATE",
            server.place()
        )));
    }
    Ok(quoted(schema))
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST
}

/// The type in which vectors of a dimension are indexed: with all their bits, or with half of them. `None` where they cannot
/// be.
pub(crate) fn indexed_as(dim: usize) -> Option<&'static str> {
    match dim {
        1..=2_000 => Some("vector"),
        2_001..=4_000 => Some("halfvec"),
        _ => None,
    }
}

fn name(dim: usize) -> String {
    format!("items_near_{dim}")
}

fn create(names: &Names, dim: usize, form: &str, how: &str) -> String {
    names.of(&format!(
        "CREATE INDEX {how} IF NOT EXISTS {} ON SCHEMA.items
         USING hnsw ((vec::PGVECTOR.{form}({dim})) PGVECTOR.{form}_ip_ops) WHERE dim = {dim}",
        name(dim)
    ))
}

/// Makes the index of a dimension while there is little to be indexed. A role that may not is none the worse: searches are
/// exact then.
pub(crate) async fn index_early(server: &Server, names: &Names, dim: usize) -> Result<(), StoreError> {
    let Some(form) = indexed_as(dim) else { return Ok(()) };
    let patience = Patience::of(server.options().connect_timeout);
    server
        .transact(&patience, async |client| {
            let transaction = client.transaction().await?;
            lock(transaction.client(), &names.of("atomr-agents index SCHEMA")).await?;
            if is_wanted(transaction.client(), server, names, dim).await? {
                match transaction.batch_execute(&create(names, dim, form, "")).await {
                    Err(error) if error.code().is_some_and(|code| code.code() == "42501") => {}
                    made => made?,
                }
            }
            // Also where nothing was made: the lock goes with it.
            transaction.commit().await?;
            Ok(())
        })
        .await
}

/// Whether the index of a dimension is missing, and has little to hold.
async fn is_wanted(client: &Client, server: &Server, names: &Names, dim: usize) -> Result<bool, Error> {
    let there = "SELECT EXISTS (SELECT FROM pg_catalog.pg_indexes WHERE schemaname = $1 AND indexname = $2)";
    let args: [(&(dyn ToSql + Sync), Type); 2] = [(&server.schema().name(), Type::TEXT), (&name(dim), Type::TEXT)];
    if client.query_typed_one(there, &args).await?.try_get(0)? {
        return Ok(false);
    }
    let many = names.of(&format!(
        "SELECT count(*) FROM (SELECT FROM SCHEMA.items i JOIN SCHEMA.models m ON m.id = i.model
         WHERE m.dim = {dim} LIMIT {}) counted",
        FEW + 1
    ));
    Ok(client.query_typed_one(&many, &[]).await?.try_get::<_, i64>(0)? <= FEW)
}

/// Makes the index of a dimension beside reads and writes.
pub(crate) async fn index(
    server: &Server,
    names: &Names,
    dim: usize,
    limit: std::time::Duration,
) -> Result<(), MemoryError> {
    let Some(form) = indexed_as(dim) else {
        let problem = format!("is {dim}, and no index takes more than 4000: such vectors are all looked at");
        return Err(MemoryError::name("dim", problem));
    };
    let mut arguments = Arguments::default();
    let (schema, index) =
        (arguments.add(server.schema().name().to_owned(), Type::TEXT), arguments.add(name(dim), Type::TEXT));
    // What an attempt has left that was stopped.
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = {schema} AND c.relname = {index} AND NOT x.indisvalid
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid))"
    );
    let broken: bool = server.ask_one(&sql, &arguments.list()).await?.try_get(0).map_err(|error| server.odd(error))?;
    if broken {
        server.ask_for(limit, &names.of(&format!("DROP INDEX IF EXISTS SCHEMA.{}", name(dim))), &[]).await?;
    }
    server.ask_for(limit, &create(names, dim, form, "CONCURRENTLY"), &[]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(["0.8.0", "0.8.2", "0.10.0", "1.0"].into_iter().all(is_new_enough));
        assert!(!["0.7.4", "0.5", "", "x"].into_iter().any(is_new_enough));
    }
}
