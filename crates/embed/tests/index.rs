//! The index in memory beside plain loops over the same vectors.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod support;

use std::sync::atomic::{AtomicBool, Ordering};

use atomr_agents_embed::{EmbedError, IndexOptions, Metric, Neighbour, VectorIndex, Vectors, conformance};
use proptest::prelude::*;
use support::Random;

fn options(metric: Metric) -> IndexOptions {
    IndexOptions { metric, ..IndexOptions::default() }
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    match metric {
        Metric::Dot => dot(a, b),
        Metric::L2 => -(dot(a, a) + dot(b, b) - 2.0 * dot(a, b)),
        Metric::Cosine => {
            let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
            if lengths == 0.0 { 0.0 } else { dot(a, b) / lengths }
        }
    }
}

/// Whether these are the nearest: their scores are right, and nobody who is nearer is missing.
fn is_exact(
    metric: Metric,
    vectors: &Vectors,
    query: &[f32],
    k: usize,
    found: &[Neighbour],
    near: f64,
) -> Result<(), String> {
    let mut wanted: Vec<f64> = vectors.rows().map(|row| score(metric, query, row)).collect();
    wanted.sort_by(|a, b| b.total_cmp(a));
    wanted.truncate(k);
    if found.len() != wanted.len() {
        return Err(format!("{} found, not {}", found.len(), wanted.len()));
    }
    for (found, wanted) in found.iter().zip(&wanted) {
        let own = score(metric, query, vectors.row(found.id as usize).unwrap());
        if (f64::from(found.score) - own).abs() > near || (own - wanted).abs() > near {
            return Err(format!("{found:?}: its score is {own}, wanted {wanted}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn it_keeps_the_rules_of_the_seam() {
    for metric in [Metric::Cosine, Metric::Dot] {
        conformance::check_index(&VectorIndex::new(3, options(metric)).unwrap()).await.unwrap();
    }
}

#[test]
fn it_finds_the_nearest_at_any_size() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        for (count, dim) in [(1, 1), (255, 3), (256, 63), (257, 64), (3000, 100)] {
            let mut random = Random(count as u64);
            let vectors = random.vectors(count, dim);
            let index = VectorIndex::new(dim, options(metric)).unwrap();
            index.insert(&(0..count as u64).collect::<Vec<_>>(), &vectors).unwrap();
            for k in [1, 10, count + 5] {
                let query = random.vectors(1, dim);
                let query = query.row(0).unwrap();
                let found = index.find(query, k, None).unwrap();
                is_exact(metric, &vectors, query, k, &found, 2e-4).unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Rows of very different lengths: the bound by which codes may be wrong holds for each of them.
    #[test]
    fn no_length_hides_a_vector(
        values in prop::collection::vec((-1f32..1.0, -12i32..12), 5..200),
        query in prop::collection::vec(-1f32..1.0, 5),
        metric in prop::sample::select(vec![Metric::Cosine, Metric::Dot, Metric::L2]),
    ) {
        let rows: Vec<f32> = values.chunks_exact(5).flat_map(|row| row.iter().map(|(v, _)| v * 2f32.powi(row[0].1))).collect();
        let count = rows.len() / 5;
        let vectors = Vectors::new(5, rows).unwrap();
        let index = VectorIndex::new(5, options(metric)).unwrap();
        index.insert(&(0..count as u64).collect::<Vec<_>>(), &vectors).unwrap();
        let found = index.find(&query, 3, None).unwrap();
        let largest = vectors.values().iter().fold(1.0f64, |largest, v| largest.max(f64::from(v.abs())));
        let near = 1e-5 * if metric == Metric::L2 { largest * largest } else { largest };
        is_exact(metric, &vectors, &query, 3, &found, near).map_err(TestCaseError::fail)?;
    }

    /// Whatever is put in and taken out, the index finds what a map of the same would.
    #[test]
    fn it_is_a_map(steps in prop::collection::vec((0u64..20, -9i8..9, prop::bool::ANY), 0..300)) {
        let index = VectorIndex::new(1, options(Metric::L2)).unwrap();
        let mut map = std::collections::BTreeMap::new();
        for (id, value, put) in steps {
            if put {
                map.insert(id, value);
                index.insert(&[id], &Vectors::new(1, vec![f32::from(value)]).unwrap()).unwrap();
            } else {
                prop_assert_eq!(index.delete(&[id]).unwrap(), usize::from(map.remove(&id).is_some()));
            }
        }
        let mut wanted: Vec<(i32, u64)> = map.iter().map(|(id, value)| (i32::from(*value).pow(2), *id)).collect();
        wanted.sort_unstable();
        let found: Vec<u64> = index.find(&[0.0], 99, None).unwrap().iter().map(|found| found.id).collect();
        prop_assert_eq!(found, wanted.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    }
}

#[test]
fn equals_come_in_the_order_of_their_ids() {
    let index = VectorIndex::new(2, IndexOptions::default()).unwrap();
    let ids: Vec<u64> = (0..700).map(|n| (n * 37) % 701).collect();
    let vectors = Vectors::new(2, ids.iter().flat_map(|_| [1.0, 1.0]).collect()).unwrap();
    index.insert(&ids, &vectors).unwrap();
    let found: Vec<u64> = index.find(&[1.0, 0.5], 5, None).unwrap().iter().map(|found| found.id).collect();
    assert_eq!(found, [0, 1, 2, 3, 4]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_name() {
    let message = |error: EmbedError| error.to_string();
    assert_eq!(
        message(VectorIndex::new(0, options(Metric::L2)).unwrap_err()),
        "dim must be between 1 and 65,536, not 0"
    );
    let none = IndexOptions { max_vectors: 0, ..IndexOptions::default() };
    assert!(message(VectorIndex::new(2, none).unwrap_err()).starts_with("max_vectors must be"));
    let index = VectorIndex::new(2, IndexOptions { max_vectors: 2, ..options(Metric::Dot) }).unwrap();
    let vectors = |values: &[f32]| Vectors::new(2, values.to_vec()).unwrap();
    index.insert(&[1, 2], &vectors(&[1.0, 0.0, 0.0, 1.0])).unwrap();
    index.insert(&[2], &vectors(&[1.0, 1.0])).unwrap();
    let error = index.insert(&[2, 3], &vectors(&[1.0, 0.0, 0.0, 1.0])).unwrap_err();
    assert_eq!(message(error), "the index failed: it may hold 2 vectors (max_vectors)");
    assert_eq!(index.vector(2), Some(vec![1.0, 1.0]), "all are kept or none");
    let error = index.insert(&[1], &vectors(&[1.0, 3e38])).unwrap_err();
    assert!(matches!(error, EmbedError::NotFinite { row: 0, .. }), "{error:?}");
    assert!(matches!(index.find(&[1.0, f32::INFINITY], 1, None), Err(EmbedError::NotFinite { row: 0, column: 1 })));
    assert_eq!(index.find(&[1.0, 0.0], 0, None).unwrap(), []);
}

#[test]
fn very_large_and_very_small_vectors_have_an_angle() {
    let index = VectorIndex::new(2, IndexOptions::default()).unwrap();
    index.insert(&[1, 2, 3], &Vectors::new(2, vec![3e38, 3e38, 1e-40, 0.0, 0.0, 0.0]).unwrap()).unwrap();
    let found = index.find(&[1e-39, 1e-39], 3, None).unwrap();
    assert_eq!(found.iter().map(|found| found.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(
        (found[0].score - 1.0).abs() < 1e-6 && (found[1].score - 0.5f32.sqrt()).abs() < 1e-3 && found[2].score == 0.0
    );
}

/// While one thread changes the index, others find what was always in it, and never less than `k`.
#[test]
fn readers_and_a_writer_share_it() {
    let index = VectorIndex::new(8, IndexOptions::default()).unwrap();
    let vectors = Random(1).vectors(2000, 8);
    index.insert(&(0..2000).collect::<Vec<_>>(), &vectors).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..3usize {
            let (index, vectors, done) = (&index, &vectors, &done);
            scope.spawn(move || {
                let mut searches = 0;
                while !done.load(Ordering::Relaxed) || searches == 0 {
                    let query = vectors.row(reader * 100 + searches % 100).unwrap();
                    let found = index.find(query, 10, None).unwrap();
                    assert!(found.len() == 10 && found[0].score > 0.999, "{found:?}");
                    searches += 1;
                }
            });
        }
        for round in 0..40u64 {
            let ids: Vec<u64> = (2000 + round * 50..2000 + round * 50 + 50).collect();
            index.insert(&ids, &Random(round).vectors(50, 8)).unwrap();
            index.delete(&ids[..40]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(index.len(), 2400);
}
