//! What follows a change: packing, and building or extending the graph. All of it reads beside the searches, and writes
//! only what was made ready.

use super::graph::{Graph, GraphOptions, on_all_cores, scattered};
use super::rows::{Prepared, Rows};
use super::state::State;
use super::stop::Stop;
use super::{IndexOptions, exact};
use crate::EmbedError;
use crate::kernels;

/// How many rows may stand behind the graph: a scan of them takes as long as a few steps of a walk.
pub(super) const TAIL: usize = 512;
/// How many rows are kept out of a graph until its recall was measured with them.
const HELD_OUT: usize = 128;
/// Of how many rows a graph is tried first, before one of all of them is made.
const TRIED: usize = 10_000;
/// How many nearest the measurement looks for.
const K: usize = 10;
/// The widths of a walk that are tried, in this order.
const WIDTHS: [usize; 16] = [10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 60, 80, 110, 160, 240, 360];
/// How much longer a scored node takes in a walk, which jumps, than in a scan, which reads on.
const JUMP: usize = 4;

/// What shall become of the index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// Leave out the rows that nobody finds.
    Pack,
    /// Link the rows behind the graph.
    Extend,
    /// Order the rows anew and make a graph of them.
    Build,
}

pub(super) fn due(state: &State, options: &IndexOptions) -> Due {
    let (all, there) = (state.rows.len(), state.rows.places.len());
    let loose = all - there > there / 2 + 64;
    let large = there >= options.exact_below && there > 4 * HELD_OUT;
    match &state.graph {
        Some(graph) if large => {
            let tail = all - graph.linked;
            if loose || tail > graph.linked / 2 || all > graph.measured.saturating_mul(4) {
                Due::Build
            } else if tail >= TAIL {
                Due::Extend
            } else {
                Due::Nothing
            }
        }
        None if large && there >= state.declined.saturating_mul(2) => Due::Build,
        _ if loose => Due::Pack,
        _ => Due::Nothing,
    }
}

/// The rows that are there, without the others.
pub(super) fn packed(state: &State) -> Result<State, EmbedError> {
    let order: Vec<u32> = (0..state.rows.len() as u32).filter(|row| state.rows.alive(*row)).collect();
    Ok(State { declined: state.declined, ..State::new(state.rows.picked(&order)?) })
}

/// The rows in the order of their neighbourhoods, with a graph over them, if one reaches the recall; an error of kind
/// `cancelled` soon after it was asked to stop.
pub(super) fn built(state: &State, options: &IndexOptions, stop: &Stop) -> Result<State, EmbedError> {
    let mut order: Vec<u32> = (0..state.rows.len() as u32).filter(|row| state.rows.alive(*row)).collect();
    let how = GraphOptions { m: options.m, ef_construction: options.ef_construction };
    if order.len() > 4 * TRIED && options.ef.is_none() {
        let mut few = order.clone();
        few.sort_unstable_by_key(|row| scattered(u64::from(*row)));
        few.truncate(TRIED);
        let few = State::new(state.rows.picked(&few)?);
        let linked = TRIED - HELD_OUT;
        let graph = Graph::build(few.space(), linked, how, stop)?;
        if measured(&few, &graph, options.recall).is_none() {
            return Ok(State { declined: order.len(), ..packed(state)? });
        }
    }
    // Those held out come last.
    order.sort_unstable_by_key(|row| scattered(u64::from(*row) + 1));
    let held_out = order.split_off(order.len() - HELD_OUT);
    let mut order = by_neighbourhood(&state.rows, &order, stop);
    order.extend(held_out);
    let mut state = State::new(state.rows.picked(&order)?);
    let linked = order.len() - HELD_OUT;
    let mut graph = Graph::build(state.space(), linked, how, stop)?;
    match options.ef.or_else(|| measured(&state, &graph, options.recall)) {
        Some(ef) => {
            graph.ef = ef;
            state.graph = Some(graph);
        }
        None => state.declined = order.len(),
    }
    Ok(state)
}

/// The rows in groups of those that are nearest to the same one, so that a walk finds its way in few pages of memory.
fn by_neighbourhood(rows: &Rows, order: &[u32], stop: &Stop) -> Vec<u32> {
    let marks = order.len().isqrt().min(4096);
    let Ok(chosen) = rows.picked(order.get(..marks).unwrap_or_default()) else { return order.to_vec() };
    let space = super::graph::Space { coded: rows.coded(), metric: rows.metric };
    let mut grouped = on_all_cores(order, |row| {
        if stop.asked() {
            return (0, *row);
        }
        let mut scores = vec![0.0; marks];
        kernels::scan(&space.query(*row), chosen.coded(), 0, &mut scores);
        let nearest = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at);
        (nearest, *row)
    });
    grouped.sort_unstable();
    grouped.into_iter().map(|(_, row)| row).collect()
}

/// The least width of a walk with which the rows behind the graph find this part of their nearest; `None` where none does, or
/// only one that takes longer than looking at every row.
fn measured(state: &State, graph: &Graph, recall: f32) -> Option<usize> {
    let rows: Vec<u32> = (graph.linked as u32..state.rows.len() as u32).collect();
    let asked: Vec<(Prepared, Vec<u64>)> = on_all_cores(&rows, |row| {
        let asked = state.rows.prepare(state.rows.vector(*row))?;
        let mut found = Vec::new();
        exact::search_until(&state.rows, &asked, K, graph.linked, &mut found);
        Some((asked, found.iter().map(|found| found.id).collect()))
    })
    .into_iter()
    .flatten()
    .collect();
    let all: usize = asked.iter().map(|(_, wanted)| wanted.len()).sum();
    let numbers: Vec<usize> = (0..asked.len()).collect();
    for ef in WIDTHS {
        let tried = on_all_cores(&numbers, |at| {
            let Some((asked, wanted)) = asked.get(*at) else { return (0, 0) };
            let mut found = Vec::new();
            let scored = state.walk(graph, asked, K, ef, None, &mut found);
            (scored, found.iter().filter(|found| wanted.contains(&found.id)).count())
        });
        let (scored, hits) = tried.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        if scored / numbers.len().max(1) * JUMP > graph.linked {
            return None;
        }
        if hits as f32 >= recall * all as f32 {
            return Some(ef);
        }
    }
    None
}
