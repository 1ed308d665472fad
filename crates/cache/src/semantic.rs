//! Answers to questions that mean the same.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atomr_agents_core::ModelEvent;
use atomr_agents_embed::{EmbedError, Embedder, IndexOptions, VectorIndex, Vectors};
use futures_util::future::BoxFuture;

use crate::{CacheError, CacheKey, CacheLimits, CacheStats, CachedTurn, InMemoryLlmCache, LlmCache, Question};

mod same;

use same::Verdict;

/// How many near questions are looked at.
const CANDIDATES: usize = 4;
/// A model that makes the same vector of two words does not know them: it cannot say that they mean the same.
const UNKNOWN: f32 = 0.9999;
/// How many vectors of questions that were not found wait for their answer.
const WAITING: usize = 256;

/// When two questions count as the same for a [`SemanticLlmCache`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SemanticOptions {
    /// The least cosine of their vectors; 0.9 without another word.
    pub threshold: f32,
    /// The least cosine of two words in which they differ, taken alone; 0.86 without another word. In a long question one word
    /// moves the vector little, and may change everything. To a small model, neighbouring towns have 0.85 and good synonyms
    /// 0.86 and more.
    pub word_threshold: f32,
    /// Bytes of the longest question that is compared by meaning; 4,000 without another word. Longer ones are found when they
    /// are equal.
    pub max_text: usize,
    /// How many answers are kept, and for how long.
    pub limits: CacheLimits,
}

impl Default for SemanticOptions {
    fn default() -> Self {
        Self { threshold: 0.9, word_threshold: 0.86, max_text: 4_000, limits: CacheLimits::default() }
    }
}

/// Answers a question from the answer to one that means the same, in memory.
///
/// Two requests are compared by meaning only if everything but the words of the last message is equal in every byte: tenant, scope,
/// provider, model, settings, tools and all messages before. The last words are the same if
///
/// - their vectors are near ([`SemanticOptions::threshold`]), and
/// - they have as many words and signs, apart from fillers, and differ only in words at the same places, and
/// - no such word is a number, a sign, a negation, a name (with a capital within a sentence, or with two), a word for a person,
///   a time, a number or a direction, nor one that joins a sentence, and
/// - no two such words share four letters at one end (legal and illegal), and
/// - the two words at each place are near each other, too ([`SemanticOptions::word_threshold`]).
///
/// So `What does the cheap plan cost?` may answer for `What does the inexpensive plan cost?`, and nothing about one city, amount or
/// direction answers for another. It is careful and finds less for it: where a wrong answer does harm, use a cache that
/// compares bytes. Answers that call tools are found when the request is equal, and by meaning never.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_cache::{CachedClient, SemanticLlmCache, SemanticOptions};
/// use atomr_agents_core::{CallCtx, Message, ModelRequest};
/// use atomr_agents_embed::MockEmbedder;
/// use atomr_agents_inference::run;
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The embedder of tests knows words and no meaning; for a model that does, the default is right.
/// let options = SemanticOptions { threshold: 0.6, ..SemanticOptions::default() };
/// let cache = SemanticLlmCache::new(Arc::new(MockEmbedder::new(256)?), options)?;
/// let model = ScriptedModel::new().text("Rain.").text("Sun.");
/// let client = CachedClient::new(Arc::new(model), Arc::new(cache));
/// let ask = async |text: &str| {
///     let request = Arc::new(ModelRequest::new("m", vec![Message::user(text)]));
///     run(&client, request, CallCtx::new()).await.map(|reply| reply.message.text())
/// };
/// assert_eq!(ask("What is the weather in Oslo?").await?, "Rain.");
/// assert_eq!(ask("what's the weather in Oslo").await?, "Rain.");
/// assert_eq!(ask("What is the weather in Rome?").await?, "Sun.");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SemanticLlmCache {
    embedder: Arc<dyn Embedder>,
    options: SemanticOptions,
    answers: InMemoryLlmCache,
    meanings: Arc<Mutex<Meanings>>,
    hits: Arc<AtomicU64>,
}

/// Questions by their meaning.
#[derive(Default)]
struct Meanings {
    frames: HashMap<CacheKey, Frame>,
    asked: HashMap<u64, (CacheKey, CacheKey)>,
    next: u64,
    /// The vectors of questions that were asked and not found.
    waiting: HashMap<CacheKey, Vectors>,
}

/// Questions that differ in their last words alone.
struct Frame {
    index: Arc<VectorIndex>,
    questions: HashMap<u64, (CacheKey, Arc<str>)>,
}

/// Questions may hold what no log should; they are not printed.
impl fmt::Debug for SemanticLlmCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemanticLlmCache")
            .field("embedder", &self.embedder.model())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl SemanticLlmCache {
    /// A cache that compares the vectors of this embedder.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for a threshold that is not between 0 and 1.
    pub fn new(embedder: Arc<dyn Embedder>, options: SemanticOptions) -> Result<Self, EmbedError> {
        for (name, given) in [("threshold", options.threshold), ("word_threshold", options.word_threshold)] {
            if !(0.0..=1.0).contains(&given) {
                return Err(EmbedError::invalid(name, format!("must be between 0 and 1, not {given}")));
            }
        }
        let answers = InMemoryLlmCache::new(options.limits);
        Ok(Self { embedder, options, answers, meanings: Arc::default(), hits: Arc::default() })
    }

    /// What it holds and what it did so far. A question that was answered by meaning counts as a hit.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        let (stats, by_meaning) = (self.answers.stats(), self.by_meaning());
        // Each of them was looked for as it stands first, and not found.
        CacheStats { misses: stats.misses.saturating_sub(by_meaning), ..stats }
    }

    /// How many questions were answered by meaning, and not because they were equal.
    #[must_use]
    pub fn by_meaning(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Forgets every answer.
    pub fn clear(&self) {
        *self.lock() = Meanings::default();
        self.answers.clear();
    }

    /// No code that holds this lock can leave it half changed: nothing in it panics.
    fn lock(&self) -> MutexGuard<'_, Meanings> {
        self.meanings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(error: EmbedError) -> CacheError {
        let message = error.to_string();
        CacheError::Store { cache: "semantic".into(), message, source: Some(Arc::new(error)) }
    }

    async fn embed(&self, texts: &[&str], question: &Question) -> Result<Vectors, CacheError> {
        let vectors = self.embedder.embed(texts, question.ctx()).await.map_err(Self::failed)?;
        if vectors.len() == texts.len() {
            return Ok(vectors);
        }
        let message = format!("{} made {} vectors of {} texts", self.embedder.model(), vectors.len(), texts.len());
        Err(CacheError::Store { cache: "semantic".into(), message, source: None })
    }

    async fn find(&self, question: &Question) -> Result<Option<Arc<CachedTurn>>, CacheError> {
        if let Some(turn) = self.answers.get(question).await? {
            return Ok(Some(turn));
        }
        let Some((frame, text)) = question.frame().filter(|(_, text)| text.len() <= self.options.max_text) else {
            return Ok(None);
        };
        let vector = self.embed(&[text], question).await?;
        let index = self.lock().frames.get(&frame).map(|frame| Arc::clone(&frame.index));
        let near = match (&index, vector.row(0)) {
            (Some(index), Some(query)) => index.find(query, CANDIDATES, None).map_err(Self::failed)?,
            _ => Vec::new(),
        };
        for found in near.into_iter().filter(|found| found.score >= self.options.threshold) {
            let known = self.lock().frames.get(&frame).and_then(|frame| frame.questions.get(&found.id).cloned());
            let Some((key, other)) = known else { continue };
            let same = match same::compare(text, &other) {
                Verdict::Same => true,
                Verdict::Different => false,
                Verdict::Words(pairs) => {
                    let words: Vec<&str> = pairs.iter().flat_map(|(ours, theirs)| [&**ours, &**theirs]).collect();
                    let vectors = self.embed(&words, question).await?;
                    let near = self.options.word_threshold..UNKNOWN;
                    (0..pairs.len())
                        .all(|pair| near.contains(&cosine(vectors.row(2 * pair), vectors.row(2 * pair + 1))))
                }
            };
            if same && let Some(turn) = self.answers.find(key) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(Some(turn));
            }
        }
        let mut meanings = self.lock();
        if meanings.waiting.len() >= WAITING {
            meanings.waiting.clear();
        }
        meanings.waiting.insert(question.key(), vector);
        Ok(None)
    }

    async fn keep(&self, question: &Question, turn: Arc<CachedTurn>) -> Result<(), CacheError> {
        let calls = turn.events().iter().any(|event| matches!(event, ModelEvent::ToolCallFinished { .. }));
        self.answers.put(question, turn).await?;
        let waiting = self.lock().waiting.remove(&question.key());
        let Some((frame, text)) = question.frame().filter(|(_, text)| text.len() <= self.options.max_text && !calls)
        else {
            return Ok(());
        };
        let vector = match waiting {
            Some(vector) => vector,
            None => self.embed(&[text], question).await?,
        };
        self.lock().learn(frame, question.key(), text, &vector).map_err(Self::failed)?;
        self.sweep()
    }

    /// Forgets the questions whose answers are gone, once they are as many as those that are there.
    fn sweep(&self) -> Result<(), CacheError> {
        let kept = self.answers.stats().entries;
        let mut meanings = self.lock();
        if meanings.asked.len() < 2 * kept.max(32) {
            return Ok(());
        }
        meanings.forget(|key| self.answers.contains(key)).map_err(Self::failed)
    }
}

impl Meanings {
    fn learn(&mut self, frame: CacheKey, key: CacheKey, text: &str, vector: &Vectors) -> Result<(), EmbedError> {
        let id = self.next;
        self.next += 1;
        let place = match self.frames.entry(frame) {
            std::collections::hash_map::Entry::Occupied(place) => place.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                // A graph early: a cache is asked all the time.
                let options = IndexOptions { exact_below: 2_000, recall: 0.99, ..IndexOptions::default() };
                let index = Arc::new(VectorIndex::new(vector.dim(), options)?);
                place.insert(Frame { index, questions: HashMap::new() })
            }
        };
        place.index.insert(&[id], vector)?;
        place.questions.insert(id, (key, Arc::from(text)));
        self.asked.insert(id, (frame, key));
        Ok(())
    }

    fn forget(&mut self, stays: impl Fn(CacheKey) -> bool) -> Result<(), EmbedError> {
        let gone: Vec<(u64, CacheKey)> =
            self.asked.iter().filter(|(_, (_, key))| !stays(*key)).map(|(id, (frame, _))| (*id, *frame)).collect();
        for (id, frame) in gone {
            self.asked.remove(&id);
            let Some(place) = self.frames.get_mut(&frame) else { continue };
            place.questions.remove(&id);
            if place.questions.is_empty() {
                self.frames.remove(&frame);
            } else {
                place.index.delete(&[id])?;
            }
        }
        Ok(())
    }
}

/// The cosine of two vectors that are there.
fn cosine(a: Option<&[f32]>, b: Option<&[f32]>) -> f32 {
    let (Some(a), Some(b)) = (a, b) else { return 0.0 };
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

impl LlmCache for SemanticLlmCache {
    fn name(&self) -> &str {
        "semantic"
    }

    fn get<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Result<Option<Arc<CachedTurn>>, CacheError>> {
        Box::pin(self.find(question))
    }

    fn put<'a>(&'a self, question: &'a Question, turn: Arc<CachedTurn>) -> BoxFuture<'a, Result<(), CacheError>> {
        Box::pin(self.keep(question, turn))
    }

    fn max_turn_bytes(&self) -> usize {
        self.options.limits.max_bytes
    }
}
