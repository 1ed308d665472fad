//! The graph over the codes: HNSW, a pile of layers of which each holds a part of the nodes of the one below.

mod layer;
mod link;

use super::metric::Metric;
use super::stop::Stop;
use crate::EmbedError;
use crate::kernels::{Coded, Factors, Query};

pub(super) use self::layer::{Layer, NONE, Walk, with_walk};
pub(super) use self::link::on_all_cores;

/// How many nodes of a layer one of the layer above stands for.
const PER_LAYER: usize = 16;
/// A layer as small as this has none above it.
const TOP: usize = 48;

/// How a graph is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GraphOptions {
    /// How many links a new node chooses; it has room for twice as many.
    pub(super) m: usize,
    /// How many candidates it chooses from.
    pub(super) ef_construction: usize,
}

/// Coded vectors and what near means among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space<'a> {
    pub(super) coded: Coded<'a>,
    pub(super) metric: Metric,
}

impl<'a> Space<'a> {
    fn factors(&self, node: u32) -> Factors {
        self.coded.factors.get(node as usize).copied().unwrap_or_default()
    }

    /// A node as a query.
    pub(super) fn query(&self, node: u32) -> Query<'a> {
        let scale = self.factors(node).factor * if self.metric == Metric::L2 { 0.5 } else { 1.0 };
        Query { codes: self.coded.row(node as usize), scale, per_length: 0.0, per_error: 0.0 }
    }

    /// The score of two nodes, of the score that the query of one gave the other.
    fn between(&self, score: f32, node: u32) -> f32 {
        score + self.factors(node).offset
    }
}

/// A layer above the others, with codes of its own, so that they lie together.
#[derive(Debug)]
pub(super) struct Upper {
    pub(super) layer: Layer,
    pub(super) codes: Vec<i8>,
    pub(super) factors: Vec<Factors>,
    /// Where each node stands in the layer below.
    pub(super) below: Vec<u32>,
}

impl Upper {
    fn space(&self, of: Space<'_>) -> Space<'_> {
        let coded = Coded { codes: &self.codes, factors: &self.factors, stride: of.coded.stride };
        Space { coded, metric: of.metric }
    }

    fn push(&mut self, space: Space<'_>, row: u32, below: u32) {
        self.codes.extend_from_slice(space.coded.row(row as usize));
        self.factors.push(space.factors(row));
        self.below.push(below);
    }
}

/// The layers over the rows from 0 to `linked`.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) options: GraphOptions,
    /// The lowest of the layers above the base first.
    pub(super) uppers: Vec<Upper>,
    pub(super) base: Layer,
    /// Rows from here on are in no layer yet.
    pub(super) linked: usize,
    /// Where a walk begins that has nowhere better.
    pub(super) first: u32,
    /// How many nearest a walk keeps.
    pub(super) ef: usize,
    /// How many rows there were when `ef` was measured.
    pub(super) measured: usize,
}

/// A number that looks like any other, the same for the same row.
pub(super) fn scattered(row: u64) -> u64 {
    let mixed = (row.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ (row >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Graph {
    /// A graph over the first `count` rows, unless it is asked to stop.
    pub(super) fn build(
        space: Space<'_>,
        count: usize,
        options: GraphOptions,
        stop: &Stop,
    ) -> Result<Self, EmbedError> {
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.sort_unstable_by_key(|row| scattered(u64::from(*row)));
        let width = options.m * 2;
        let mut graph = Self {
            options,
            uppers: Vec::new(),
            base: Layer::new(width),
            linked: count,
            first: order.first().copied().unwrap_or_default(),
            ef: 64,
            measured: count,
        };
        // The nodes of each layer are the first in the order, so those of the layer above are the first among them.
        let sizes: Vec<usize> = std::iter::successors(Some(count / PER_LAYER), |size| Some(size / PER_LAYER))
            .take_while(|size| *size >= TOP)
            .collect();
        for (level, size) in sizes.iter().enumerate() {
            let mut upper =
                Upper { layer: Layer::new(width), codes: Vec::new(), factors: Vec::new(), below: Vec::new() };
            upper.layer.grow(*size)?;
            for (at, row) in order.iter().take(*size).enumerate() {
                upper.push(space, *row, if level == 0 { *row } else { at as u32 });
            }
            graph.uppers.push(upper);
        }
        for level in (0..sizes.len()).rev() {
            graph.link_upper(space, level, stop)?;
        }
        graph.base.grow(count)?;
        let mut base = std::mem::replace(&mut graph.base, Layer::new(width));
        link::link_all(&mut base, space, &order, &options, stop, |node, view, walk| {
            graph.entries(space, &space.query(node), 0, walk, |entry| view.linked(entry))
        })?;
        graph.base = base;
        Ok(graph)
    }

    fn link_upper(&mut self, space: Space<'_>, level: usize, stop: &Stop) -> Result<(), EmbedError> {
        let width = self.base.width;
        let Some(upper) = self.uppers.get_mut(level) else { return Ok(()) };
        let mut layer = std::mem::replace(&mut upper.layer, Layer::new(width));
        let order: Vec<u32> = (0..upper.below.len() as u32).collect();
        let Some(upper) = self.uppers.get(level) else { return Ok(()) };
        let own = upper.space(space);
        let options = self.options;
        link::link_all(&mut layer, own, &order, &options, stop, |node, view, walk| {
            self.entries(space, &own.query(node), level + 1, walk, |entry| view.linked(entry))
        })?;
        if let Some(upper) = self.uppers.get_mut(level) {
            upper.layer = layer;
        }
        Ok(())
    }

    /// Where to enter the layer below the upper layer `level`: the nodes that the layers from there on lead to.
    fn entries(
        &self,
        space: Space<'_>,
        query: &Query<'_>,
        level: usize,
        walk: &mut Walk,
        usable: impl Fn(u32) -> bool,
    ) -> Vec<u32> {
        let mut entries = vec![0];
        let mut any = false;
        for upper in self.uppers.get(level..).unwrap_or_default().iter().rev() {
            walk.go(query, upper.space(space).coded, upper.layer.view(), &entries, 4);
            entries.clear();
            entries.extend(walk.seen.iter().filter_map(|seen| upper.below.get(seen.node as usize)));
            any = true;
        }
        entries.retain(|entry| any && usable(*entry));
        if entries.is_empty() {
            // In the base it is the first that was linked, and in the layers above the first of them.
            entries.push(if level == 0 { self.first } else { 0 });
        }
        entries
    }

    /// Walks to the nearest `ef` nodes; they are in `walk.seen`.
    pub(super) fn walk(&self, space: Space<'_>, query: &Query<'_>, ef: usize, walk: &mut Walk) {
        let entries = self.entries(space, query, 0, walk, |_| true);
        walk.go(query, space.coded, self.base.view(), &entries, ef);
    }

    /// Makes places for the rows up to `count`, and links those of them that have a node in the layers above there.
    pub(super) fn grow(&mut self, space: Space<'_>, count: usize) -> Result<(), EmbedError> {
        self.base.grow(count)?;
        let rows: Vec<u32> = (self.linked as u32..count as u32).collect();
        let mut below: Vec<(u32, u32)> = rows.iter().map(|row| (*row, *row)).collect();
        for level in 0..self.uppers.len() {
            let share = (PER_LAYER as u64).pow(level as u32 + 1);
            below.retain(|(row, _)| scattered(u64::from(*row)).is_multiple_of(share));
            let Some(upper) = self.uppers.get_mut(level) else { break };
            let first = upper.below.len() as u32;
            below.iter().for_each(|(row, below)| upper.push(space, *row, *below));
            below.iter_mut().zip(first..).for_each(|((_, below), at)| *below = at);
            upper.layer.grow(upper.below.len())?;
        }
        for level in (0..self.uppers.len()).rev() {
            let Some(upper) = self.uppers.get(level) else { break };
            let (own, view) = (upper.space(space), upper.layer.view());
            let new: Vec<u32> = (0..upper.below.len() as u32).filter(|node| !view.linked(*node)).collect();
            let mut lists = Vec::new();
            if !new.is_empty() {
                lists = link::plan(&upper.layer, own, &new, &self.options, |node, walk| {
                    self.entries(space, &own.query(node), level + 1, walk, |entry| view.linked(entry))
                });
            }
            if let Some(upper) = self.uppers.get_mut(level) {
                upper.layer.write(&lists)?;
            }
        }
        Ok(())
    }

    /// The links of these rows, which have places without links: to be written with [`Graph::write`].
    pub(super) fn plan(&self, space: Space<'_>, rows: &[u32]) -> Vec<(u32, Vec<u32>)> {
        let view = self.base.view();
        link::plan(&self.base, space, rows, &self.options, |node, walk| {
            self.entries(space, &space.query(node), 0, walk, |entry| view.linked(entry))
        })
    }
}
