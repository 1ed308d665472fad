//! The graph over many vectors, beside the exact search of the same index.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod support;

use std::collections::HashSet;

use atomr_agents_embed::{IndexOptions, Metric, Neighbour, VectorIndex, Vectors};
use support::Random;

fn exact() -> IndexOptions {
    IndexOptions { exact_below: usize::MAX, ..IndexOptions::default() }
}

fn graph() -> IndexOptions {
    IndexOptions { exact_below: 1000, ..IndexOptions::default() }
}

fn index(options: IndexOptions, vectors: &Vectors) -> VectorIndex {
    let index = VectorIndex::new(vectors.dim(), options).unwrap();
    index.insert(&(0..vectors.len() as u64).collect::<Vec<_>>(), vectors).unwrap();
    index
}

fn recall(
    found: &VectorIndex,
    wanted: &VectorIndex,
    queries: &Vectors,
    allowed: Option<&(dyn Fn(u64) -> bool + Send + Sync)>,
) -> f64 {
    let ids = |found: Vec<Neighbour>| found.iter().map(|found| found.id).collect::<HashSet<u64>>();
    let (mut hits, mut all) = (0, 0);
    for query in queries.rows() {
        let wanted = ids(wanted.find(query, 10, allowed).unwrap());
        let found = found.find(query, 10, allowed).unwrap();
        assert_eq!(found.len(), wanted.len());
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
        hits += ids(found).intersection(&wanted).count();
        all += wanted.len();
    }
    f64::from(hits as u32) / f64::from(all as u32)
}

#[test]
fn in_clusters_the_graph_reaches_the_recall_that_was_asked_for() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut random = Random(5);
        let all = random.clustered(5200, 48, 60);
        let (vectors, queries) = all.values().split_at(5000 * 48);
        let (vectors, queries) =
            (Vectors::new(48, vectors.to_vec()).unwrap(), Vectors::new(48, queries.to_vec()).unwrap());
        let wanted = index(IndexOptions { metric, ..exact() }, &vectors);
        assert_eq!(wanted.ef(), None);
        for target in [0.9, 0.99] {
            let found = index(IndexOptions { metric, recall: target, ..graph() }, &vectors);
            assert!(found.ef().is_some(), "{metric} {target}: there is no graph");
            let reached = recall(&found, &wanted, &queries, None);
            assert!(reached >= f64::from(target) - 0.02, "{metric}: {reached} of {target} with ef {:?}", found.ef());
        }
    }
}

#[test]
fn without_clusters_every_vector_is_looked_at() {
    let mut random = Random(6);
    let vectors = random.vectors(3000, 256);
    let options = IndexOptions { recall: 0.95, ..graph() };
    let found = index(options, &vectors);
    assert_eq!(found.ef(), None, "a graph that reached the recall only by looking at a third of everything");
    assert_eq!(recall(&found, &index(exact(), &vectors), &random.vectors(20, 256), None), 1.0);
    // Who says how far to look gets a graph all the same.
    let found = index(IndexOptions { ef: Some(10), ..options }, &vectors);
    assert_eq!(found.ef(), Some(10));
    assert!(recall(&found, &index(exact(), &vectors), &random.vectors(20, 256), None) < 0.95);
    found.set_ef(Some(80)).unwrap();
    assert_eq!(found.ef(), Some(80));
    assert_eq!(found.set_ef(Some(0)).unwrap_err().to_string(), "ef must be at least 1");
    // As wide as can be said: every vector is looked at.
    found.set_ef(Some(usize::MAX)).unwrap();
    assert_eq!(recall(&found, &index(exact(), &vectors), &random.vectors(20, 256), None), 1.0);
}

#[test]
fn what_comes_and_goes_later_is_found_and_not_found() {
    let mut random = Random(7);
    let all = random.clustered(6100, 32, 40);
    let part = |from: usize, to: usize| Vectors::new(32, all.values()[from * 32..to * 32].to_vec()).unwrap();
    let (found, wanted) = (index(graph(), &part(0, 2500)), index(exact(), &part(0, 2500)));
    assert!(found.ef().is_some());
    let queries = part(6000, 6100);
    for step in 0..10 {
        // A few at a time, then many at once, so that the rows behind the graph, its growth and its rebuilding are seen.
        let (from, to) = (2500 + step * 350, 2500 + (step + 1) * 350);
        let ids: Vec<u64> = (from as u64..to as u64).collect();
        let gone: Vec<u64> = (0..200).map(|n| n * 13 % 2500 + step as u64).collect();
        for (ids, rows) in ids.chunks(70).zip(part(from, to).values().chunks(70 * 32)) {
            found.insert(ids, &Vectors::new(32, rows.to_vec()).unwrap()).unwrap();
        }
        wanted.insert(&ids, &part(from, to)).unwrap();
        assert_eq!(found.delete(&gone).unwrap(), wanted.delete(&gone).unwrap());
        assert_eq!(found.len(), wanted.len());
        let reached = recall(&found, &wanted, &queries, None);
        assert!(reached > 0.92, "step {step}: {reached} with ef {:?}", found.ef());
    }
    // All that is left goes, and nothing is found any more.
    found.delete(&(0..6100).collect::<Vec<_>>()).unwrap();
    assert_eq!(found.find(queries.row(0).unwrap(), 5, None).unwrap(), []);
}

#[test]
fn filters_leave_the_nearest_of_those_they_let_through() {
    let mut random = Random(8);
    let all = random.clustered(4050, 32, 40);
    let (vectors, queries) = all.values().split_at(4000 * 32);
    let (vectors, queries) = (Vectors::new(32, vectors.to_vec()).unwrap(), Vectors::new(32, queries.to_vec()).unwrap());
    let (found, wanted) = (index(graph(), &vectors), index(exact(), &vectors));
    assert!(found.ef().is_some());
    for one_of in [1u64, 2, 5, 50, 1000, 5000] {
        let allowed = move |id: u64| id.is_multiple_of(one_of);
        let reached = recall(&found, &wanted, &queries, Some(&allowed));
        assert!(reached >= 0.93, "one of {one_of}: {reached}");
        let nearest = found.find(queries.row(0).unwrap(), 10, Some(&allowed)).unwrap();
        assert!(nearest.iter().all(|found| allowed(found.id)));
    }
    assert_eq!(found.find(queries.row(0).unwrap(), 10, Some(&|_| false)).unwrap(), []);
}

#[test]
fn the_same_vectors_make_the_same_graph() {
    let vectors = Random(9).clustered(3000, 32, 30);
    let queries = Random(10).vectors(50, 32);
    let (a, b) = (index(graph(), &vectors), index(graph(), &vectors));
    assert!(a.ef().is_some() && a.ef() == b.ef());
    let together = a.find_all(&queries, 10).unwrap();
    for (query, found) in queries.rows().zip(together) {
        assert_eq!(a.find(query, 10, None).unwrap(), found);
        assert_eq!(a.find(query, 10, None).unwrap(), b.find(query, 10, None).unwrap());
    }
}

#[test]
fn many_that_are_equal_do_not_hide_the_others() {
    let mut random = Random(11);
    let mut values = vec![0.25; 2000 * 16];
    values.extend(random.clustered(2000, 16, 20).values());
    let vectors = Vectors::new(16, values).unwrap();
    let (found, wanted) = (index(graph(), &vectors), index(exact(), &vectors));
    let reached = recall(&found, &wanted, &random.clustered(50, 16, 20), None);
    assert!(reached >= 0.9, "{reached} with ef {:?}", found.ef());
}

#[test]
fn searches_go_on_while_a_graph_is_made() {
    let mut random = Random(12);
    let vectors = random.clustered(6000, 32, 40);
    let index = index(exact_first(), &vectors);
    let more = random.clustered(3000, 32, 40);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| index.insert(&(6000..9000).collect::<Vec<_>>(), &more).unwrap());
        let mut searches = 0;
        while !writer.is_finished() {
            let found = index.find(vectors.row(searches % 6000).unwrap(), 1, None).unwrap();
            assert!(found[0].score > 0.999, "{found:?}");
            searches += 1;
        }
        writer.join().unwrap();
        assert!(searches > 20, "only {searches} searches were made meanwhile");
    });
    assert!(index.ef().is_some());
}

/// A graph comes only with the second insertion.
fn exact_first() -> IndexOptions {
    IndexOptions { exact_below: 8000, ..IndexOptions::default() }
}
