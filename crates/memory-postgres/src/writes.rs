//! What is written.

use atomr_agents_core::CallCtx;
use atomr_agents_embed::EmbedError;
use atomr_agents_memory::parts::{check_vector, embed, scaled, text_of};
use atomr_agents_memory::{MemoryError, Namespace, NewItem, StoreItem};
use atomr_agents_postgres::{Fault, Server, millis, number, number_or_none};
use atomr_agents_retriever::{Terms, Words};
use atomr_agents_state::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::fields::{fields, is_within};
use crate::options::{DIM_MAX, PgVectorOptions};
use crate::statement::{Arguments, Names, ask, bounds, text};
use crate::words::key;

/// How deep values may lie in each other; what lies deeper could not be read again.
const DEPTH_MAX: usize = 120;
/// How many items are forgotten, or embedded, in one step.
const STEP: i64 = 1_000;
const PAGE: i64 = 256;

/// An item as it is written.
pub(crate) struct Ready {
    namespace: Namespace,
    key: String,
    arguments: Arguments,
    /// Only where one is there.
    must: bool,
}

/// Looks at an item, and makes its vector.
pub(crate) async fn ready(
    options: &PgVectorOptions,
    item: NewItem,
    must: bool,
    ctx: &CallCtx,
) -> Result<Ready, MemoryError> {
    let place = item.namespace.place(&item.key)?;
    if !is_within(&item.value, DEPTH_MAX) {
        return Err(MemoryError::name("value", format!("has more than {DEPTH_MAX} levels of lists and objects")));
    }
    let said = text_of(&item.value);
    let terms = Terms::of(&Words::new(), &said);
    let vector = match item.embedding {
        Some(given) => Some(given),
        None => embed(options.embedder.as_ref(), &[said], ctx).await?.into_iter().next(),
    };
    if let Some(vector) = &vector {
        fits(options, vector)?;
    }
    let model = options.embedder.as_ref().map_or("", |embedder| embedder.model());
    let mut arguments = Arguments::default();
    arguments.add(place, Type::TEXT);
    arguments.add(must, Type::BOOL);
    arguments.add(Uuid::now_v7(), Type::UUID);
    arguments.add(item.value.to_string(), Type::TEXT);
    arguments.add(fields(&item.value), Type::TEXT);
    arguments.add(item.ttl.map(millis), Type::INT8);
    arguments.add(i32::try_from(terms.length).unwrap_or(i32::MAX), Type::INT4);
    arguments.add(terms.counts.iter().map(|(term, _)| key(term)).collect::<Vec<_>>(), Type::TEXT_ARRAY);
    arguments.add(terms.counts.iter().map(|(_, count)| i32::from(*count)).collect::<Vec<_>>(), Type::INT4_ARRAY);
    arguments.add(vector.as_ref().map(|_| model.to_owned()), Type::TEXT);
    arguments.add(vector.map(|vector| scaled(vector.iter().copied()).collect::<Vec<f32>>()), Type::FLOAT4_ARRAY);
    Ok(Ready { namespace: item.namespace, key: item.key, arguments, must })
}

/// Whether a vector can be kept here.
fn fits(options: &PgVectorOptions, vector: &[f32]) -> Result<(), MemoryError> {
    check_vector(vector)?;
    match options.dim() {
        Some(expected) if expected != vector.len() => {
            Err(EmbedError::Dimension { expected, found: vector.len() }.into())
        }
        None if vector.len() > DIM_MAX => {
            let problem = format!("has {} numbers, pgvector keeps at most {DIM_MAX}", vector.len());
            Err(MemoryError::name("embedding", problem))
        }
        _ => Ok(()),
    }
}

/// Writes an item; answers what it replaced.
pub(crate) async fn put(server: &Server, names: &Names, ready: Ready) -> Result<Option<StoreItem>, MemoryError> {
    let sql = "SELECT * FROM SCHEMA.put($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11)";
    let rows = if ready.must {
        once(server, names, sql, &ready.arguments).await?
    } else {
        ask(server, names, sql, &ready.arguments).await?
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let damaged = |error: serde_json::Error| MemoryError::Damaged {
        place: ready.namespace.place(&ready.key).unwrap_or_default(),
        message: error.to_string(),
    };
    Ok(Some(StoreItem {
        value: serde_json::from_str(text(server, row, 0)?).map_err(damaged)?,
        created_ms: number(server, row, 1)?,
        updated_ms: number(server, row, 2)?,
        expires_ms: number_or_none(server, row, 3)?,
        score: None,
        namespace: ready.namespace,
        key: ready.key,
    }))
}

/// Forgets an item; answers whether it was there.
pub(crate) async fn forget(server: &Server, names: &Names, place: String) -> Result<bool, MemoryError> {
    let mut arguments = Arguments::default();
    arguments.add(place, Type::TEXT);
    let rows = once(server, names, "SELECT SCHEMA.forget($1)", &arguments).await?;
    let row = rows.first().ok_or_else(|| server.odd("no row"))?;
    Ok(row.try_get(0).map_err(|error| server.odd(error))?)
}

/// Asks something whose answer is another one when it is asked again: where the answer is lost, that is an error.
async fn once(server: &Server, names: &Names, sql: &str, arguments: &Arguments) -> Result<Vec<Row>, MemoryError> {
    let (sql, list) = (names.of(sql), arguments.list());
    let mut patience = server.patience();
    loop {
        let link = server.link(&patience).await?;
        let limit = server.options().call_timeout;
        match server.within(link, limit, async |asking| asking.client().query_typed(&sql, &list).await).await {
            Ok(rows) => return Ok(rows),
            Err(Fault::Outage(why)) => {
                let message = format!("{why}. Whether the memory was changed is not known");
                return Err(StoreError::Unavailable { store: server.place().to_owned(), message }.into());
            }
            Err(fault) => server.bear(fault, &mut patience).await?,
        }
    }
}

/// Forgets what is over; answers how much it was.
pub(crate) async fn purge(server: &Server, names: &Names, namespace: &Namespace) -> Result<usize, MemoryError> {
    let (from, to) = bounds(namespace)?;
    let mut arguments = Arguments::default();
    arguments.add(from, Type::TEXT);
    arguments.add(to, Type::TEXT);
    arguments.add(STEP, Type::INT8);
    let mut gone = 0;
    loop {
        let rows = ask(server, names, "SELECT SCHEMA.purge($1, $2, $3)", &arguments).await?;
        let step: i64 =
            rows.first().ok_or_else(|| server.odd("no row"))?.try_get(0).map_err(|error| server.odd(error))?;
        gone += usize::try_from(step).unwrap_or(0);
        if step < STEP {
            return Ok(gone);
        }
    }
}

/// Items whose vectors are missing or of another model.
#[derive(Default)]
pub(crate) struct Stale {
    pub(crate) places: Vec<String>,
    stamps: Vec<Uuid>,
    pub(crate) texts: Vec<String>,
}

/// Some of them, behind this place.
pub(crate) async fn stale(
    server: &Server,
    names: &Names,
    namespace: &Namespace,
    model: &str,
    after: String,
) -> Result<Stale, MemoryError> {
    let (from, to) = bounds(namespace)?;
    let mut arguments = Arguments::default();
    arguments.add(from, Type::TEXT);
    arguments.add(to, Type::TEXT);
    arguments.add(after, Type::TEXT);
    arguments.add(model.to_owned(), Type::TEXT);
    arguments.add(PAGE, Type::INT8);
    let sql = "SELECT place, stamp, value FROM SCHEMA.items
        WHERE place >= $1 AND ($2::text IS NULL OR place < $2) AND place > $3
        AND (model IS NULL OR model NOT IN (SELECT id FROM SCHEMA.models WHERE name = $4)) ORDER BY place LIMIT $5";
    let mut stale = Stale::default();
    for row in &ask(server, names, sql, &arguments).await? {
        let place = text(server, row, 0)?;
        let value = serde_json::from_str(text(server, row, 2)?)
            .map_err(|error| MemoryError::Damaged { place: place.to_owned(), message: error.to_string() })?;
        stale.places.push(place.to_owned());
        stale.stamps.push(row.try_get(1).map_err(|error| server.odd(error))?);
        stale.texts.push(text_of(&value));
    }
    Ok(stale)
}

/// Gives them these vectors, unless they were written meanwhile; answers how many it were.
pub(crate) async fn revise(
    server: &Server,
    names: &Names,
    options: &PgVectorOptions,
    stale: Stale,
    vectors: Vec<Vec<f32>>,
) -> Result<usize, MemoryError> {
    let Some(dim) = vectors.first().map(Vec::len) else { return Ok(0) };
    for vector in &vectors {
        fits(options, vector)?;
    }
    let model = options.embedder.as_ref().map_or("", |embedder| embedder.model());
    let values: Vec<f32> = vectors.iter().flat_map(|vector| scaled(vector.iter().copied())).collect();
    let mut arguments = Arguments::default();
    arguments.add(stale.places, Type::TEXT_ARRAY);
    arguments.add(stale.stamps, Type::UUID_ARRAY);
    arguments.add(model.to_owned(), Type::TEXT);
    arguments.add(i32::try_from(dim).unwrap_or(i32::MAX), Type::INT4);
    arguments.add(values, Type::FLOAT4_ARRAY);
    let rows = ask(server, names, "SELECT SCHEMA.embed($1, $2, $3, $4, $5)", &arguments).await?;
    let row = rows.first().ok_or_else(|| server.odd("no row"))?;
    Ok(usize::try_from(number(server, row, 0)?).unwrap_or(usize::MAX))
}
