//! A long build that nobody waits for any more.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod support;

use std::time::Duration;

use atomr_agents_embed::{AnnIndex, IndexOptions, VectorIndex};
use support::Random;

const COUNT: usize = 20_000;

/// An index for which a graph is due, of the size that takes a while.
fn due() -> (VectorIndex, Vec<u64>) {
    // A given width spares the measurement on a part, so that the graph of all is what is being made.
    let options = IndexOptions { exact_below: 1000, ef: Some(40), ..IndexOptions::default() };
    let index = VectorIndex::new(32, options).unwrap();
    let ids: Vec<u64> = (0..COUNT as u64).collect();
    index.stage(&ids, &Random(5).clustered(COUNT, 32, 100)).unwrap();
    (index, ids)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_the_future_stops_the_build_and_the_index_stays_whole() {
    let (index, ids) = due();
    let exact = index.find(&[0.5; 32], 10, None).unwrap();
    tokio::select! {
        biased;
        _ = index.settle() => unreachable!("a graph of {COUNT} is not made as quickly as that"),
        () = tokio::time::sleep(Duration::from_millis(30)) => {}
    }
    // Whoever changes the index waits for the one that did so before. Had that one built on, there were a graph now.
    assert_eq!(index.forget(&[u64::MAX]), 0);
    assert_eq!(index.ef(), None);
    assert_eq!((index.len(), index.find(&[0.5; 32], 10, None).unwrap()), (ids.len(), exact));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_change_that_makes_a_graph_due_can_be_stopped_too() {
    let (index, _) = due();
    let one = Random(6).vectors(1, 32);
    tokio::select! {
        biased;
        _ = index.upsert(&[7_000_000], &one) => unreachable!("a graph of {COUNT} is not made as quickly as that"),
        () = tokio::time::sleep(Duration::from_millis(30)) => {}
    }
    assert_eq!(index.forget(&[u64::MAX]), 0);
    assert_eq!((index.ef(), index.contains(7_000_000)), (None, true));
    // It is due again, and made by whoever waits.
    index.settle().await.unwrap();
    assert_eq!(index.ef(), Some(40));
}
