//! An index that was saved and loaded, and files that are none.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod support;

use atomr_agents_core::Kind;
use atomr_agents_embed::{EmbedError, IndexOptions, Metric, VectorIndex, Vectors};
use proptest::prelude::*;
use support::Random;

fn kind(error: &EmbedError) -> Kind {
    assert!(matches!(error, EmbedError::File { .. }), "{error:?}");
    error.kind()
}

#[test]
fn what_was_saved_is_loaded_and_can_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    for (count, metric) in [(0, Metric::Cosine), (5, Metric::Dot), (3000, Metric::L2), (3000, Metric::Cosine)] {
        let path = folder.path().join(format!("{metric}-{count}"));
        let mut random = Random(3);
        let vectors = random.clustered(count, 32, 30);
        let options = IndexOptions { metric, exact_below: 1000, ..IndexOptions::default() };
        let index = VectorIndex::new(32, options).unwrap();
        index.insert(&(0..count as u64).collect::<Vec<_>>(), &vectors).unwrap();
        index.delete(&[1, 3, 2000]).unwrap();
        index
            .insert(&(0..100.min(count) as u64).collect::<Vec<_>>(), &random.clustered(100.min(count), 32, 30))
            .unwrap();
        index.save(&path).unwrap();
        let loaded = VectorIndex::load(&path).unwrap();
        assert_eq!((loaded.len(), loaded.dim(), loaded.metric(), loaded.ef()), (index.len(), 32, metric, index.ef()));
        assert_eq!(loaded.ef().is_some(), count > 1000);
        let queries = random.clustered(20, 32, 30);
        let same = |a: &VectorIndex, b: &VectorIndex| {
            for query in queries.rows() {
                assert_eq!(a.find(query, 10, None).unwrap(), b.find(query, 10, None).unwrap());
            }
        };
        same(&index, &loaded);
        // What was loaded is changed in memory, and saved over its own file.
        let more = random.clustered(700, 32, 30);
        let ids: Vec<u64> = (2900..3600).collect();
        for index in [&index, &loaded] {
            index.insert(&ids, &more).unwrap();
            index.delete(&[2950]).unwrap();
        }
        same(&index, &loaded);
        loaded.save(&path).unwrap();
        same(&VectorIndex::load(&path).unwrap(), &index);
    }
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

#[test]
fn what_is_no_index_is_told_from_one_that_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let load = || VectorIndex::load(&path).unwrap_err();
    assert_eq!(kind(&load()), Kind::NotFound);
    assert!(load().to_string().contains("index"), "it names the file: {}", load());
    std::fs::write(&path, "").unwrap();
    assert_eq!(kind(&load()), Kind::Corrupt);
    std::fs::write(&path, vec![b'x'; 4000]).unwrap();
    assert_eq!(kind(&load()), Kind::UnsupportedFormat);
    assert_eq!(kind(&VectorIndex::load(folder.path()).unwrap_err()), Kind::UnsupportedFormat);

    let index = VectorIndex::new(3, IndexOptions::default()).unwrap();
    index.insert(&[1, 2], &Vectors::new(3, vec![1.0; 6]).unwrap()).unwrap();
    assert_eq!(kind(&index.save(folder.path().join("no/such/folder")).unwrap_err()), Kind::NotFound);
    index.save(&path).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8] = 2;
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(kind(&load()), Kind::UnsupportedFormat);
    assert!(load().to_string().ends_with("has the format 2; this version reads 1"), "{}", load());
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = VectorIndex::new(3, IndexOptions::default()).unwrap();
    index.insert(&[1, 2], &Vectors::new(3, vec![1.0; 6]).unwrap()).unwrap();
    index.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        // The last bytes are padding: without them nothing is missing.
        if let Err(error) = VectorIndex::load(&path) {
            assert_eq!(kind(&error), Kind::Corrupt, "cut at {cut}: {error}");
        } else {
            assert!(cut + 64 > bytes.len(), "cut at {cut}");
        }
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, &bytes).unwrap();
        match VectorIndex::load(&path) {
            Err(error) => assert!(matches!(kind(&error), Kind::Corrupt | Kind::UnsupportedFormat), "{at}: {error}"),
            // Between the sections nothing is written.
            Ok(loaded) => assert_eq!(loaded.find(&[1.0; 3], 9, None).unwrap(), index.find(&[1.0; 3], 9, None).unwrap()),
        }
    }
}

proptest! {
    /// Whatever is in the file, loading it answers.
    #[test]
    fn no_bytes_make_it_panic(head in prop::collection::vec(any::<u8>(), 0..300), sections in 0u32..300) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut bytes = b"ATOMRVEC\x01\0\0\0".to_vec();
        bytes.extend(sections.to_le_bytes());
        bytes.extend(head);
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(VectorIndex::load(&path).is_err());
    }
}
