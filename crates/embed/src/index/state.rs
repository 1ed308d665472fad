//! What an index holds at one moment, and how it is searched.

use super::exact;
use super::graph::{Graph, Space, with_walk};
use super::rows::{Prepared, Rows};
use crate::{Allowed, EmbedError, Neighbour};

/// How many rows are asked to see how many a filter lets through.
const ASKED: usize = 64;
/// Where fewer than one in so many can be found, looking at all of them is quicker than a walk around them.
const RARE: usize = 8;

/// The rows and, where there are many, a graph over them.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rows: Rows,
    pub(super) graph: Option<Graph>,
    /// How many rows there were when a graph was not worth it.
    pub(super) declined: usize,
    /// How far a walk looks, if somebody said it.
    pub(super) ef: Option<usize>,
}

impl State {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, graph: None, declined: 0, ef: None }
    }

    pub(super) fn space(&self) -> Space<'_> {
        Space { coded: self.rows.coded(), metric: self.rows.metric }
    }

    pub(super) fn find(
        &self,
        query: &[f32],
        k: usize,
        allowed: Option<Allowed<'_>>,
    ) -> Result<Vec<Neighbour>, EmbedError> {
        let asked = self.rows.asked(query)?;
        let k = k.min(self.rows.places.len());
        let mut found = Vec::new();
        if k == 0 {
            return Ok(found);
        }
        let rest = match (&self.graph, self.of_how_many(allowed)) {
            (Some(graph), Some(of)) => {
                let ef = self.ef.unwrap_or(graph.ef).max(k + k / 2).saturating_mul(of);
                // A walk that sees much of the index costs more than the scan, which reads in order.
                if ef.saturating_mul(32) < graph.linked {
                    self.walk(graph, &asked, k, ef, allowed, &mut found);
                }
                if found.len() < k { 0 } else { graph.linked }
            }
            _ => 0,
        };
        if rest == 0 {
            found.clear();
        }
        if rest < self.rows.len() {
            exact::search(&self.rows, &asked, k, allowed, rest, &mut found);
        }
        Ok(found)
    }

    /// The nearest of the linked rows, as far as a walk of this width sees them.
    pub(super) fn walk(
        &self,
        graph: &Graph,
        asked: &Prepared,
        k: usize,
        ef: usize,
        allowed: Option<Allowed<'_>>,
        found: &mut Vec<Neighbour>,
    ) -> usize {
        with_walk(|walk| {
            graph.walk(self.space(), &asked.query(), ef, walk);
            let seen = walk.seen.iter().map(|seen| seen.node);
            let there =
                seen.filter(|row| self.rows.alive(*row) && allowed.is_none_or(|allowed| allowed(self.rows.id(*row))));
            // Codes put the nearest into a slightly wrong order: of twice as many the vectors are compared.
            found.extend(there.take(2 * k + 10).map(|row| self.rows.score(&asked.vector, row)));
            exact::best(found, k);
            walk.scored
        })
    }

    /// One in how many rows can be found; `None` where they are rare.
    fn of_how_many(&self, allowed: Option<Allowed<'_>>) -> Option<usize> {
        let all = self.rows.len();
        if allowed.is_none() && self.rows.places.len() == all {
            return Some(1);
        }
        let can = |row: u32| self.rows.alive(row) && allowed.is_none_or(|allowed| allowed(self.rows.id(row)));
        let step = all.div_ceil(ASKED).max(1);
        let (seen, good) =
            (0..all as u32).step_by(step).fold((0, 0), |(seen, good), row| (seen + 1, good + usize::from(can(row))));
        (good * RARE >= seen).then(|| seen.div_ceil(good.max(1)))
    }
}
