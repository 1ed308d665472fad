//! BM25 against the formula, counted by hand and by a plain loop.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::collections::{BTreeMap, HashMap};

use atomr_agents_core::{CallCtx, Document, Kind};
use atomr_agents_retriever::{
    Analyzer, Bm25, Bm25Options, Filter, Language, Query, RetrieveError, Retriever, Words, conformance,
};
use proptest::prelude::*;
use serde_json::json;

fn index(texts: &[(&str, &str)], options: Bm25Options) -> Bm25 {
    let index = Bm25::new(options).unwrap();
    index.add(texts.iter().map(|(id, text)| Document::new(*id, *text)).collect()).unwrap();
    index
}

fn scores(found: Vec<Document>) -> Vec<(String, f64)> {
    found.into_iter().map(|document| (document.id, document.score.unwrap())).collect()
}

#[tokio::test]
async fn it_keeps_the_rules() {
    conformance::check_index(&Bm25::new(Bm25Options::default()).unwrap()).await.unwrap();
    let texts = [("b", "rain rain"), ("a", "rain"), ("c", "rain in oslo"), ("d", "wind")];
    conformance::check_retriever(&index(&texts, Bm25Options::default()), "rain").await.unwrap();
}

#[test]
fn the_scores_are_those_of_the_formula() {
    let index = index(&[("a", "rain in Oslo"), ("b", "rain, rain and wind"), ("c", "sun")], Bm25Options::default());
    // N = 3, the mean length 8/3; `rain` is in 2 documents: ln(1 + 1.5 / 2.5); `oslo` in one: ln(1 + 2.5 / 1.5).
    let (rain, oslo) = (1.6f64.ln(), (8.0f64 / 3.0).ln());
    let part = |f: f64, length: f64| f / (f + 1.5 * (0.25 + 0.75 * length / (8.0 / 3.0)));
    let found = scores(index.search(&"Rain Oslo".into()).unwrap());
    assert_eq!(found.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!((found[0].1 - (rain + oslo) * part(1.0, 3.0)).abs() < 1e-12);
    assert!((found[1].1 - rain * part(2.0, 4.0)).abs() < 1e-12);
    let twice = scores(index.search(&"rain rain".into()).unwrap());
    assert!((twice[0].1 - 2.0 * rain * part(2.0, 4.0)).abs() < 1e-12);
}

#[test]
fn k1_and_b_are_those_that_were_asked_for() {
    let texts = [("a", "rain"), ("b", "rain rain rain in a long long text of many words")];
    let score =
        |k1, b| scores(index(&texts, Bm25Options { k1, b, ..Bm25Options::default() }).search(&"rain".into()).unwrap());
    let idf = (1.0f64 + 0.5 / 2.5).ln();
    assert_eq!(score(0.0, 0.0), [("a".into(), idf), ("b".into(), idf)]);
    assert!((score(2.0, 0.0)[0].1 - idf * 3.0 / 5.0).abs() < 1e-12);
    assert_ne!(score(1.5, 0.75), score(0.5, 0.75));
    assert_ne!(score(1.5, 0.75), score(1.5, 0.25));
    for (k1, b, option) in [(-1.0, 0.5, "k1"), (f64::NAN, 0.5, "k1"), (f64::INFINITY, 0.5, "k1"), (1.0, 1.5, "b")] {
        let error = Bm25::new(Bm25Options { k1, b, ..Bm25Options::default() }).unwrap_err();
        assert!(matches!(error, RetrieveError::Invalid { option: found, .. } if found == option), "{error}");
    }
}

#[test]
fn bad_input_is_answered() {
    let empty = Bm25::new(Bm25Options::default()).unwrap();
    assert!(empty.is_empty() && empty.search(&"rain".into()).unwrap().is_empty());
    let index = index(&[("a", "rain"), ("b", ""), ("c", "…")], Bm25Options::default());
    for query in [Query::new(""), Query::new("…"), Query::new("rain").top_k(0), Query::new("nobody says this")] {
        assert!(index.search(&query).unwrap().is_empty(), "{query:?}");
    }
    assert_eq!(index.search(&Query::new("rain ".repeat(200_000))).unwrap().len(), 1);
    let odd: String = (0..200_000).map(|n| format!("{n} ")).chain(["rain".into()]).collect();
    assert_eq!(index.search(&Query::new(odd)).unwrap().len(), 1);
    assert_eq!(index.search(&Query::new("rain").top_k(usize::MAX)).unwrap().len(), 1);
    let error = index.add(vec![Document::new("d", "rain"), Document::new("", "x")]).unwrap_err();
    assert_eq!(error.to_string(), "document \"\" has no id");
    assert_eq!(index.len(), 3);
}

#[test]
fn ties_are_in_the_order_of_the_ids_however_many_there_are() {
    let index = Bm25::new(Bm25Options::default()).unwrap();
    index.add((0..5_000).rev().map(|n| Document::new(format!("{n:04}"), "rain and wind")).collect()).unwrap();
    let found = index.search(&Query::new("wind rain").top_k(3)).unwrap();
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["0000", "0001", "0002"]);
}

#[test]
fn stems_find_other_forms_and_a_document_comes_back_as_it_was() {
    let words = Words::new().stem(Language::English).without_stop_words(Language::English);
    let options = Bm25Options { analyzer: std::sync::Arc::new(words), ..Bm25Options::default() };
    let index = Bm25::new(options).unwrap();
    let document = Document::new("a", "It rained on the houses").with("n", json!({"deep": [1]})).scored(9.0);
    index.add(vec![document.clone()]).unwrap();
    let found = index.search(&"raining house".into()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(Document { score: None, ..found[0].clone() }, Document { score: None, ..document });
    assert!(index.search(&"the".into()).unwrap().is_empty());
    // Removing counts by terms, not by words.
    index.add(vec![Document::new("a", "rains")]).unwrap();
    assert!(index.search(&"house".into()).unwrap().is_empty());
    assert_eq!(index.search(&"rain".into()).unwrap().len(), 1);
}

#[tokio::test]
async fn a_filter_is_part_of_the_search() {
    let index = Bm25::new(Bm25Options { top_k: 2, ..Bm25Options::default() }).unwrap();
    let document = |n: u32| Document::new(format!("{n:03}"), "rain ".repeat((n % 7 + 1) as usize)).with("n", json!(n));
    index.add((0..500).map(document).collect()).unwrap();
    // The two that fit stand far behind the best two of all.
    let query = Query::new("rain").filter(Filter::any_of("n", [210, 420]));
    let found = index.retrieve(&query, &CallCtx::new()).await.unwrap();
    assert_eq!(found.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["210", "420"]);
}

/// The formula, in the plainest way.
fn naive(documents: &BTreeMap<String, String>, query: &str, k: usize, k1: f64, b: f64) -> Vec<(String, f64)> {
    let words = |text: &str| {
        let mut all: Vec<String> = Vec::new();
        Words::new().words(text, &mut |word| all.push(word.into()));
        all
    };
    let texts: Vec<(&String, Vec<String>)> = documents.iter().map(|(id, text)| (id, words(text))).collect();
    let mean = texts.iter().map(|(_, words)| words.len()).sum::<usize>() as f64 / texts.len() as f64;
    let mut found = Vec::new();
    for (id, text) in &texts {
        let mut score = 0.0;
        for word in words(query) {
            let n = texts.iter().filter(|(_, text)| text.contains(&word)).count() as f64;
            let f = text.iter().filter(|here| **here == word).count() as f64;
            let idf = (1.0 + (texts.len() as f64 - n + 0.5) / (n + 0.5)).ln();
            if f > 0.0 {
                score += idf * f / (f + k1 * (1.0 - b + b * text.len() as f64 / mean));
            }
        }
        if score > 0.0 {
            found.push(((*id).clone(), score));
        }
    }
    found.sort_by(|(a, high), (b, low)| low.total_cmp(high).then_with(|| a.cmp(b)));
    found.truncate(k);
    found
}

/// What a test does to an index.
#[derive(Clone, Debug)]
enum Step {
    Add(Vec<(u8, String)>),
    Remove(Vec<u8>),
}

/// Words of which some are frequent and some rare.
fn text() -> impl Strategy<Value = String> {
    let word = prop_oneof![6 => "[ab]", 3 => "[c-f]", 1 => "[g-z]"];
    proptest::collection::vec(word, 0..12).prop_map(|words| words.join(" "))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => proptest::collection::vec((0..40u8, text()), 0..12).prop_map(Step::Add),
        1 => proptest::collection::vec(0..40u8, 0..6).prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn after_any_steps_it_finds_what_a_fresh_index_and_the_formula_find(
        steps in proptest::collection::vec(step(), 1..12),
        queries in proptest::collection::vec((text(), 0..12usize), 1..6),
        k1 in prop_oneof![Just(0.0), 0.1..3.0f64],
        b in prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64],
    ) {
        let options = || Bm25Options { k1, b, ..Bm25Options::default() };
        let index = Bm25::new(options()).unwrap();
        let mut documents = BTreeMap::new();
        for step in steps {
            match step {
                Step::Add(all) => {
                    let named: Vec<_> = all.iter().map(|(id, text)| Document::new(id.to_string(), text.clone())).collect();
                    index.add(named).unwrap();
                    documents.extend(all.into_iter().map(|(id, text)| (id.to_string(), text)));
                }
                Step::Remove(ids) => {
                    let ids: Vec<String> = ids.iter().map(u8::to_string).collect();
                    let gone = index.delete(ids.iter().map(String::as_str));
                    prop_assert_eq!(gone, ids.iter().filter(|id| documents.remove(*id).is_some()).count());
                }
            }
            prop_assert_eq!(index.len(), documents.len());
        }
        let fresh = Bm25::new(options()).unwrap();
        fresh.add(documents.iter().map(|(id, text)| Document::new(id, text)).collect()).unwrap();
        for (text, k) in queries {
            let query = Query::new(text.as_str()).top_k(k);
            let found = scores(index.search(&query).unwrap());
            prop_assert_eq!(&found, &scores(fresh.search(&query).unwrap()));
            // The plain loop adds in another order where words stand twice; what ties by the formula may then not.
            let plain: HashMap<String, f64> = naive(&documents, &text, usize::MAX, k1, b).into_iter().collect();
            prop_assert_eq!(found.len(), k.min(plain.len()));
            for (id, score) in &found {
                prop_assert!((score - plain[id]).abs() < 1e-9);
            }
            let least = found.last().map_or(f64::INFINITY, |(_, score)| *score);
            let better = plain.values().filter(|score| **score > least + 1e-9).count();
            prop_assert!(better < k.max(1));
        }
    }
}

#[test]
fn thousands_of_replacements_number_the_documents_anew_and_change_no_answer() {
    let text = |n: u32| format!("w{} w{} w{} common", n % 11, n % 101, n % 13);
    let document = |n: u32, round: u32| Document::new(format!("{n:04}"), text(n * 7 + round)).with("n", json!(n));
    let index = Bm25::new(Bm25Options::default()).unwrap();
    for round in 0..4 {
        for from in (0..2_000).step_by(50) {
            index.add((from..from + 50).map(|n| document(n, round)).collect()).unwrap();
        }
    }
    let gone: Vec<String> = (0..2_000).filter(|n| n % 3 == 0).map(|n| format!("{n:04}")).collect();
    assert_eq!(index.delete(gone.iter().map(String::as_str)), gone.len());
    let fresh = Bm25::new(Bm25Options::default()).unwrap();
    fresh.add((0..2_000).filter(|n| n % 3 != 0).map(|n| document(n, 3)).collect()).unwrap();
    for n in 0..60 {
        let query = Query::new(text(n)).top_k(20).filter(Filter::lt("n", 1_500));
        assert_eq!(index.search(&query).unwrap(), fresh.search(&query).unwrap());
    }
}

#[test]
fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("words");
    let load = || Bm25::load(&path, Bm25Options::default());
    let error = load().unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("words")), (Kind::Storage, true), "{error}");
    let notes = index(&[("a", "rain"), ("b", "wind and rain")], Bm25Options::default());
    notes.delete(["a"]);
    notes.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(matches!(load(), Err(RetrieveError::Damaged { .. })), "cut at {at}");
        let mut changed = whole.clone();
        changed[at] ^= 0x20;
        std::fs::write(&path, &changed).unwrap();
        let error = load().unwrap_err();
        assert!(matches!(error.kind(), Kind::Corrupt | Kind::UnsupportedFormat), "changed at {at}: {error}");
    }
    std::fs::write(&path, whole).unwrap();
    let loaded = load().unwrap();
    assert_eq!(loaded.search(&"rain".into()).unwrap(), notes.search(&"rain".into()).unwrap());
    let other = Bm25Options { b: 0.5, ..Bm25Options::default() };
    assert!(matches!(Bm25::load(&path, other), Err(RetrieveError::Invalid { option: "b", .. })));
    // A hybrid index is something else, and so is a path without a name.
    std::fs::write(&path, b"atomrIDX\x01\0\0\0").unwrap();
    assert!(load().unwrap_err().to_string().contains("does not begin like one"));
    assert!(matches!(notes.save("/"), Err(RetrieveError::Invalid { option: "path", .. })));
}
