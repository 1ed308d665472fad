//! Looking at every vector: first at the codes, then at those vectors whose codes leave it open.

use std::ops::Range;

use super::nearest::{Highest, nearer};
use super::rows::{Prepared, Rows};
use crate::kernels;
use crate::{Allowed, Neighbour};

/// How many rows are scored before anybody looks at the scores.
const PART: usize = 256;

/// The `k` nearest of the rows from `first` on, added to `found`. A code tells a score up to a bound that is proved
/// ([`Query::slack`](crate::kernels::Query)), so no row is passed over that could be one of them.
pub(super) fn search(
    rows: &Rows,
    asked: &Prepared,
    k: usize,
    allowed: Option<Allowed<'_>>,
    first: usize,
    found: &mut Vec<Neighbour>,
) {
    among(rows, asked, k, allowed, first..rows.len(), found);
}

/// The `k` nearest of the rows before `end`.
pub(super) fn search_until(rows: &Rows, asked: &Prepared, k: usize, end: usize, found: &mut Vec<Neighbour>) {
    among(rows, asked, k, None, 0..end.min(rows.len()), found);
}

fn among(
    rows: &Rows,
    asked: &Prepared,
    k: usize,
    allowed: Option<Allowed<'_>>,
    range: Range<usize>,
    found: &mut Vec<Neighbour>,
) {
    let (query, coded) = (asked.query(), rows.coded());
    let mut scores = [0.0f32; PART];
    let mut limit = Highest::new(k);
    let mut open: Vec<(u32, f32)> = Vec::new();
    for start in range.clone().step_by(PART) {
        let Some(scores) = scores.get_mut(..PART.min(range.end - start)) else { break };
        if kernels::scan(&query, coded, start, scores) < limit.limit() {
            continue;
        }
        for (row, score) in (start as u32..).zip(scores.iter()) {
            if *score < limit.limit() || !rows.alive(row) || allowed.is_some_and(|allowed| !allowed(rows.id(row))) {
                continue;
            }
            let slack = coded.factors.get(row as usize).map_or(0.0, |factors| query.slack(factors));
            limit.show(score - 2.0 * slack);
            open.push((row, *score));
        }
    }
    let limit = limit.limit();
    open.retain(|(_, score)| *score >= limit);
    found.extend(open.iter().map(|(row, _)| rows.score(&asked.vector, *row)));
    best(found, k);
}

/// The `k` nearest of these, the nearest first.
pub(super) fn best(found: &mut Vec<Neighbour>, k: usize) {
    if found.len() > k && k > 0 {
        found.select_nth_unstable_by(k - 1, nearer);
    }
    found.truncate(k);
    found.sort_unstable_by(nearer);
}
