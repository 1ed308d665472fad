//! Statements, and the parts that several of them have.

use atomr_agents_memory::{MemoryError, Namespace, StoreItem};
use atomr_agents_postgres::{Args, Server, number, number_or_none};
use atomr_agents_retriever::Filter;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::filter;

/// The names that statements are written for.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) schema: String,
    /// Where the extension's types and operators are.
    pub(crate) pgvector: String,
}

impl Names {
    /// `sql` with these names in the places of `SCHEMA` and `PGVECTOR`.
    pub(crate) fn of(&self, sql: &str) -> String {
        sql.replace("SCHEMA", &self.schema).replace("PGVECTOR", &self.pgvector)
    }
}

/// A name of the catalogue, quoted.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

type Argument = Box<dyn ToSql + Sync + Send>;

/// The arguments of a statement that is being written.
#[derive(Default)]
pub(crate) struct Arguments(Vec<(Argument, Type)>);

impl Arguments {
    /// Takes one; answers how the statement names it.
    pub(crate) fn add(&mut self, value: impl ToSql + Sync + Send + 'static, kind: Type) -> String {
        self.0.push((Box::new(value), kind));
        format!("${}", self.0.len())
    }

    /// How the statement will name the next one.
    pub(crate) fn next(&self) -> String {
        format!("${}", self.0.len() + 1)
    }

    pub(crate) fn list(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect()
    }
}

/// The first and the last bound of the places at and below a namespace; the last is missing above all.
pub(crate) fn bounds(namespace: &Namespace) -> Result<(String, Option<String>), MemoryError> {
    let from = namespace.path()?;
    // Each ends with `/`, and `0` is the character after it.
    let to = from.strip_suffix('/').map(|start| format!("{start}0"));
    Ok((from, to))
}

/// Which items are looked at: those of a namespace and below it, whose time is not over and which fulfil the filter.
pub(crate) struct Scope {
    /// The place lies there.
    pub(crate) below: String,
    /// Its time is not over.
    pub(crate) live: &'static str,
    /// What its fields must fulfil.
    pub(crate) fits: String,
}

impl Scope {
    pub(crate) fn new(
        arguments: &mut Arguments,
        namespace: &Namespace,
        filter: Option<&Filter>,
    ) -> Result<Self, MemoryError> {
        let (from, to) = bounds(namespace)?;
        let from = arguments.add(from, Type::TEXT);
        let below = match to {
            Some(to) => format!("(place >= {from} AND place < {})", arguments.add(to, Type::TEXT)),
            None => format!("(place >= {from})"),
        };
        let live = "(expires_ms IS NULL OR expires_ms > (SELECT SCHEMA.now_ms()))";
        let fits = filter.map_or_else(|| "true".to_owned(), |filter| filter::condition(filter, arguments));
        Ok(Self { below, live, fits })
    }
}

/// The columns of an item, as [`item`] reads them.
pub(crate) const COLUMNS: &str = "place, value, created_ms, updated_ms, expires_ms";

/// The item of a row that begins with [`COLUMNS`].
pub(crate) fn item(server: &Server, row: &Row) -> Result<StoreItem, MemoryError> {
    let place: &str = text(server, row, 0)?;
    let damaged = |message: String| MemoryError::Damaged { place: place.to_owned(), message };
    let (namespace, key) =
        Namespace::of_place(place).ok_or_else(|| damaged("its name is that of no item".to_owned()))?;
    let value = serde_json::from_str(text(server, row, 1)?).map_err(|error| damaged(error.to_string()))?;
    Ok(StoreItem {
        namespace,
        key,
        value,
        created_ms: number(server, row, 2)?,
        updated_ms: number(server, row, 3)?,
        expires_ms: number_or_none(server, row, 4)?,
        score: None,
    })
}

pub(crate) fn text<'a>(server: &Server, row: &'a Row, at: usize) -> Result<&'a str, MemoryError> {
    Ok(row.try_get(at).map_err(|error| server.odd(error))?)
}

/// Asks something that may be asked again.
pub(crate) async fn ask(
    server: &Server,
    names: &Names,
    sql: &str,
    arguments: &Arguments,
) -> Result<Vec<Row>, MemoryError> {
    let list: &Args<'_> = &arguments.list();
    Ok(server.ask(&names.of(sql), list).await?)
}
