//! Items that share words with a query.

use std::collections::HashMap;

use atomr_agents_memory::{MemoryError, Search, StoreItem};
use atomr_agents_postgres::{Server, number, signed};
use atomr_agents_retriever::{Bm25Options, Terms, Weights, Words};
use tokio_postgres::types::Type;

use crate::fields::plain;
use crate::statement::{Arguments, COLUMNS, Names, Scope, ask, item};

/// Longer words are kept by their hash: an index of the database takes no more than some kilobytes.
const WORD_MAX: usize = 200;
/// How many more are looked at than are wanted, so that what the database rounds otherwise changes nothing.
const SPARE: usize = 16;
/// How far scores may lie apart by rounding.
const EQUAL: f64 = 1e-9;

/// A term as it is kept.
pub(crate) fn key(term: &str) -> String {
    if term.len() > WORD_MAX {
        return format!("\u{1}{}", blake3::hash(term.as_bytes()).to_hex());
    }
    plain(term).into_owned()
}

/// The best items by BM25 among those of the search, as a [`Bm25`](atomr_agents_retriever::Bm25) of just these would find
/// them: the database weighs and chooses, and what it chose is weighed again here.
pub(crate) async fn by_words(
    server: &Server,
    names: &Names,
    search: &Search,
    words: &str,
    top_k: usize,
) -> Result<Vec<StoreItem>, MemoryError> {
    let asked = Terms::of(&Words::new(), words);
    if asked.counts.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted = top_k.saturating_add(SPARE);
    loop {
        let found = weighed(server, names, search, &asked, wanted).await?;
        let score = |at: usize| found.get(at).map(|(rough, _)| *rough);
        // The last one is as good as the last that is wanted: behind it others may be, too.
        let ends_in_equals = score(top_k.saturating_sub(1))
            .zip(score(wanted - 1))
            .is_some_and(|(least, last)| least - last <= EQUAL * least.abs());
        if !ends_in_equals {
            let mut best: Vec<(String, StoreItem)> = found
                .into_iter()
                .map(|(_, item)| Ok((item.namespace.place(&item.key)?, item)))
                .collect::<Result<_, MemoryError>>()?;
            let of = |item: &StoreItem| item.score.unwrap_or_default();
            best.sort_by(|(a, one), (b, other)| of(other).total_cmp(&of(one)).then_with(|| a.cmp(b)));
            best.truncate(top_k);
            return Ok(best.into_iter().map(|(_, item)| item).collect());
        }
        wanted = wanted.saturating_mul(2);
    }
}

/// The best items with their scores as the database rounds them, the best first.
async fn weighed(
    server: &Server,
    names: &Names,
    search: &Search,
    asked: &Terms,
    limit: usize,
) -> Result<Vec<(f64, StoreItem)>, MemoryError> {
    let bm25 = Bm25Options::default();
    let mut arguments = Arguments::default();
    let terms = arguments.add(asked.counts.iter().map(|(term, _)| key(term)).collect::<Vec<_>>(), Type::TEXT_ARRAY);
    let times =
        arguments.add(asked.counts.iter().map(|(_, times)| f64::from(*times)).collect::<Vec<_>>(), Type::FLOAT8_ARRAY);
    let (k1, b) = (arguments.add(bm25.k1, Type::FLOAT8), arguments.add(bm25.b, Type::FLOAT8));
    let limit = arguments.add(signed(limit as u64), Type::INT8);
    let Scope { below, live, fits } = Scope::new(&mut arguments, &search.namespace, search.filter.as_ref())?;
    let sql = format!(
        "WITH asked AS (
            SELECT * FROM unnest({terms}, {times}) WITH ORDINALITY a (term, times, at)
        ), kept AS (
            SELECT count(*) AS documents, COALESCE(sum(length), 0)::bigint AS length
            FROM SCHEMA.items WHERE {below} AND {live} AND {fits}
        ), hits AS MATERIALIZED (
            SELECT w.place, a.at, w.count, i.length FROM asked a
            JOIN (SELECT term, place, count FROM SCHEMA.words WHERE {below}) w ON w.term = a.term
            JOIN (SELECT place, length FROM SCHEMA.items WHERE {below} AND {live} AND {fits}) i ON i.place = w.place
        ), having_it AS (
            SELECT at, count(*) AS documents FROM hits GROUP BY at
        ), weights AS (
            SELECT at, a.times * ln(1 + (k.documents - h.documents + 0.5::float8) / (h.documents + 0.5::float8)) AS weight
            FROM having_it h JOIN asked a USING (at) CROSS JOIN kept k
        ), best AS (
            SELECT h.place, h.length, array_agg(h.at) AS at, array_agg(h.count) AS counts, sum(w.weight * h.count / (h.count
                + {k1} * (1 - {b} + {b} * h.length * k.documents / GREATEST(k.length, 1)::float8))) AS score
            FROM hits h JOIN weights w USING (at) CROSS JOIN kept k
            GROUP BY h.place, h.length ORDER BY score DESC, h.place LIMIT {limit}
        )
        SELECT {COLUMNS}, b.score, b.length, b.at, b.counts, k.documents, k.length,
            (SELECT array_agg(at) FROM having_it), (SELECT array_agg(documents) FROM having_it)
        FROM best b JOIN (SELECT {COLUMNS} FROM SCHEMA.items) i USING (place) CROSS JOIN kept k ORDER BY b.score DESC, place"
    );
    let rows = ask(server, names, &sql, &arguments).await?;
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let odd = |error| server.odd(error);
    let (places, having): (Vec<i64>, Vec<i64>) = (first.try_get(11).map_err(odd)?, first.try_get(12).map_err(odd)?);
    let having: HashMap<i64, i64> = places.into_iter().zip(having).collect();
    let each = (1..)
        .zip(&asked.counts)
        .map(|(at, (_, times))| (*times, having.get(&at).and_then(|having| u64::try_from(*having).ok()).unwrap_or(0)));
    let weights = Weights::new(&bm25, number(server, first, 9)?, number(server, first, 10)?, each)?;
    let found = rows.iter().map(|row| {
        let length: i32 = row.try_get(6).map_err(odd)?;
        let (at, counts): (Vec<i64>, Vec<i32>) = (row.try_get(7).map_err(odd)?, row.try_get(8).map_err(odd)?);
        let counts: HashMap<i64, i32> = at.into_iter().zip(counts).collect();
        let counts = (1..)
            .take(asked.counts.len())
            .map(|at| counts.get(&at).map_or(0, |count| u16::try_from(*count).unwrap_or(u16::MAX)));
        let score = weights.score(counts, u32::try_from(length).unwrap_or(0));
        let rough: f64 = row.try_get(5).map_err(odd)?;
        Ok((rough, StoreItem { score: Some(score), ..item(server, row)? }))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_any_length_has_a_key_of_its_own() {
        let long = "x".repeat(5_000);
        assert!(key(&long).len() < 100 && key(&long) != key(&format!("{long}x")));
        assert_eq!(key("oslo"), "oslo");
    }
}
