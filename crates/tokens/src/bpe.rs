//! Text counted with OpenAI's own vocabularies.

use std::cell::RefCell;
use std::sync::LazyLock;

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use crate::{EstimatingCounter, TokenCounter};

mod classes;
mod known;
mod pieces;
mod ranks;

use classes::Classes;
use known::Known;
use pieces::{Pattern, Pieces};
use ranks::Ranks;

/// Counts text for OpenAI's models exactly, with their own vocabularies; for other models it estimates like
/// [`EstimatingCounter`]. The first count for a model reads its vocabulary, which takes some tenths of a second; 15 MB stay of
/// `cl100k_base` and 20 MB of `o200k_base`.
///
/// A text is cut as the vocabulary's regular expression cuts it, without running one, and how many tokens the short pieces are
/// is remembered: the same words come again and again. Each thread that counts remembers for itself, in 2 MB for a vocabulary.
///
/// ```
/// use atomr_agents_tokens::{BpeCounter, TokenCounter};
///
/// assert_eq!(BpeCounter.count_text("gpt-4o", "The weather in Oslo?"), 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BpeCounter;

impl BpeCounter {
    /// Whether text for `model` is counted exactly.
    #[must_use]
    pub fn is_exact(&self, model: &str) -> bool {
        pattern(model).is_some()
    }
}

impl TokenCounter for BpeCounter {
    fn count_text(&self, model: &str, text: &str) -> u64 {
        match pattern(model).and_then(vocabulary) {
            Some(vocabulary) => vocabulary.count(text),
            None => EstimatingCounter.count_text(model, text),
        }
    }
}

/// The tokens of a vocabulary and how it cuts.
struct Vocabulary {
    pattern: Pattern,
    classes: Classes,
    ranks: Ranks,
}

static CL100K: LazyLock<Option<Vocabulary>> =
    LazyLock::new(|| Vocabulary::read(Pattern::Cl100k, &tiktoken_rs::cl100k_base().ok()?));
static O200K: LazyLock<Option<Vocabulary>> =
    LazyLock::new(|| Vocabulary::read(Pattern::O200k, &tiktoken_rs::o200k_base().ok()?));

thread_local! {
    static KNOWN: [RefCell<Option<Known>>; 2] = const { [const { RefCell::new(None) }; 2] };
}

impl Vocabulary {
    fn read(pattern: Pattern, core: &CoreBPE) -> Option<Self> {
        Some(Self { pattern, classes: Classes::new()?, ranks: Ranks::of(core) })
    }

    /// How many tokens a text is. What looks like one of the vocabulary's own marks is text here: OpenAI reads it so in messages.
    fn count(&self, text: &str) -> u64 {
        let pieces = Pieces { text, classes: &self.classes };
        match self.pattern {
            Pattern::Cl100k => self.sum(text, |at| pieces.end(Pattern::Cl100k, at)),
            Pattern::O200k => self.sum(text, |at| pieces.end(Pattern::O200k, at)),
        }
    }

    /// The tokens of all pieces of a text; `end` says where the piece ends that begins at a place.
    #[inline]
    fn sum(&self, text: &str, end: impl Fn(usize) -> usize) -> u64 {
        KNOWN.with(|known| {
            let mut known = known[self.pattern as usize].borrow_mut();
            let known = known.get_or_insert_with(Known::new);
            let (mut at, mut tokens) = (0, 0);
            while at < text.len() {
                let next = end(at);
                tokens += known.count(text.as_bytes(), at, next, |piece| self.ranks.count(piece));
                at = next;
            }
            tokens
        })
    }
}

fn vocabulary(pattern: Pattern) -> Option<&'static Vocabulary> {
    match pattern {
        Pattern::Cl100k => CL100K.as_ref(),
        Pattern::O200k => O200K.as_ref(),
    }
}

/// The vocabulary of a model; none of models of another age, which take no messages.
fn pattern(model: &str) -> Option<Pattern> {
    match get_tokenizer(model.strip_prefix("openai/").unwrap_or(model))? {
        // With other marks and the same tokens.
        Tokenizer::O200kHarmony | Tokenizer::O200kBase => Some(Pattern::O200k),
        Tokenizer::Cl100kBase => Some(Pattern::Cl100k),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_model_has_its_own_vocabulary_and_strangers_are_estimated() {
        let text = "Привет, мир! The quick brown fox jumps over 1234567 lazy dogs.";
        let count = |model| BpeCounter.count_text(model, text);
        assert_eq!((count("gpt-5-mini-2025-08-07"), count("gpt-4-0613")), (count("gpt-4o"), count("gpt-3.5-turbo")));
        assert!(count("gpt-4o") < count("gpt-4"), "{} {}", count("gpt-4o"), count("gpt-4"));
        assert_eq!(count("claude-opus-5"), EstimatingCounter.count_text("claude-opus-5", text));
        assert!(BpeCounter.is_exact("openai/gpt-4.1") && !BpeCounter.is_exact("gemini-2.5-pro"));
    }

    #[test]
    fn marks_of_the_vocabulary_are_text() {
        assert!(BpeCounter.count_text("gpt-4o", "<|endoftext|>") > 1);
    }

    /// Signs, letters, digits and white space of all the sorts that the vocabularies tell apart.
    fn odd() -> impl Strategy<Value = String> {
        let sorts =
            "[a-cA-CsStTdDmM'’ſ.,!(\"/\\\\ \t\r\n\u{b}\u{c}\u{85}\u{a0}\u{2028}\u{3000}0-3²éÉßǅʰא中文ひंุा́️😀👍🏽‍]{0,30}";
        sorts.prop_map(|text: String| text)
    }

    /// The same as tiktoken's own core has it, cut and counted.
    fn assert_same(text: &str) {
        for (model, core) in
            [("gpt-4", tiktoken_rs::cl100k_base_singleton()), ("gpt-4o", tiktoken_rs::o200k_base_singleton())]
        {
            let whole = core.encode_ordinary(text);
            let ours = vocabulary(pattern(model).unwrap()).unwrap();
            let pieces = Pieces { text, classes: &ours.classes };
            let (mut at, mut cut) = (0, Vec::new());
            while at < text.len() {
                let end = pieces.end(ours.pattern, at);
                cut.extend(core.encode_ordinary(&text[at..end]));
                at = end;
            }
            assert_eq!(cut, whole, "{model} {text:?}");
            assert_eq!(BpeCounter.count_text(model, text), whole.len() as u64, "{model} {text:?}");
        }
    }

    #[test]
    fn every_short_text_of_signs_that_differ_is_cut_alike() {
        let signs: Vec<char> = "aSlre'ſ/.1²中ʰǅé\u{301}😀 \t\u{a0}\r\n".chars().collect();
        let mut texts = vec![String::new()];
        for _ in 0..3 {
            texts = texts.iter().flat_map(|text| signs.iter().map(move |sign| format!("{text}{sign}"))).collect();
            texts.iter().for_each(|text| assert_same(text));
        }
    }

    #[test]
    fn long_pieces_are_merged_alike() {
        for length in [22, 23, 24, 63, 64, 65, 66, 129, 500] {
            for unit in ["a", "aab", "Zürich", "不知道", "=", " ", "\n ", "tokenization"] {
                assert_same(&unit.repeat(length).chars().take(length).collect::<String>());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn any_text_is_counted_as_by_tiktoken(
            text in odd(), any in ".{0,40}", words in "([a-zA-Z'’]{1,9}[ ,.\n/]{1,3}){0,8}", long in "[a-e]{60,90}"
        ) {
            for text in [text, any, words, long] {
                assert_same(&text);
            }
        }
    }
}
