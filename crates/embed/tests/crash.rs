//! An index whose process dies while it is saved, and a medium that has no room.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do
#![cfg(unix)]

#[path = "support/dying.rs"]
mod dying;
mod support;

use std::path::Path;
use std::time::Duration;

use atomr_agents_core::Kind;
use atomr_agents_embed::{EmbedError, IndexOptions, Metric, VectorIndex, Vectors};
use dying::{Medium, Saving, count};
use support::Random;

const DIM: usize = 48;
const ROWS: u64 = 2000;

/// An index that says in each of its vectors which save it is.
fn of(save: u32) -> VectorIndex {
    let index = VectorIndex::new(DIM, IndexOptions { metric: Metric::L2, ..IndexOptions::default() }).unwrap();
    let values = (0..ROWS).flat_map(|_| [save as f32; DIM]).collect();
    index.insert(&(0..ROWS).collect::<Vec<_>>(), &Vectors::new(DIM, values).unwrap()).unwrap();
    index
}

/// Which save a file is, all of it.
fn which(path: &Path) -> u32 {
    let index = VectorIndex::load(path).unwrap();
    assert_eq!(index.len() as u64, ROWS);
    let save = index.vector(0).unwrap()[0];
    assert!((0..ROWS).all(|id| index.vector(id).unwrap() == [save; DIM]), "a file of several saves");
    save as u32
}

#[test]
#[ignore = "the process that the tests below start"]
fn child_saves() {
    dying::save_on(|save, path| of(save).save(path), EmbedError::kind);
}

#[test]
fn after_a_kill_there_is_the_old_index_or_the_new_one_and_the_next_save_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    let mut random = Random(23);
    let mut between = 0;
    for _ in 0..50 {
        let told = Saving::to(&path).killed_after(Duration::from_micros(random.next() % 40_000));
        let found = which(&path);
        assert!(found == told || found == told + 1, "save {told} was acknowledged, and the file is save {found}");
        between += u32::from(count(folder.path()) > 1);
        if between % 2 == 1 {
            of(1).save(&path).unwrap();
            assert_eq!(count(folder.path()), 1, "what the dead left is there");
        }
    }
    assert!(between > 0, "no kill hit a save");
}

#[test]
fn two_processes_save_to_one_place_and_neither_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    let (mut one, mut two) = (Saving::to(&path), Saving::to(&path));
    for _ in 0..20 {
        assert!(one.next().is_some() && two.next().is_some());
        which(&path);
    }
    one.killed_after(Duration::from_millis(3));
    assert!(two.next().is_some() && two.next().is_some());
    two.killed_after(Duration::ZERO);
    of(0).save(&path).unwrap();
    assert_eq!((which(&path), count(folder.path())), (0, 1));
}

#[test]
fn a_save_without_room_is_an_error_and_the_old_index_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors");
    of(7).save(&path).unwrap();
    let error = dying::refused_beyond(200, &path);
    assert!(error.starts_with("storage_full: ") && error.contains("vectors"), "{error}");
    assert_eq!(which(&path), 7);
    assert_eq!(count(folder.path()), 1, "nothing is left of what did not fit");
}

#[test]
fn a_full_medium_is_an_error_and_the_old_index_stays() {
    let Some(medium) = Medium::of("1m") else { return };
    let path = medium.path().join("vectors");
    of(7).save(&path).unwrap();
    let error = of(8).save(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::StorageFull, "{error}");
    assert_eq!((which(&path), count(medium.path())), (7, 1));
}
