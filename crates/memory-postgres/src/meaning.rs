//! Items that are near to a vector.

use atomr_agents_embed::{EmbedError, IndexOptions, VectorIndex, Vectors};
use atomr_agents_memory::{MemoryError, Search, StoreItem};
use atomr_agents_postgres::{Server, number, signed};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::extension::indexed_as;
use crate::options::PgVectorOptions;
use crate::statement::{Arguments, COLUMNS, Names, Scope, ask, item, text};

/// How many more are looked at than are wanted, so that what the database rounds otherwise changes nothing.
const SPARE: usize = 16;
/// How far products of vectors of length 1 may lie apart by rounding.
const EQUAL: f64 = 1e-5;

/// What is compared.
struct Compared {
    models: Vec<i32>,
    /// How many there are, up to where it makes no difference any more.
    count: u64,
}

/// The nearest items, with their cosines.
pub(crate) async fn nearest(
    server: &Server,
    names: &Names,
    options: &PgVectorOptions,
    search: &Search,
    unit: &[f32],
    top_k: usize,
) -> Result<Vec<StoreItem>, MemoryError> {
    let compared = compared(server, names, options, search, unit.len()).await?;
    if compared.count == 0 {
        return Ok(Vec::new());
    }
    let asked = Asked { server, names, search, unit, models: &compared.models };
    if compared.count >= options.exact_below as u64
        && let Some(form) = indexed_as(unit.len())
    {
        // Half the bits: what is near is found among more.
        let spare = if form == "vector" { SPARE } else { top_k.saturating_add(SPARE) };
        let rows = asked.by_index(form, top_k.saturating_add(spare), options.ef_search).await?;
        // The index is searched to an end. Where that was not enough, every vector is looked at.
        if rows.len() >= top_k {
            return asked.ranked(&rows, top_k);
        }
    }
    let mut wanted = top_k.saturating_add(SPARE);
    loop {
        let rows = asked.exactly(wanted).await?;
        let far = |at: usize| rows.get(at).map(|row| row.try_get::<_, f64>(5)).transpose();
        let (least, last) = (far(top_k - 1), far(wanted - 1));
        let (least, last) = (least.map_err(|error| server.odd(error))?, last.map_err(|error| server.odd(error))?);
        // The last one is as near as the last that is wanted: behind it others may be, too.
        if !least.zip(last).is_some_and(|(least, last)| last - least <= EQUAL) {
            return asked.ranked(&rows, top_k);
        }
        wanted = wanted.saturating_mul(2);
    }
}

/// Which vectors are compared, and that there are no others among what is searched.
async fn compared(
    server: &Server,
    names: &Names,
    options: &PgVectorOptions,
    search: &Search,
    dim: usize,
) -> Result<Compared, MemoryError> {
    let model = options.embedder.as_ref().map(|embedder| embedder.model().to_owned());
    let enough = if options.exact_below == usize::MAX { 1 } else { options.exact_below.max(1) };
    let mut arguments = Arguments::default();
    let (name, dims) =
        (arguments.add(model.clone(), Type::TEXT), arguments.add(i32::try_from(dim).unwrap_or(i32::MAX), Type::INT4));
    let enough = arguments.add(signed(enough as u64), Type::INT8);
    let Scope { below, live, fits } = Scope::new(&mut arguments, &search.namespace, search.filter.as_ref())?;
    let others = format!("FROM SCHEMA.items WHERE model = m.id AND {below} AND {live} AND {fits}");
    let sql = format!(
        "SELECT m.id, m.name, m.dim, m.own, CASE WHEN m.own
            THEN (SELECT count(*) FROM (SELECT FROM SCHEMA.items WHERE model = m.id AND {below} LIMIT {enough}) counted)
            ELSE (SELECT count(*) {others}) END,
            CASE WHEN NOT m.own THEN (SELECT min(place) {others}) END
        FROM (SELECT id, name, dim, dim = {dims} AND ({name}::text IS NULL OR name = {name}) AS own FROM SCHEMA.models) m"
    );
    let odd = |error| server.odd(error);
    let mut compared = Compared { models: Vec::new(), count: 0 };
    let mut others: Vec<(String, String, i32, u64)> = Vec::new();
    for row in &ask(server, names, &sql, &arguments).await? {
        let count = number(server, row, 4)?;
        if row.try_get(3).map_err(odd)? {
            compared.models.push(row.try_get(0).map_err(odd)?);
            compared.count = compared.count.saturating_add(count);
        } else if let Some(first) = row.try_get::<_, Option<String>>(5).map_err(odd)? {
            others.push((first, text(server, row, 1)?.to_owned(), row.try_get(2).map_err(odd)?, count));
        }
    }
    others.sort_unstable();
    let is_foreign = |found: &str| model.as_ref().is_some_and(|wanted| wanted != found);
    let foreign = || others.iter().filter(|(_, found, _, _)| is_foreign(found));
    if let Some((_, found, _, _)) = foreign().next() {
        return Err(MemoryError::OtherModel {
            namespace: search.namespace.to_string(),
            count: foreign().map(|(_, _, _, count)| usize::try_from(*count).unwrap_or(usize::MAX)).sum(),
            found: found.clone(),
            wanted: model.clone().unwrap_or_default(),
        });
    }
    if let Some((_, _, expected, _)) = others.first() {
        return Err(EmbedError::Dimension { expected: usize::try_from(*expected).unwrap_or(0), found: dim }.into());
    }
    Ok(compared)
}

struct Asked<'a> {
    server: &'a Server,
    names: &'a Names,
    search: &'a Search,
    unit: &'a [f32],
    models: &'a [i32],
}

impl Asked<'_> {
    /// A statement that gives the items which are nearest as `far` says, and how far, with their vectors. Its arguments.
    fn statement(&self, form: &str, more: &str, limit: usize) -> Result<(String, Arguments), MemoryError> {
        let mut arguments = Arguments::default();
        let unit = arguments.add(self.unit.to_vec(), Type::FLOAT4_ARRAY);
        let models = arguments.add(self.models.to_vec(), Type::INT4_ARRAY);
        let limit = arguments.add(signed(limit as u64), Type::INT8);
        let Scope { below, live, fits } =
            Scope::new(&mut arguments, &self.search.namespace, self.search.filter.as_ref())?;
        let sql = format!(
            "WITH best AS MATERIALIZED (
                SELECT place, vec::PGVECTOR.{form} OPERATOR(PGVECTOR.<#>) {unit}::PGVECTOR.{form} AS far FROM SCHEMA.items
                WHERE {more} model = ANY ({models}) AND {below} AND {live} AND {fits}
                ORDER BY vec::PGVECTOR.{form} OPERATOR(PGVECTOR.<#>) {unit}::PGVECTOR.{form} LIMIT {limit}
            )
            SELECT {COLUMNS}, far, vec::real[] FROM best
            JOIN (SELECT {COLUMNS}, vec FROM SCHEMA.items) i USING (place) ORDER BY far, place"
        );
        Ok((self.names.of(&sql), arguments))
    }

    /// Looks at every vector. No index is of vectors without a dimension, so none is asked.
    async fn exactly(&self, limit: usize) -> Result<Vec<Row>, MemoryError> {
        let (sql, arguments) = self.statement("vector", "", limit)?;
        Ok(self.server.ask(&sql, &arguments.list()).await?)
    }

    /// Asks the index, if there is one; it is searched on until enough is found that fulfils the filter.
    async fn by_index(&self, form: &str, limit: usize, width: usize) -> Result<Vec<Row>, MemoryError> {
        let dim = self.unit.len();
        let (sql, arguments) = self.statement(&format!("{form}({dim})"), &format!("dim = {dim} AND"), limit)?;
        let list = arguments.list();
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL hnsw.iterative_scan = strict_order; SET LOCAL hnsw.ef_search = {}",
            width.max(limit).min(1_000)
        );
        let mut patience = self.server.patience();
        loop {
            let link = self.server.link(&patience).await?;
            let limit = self.server.options().call_timeout;
            // Sent in one piece: a transaction takes one round trip, and leaves nothing behind in the session.
            let asked = self.server.within(link, limit, async |asking| {
                let client = asking.client();
                let all = futures_util::join!(
                    client.batch_execute(&begin),
                    client.query_typed(&sql, &list),
                    client.batch_execute("COMMIT"),
                );
                all.0?;
                let rows = all.1?;
                all.2?;
                Ok(rows)
            });
            match asked.await {
                Ok(rows) => return Ok(rows),
                Err(fault) => self.server.bear(fault, &mut patience).await?,
            }
        }
    }

    /// The best of these, as exactly as anywhere.
    fn ranked(&self, rows: &[Row], top_k: usize) -> Result<Vec<StoreItem>, MemoryError> {
        let mut values = Vec::with_capacity(rows.len() * self.unit.len());
        for row in rows {
            values.extend(row.try_get::<_, Vec<f32>>(6).map_err(|error| self.server.odd(error))?);
        }
        let index =
            VectorIndex::new(self.unit.len(), IndexOptions { exact_below: usize::MAX, ..IndexOptions::default() })?;
        let ids: Vec<u64> = (0..rows.len() as u64).collect();
        index.insert(&ids, &Vectors::new(self.unit.len(), values)?)?;
        let mut best = Vec::with_capacity(rows.len());
        for near in index.find(self.unit, rows.len(), None)? {
            let Some(row) = usize::try_from(near.id).ok().and_then(|at| rows.get(at)) else { continue };
            best.push((near.score, text(self.server, row, 0)?, row));
        }
        best.sort_by(|(one, a, _), (other, b, _)| other.total_cmp(one).then_with(|| a.cmp(b)));
        best.truncate(top_k);
        let items = best.into_iter();
        items
            .map(|(score, _, row)| Ok(StoreItem { score: Some(f64::from(score)), ..item(self.server, row)? }))
            .collect()
    }
}
