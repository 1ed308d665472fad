//! Indexes whose process dies while they are saved, and a medium that has no room.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do
#![cfg(unix)]

#[path = "../../embed/tests/support/dying.rs"]
mod dying;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Document, Kind};
use atomr_agents_embed::{IndexOptions, Metric, MockEmbedder, VectorIndex, Vectors};
use atomr_agents_retriever::{Bm25, Bm25Options, HybridIndex, HybridOptions, Query, RetrieveError};
use dying::{Medium, Saving, count};

const DIM: usize = 16;
const DOCUMENTS: usize = 400;

fn options() -> HybridOptions {
    let vectors = IndexOptions { metric: Metric::L2, ..IndexOptions::default() };
    HybridOptions { vectors, ..HybridOptions::default() }
}

/// Both kinds of index, with what says in every document, and in every vector, which save it is.
struct Both(Bm25, HybridIndex);

impl Both {
    fn of(save: u32) -> Self {
        let (words, hybrid) = (Bm25::new(Bm25Options::default()).unwrap(), HybridIndex::new(mock(), DIM, options()));
        let hybrid = hybrid.unwrap();
        let documents: Vec<Document> =
            (0..DOCUMENTS).map(|n| Document::new(format!("d{n}"), format!("save{save} {n}"))).collect();
        words.add(documents.clone()).unwrap();
        hybrid.insert(documents, &Vectors::new(DIM, vec![save as f32; DIM * DOCUMENTS]).unwrap()).unwrap();
        Self(words, hybrid)
    }

    fn save(&self, folder: &Path) -> Result<(), RetrieveError> {
        self.1.save(folder.join("hybrid"))?;
        self.0.save(folder.join("words"))
    }
}

fn mock() -> Arc<MockEmbedder> {
    Arc::new(MockEmbedder::new(DIM).unwrap())
}

/// Which saves the two are, all of them.
fn which(folder: &Path) -> (u32, u32) {
    let hybrid = HybridIndex::load(folder.join("hybrid"), mock(), options()).unwrap();
    let words = Bm25::load(folder.join("words"), Bm25Options::default()).unwrap();
    let all = Query::new("save").top_k(DOCUMENTS);
    let save = |text: &str| text.split_once(' ').unwrap().0.strip_prefix("save").unwrap().parse::<u32>().unwrap();
    let found = hybrid.search(&all, Some(&[0.0; DIM])).unwrap();
    let (first, near) = (save(&found[0].text), hybrid.search(&all, None).unwrap());
    assert_eq!((found.len(), near.len()), (DOCUMENTS, 0));
    for document in &found {
        assert_eq!(save(&document.text), first, "documents of several saves");
    }
    let index = String::from_utf8_lossy(&std::fs::read(folder.join("hybrid/index")).unwrap()).into_owned();
    let name = index.split_once("\"vectors\":\"").unwrap().1.split_once('"').unwrap().0;
    let vectors = VectorIndex::load(folder.join("hybrid").join(name)).unwrap();
    let written: Vec<Vec<f32>> = (0..10_000).filter_map(|key| vectors.vector(key)).collect();
    assert_eq!(written, vec![vec![first as f32; DIM]; DOCUMENTS], "vectors of another save than the documents");
    let by_words = |save: u32| words.search(&Query::new(format!("save{save}")).top_k(DOCUMENTS)).unwrap().len();
    let second = [first, first.saturating_sub(1)].into_iter().find(|save| by_words(*save) == DOCUMENTS);
    (first, second.unwrap_or_else(|| panic!("the words are of neither save")))
}

#[test]
#[ignore = "the process that the tests below start"]
fn child_saves() {
    dying::save_on(|save, folder| Both::of(save).save(Path::new(&folder)), RetrieveError::kind);
}

/// How many files there are of the two; 2 and 3, if nothing is left of a save.
fn counts(folder: &Path) -> (usize, usize) {
    (count(folder), count(&folder.join("hybrid")))
}

#[test]
fn after_a_kill_there_is_the_old_index_or_the_new_one_and_the_next_save_leaves_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut state = 29u64;
    let mut hit = 0;
    for _ in 0..50 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let told = Saving::to(folder).killed_after(Duration::from_micros((state >> 33) % 40_000));
        let (hybrid, words) = which(folder);
        let right = |found: u32| found == told || found == told + 1;
        assert!(right(hybrid) && right(words), "save {told} was acknowledged; there are {hybrid} and {words}");
        hit += u32::from(counts(folder) != (2, 3));
        if hit % 2 == 1 {
            Both::of(1).save(folder).unwrap();
            assert_eq!(counts(folder), (2, 3), "what the dead left is there");
        }
    }
    assert!(hit > 0, "no kill hit a save");
}

#[test]
fn two_processes_save_to_one_place_and_neither_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut one, mut two) = (Saving::to(folder), Saving::to(folder));
    for _ in 0..20 {
        assert!(one.next().is_some() && two.next().is_some());
    }
    one.killed_after(Duration::from_millis(3));
    assert!(two.next().is_some() && two.next().is_some());
    two.killed_after(Duration::ZERO);
    Both::of(7).save(folder).unwrap();
    assert_eq!((which(folder), counts(folder)), ((7, 7), (2, 3)));
}

fn full(error: &str, folder: &Path) {
    assert!(error.starts_with("storage_full: ") && error.contains(folder.to_str().unwrap()), "{error}");
    assert_eq!(which(folder), (7, 7));
    assert_eq!(counts(folder), (2, 3), "nothing is left of what did not fit");
}

#[test]
fn a_save_without_room_is_an_error_and_the_old_index_stays() {
    let folder = tempfile::tempdir().unwrap();
    Both::of(7).save(folder.path()).unwrap();
    full(&dying::refused_beyond(20, folder.path()), folder.path());
}

#[test]
fn a_full_medium_is_an_error_and_the_old_index_stays() {
    let Some(medium) = Medium::of("300k") else { return };
    let folder = medium.path();
    Both::of(7).save(folder).unwrap();
    // What is left of the medium, but for a few pages.
    let room = vec![0; 1 << 20];
    let filled = std::fs::write(folder.join("room"), &room).unwrap_err();
    let error = Both::of(8).1.save(folder.join("hybrid")).unwrap_err();
    let words = Both::of(8).0.save(folder.join("words")).unwrap_err();
    std::fs::remove_file(folder.join("room")).unwrap();
    full(&format!("{}: {error}", error.kind()), folder);
    assert_eq!((filled.kind(), words.kind()), (std::io::ErrorKind::StorageFull, Kind::StorageFull), "{words}");
}
