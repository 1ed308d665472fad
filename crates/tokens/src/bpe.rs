//! Text counted with OpenAI's own vocabularies.

use std::cell::RefCell;

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use crate::{EstimatingCounter, TokenCounter};

mod known;
mod segments;

use known::Known;
use segments::Segments;

/// Counts text for OpenAI's models exactly, with their own vocabularies; for other models it estimates like
/// [`EstimatingCounter`]. The first count for a model loads its vocabulary, which takes some tenths of a second and about
/// 60 MB that stay.
///
/// A text is cut where no token reaches across, and how many tokens the short parts are is remembered: the same words come
/// again and again. Each thread that counts remembers for itself, in 2 MB.
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
        vocabulary(model).is_some()
    }
}

impl TokenCounter for BpeCounter {
    fn count_text(&self, model: &str, text: &str) -> u64 {
        match vocabulary(model) {
            Some((which, vocabulary)) => counted(which, vocabulary, text),
            None => EstimatingCounter.count_text(model, text),
        }
    }
}

/// Vocabularies that cut and merge alike: `o200k_harmony` has other marks than `o200k_base` and the same tokens.
#[derive(Clone, Copy)]
enum Which {
    O200k,
    Cl100k,
}

thread_local! {
    static KNOWN: [RefCell<Option<Known>>; 2] = const { [const { RefCell::new(None) }; 2] };
}

fn counted(which: Which, vocabulary: &CoreBPE, text: &str) -> u64 {
    // What looks like one of the vocabulary's own marks is text here: OpenAI reads it so in messages.
    let count = |part: &str| vocabulary.encode_ordinary(part).len() as u64;
    KNOWN.with(|known| {
        let Some(Ok(mut known)) = known.get(which as usize).map(RefCell::try_borrow_mut) else { return count(text) };
        let known = known.get_or_insert_with(Known::new);
        Segments::of(text).map(|part| known.count(part, count)).sum()
    })
}

fn vocabulary(model: &str) -> Option<(Which, &'static CoreBPE)> {
    let model = model.strip_prefix("openai/").unwrap_or(model);
    match get_tokenizer(model)? {
        Tokenizer::O200kHarmony => Some((Which::O200k, tiktoken_rs::o200k_harmony_singleton())),
        Tokenizer::O200kBase => Some((Which::O200k, tiktoken_rs::o200k_base_singleton())),
        Tokenizer::Cl100kBase => Some((Which::Cl100k, tiktoken_rs::cl100k_base_singleton())),
        // Models of another age, which take no messages.
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

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
        #[test]
        fn the_parts_are_the_tokens_of_the_whole(text in odd(), any in ".{0,40}", words in "([a-z'’]{1,9}[ ,.\n]{1,3}){0,8}") {
            for text in [text, any, words] {
                for (which, vocabulary) in [vocabulary("gpt-4").unwrap(), vocabulary("gpt-4o").unwrap()] {
                    let whole = vocabulary.encode_ordinary(&text);
                    let parts: Vec<_> = Segments::of(&text).flat_map(|part| vocabulary.encode_ordinary(part)).collect();
                    prop_assert_eq!(&parts, &whole, "{:?}", text);
                    prop_assert_eq!(counted(which, vocabulary, &text), whole.len() as u64, "{:?}", text);
                }
            }
        }
    }
}
