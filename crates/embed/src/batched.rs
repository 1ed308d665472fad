//! Many texts in calls of a fair size.

use std::ops::Range;

use atomr_agents_core::CallCtx;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};

use crate::{EmbedError, Embedder, Vectors};

/// How large a call of an embedder may be, and how many are under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// The most texts of a call. Default 128.
    pub max_texts: usize,
    /// The most bytes of the texts of a call. A text that is longer goes alone. Default 64 KiB.
    pub max_bytes: usize,
    /// How many calls are under way at once. Default 4.
    pub concurrency: usize,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { max_texts: 128, max_bytes: 1 << 16, concurrency: 4 }
    }
}

/// An embedder that asks another one in batches. When a call fails, no more are begun, those under way are waited for, and
/// [`EmbedError::Partial`] has the vectors of all that ended well. Calling again is left to the embedder within.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_embed::{BatchOptions, Batched, Embedder, MockEmbedder};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), atomr_agents_embed::EmbedError> {
/// let embedder = Batched::new(MockEmbedder::new(8)?, BatchOptions { max_texts: 2, ..BatchOptions::default() })?;
/// assert_eq!(embedder.embed(&["a", "b", "c"], &CallCtx::new()).await?.len(), 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Batched<E> {
    inner: E,
    options: BatchOptions,
}

impl<E: Embedder> Batched<E> {
    /// `inner` in batches.
    ///
    /// # Errors
    /// [`EmbedError::Invalid`] for an option of 0.
    pub fn new(inner: E, options: BatchOptions) -> Result<Self, EmbedError> {
        let BatchOptions { max_texts, max_bytes, concurrency } = options;
        for (option, given) in [("max_texts", max_texts), ("max_bytes", max_bytes), ("concurrency", concurrency)] {
            if given == 0 {
                return Err(EmbedError::invalid(option, "must be at least 1"));
            }
        }
        Ok(Self { inner, options })
    }

    fn batches(&self, texts: &[&str]) -> Vec<Range<usize>> {
        let (mut batches, mut start, mut bytes) = (Vec::new(), 0, 0usize);
        for (at, text) in texts.iter().enumerate() {
            let full =
                at - start == self.options.max_texts || bytes.saturating_add(text.len()) > self.options.max_bytes;
            if full && at > start {
                batches.push(start..at);
                (start, bytes) = (at, 0);
            }
            bytes = bytes.saturating_add(text.len());
        }
        if start < texts.len() || texts.is_empty() {
            batches.push(start..texts.len());
        }
        batches
    }

    async fn embed_all(&self, texts: &[&str], ctx: &CallCtx) -> Result<Vectors, EmbedError> {
        let batches = self.batches(texts);
        if batches.len() == 1 {
            return self.inner.embed(texts, ctx).await;
        }
        let calls: Vec<_> = batches
            .into_iter()
            .map(|batch| {
                let call = self.inner.embed(texts.get(batch.clone()).unwrap_or_default(), ctx);
                async move { (batch, call.await) }
            })
            .collect();
        let mut calls = calls.into_iter();
        let mut running = stream::FuturesUnordered::from_iter(calls.by_ref().take(self.options.concurrency));
        let (mut done, mut failed) = (Vec::new(), None);
        while let Some((batch, made)) = running.next().await {
            match made.and_then(|vectors| self.checked(vectors, batch.len())) {
                Ok(vectors) => done.push((batch.collect::<Vec<_>>(), vectors)),
                Err(EmbedError::Partial { done: places, vectors, cause, .. }) => {
                    done.push((places.into_iter().map(|place| batch.start + place).collect(), *vectors));
                    failed.get_or_insert(*cause);
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
            if failed.is_none() {
                running.extend(calls.next());
            }
        }
        self.put_together(done, failed, texts.len())
    }

    fn checked(&self, vectors: Vectors, texts: usize) -> Result<Vectors, EmbedError> {
        if vectors.len() == texts {
            return Ok(vectors);
        }
        Err(EmbedError::Failed {
            what: self.inner.model().to_owned(),
            kind: atomr_agents_core::Kind::Contract,
            message: format!("it made {} vectors of {texts} texts", vectors.len()),
            source: None,
        })
    }

    fn put_together(
        &self,
        mut done: Vec<(Vec<usize>, Vectors)>,
        mut failed: Option<EmbedError>,
        wanted: usize,
    ) -> Result<Vectors, EmbedError> {
        done.sort_unstable_by_key(|(places, _)| places.first().copied());
        let (mut all, mut vectors): (Vec<usize>, Option<Vectors>) = (Vec::new(), None);
        for (places, more) in done {
            // A dimension that changes between two calls is a fault as any other: the rest is kept.
            let added = match &mut vectors {
                Some(vectors) => vectors.append(&more),
                None => {
                    vectors = Some(more);
                    Ok(())
                }
            };
            match added {
                Ok(()) => all.extend(places),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match (failed, vectors) {
            (None, Some(vectors)) => Ok(vectors),
            (None, None) => Vectors::empty(self.inner.dim().unwrap_or(1)),
            (Some(error), None) => Err(error),
            (Some(cause), Some(vectors)) => Err(EmbedError::Partial {
                model: self.inner.model().to_owned(),
                wanted,
                done: all,
                vectors: Box::new(vectors),
                cause: Box::new(cause),
            }),
        }
    }
}

impl<E: Embedder> Embedder for Batched<E> {
    fn model(&self) -> &str {
        self.inner.model()
    }

    fn dim(&self) -> Option<usize> {
        self.inner.dim()
    }

    fn embed<'a>(&'a self, texts: &'a [&'a str], ctx: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
        Box::pin(self.embed_all(texts, ctx))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use atomr_agents_core::Kind;
    use proptest::prelude::*;

    use super::*;
    use crate::MockEmbedder;

    /// Numbers as texts; waits, and fails at one of them.
    #[derive(Debug, Default)]
    struct Numbers {
        fails_at: Option<usize>,
        under_way: AtomicUsize,
        most: AtomicUsize,
        calls: AtomicUsize,
    }

    impl Embedder for Numbers {
        fn model(&self) -> &str {
            "numbers"
        }

        fn dim(&self) -> Option<usize> {
            Some(1)
        }

        fn embed<'a>(&'a self, texts: &'a [&'a str], _: &'a CallCtx) -> BoxFuture<'a, Result<Vectors, EmbedError>> {
            Box::pin(async move {
                self.calls.fetch_add(1, Ordering::SeqCst);
                self.most.fetch_max(self.under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let numbers: Vec<usize> = texts.iter().map(|text| text.trim().parse().unwrap()).collect();
                tokio::time::sleep(Duration::from_millis(50 - numbers.first().map_or(0, |n| *n as u64 % 40))).await;
                self.under_way.fetch_sub(1, Ordering::SeqCst);
                match self.fails_at {
                    Some(number) if numbers.contains(&number) => Err(EmbedError::Failed {
                        what: "it".into(),
                        kind: Kind::ServerError,
                        message: "no".into(),
                        source: None,
                    }),
                    _ => Vectors::new(1, numbers.iter().map(|number| *number as f32).collect()),
                }
            })
        }
    }

    fn numbers(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn it_keeps_the_rules() {
        let options = BatchOptions { max_texts: 2, ..BatchOptions::default() };
        let batched = Batched::new(MockEmbedder::new(16).unwrap(), options).unwrap();
        crate::conformance::check_embedder(&batched).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_vectors_are_in_the_order_of_the_texts_and_few_calls_are_under_way() {
        let options = BatchOptions { max_texts: 7, concurrency: 3, ..BatchOptions::default() };
        let batched = Batched::new(Numbers::default(), options).unwrap();
        let texts = numbers(100);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let made = batched.embed(&texts, &CallCtx::new()).await.unwrap();
        assert_eq!(made.values(), (0..100).map(|number| number as f32).collect::<Vec<_>>());
        assert_eq!(batched.inner.most.load(Ordering::SeqCst), 3);
        assert_eq!(batched.inner.calls.load(Ordering::SeqCst), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_done_is_told_and_nothing_more_is_begun() {
        let options = BatchOptions { max_texts: 10, concurrency: 2, ..BatchOptions::default() };
        let batched = Batched::new(Numbers { fails_at: Some(15), ..Numbers::default() }, options).unwrap();
        let texts = numbers(100);
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let error = batched.embed(&texts, &CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ServerError);
        let EmbedError::Partial { done, vectors, wanted: 100, .. } = &error else { panic!("{error:?}") };
        assert_eq!(vectors.values(), done.iter().map(|place| *place as f32).collect::<Vec<_>>());
        assert!(done.starts_with(&[0, 1, 2]) && !done.contains(&15) && done.len() < 40, "{done:?}");
        assert!(batched.inner.calls.load(Ordering::SeqCst) < 5);
        assert_eq!(error.to_string(), format!("numbers made {} of 100 vectors, then: it failed: no", done.len()));
    }

    #[test]
    fn an_option_of_zero_is_refused() {
        let options = BatchOptions { concurrency: 0, ..BatchOptions::default() };
        let error = Batched::new(Numbers::default(), options).unwrap_err();
        assert_eq!(error.to_string(), "concurrency must be at least 1");
    }

    proptest! {
        #[test]
        fn batches_are_all_the_texts_within_the_limits(
            lengths in prop::collection::vec(0usize..20, 0..60), max_texts in 1usize..9, max_bytes in 1usize..40,
        ) {
            let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let options = BatchOptions { max_texts, max_bytes, concurrency: 1 };
            let batches = Batched::new(Numbers::default(), options).unwrap().batches(&texts);
            let mut next = 0;
            for batch in &batches {
                prop_assert_eq!(batch.start, next);
                next = batch.end;
                let bytes: usize = lengths[batch.clone()].iter().sum();
                prop_assert!(batch.len() <= max_texts && (bytes <= max_bytes || batch.len() == 1));
            }
            prop_assert_eq!(next, texts.len());
        }
    }
}
