//! The best documents for a few words, exactly.
//!
//! The terms that can add most come first, and each of their documents gets its part of the score, in 32 bits. As soon as all
//! the terms that are left together cannot lift a new document among the best `k`, they are only looked up for the documents
//! that can still get there (MaxScore). The few that remain are scored again in 64 bits, so that what is told is exact.

use std::cmp::Ordering;

use super::inverted::{GONE, Inverted, Params, Postings};
use super::lookup::Finger;

/// How many documents are handled together, so that the compiler can divide several at once.
const LANES: usize = 64;

/// What a search is asked for, beside the words.
pub(crate) struct Wanted<'a> {
    pub(crate) k: usize,
    /// Whether a document may be found; asked only for those that would be among the best.
    pub(crate) accept: Option<&'a dyn Fn(u32) -> bool>,
    /// The order of documents of the same score.
    pub(crate) ties: &'a dyn Fn(u32, u32) -> Ordering,
}

/// A term of the query.
struct Term<'a> {
    postings: &'a Postings,
    weight: f64,
    /// No document gets more of it.
    most: f32,
}

/// The smallest of the `k` greatest numbers so far.
struct Best {
    k: usize,
    /// The greatest, as a heap with the smallest on top.
    heap: Vec<f32>,
    /// What a number must be above to be one of them.
    bar: f32,
}

impl Best {
    fn new(k: usize, bar: f32) -> Self {
        Self { k, heap: Vec::with_capacity(k.min(1024)), bar }
    }

    #[inline]
    fn push(&mut self, score: f32) {
        if self.heap.len() < self.k {
            self.heap.push(score);
            if self.heap.len() == self.k {
                self.heap.sort_unstable_by(f32::total_cmp);
                self.raise();
            }
            return;
        }
        // Sink the new one from the top, where the smallest was.
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let value = |at: usize| self.heap.get(at).copied().unwrap_or(f32::INFINITY);
            let (child, least) = if value(right) < value(left) { (right, value(right)) } else { (left, value(left)) };
            if least >= score || least == f32::INFINITY {
                break;
            }
            if let Some(here) = self.heap.get_mut(at) {
                *here = least;
            }
            at = child;
        }
        if let Some(here) = self.heap.get_mut(at) {
            *here = score;
        }
        self.raise();
    }

    fn raise(&mut self) {
        if let Some(least) = self.heap.first() {
            self.bar = self.bar.max(*least);
        }
    }
}

impl Inverted {
    /// The best documents with their scores, the best first.
    pub(crate) fn search(&self, text: &str, wanted: &Wanted<'_>) -> Vec<(u32, f64)> {
        let terms = self.query(text);
        if wanted.k == 0 || terms.is_empty() {
            return Vec::new();
        }
        let mut order: Vec<&Term<'_>> = terms.iter().collect();
        order.sort_by(|a, b| b.most.total_cmp(&a.most));
        // Sums of 32-bit numbers are wrong by less than this, and bars are lowered by it.
        let slack = 1.0 - 2e-7 * (terms.len() as f32 + 8.0);
        let candidates = self.candidates(&order, slack, wanted);
        self.exact(&terms, candidates, wanted)
    }

    /// The terms of a query, in the order of their first words; a word that stands twice weighs double.
    fn query(&self, text: &str) -> Vec<Term<'_>> {
        let mut numbers: Vec<(u32, usize)> = Vec::new();
        let mut at = 0usize;
        self.analyzer().words(text, &mut |word| {
            if let Some(term) = self.find(word) {
                numbers.push((term, at));
                at += 1;
            }
        });
        numbers.sort_unstable();
        let mut terms: Vec<(usize, u32, f64)> = Vec::new();
        for (term, at) in numbers {
            match terms.last_mut() {
                Some((_, last, times)) if *last == term => *times += 1.0,
                _ => terms.push((at, term, 1.0)),
            }
        }
        terms.sort_unstable_by_key(|(at, _, _)| *at);
        // Peaks were made for another mean length; a part grows at most as the mean does.
        let drift = (self.mean() / self.reference).max(1.0) * (1.0 + 1e-5);
        let live = f64::from(self.live);
        let term = |(_, number, times): (usize, u32, f64)| {
            let postings = self.postings.get(number as usize).filter(|here| here.live > 0)?;
            let documents = f64::from(postings.live);
            let weight = weight(times, live, documents);
            Some(Term { postings, weight, most: (weight * f64::from(postings.peak).min(1.0) * drift) as f32 })
        };
        terms.into_iter().filter_map(term).collect()
    }

    /// The documents that may be among the best, in order.
    fn candidates(&self, order: &[&Term<'_>], slack: f32, wanted: &Wanted<'_>) -> Vec<u32> {
        let mut rest: Vec<f32> = order
            .iter()
            .rev()
            .scan(0.0f32, |sum, term| {
                *sum += term.most;
                Some(*sum)
            })
            .collect();
        rest.reverse();
        let after = |at: usize| rest.get(at).copied().unwrap_or(0.0);
        let mut room = self.room();
        let (mut bar, mut used) = (0.0f32, 0);
        for (at, term) in order.iter().enumerate() {
            if after(at) < bar * slack {
                break;
            }
            let mut best = Best::new(wanted.k, bar);
            self.add(term, &mut room, &mut best, wanted.accept);
            bar = best.bar;
            used = at + 1;
        }
        let least = |at: usize| bar * slack - after(at);
        let mut found = self.collect(order.get(..used).unwrap_or(order), &mut room, least(used), wanted.accept);
        self.give_back(room);
        let rest_of = order.get(used..).unwrap_or_default();
        if let Some(whole) = self.whole(&found, rest_of, wanted.k) {
            bar = bar.max(whole);
            let least = bar * slack - after(used);
            found.retain(|(_, score)| *score >= least);
        }
        for (at, term) in (used + 1..).zip(rest_of) {
            self.look_up(term, &mut found);
            if found.len() > wanted.k {
                let mut best = Best::new(wanted.k, bar);
                for (_, score) in &found {
                    if *score > best.bar {
                        best.push(*score);
                    }
                }
                bar = best.bar;
                let least = bar * slack - after(at);
                found.retain(|(_, score)| *score >= least);
            }
        }
        found.into_iter().map(|(slot, _)| slot).collect()
    }

    /// The least of the whole scores of those `k` that are best so far: a bar that is nearly the final one. `None` where so few
    /// are left that it is not worth it.
    fn whole(&self, found: &[(u32, f32)], rest: &[&Term<'_>], k: usize) -> Option<f32> {
        if rest.is_empty() || found.len() / 4 <= k {
            return None;
        }
        let mut top = found.to_vec();
        top.select_nth_unstable_by(k.saturating_sub(1), |(_, a), (_, b)| b.total_cmp(a));
        top.truncate(k);
        top.sort_unstable_by_key(|(slot, _)| *slot);
        rest.iter().for_each(|term| self.look_up(term, &mut top));
        top.into_iter().map(|(_, score)| score).min_by(f32::total_cmp)
    }

    /// Adds a term to the scores of these documents, which are in order.
    fn look_up(&self, term: &Term<'_>, found: &mut [(u32, f32)]) {
        let factors = self.factors();
        let mut finger = Finger::new(term.postings);
        for (slot, score) in found {
            if let Some(count) = finger.count(*slot) {
                *score += part(term.weight as f32, count, factors, self.rough.get(*slot as usize));
            }
        }
    }

    /// `k1 · (1 - b)` and `k1 · b / mean`, for the quick pass. The second is never 0, so that a document that is gone weighs
    /// nothing whatever `b` is.
    fn factors(&self) -> (f32, f32) {
        let (k1, b) = (self.params.k1, self.params.b);
        ((k1 * (1.0 - b)) as f32, ((k1 * b / self.mean()) as f32).max(1e-30))
    }

    /// Adds a term to the scores of all its documents.
    fn add(&self, term: &Term<'_>, room: &mut [f32], best: &mut Best, accept: Option<&dyn Fn(u32) -> bool>) {
        let (start, each) = self.factors();
        let weight = term.weight as f32;
        let mut parts = [0.0f32; LANES];
        for (slots, counts) in term.postings.slots.chunks(LANES).zip(term.postings.counts.chunks(LANES)) {
            for ((part, slot), count) in parts.iter_mut().zip(slots).zip(counts) {
                let length = self.rough.get(*slot as usize).copied().unwrap_or(f32::INFINITY);
                let count = f32::from(*count);
                *part = weight * count / (count + (start + each * length));
            }
            for (slot, part) in slots.iter().zip(&parts) {
                let Some(score) = room.get_mut(*slot as usize) else { continue };
                *score += *part;
                let score = *score;
                if score > best.bar && accept.is_none_or(|accept| accept(*slot)) {
                    best.push(score);
                }
            }
        }
    }

    /// Takes the scores out of the room again, and keeps those that are good enough, in the order of the documents.
    fn collect(
        &self,
        used: &[&Term<'_>],
        room: &mut [f32],
        least: f32,
        accept: Option<&dyn Fn(u32) -> bool>,
    ) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        let mut keep = |slot: u32, score: f32| {
            if score > 0.0 && score >= least && accept.is_none_or(|accept| accept(slot)) {
                found.push((slot, score));
            }
        };
        let touched: usize = used.iter().map(|term| term.postings.slots.len()).sum();
        if touched > room.len() / 2 {
            for (slot, score) in room.iter().enumerate() {
                keep(slot as u32, *score);
            }
            room.fill(0.0);
            return found;
        }
        for term in used {
            for slot in &term.postings.slots {
                if let Some(score) = room.get_mut(*slot as usize) {
                    keep(*slot, std::mem::take(score));
                }
            }
        }
        if used.len() > 1 {
            found.sort_unstable_by_key(|(slot, _)| *slot);
        }
        found
    }

    /// The scores in 64 bits, the parts summed in the order of the words; the best `k` of them.
    fn exact(&self, terms: &[Term<'_>], candidates: Vec<u32>, wanted: &Wanted<'_>) -> Vec<(u32, f64)> {
        let mut found: Vec<(u32, f64)> = candidates.into_iter().map(|slot| (slot, 0.0)).collect();
        let mean = self.mean();
        for term in terms {
            let mut finger = Finger::new(term.postings);
            for (slot, score) in &mut found {
                let length = self.lengths.get(*slot as usize).copied().unwrap_or(GONE);
                if let Some(count) = finger.count(*slot) {
                    *score += share(self.params, mean, term.weight, f64::from(count), length);
                }
            }
        }
        found.sort_unstable_by(|(a, high), (b, low)| low.total_cmp(high).then_with(|| (wanted.ties)(*a, *b)));
        found.truncate(wanted.k);
        found
    }
}

/// What a term weighs that stands `times` in the query and in `having` of the documents.
pub(crate) fn weight(times: f64, documents: f64, having: f64) -> f64 {
    times * (1.0 + (documents - having + 0.5) / (having + 0.5)).ln()
}

/// What a term adds to the score of a document of this length, in which it stands `count` times.
#[inline]
pub(crate) fn share(Params { k1, b }: Params, mean: f64, weight: f64, count: f64, length: u32) -> f64 {
    weight * count / (count + k1 * (1.0 - b + b * f64::from(length) / mean))
}

fn part(weight: f32, count: u16, (start, each): (f32, f32), length: Option<&f32>) -> f32 {
    let count = f32::from(count);
    weight * count / (count + (start + each * length.copied().unwrap_or(f32::INFINITY)))
}
