//! Pieces of one matter each, as an embedder sees it.

use std::ops::Range;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Document};
use atomr_agents_embed::{Embedder, Vectors};
use futures_util::future::BoxFuture;
use unicode_segmentation::UnicodeSegmentation;

use super::cut::{Limits, Seams};
use super::recursive::{SEPARATORS, Separators};
use super::{Cut, Length, chars, pieces};
use crate::{AsyncSplitter, IngestError};

/// Between which sentences a text is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Breakpoint {
    /// Where the distance of two neighbours is above this percentile of all distances of the text: 95 cuts at one of twenty
    /// places.
    Percentile(f32),
    /// Where the cosine of two neighbours is below this.
    Threshold(f32),
}

/// Cuts texts where the matter changes: between two sentences whose vectors are far from each other. Sentences end as
/// Unicode says, so that `3.14` stays whole; what is then still longer than `max_chars` is cut between sentences, else as
/// [`Recursive`](super::Recursive) does.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_core::{CallCtx, Document};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_ingest::{AsyncSplitter, Breakpoint, Semantic};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let splitter = Semantic::new(Arc::new(MockEmbedder::new(256)?)).breakpoint(Breakpoint::Threshold(0.3)).build()?;
/// let text = "Rain fell in Oslo. In Oslo rain fell at 3.14 mm. Taxes are due.";
/// let pieces = splitter.split(&Document::new("a", text), &CallCtx::new()).await?;
/// let texts: Vec<_> = pieces.iter().map(|piece| piece.text.as_str()).collect();
/// assert_eq!(texts, ["Rain fell in Oslo. In Oslo rain fell at 3.14 mm. ", "Taxes are due."]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Semantic {
    embedder: Arc<dyn Embedder>,
    breakpoint: Breakpoint,
    limits: Limits,
    separators: Separators,
    batch: usize,
}

/// Makes a [`Semantic`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SemanticBuilder {
    embedder: Arc<dyn Embedder>,
    breakpoint: Breakpoint,
    max_chars: usize,
    batch: usize,
}

impl Semantic {
    /// A splitter with this embedder.
    #[expect(clippy::new_ret_no_self, reason = "what it is made of is checked when all of it is known")]
    pub fn new(embedder: Arc<dyn Embedder>) -> SemanticBuilder {
        SemanticBuilder { embedder, breakpoint: Breakpoint::Percentile(95.0), max_chars: 2_000, batch: 64 }
    }
}

impl SemanticBuilder {
    /// Where to cut. Above the 95th percentile.
    pub fn breakpoint(mut self, breakpoint: Breakpoint) -> Self {
        self.breakpoint = breakpoint;
        self
    }

    /// How many characters a piece may have. 2,000.
    pub fn max_chars(mut self, most: usize) -> Self {
        self.max_chars = most;
        self
    }

    /// How many sentences are embedded at once. 64.
    pub fn batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The splitter.
    ///
    /// # Errors
    /// [`IngestError::Config`] for a size or batch of 0, a percentile that is not from 0 to 100, a threshold that is not from
    /// -1 to 1.
    pub fn build(self) -> Result<Semantic, IngestError> {
        match self.breakpoint {
            Breakpoint::Percentile(p) if !(0.0..=100.0).contains(&p) => {
                return Err(IngestError::config("percentile", format!("must be from 0 to 100, not {p}")));
            }
            Breakpoint::Threshold(t) if !(-1.0..=1.0).contains(&t) => {
                return Err(IngestError::config("threshold", format!("must be from -1 to 1, not {t}")));
            }
            _ => {}
        }
        if self.batch == 0 {
            return Err(IngestError::config("batch", "must be at least 1, not 0"));
        }
        let limits = Limits::checked(self.max_chars, 0, Length::Chars)?;
        let (embedder, breakpoint, batch) = (self.embedder, self.breakpoint, self.batch);
        Ok(Semantic { embedder, breakpoint, limits, separators: Separators::new(&SEPARATORS)?, batch })
    }
}

/// The sentences of a text. What is white space only stands with the sentence before it.
fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, sentence) in text.split_sentence_bound_indices() {
        let end = at + sentence.len();
        match found.last_mut() {
            // Rules for sentences and for graphemes are not the same: a grapheme is cut by neither.
            Some(last) if sentence.trim().is_empty() || !chars::may_cut(text, last.start, at) => last.end = end,
            // The beginning of the text is white space.
            Some(last) if text.get(last.clone()).is_some_and(|text| text.trim().is_empty()) => last.end = end,
            _ => found.push(at..end),
        }
    }
    found
}

/// The cosine of each vector and the next one.
fn cosines(vectors: &Vectors) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let cosine = |a: &[f32], b: &[f32]| {
        let lengths = (dot(a, a) * dot(b, b)).sqrt();
        if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
    };
    vectors.rows().zip(vectors.rows().skip(1)).map(|(a, b)| cosine(a, b)).collect()
}

impl Breakpoint {
    /// Below which cosine to cut.
    fn limit(self, cosines: &[f32]) -> f32 {
        match self {
            Self::Threshold(limit) => limit,
            Self::Percentile(percentile) => {
                let mut sorted = cosines.to_vec();
                // A high distance is a low cosine.
                sorted.sort_by(f32::total_cmp);
                let at = (1.0 - percentile / 100.0) * (sorted.len().saturating_sub(1)) as f32;
                let (below, part) = (at.floor() as usize, at.fract());
                let value = |at: usize| sorted.get(at).or(sorted.last()).copied().unwrap_or(0.0);
                value(below) + (value(below + 1) - value(below)) * part
            }
        }
    }
}

/// Between sentences, else as the separators say.
struct Within<'a> {
    /// Where sentences end, in order.
    ends: &'a [usize],
    separators: &'a Separators,
}

impl Seams for Within<'_> {
    fn last(&self, text: &str, floor: usize, end: usize, free: &dyn Fn(usize) -> bool) -> Option<usize> {
        let known = self.ends.get(..self.ends.partition_point(|at| *at <= end)).and_then(|ends| ends.last());
        known.copied().filter(|at| *at > floor).or_else(|| self.separators.last(text, floor, end, free))
    }

    fn first(&self, _: &str, _: usize, _: usize, _: &dyn Fn(usize) -> bool) -> Option<usize> {
        None
    }
}

impl Semantic {
    async fn cosines(&self, document: &Document, all: &[Range<usize>], ctx: &CallCtx) -> Result<Vec<f32>, IngestError> {
        let failed = |source| IngestError::Embed { id: document.id.clone(), source };
        let mut vectors: Option<Vectors> = None;
        for batch in all.chunks(self.batch) {
            if ctx.cancel.is_cancelled() {
                return Err(IngestError::Cancelled);
            }
            let texts: Vec<&str> =
                batch.iter().map(|range| document.text.get(range.clone()).unwrap_or_default().trim()).collect();
            let made = self.embedder.embed(&texts, ctx).await.map_err(failed)?;
            if made.len() != texts.len() {
                let problem =
                    format!("{} gave {} vectors for {} texts", self.embedder.model(), made.len(), texts.len());
                return Err(IngestError::invalid(&document.id, problem));
            }
            match &mut vectors {
                Some(vectors) => vectors.append(&made).map_err(failed)?,
                None => vectors = Some(made),
            }
        }
        Ok(vectors.map(|vectors| cosines(&vectors)).unwrap_or_default())
    }
}

impl AsyncSplitter for Semantic {
    fn split<'a>(
        &'a self,
        document: &'a Document,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Document>, IngestError>> {
        Box::pin(async move {
            let text = &document.text;
            let sentences = sentences(text);
            let cosines =
                if sentences.len() < 2 { Vec::new() } else { self.cosines(document, &sentences, ctx).await? };
            let limit = self.breakpoint.limit(&cosines);
            let ends: Vec<usize> = sentences.iter().map(|sentence| sentence.end).collect();
            let breaks = ends.iter().zip(&cosines).filter(|(_, cosine)| **cosine < limit).map(|(end, _)| *end);
            let seams = Within { ends: &ends, separators: &self.separators };
            let (mut ranges, mut start) = (Vec::new(), 0);
            for end in breaks.chain([text.len()]) {
                self.limits.cut(text, start..end, &seams, &mut ranges);
                start = end;
            }
            Ok(pieces::documents(document, ranges.into_iter().map(Cut::new).collect()))
        })
    }
}
