//! Links for new nodes, planned against a layer that stays as it is meanwhile and written at once: so the work of a batch
//! is spread over the processor's cores without a lock, and the graph is the same however many there are.

use std::num::NonZero;

use atomr_agents_core::Kind;

use super::super::stop::Stop;
use super::layer::{Layer, View, Walk, with_walk};
use super::{GraphOptions, Space};
use crate::EmbedError;
use crate::kernels;

/// Up to here the new nodes of a batch are candidates for each other: the first of a layer have nobody else.
const SMALL_BATCH: usize = 64;

/// A neighbour that could be linked: how near, and which.
type Candidate = (f32, u32);

/// Does the work for parts of the items on all cores; the results are in the order of the items.
pub(crate) fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(items.len().div_ceil(16));
    if cores < 2 {
        return items.iter().map(work).collect();
    }
    let work = &work;
    std::thread::scope(|scope| {
        let parts: Vec<_> = items
            .chunks(items.len().div_ceil(cores))
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let mut results = Vec::with_capacity(items.len());
        for part in parts {
            match part.join() {
                Ok(part) => results.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    })
}

/// Links the nodes of a batch into the layer; `entries` tells where to look for the neighbours of one.
pub(crate) fn plan(
    layer: &Layer,
    space: Space<'_>,
    batch: &[u32],
    options: &GraphOptions,
    entries: impl Fn(u32, &mut Walk) -> Vec<u32> + Sync,
) -> Vec<(u32, Vec<u32>)> {
    let view = layer.view();
    let chosen = on_all_cores(batch, |node| {
        with_walk(|walk| {
            let entries = entries(*node, walk);
            walk.go(&space.query(*node), space.coded, view, &entries, options.ef_construction);
            let mut candidates: Vec<Candidate> =
                walk.seen.iter().filter(|seen| seen.node != *node).map(|seen| (seen.score, seen.node)).collect();
            if batch.len() <= SMALL_BATCH {
                let others: Vec<u32> = batch.iter().copied().filter(|other| other != node).collect();
                candidates.extend(scored(space, *node, &others));
                sort(&mut candidates);
            }
            choose(space, *node, &candidates, options.m)
        })
    });
    let mut back: Vec<(u32, Candidate)> = Vec::new();
    for (node, links) in batch.iter().zip(&chosen) {
        back.extend(links.iter().map(|(score, link)| (*link, (*score, *node))));
    }
    back.sort_unstable_by_key(|(target, (_, source))| (*target, *source));
    let new: std::collections::HashMap<u32, &Vec<Candidate>> = batch.iter().copied().zip(&chosen).collect();
    let groups: Vec<&[(u32, Candidate)]> = back.chunk_by(|a, b| a.0 == b.0).collect();
    let mut lists = on_all_cores(&groups, |group| linked_back(layer, view, space, group, &new));
    // Those that nobody links back to have their own links all the same.
    let written: std::collections::HashSet<u32> = lists.iter().map(|(node, _)| *node).collect();
    lists.extend(
        batch
            .iter()
            .zip(&chosen)
            .filter(|(node, _)| !written.contains(node))
            .map(|(node, links)| (*node, links.iter().map(|(_, link)| *link).collect())),
    );
    lists
}

/// The links of a node that others chose, with links back to them.
fn linked_back(
    layer: &Layer,
    view: View<'_>,
    space: Space<'_>,
    group: &[(u32, Candidate)],
    new: &std::collections::HashMap<u32, &Vec<Candidate>>,
) -> (u32, Vec<u32>) {
    let target = group.first().map_or(0, |(target, _)| *target);
    let mut links: Vec<u32> = match new.get(&target) {
        Some(chosen) => chosen.iter().map(|(_, link)| *link).collect(),
        None => view.links(target).collect(),
    };
    let fresh: Vec<u32> =
        group.iter().map(|(_, (_, source))| *source).filter(|source| !links.contains(source)).collect();
    links.extend(&fresh);
    if links.len() > layer.width {
        let mut candidates = scored(space, target, &links);
        sort(&mut candidates);
        links = choose(space, target, &candidates, layer.width).into_iter().map(|(_, link)| link).collect();
    }
    (target, links)
}

fn scored(space: Space<'_>, node: u32, others: &[u32]) -> Vec<Candidate> {
    let mut scores = Vec::new();
    kernels::gather(&space.query(node), space.coded, others, &mut scores);
    scores.into_iter().zip(others.iter().copied()).collect()
}

/// The nearest first, each once.
fn sort(candidates: &mut Vec<Candidate>) {
    candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    candidates.dedup_by_key(|candidate| candidate.1);
}

/// At most `most` of the candidates, which come nearest first: one is passed over where one that was chosen is nearer to
/// it than the node is, since from there it can be reached.
fn choose(space: Space<'_>, node: u32, candidates: &[Candidate], most: usize) -> Vec<Candidate> {
    let mut chosen: Vec<Candidate> = Vec::with_capacity(most);
    let mut nodes: Vec<u32> = Vec::with_capacity(most);
    let mut scores = Vec::with_capacity(most);
    for (score, candidate) in candidates {
        if chosen.len() == most {
            break;
        }
        let limit = space.between(*score, node);
        let query = space.query(*candidate);
        let covered = nodes.chunks(8).any(|part| {
            kernels::gather(&query, space.coded, part, &mut scores);
            scores.iter().any(|score| space.between(*score, *candidate) > limit)
        });
        if !covered {
            chosen.push((*score, *candidate));
            nodes.push(*candidate);
        }
    }
    chosen
}

/// That nobody waits for the work any more.
fn stopped() -> EmbedError {
    let message = "nobody waits for its graph any more".into();
    EmbedError::Failed { what: "the index".into(), kind: Kind::Cancelled, message, source: None }
}

/// Plans and writes batch by batch, in this order: each batch sees what the earlier ones linked. Ends with an error of kind
/// `cancelled` soon after it was asked to stop; what was written by then is of no use.
pub(crate) fn link_all(
    layer: &mut Layer,
    space: Space<'_>,
    order: &[u32],
    options: &GraphOptions,
    stop: &Stop,
    entries: impl Fn(u32, View<'_>, &mut Walk) -> Vec<u32> + Sync,
) -> Result<(), EmbedError> {
    let most = (order.len() / 64).clamp(SMALL_BATCH, 4096);
    let mut done = 0;
    while done < order.len() {
        let size = (done / 4).clamp(SMALL_BATCH, most);
        let mut batch = order.get(done..(done + size).min(order.len())).unwrap_or_default().to_vec();
        done += batch.len();
        // Neighbours in memory are mostly neighbours in space: their walks read the same rows.
        batch.sort_unstable();
        let lists = plan(layer, space, &batch, options, |node, walk| match stop.asked() {
            // Nobody will see what is planned from here on.
            true => Vec::new(),
            false => entries(node, layer.view(), walk),
        });
        if stop.asked() {
            return Err(stopped());
        }
        layer.write(&lists)?;
    }
    Ok(())
}
