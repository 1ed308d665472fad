//! Text counted with OpenAI's own vocabularies.

use tiktoken_rs::CoreBPE;
use tiktoken_rs::tokenizer::{Tokenizer, get_tokenizer};

use crate::{EstimatingCounter, TokenCounter};

/// Counts text for OpenAI's models exactly, with their own vocabularies; for other models it estimates like
/// [`EstimatingCounter`]. The first count for a model loads its vocabulary, which takes some tenths of a second and about
/// 60 MB that stay.
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
            // What looks like one of the vocabulary's own marks is text here: OpenAI reads it so in messages.
            Some(vocabulary) => vocabulary.encode_ordinary(text).len() as u64,
            None => EstimatingCounter.count_text(model, text),
        }
    }
}

fn vocabulary(model: &str) -> Option<&'static CoreBPE> {
    let model = model.strip_prefix("openai/").unwrap_or(model);
    match get_tokenizer(model)? {
        Tokenizer::O200kHarmony => Some(tiktoken_rs::o200k_harmony_singleton()),
        Tokenizer::O200kBase => Some(tiktoken_rs::o200k_base_singleton()),
        Tokenizer::Cl100kBase => Some(tiktoken_rs::cl100k_base_singleton()),
        // Models of another age, which take no messages.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
