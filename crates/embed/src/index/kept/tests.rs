use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Sections whose checksums are right and whose numbers are anybody's: loading answers, and what was loaded can be
    /// searched.
    #[test]
    fn whatever_the_sections_say_loading_answers(
        about in prop::collection::vec(0u64..6, ABOUT),
        wild in prop::option::of((0..ABOUT, any::<u64>())),
        m in 4u64..6,
        ids in prop::collection::vec(0u64..5, 0..4),
        floats in prop::collection::vec(any::<f32>(), 0..16),
        numbers in prop::collection::vec(0u32..6, 0..70),
        graph in prop::bool::ANY,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut about = about;
        // Mostly what makes sense, so that the checks behind the first are reached.
        let count = ids.len() as u64;
        (about[2], about[3], about[5], about[6], about[7], about[16]) = (count, 100, u64::from(0.5f32.to_bits()), m, 9, m);
        about[10] = u64::from(graph);
        if let Some((at, value)) = wild {
            about[at] = value;
        }
        let dim = usize::try_from(about[1]).unwrap_or(0).min(5);
        let vectors: Vec<f32> = floats.iter().copied().cycle().take(if floats.is_empty() { 0 } else { dim * ids.len() }).collect();
        let codes = vec![1i8; 64 * ids.len()];
        let factors = vec![crate::kernels::Factors { factor: 1.0, ..Default::default() }; ids.len()];
        let links: Vec<u32> =
            (0..ids.len() * 2 * m as usize).map(|at| numbers.get(at % numbers.len().max(1)).map_or(NONE, |link| link.wrapping_sub(1))).collect();
        let mut writer = Writer::default();
        writer.add(Section::About, 0, &about);
        writer.add(Section::Ids, 0, &ids);
        writer.add(Section::Vectors, 0, &vectors);
        writer.add(Section::Codes, 0, &codes);
        writer.add(Section::Factors, 0, &factors);
        writer.add(Section::Gone, 0, numbers.get(..1).unwrap_or_default());
        writer.add(Section::Links, 0, &links);
        writer.add(Section::UpperBelow, 0, numbers.get(..2).unwrap_or_default());
        writer.add(Section::UpperLinks, 0, &links);
        writer.write(&path).unwrap();
        if let Ok((state, options)) = load(&path) {
            let index = super::super::VectorIndex::of(state, options);
            let dim = index.dim();
            index.find(&vec![0.5; dim], 3, None).unwrap();
        }
    }
}

/// What the fuzzer found: numbers that a file may say, and that are multiplied later.
#[test]
fn an_index_whose_numbers_are_as_large_as_can_be_is_searched_and_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let made = IndexOptions { exact_below: 100, recall: 0.5, m: 4, ef: Some(8), ..IndexOptions::default() };
    let index = super::super::VectorIndex::new(2, made).unwrap();
    let turned = |n: u64| [(n as f32).sin(), (n as f32).cos()];
    let all = crate::Vectors::new(2, (0..600).flat_map(turned).collect()).unwrap();
    index.insert(&(0..600).collect::<Vec<_>>(), &all).unwrap();
    index.save(&path).unwrap();
    for graph in [true, false] {
        let (mut state, options) = load(&path).unwrap();
        let large = state.graph.as_mut().unwrap();
        (large.ef, large.measured) = (usize::MAX, usize::MAX);
        (state.ef, state.declined) = (None, usize::MAX);
        if !graph {
            state.graph = None;
        }
        let other = folder.path().join("large");
        save(&state, &options, &other).unwrap();
        let (state, options) = load(&other).unwrap();
        let index = super::super::VectorIndex::of(state, options);
        assert_eq!(index.ef().is_some(), graph);
        assert_eq!(index.find(&turned(7), 1, None).unwrap()[0].id, 7);
        index.insert(&[600], &crate::Vectors::new(2, turned(600).to_vec()).unwrap()).unwrap();
        assert_eq!(index.find(&turned(600), 1, None).unwrap()[0].id, 600);
    }
}
