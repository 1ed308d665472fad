//! BM25 over words that somebody else keeps, such as a database.

use std::collections::HashMap;

use crate::lexical::{Params, share, weight};
use crate::{Analyzer, Bm25Options, RetrieveError};

/// The terms of a text, as a [`Bm25`](crate::Bm25) counts them.
///
/// ```
/// use atomr_agents_retriever::{Terms, Words};
///
/// let terms = Terms::of(&Words::new(), "Rain, rain in Oslo");
/// assert_eq!((terms.length, &terms.counts[0]), (4, &("rain".to_owned(), 2)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Each term once, in the order in which they stand first, and how often it stands; 65,535 for more.
    pub counts: Vec<(String, u16)>,
    /// How many there are, each as often as it stands.
    pub length: u32,
}

impl Terms {
    /// The terms of a text.
    #[must_use]
    pub fn of(analyzer: &dyn Analyzer, text: &str) -> Self {
        let (mut terms, mut places) = (Self::default(), HashMap::<String, usize>::new());
        analyzer.words(text, &mut |word| {
            let Some(term) = analyzer.term(word) else { return };
            terms.length = terms.length.saturating_add(1);
            let at = *places.entry(term.into_owned()).or_insert(terms.counts.len());
            match terms.counts.get_mut(at) {
                Some((_, count)) => *count = count.saturating_add(1),
                None => terms.counts.push((String::new(), 1)),
            }
        });
        for (term, at) in places {
            if let Some((name, _)) = terms.counts.get_mut(at) {
                *name = term;
            }
        }
        terms
    }
}

/// What the words of a query weigh among documents that somebody else keeps: the scores are those of a
/// [`Bm25`](crate::Bm25) which holds just these documents, to the last bit.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_retriever::{Bm25, Bm25Options, Weights};
///
/// let index = Bm25::new(Bm25Options::default())?;
/// index.add(vec![Document::new("a", "rain in oslo"), Document::new("b", "wind")])?;
/// // Two documents of 4 words together; the only word of the query stands once there, in one of them.
/// let weights = Weights::new(&Bm25Options::default(), 2, 4, [(1, 1)])?;
/// assert_eq!(index.search(&"oslo".into())?[0].score, Some(weights.score([1], 3)));
/// # Ok::<(), atomr_agents_retriever::RetrieveError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Weights {
    params: Params,
    mean: f64,
    terms: Vec<f64>,
}

impl Weights {
    /// The weights of terms, in the order in which they stand first in the query: for each, how often it stands there and in
    /// how many of the `documents`, which have `length` terms together.
    ///
    /// # Errors
    /// [`RetrieveError::Invalid`] for a `k1` or a `b` that [`Bm25::new`](crate::Bm25::new) refuses.
    pub fn new(
        options: &Bm25Options,
        documents: u64,
        length: u64,
        terms: impl IntoIterator<Item = (u16, u64)>,
    ) -> Result<Self, RetrieveError> {
        let params = Params { k1: options.k1, b: options.b }.check()?;
        let mean = if length == 0 { 1.0 } else { length as f64 / documents as f64 };
        let terms = terms
            .into_iter()
            .map(|(times, having)| weight(f64::from(times), documents as f64, having as f64))
            .collect();
        Ok(Self { params, mean, terms })
    }

    /// The score of a document of this length, in which the terms stand so often.
    #[must_use]
    pub fn score(&self, counts: impl IntoIterator<Item = u16>, length: u32) -> f64 {
        let parts = self.terms.iter().zip(counts).filter(|(_, count)| *count > 0);
        parts.fold(0.0, |sum, (weight, count)| sum + share(self.params, self.mean, *weight, f64::from(count), length))
    }
}

#[cfg(test)]
mod tests {
    use atomr_agents_core::Document;
    use proptest::prelude::*;

    use super::*;
    use crate::{Bm25, Query, Words};

    proptest! {
        #[test]
        fn scores_are_those_of_an_index(
            texts in prop::collection::vec("([abcd] ){0,8}", 1..12),
            query in "([abcde] ){1,5}",
        ) {
            let index = Bm25::new(Bm25Options::default()).unwrap();
            let documents = texts.iter().enumerate().map(|(at, text)| Document::new(format!("{at:02}"), text));
            index.add(documents.collect()).unwrap();
            let terms: Vec<Terms> = texts.iter().map(|text| Terms::of(&Words::new(), text)).collect();
            let asked = Terms::of(&Words::new(), &query);
            let count = |of: &Terms, term: &str| of.counts.iter().find(|(name, _)| name == term).map_or(0, |found| found.1);
            let having = |term: &str| terms.iter().filter(|of| count(of, term) > 0).count() as u64;
            let length = terms.iter().map(|of| u64::from(of.length)).sum();
            let each = asked.counts.iter().map(|(term, times)| (*times, having(term)));
            let weights = Weights::new(&Bm25Options::default(), texts.len() as u64, length, each).unwrap();
            let found = index.search(&Query::new(query).top_k(20)).unwrap();
            prop_assert_eq!(found.len(), terms.iter().filter(|of| asked.counts.iter().any(|(term, _)| count(of, term) > 0)).count());
            for document in found {
                let of = &terms[document.id.parse::<usize>().unwrap()];
                let counts = asked.counts.iter().map(|(term, _)| count(of, term));
                prop_assert_eq!(document.score, Some(weights.score(counts, of.length)));
            }
        }
    }
}
