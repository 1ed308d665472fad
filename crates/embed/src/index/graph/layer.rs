//! One layer of the graph: the links of its nodes, and the walk along them.

use std::cell::Cell;

use super::super::block::Block;
use crate::EmbedError;
use crate::kernels::{self, Coded, Query};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;

/// Links to at most `width` nodes from each.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    pub(crate) width: usize,
    /// `width` for each node; those that are not used are [`NONE`], behind the others.
    pub(crate) links: Block<u32>,
}

impl Layer {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, links: Block::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len() / self.width.max(1)
    }

    /// Gives the nodes up to this number a place, without links.
    pub(crate) fn grow(&mut self, nodes: usize) -> Result<(), EmbedError> {
        let more = nodes.saturating_sub(self.len()) * self.width;
        self.links.reserve(more)?;
        self.links.extend(&vec![NONE; more])
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { width: self.width, links: self.links.as_slice() }
    }

    /// Writes these lists of links.
    pub(crate) fn write(&mut self, lists: &[(u32, Vec<u32>)]) -> Result<(), EmbedError> {
        let width = self.width;
        let links = self.links.as_mut_slice()?;
        for (node, list) in lists {
            let start = *node as usize * width;
            for (at, link) in links.get_mut(start..start + width).unwrap_or_default().iter_mut().enumerate() {
                *link = list.get(at).copied().unwrap_or(NONE);
            }
        }
        Ok(())
    }
}

/// The links of a layer, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    width: usize,
    links: &'a [u32],
}

impl<'a> View<'a> {
    fn places(&self, node: u32) -> &'a [u32] {
        let start = node as usize * self.width;
        self.links.get(start..start + self.width).unwrap_or_default()
    }

    pub(crate) fn links(&self, node: u32) -> impl Iterator<Item = u32> + 'a {
        self.places(node).iter().copied().take_while(|link| *link != NONE)
    }

    /// Whether anything can be reached from the node.
    pub(crate) fn linked(&self, node: u32) -> bool {
        self.places(node).first().is_some_and(|first| *first != NONE)
    }
}

/// A node that was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) score: f32,
    pub(crate) node: u32,
    /// Whether its links were followed.
    done: bool,
}

/// What a walk needs, kept for the next one.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// One bit for each node of the layer.
    visited: Vec<u64>,
    /// The nearest seen so far, the nearest first.
    pub(crate) seen: Vec<Seen>,
    fresh: Vec<u32>,
    scores: Vec<f32>,
    /// How many nodes were scored.
    pub(crate) scored: usize,
}

thread_local! {
    static WALK: Cell<Option<Walk>> = const { Cell::new(None) };
}

/// Lends this thread's walk. A filter that searches itself, inside, gets a new one.
pub(crate) fn with_walk<T>(work: impl FnOnce(&mut Walk) -> T) -> T {
    let mut walk = WALK.take().unwrap_or_default();
    walk.scored = 0;
    let done = work(&mut walk);
    WALK.set(Some(walk));
    done
}

impl Walk {
    fn visit(&mut self, node: u32) -> bool {
        let Some(word) = self.visited.get_mut(node as usize / 64) else { return false };
        let bit = 1 << (node % 64);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Puts a node where it belongs among the nearest `ef`; answers where, or the end if it is none of them.
    fn show(&mut self, score: f32, node: u32, ef: usize) -> usize {
        if self.seen.len() >= ef && self.seen.last().is_some_and(|last| last.score >= score) {
            return usize::MAX;
        }
        let at = self.seen.partition_point(|seen| seen.score > score || (seen.score == score && seen.node < node));
        if self.seen.len() >= ef {
            self.seen.pop();
        }
        self.seen.insert(at.min(self.seen.len()), Seen { score, node, done: false });
        at
    }

    /// Follows links from the entries towards the query, until the links of the nearest `ef` were followed. They are in
    /// `seen` then.
    pub(crate) fn go(&mut self, query: &Query<'_>, coded: Coded<'_>, layer: View<'_>, entries: &[u32], ef: usize) {
        self.visited.clear();
        self.visited.resize(coded.factors.len().div_ceil(64), 0);
        self.seen.clear();
        self.fresh.clear();
        for entry in entries {
            if self.visit(*entry) {
                self.fresh.push(*entry);
            }
        }
        let mut next = self.score(query, coded, ef);
        while let Some(seen) = self.seen.get_mut(next) {
            if seen.done {
                next += 1;
                continue;
            }
            seen.done = true;
            let node = seen.node;
            // What is likely to be followed next is on its way while this one is scored.
            if let Some(after) = self.seen.get(next + 1) {
                kernels::fetch(layer.places(after.node));
            }
            self.fresh.clear();
            for link in layer.links(node) {
                if self.visit(link) {
                    self.fresh.push(link);
                }
            }
            next = self.score(query, coded, ef).min(next + 1);
        }
    }

    /// Scores what is fresh; answers the first place that changed.
    fn score(&mut self, query: &Query<'_>, coded: Coded<'_>, ef: usize) -> usize {
        let (fresh, mut scores) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.scores));
        kernels::gather(query, coded, &fresh, &mut scores);
        self.scored += fresh.len();
        let first = fresh.iter().zip(&scores).map(|(node, score)| self.show(*score, *node, ef)).min();
        (self.fresh, self.scores) = (fresh, scores);
        first.unwrap_or(usize::MAX)
    }
}
