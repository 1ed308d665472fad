//! The inverted index: for each term, the documents that have it.

use std::sync::{Arc, Mutex, PoisonError};

use super::interner::Interner;
use super::pending::Pending;
use crate::{Analyzer, RetrieveError};

/// The two numbers of BM25.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Params {
    pub(crate) k1: f64,
    pub(crate) b: f64,
}

impl Params {
    pub(crate) fn check(self) -> Result<Self, RetrieveError> {
        if !(self.k1.is_finite() && self.k1 >= 0.0) {
            return Err(RetrieveError::invalid("k1", format!("must be a number from 0, not {}", self.k1)));
        }
        if !(0.0..=1.0).contains(&self.b) {
            return Err(RetrieveError::invalid("b", format!("must lie between 0 and 1, not {}", self.b)));
        }
        Ok(self)
    }
}

/// The length of a document that is gone.
pub(super) const GONE: u32 = u32::MAX;
/// A word whose term was not asked for yet.
const UNKNOWN: u32 = u32::MAX;
/// A word that stands for no term.
const STOPPED: u32 = u32::MAX - 1;
/// How far the mean length may go from the one that the peaks were made for.
const DRIFT: f64 = 0.02;

/// The documents of one term, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Postings {
    pub(super) slots: Vec<u32>,
    /// How often the term stands in each; 65,535 for more.
    pub(super) counts: Vec<u16>,
    /// How many of them are there still.
    pub(super) live: u32,
    /// No document has a greater part of the score, before the weight of the term, at the reference length.
    pub(super) peak: f32,
}

/// Terms and their documents. Documents are numbers that only rise; one that is gone stays in the postings, where it weighs
/// nothing, until [`Inverted::compact`].
#[derive(Debug)]
pub(crate) struct Inverted {
    pub(super) params: Params,
    pub(super) analyzer: Arc<dyn Analyzer>,
    /// Words and terms. A stem is a word, too.
    words: Interner,
    /// For each word, the number of its term.
    terms: Vec<u32>,
    /// For each word that is a term, its postings.
    pub(super) postings: Vec<Postings>,
    /// For each document, how many terms it has.
    pub(super) lengths: Vec<u32>,
    /// The same for the quick pass: infinite for a document that is gone, so that it weighs nothing.
    pub(super) rough: Vec<f32>,
    pub(super) live: u32,
    pub(super) total: u64,
    /// The mean length that the peaks were made for.
    pub(super) reference: f64,
    /// How often each term stands in the document at hand; all zeros between documents.
    counts: Vec<u16>,
    /// Terms of the document at hand.
    touched: Vec<u32>,
    pending: Pending,
    /// Room for searches, all zeros; a search takes one and gives it back.
    rooms: Mutex<Vec<Vec<f32>>>,
}

impl Inverted {
    pub(crate) fn new(params: Params, analyzer: Arc<dyn Analyzer>) -> Self {
        Self {
            params,
            analyzer,
            words: Interner::default(),
            terms: Vec::new(),
            postings: Vec::new(),
            lengths: Vec::new(),
            rough: Vec::new(),
            live: 0,
            total: 0,
            reference: 1.0,
            counts: Vec::new(),
            touched: Vec::new(),
            pending: Pending::default(),
            rooms: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn analyzer(&self) -> &Arc<dyn Analyzer> {
        &self.analyzer
    }

    /// The mean length of a document; 1 where there is none, so that it can divide.
    pub(super) fn mean(&self) -> f64 {
        if self.total == 0 { 1.0 } else { self.total as f64 / f64::from(self.live) }
    }

    /// Adds the document of the next number. It is found after [`Inverted::settle`].
    pub(crate) fn push(&mut self, text: &str) {
        let slot = self.lengths.len() as u32;
        if self.pending.full(slot) {
            self.write();
        }
        let mut length = 0u32;
        let Self { analyzer, words, terms, postings, counts, touched, pending, .. } = self;
        let analyzer = Arc::clone(analyzer);
        analyzer.words(text, &mut |word| {
            let number = words.intern(word);
            let known = terms.get(number as usize).copied().unwrap_or(UNKNOWN);
            let term = if known == UNKNOWN { ask(&*analyzer, words, terms, postings, number) } else { known };
            if term == STOPPED {
                return;
            }
            length = length.saturating_add(1);
            if counts.len() <= term as usize {
                counts.resize(terms.len(), 0);
            }
            if let Some(count) = counts.get_mut(term as usize) {
                if *count == 0 {
                    touched.push(term);
                }
                *count = count.saturating_add(1);
            }
        });
        for term in touched.drain(..) {
            if let Some(count) = counts.get_mut(term as usize) {
                pending.push(term, slot, std::mem::take(count));
            }
        }
        let length = length.min(GONE - 1);
        self.lengths.push(length);
        self.rough.push(length as f32);
        self.total += u64::from(length);
        self.live += 1;
    }

    /// Writes the postings that wait.
    fn write(&mut self) {
        let Self { pending, postings, lengths, reference, params, .. } = self;
        pending.drain(postings.len(), |term, waiting| {
            let Some(here) = postings.get_mut(term as usize) else { return };
            for (slot, count) in waiting {
                here.slots.push(slot);
                here.counts.push(count);
                here.live += 1;
                let norm = norm(*params, *reference, lengths.get(slot as usize).copied().unwrap_or(0));
                let count = f32::from(count);
                here.peak = here.peak.max(count / (count + norm));
            }
        });
    }

    /// Takes out the document of a number, whose text was this.
    pub(crate) fn forget(&mut self, slot: u32, text: &str) {
        let Some(length) = self.lengths.get_mut(slot as usize).filter(|length| **length != GONE) else { return };
        self.total -= u64::from(*length);
        self.live -= 1;
        *length = GONE;
        if let Some(rough) = self.rough.get_mut(slot as usize) {
            *rough = f32::INFINITY;
        }
        let mut terms = Vec::new();
        self.analyzer.words(text, &mut |word| terms.extend(self.find(word)));
        terms.sort_unstable();
        terms.dedup();
        for term in terms {
            // Whoever analyses differently than before cannot make a count wrong.
            if let Some(here) = self.postings.get_mut(term as usize)
                && here.slots.binary_search(&slot).is_ok()
            {
                here.live = here.live.saturating_sub(1);
            }
        }
    }

    /// The term of a word, if there are documents of it.
    pub(super) fn find(&self, word: &str) -> Option<u32> {
        match self.words.find(word).map(|number| (number, self.terms.get(number as usize).copied())) {
            Some((_, Some(STOPPED))) => None,
            Some((_, Some(term))) if term != UNKNOWN => Some(term),
            _ => self.words.find(&self.analyzer.term(word)?),
        }
    }

    /// Writes what waits, and makes the peaks anew where they are no longer good ones. What that costs was paid for by the words that moved the mean.
    pub(crate) fn settle(&mut self) {
        self.write();
        let mean = self.mean();
        if ((mean / self.reference) - 1.0).abs() <= DRIFT {
            return;
        }
        self.reference = mean;
        let Params { k1, b } = self.params;
        let (start, each) = ((k1 * (1.0 - b)) as f32, (k1 * b / mean) as f32);
        for here in &mut self.postings {
            let part = |(slot, count): (&u32, &u16)| {
                let (count, length) = (f32::from(*count), self.rough.get(*slot as usize).copied().unwrap_or(0.0));
                let norm = if length.is_finite() { (start + each * length) * (1.0 - 1e-6) } else { return 0.0 };
                count / (count + norm)
            };
            here.peak = here.slots.iter().zip(&here.counts).map(part).fold(0.0, f32::max);
        }
    }

    /// Takes out of the postings, which wait for nothing, what is gone, and numbers the rest anew, in the same order. Answers the old numbers.
    pub(crate) fn compact(&mut self) -> Vec<u32> {
        let mut old = Vec::with_capacity(self.live as usize);
        let mut new = vec![GONE; self.lengths.len()];
        for (slot, (length, new)) in self.lengths.iter().zip(&mut new).enumerate() {
            if *length != GONE {
                *new = old.len() as u32;
                old.push(slot as u32);
            }
        }
        self.lengths.retain(|length| *length != GONE);
        self.rough.retain(|length| length.is_finite());
        // Words that no document has any more go, too.
        let words = std::mem::take(&mut self.words);
        let postings = std::mem::take(&mut self.postings);
        self.terms.clear();
        self.counts.clear();
        for (number, mut here) in postings.into_iter().enumerate() {
            let mut kept = Postings::default();
            for (slot, count) in here.slots.drain(..).zip(here.counts.drain(..)) {
                if let Some(slot) = new.get(slot as usize).copied().filter(|slot| *slot != GONE) {
                    kept.slots.push(slot);
                    kept.counts.push(count);
                }
            }
            if !kept.slots.is_empty() {
                (kept.live, kept.peak) = (kept.slots.len() as u32, here.peak);
                self.words.intern(words.word(number as u32));
                self.terms.push(UNKNOWN);
                self.postings.push(kept);
            }
        }
        self.rooms = Mutex::new(Vec::new());
        old
    }

    /// How many documents are gone and still in the postings.
    pub(crate) fn gone(&self) -> usize {
        self.lengths.len() - self.live as usize
    }

    /// Zeros, one for each document.
    pub(super) fn room(&self) -> Vec<f32> {
        let mut room = self.rooms.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        room.resize(self.lengths.len(), 0.0);
        room
    }

    /// Gives back zeros.
    pub(super) fn give_back(&self, room: Vec<f32>) {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

/// `k1 · (1 - b + b · length / mean)`, a little below.
fn norm(Params { k1, b }: Params, mean: f64, length: u32) -> f32 {
    ((k1 * (1.0 - b + b * f64::from(length) / mean)) * (1.0 - 1e-6)) as f32
}

/// Asks the analyzer for the term of a word, once; answers its number, or [`STOPPED`].
#[cold]
fn ask(
    analyzer: &dyn Analyzer,
    words: &mut Interner,
    terms: &mut Vec<u32>,
    postings: &mut Vec<Postings>,
    number: u32,
) -> u32 {
    let made = analyzer.term(words.word(number)).map(std::borrow::Cow::into_owned);
    let term = made.map_or(STOPPED, |term| words.intern(&term));
    terms.resize(words.len(), UNKNOWN);
    postings.resize_with(words.len(), Postings::default);
    if let Some(slot) = terms.get_mut(number as usize) {
        *slot = term;
    }
    term
}
