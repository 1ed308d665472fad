//! One list of several, by the ranks in them.

use std::collections::HashMap;

use atomr_agents_core::Document;

/// The constant of reciprocal rank fusion that its authors used.
pub const RRF_K: f64 = 60.0;

/// Reciprocal rank fusion: a document's score is the sum of `weight / (k + rank)` over the lists that have it, ranks from 1.
/// Equal scores are in the order of the best rank in any list, then of the ids. What the scores of the lists are does not
/// matter. The document itself is that of the first list that has it.
///
/// ```
/// use atomr_agents_core::Document;
/// use atomr_agents_retriever::{RRF_K, fuse};
///
/// let list = |ids: &[&str]| ids.iter().map(|id| Document::new(*id, "")).collect::<Vec<_>>();
/// let fused = fuse(vec![(1.0, list(&["a", "b"])), (2.0, list(&["b", "c"]))], RRF_K);
/// let ids: Vec<_> = fused.iter().map(|one| one.id.as_str()).collect();
/// assert_eq!(ids, ["b", "c", "a"]);
/// assert_eq!(fused[0].score, Some(1.0 / 62.0 + 2.0 / 61.0));
/// ```
#[must_use]
pub fn fuse(lists: Vec<(f64, Vec<Document>)>, k: f64) -> Vec<Document> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut found: Vec<(f64, usize, Document)> = Vec::new();
    for (weight, list) in lists {
        for (at, document) in list.into_iter().enumerate() {
            let part = weight / (k + (at + 1) as f64);
            match places.get(&document.id).and_then(|place| found.get_mut(*place)) {
                Some((score, rank, _)) => {
                    *score += part;
                    *rank = at.min(*rank);
                }
                None => {
                    places.insert(document.id.clone(), found.len());
                    found.push((part, at, document));
                }
            }
        }
    }
    found.sort_by(|(high, rank, a), (low, other, b)| {
        low.total_cmp(high).then_with(|| rank.cmp(other)).then_with(|| a.id.cmp(&b.id))
    });
    found.into_iter().map(|(score, _, document)| document.scored(score)).collect()
}
