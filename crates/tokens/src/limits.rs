//! How much a model takes.

use crate::models;

/// How many tokens a model takes at most.
///
/// ```
/// use atomr_agents_tokens::ModelLimits;
///
/// let limits = ModelLimits::of("gpt-4o-mini-2024-07-18").unwrap();
/// assert_eq!((limits.context, limits.max_output), (128_000, 16_384));
/// assert_eq!(ModelLimits::of("someone-elses-model"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModelLimits {
    /// Of the prompt and the answer together. Gemini limits the prompt alone to so many.
    pub context: u64,
    /// Of the answer, thoughts included.
    pub max_output: u64,
}

impl ModelLimits {
    /// The limits of `model`, as far as known: of the longest name in the list that it begins with and that ends there
    /// or before a `-`, `@` or `:`. So a snapshot or a variant has the limits of its model, while another version
    /// (`gpt-4.9`) is not guessed. The vendor in front of a name (`openai/gpt-4o`) does not matter.
    #[must_use]
    pub fn of(model: &str) -> Option<Self> {
        let mut name = model.rsplit('/').next().unwrap_or(model);
        loop {
            if let Some((_, known)) = models::by_name().get(name) {
                return Some(known.limits);
            }
            name = name.get(..name.rfind(['-', '@', ':'])?)?;
        }
    }

    /// How many tokens of prompt leave room for an answer of so many; the whole answer, if `output` is more than that.
    #[must_use]
    pub fn max_input(&self, output: u64) -> u64 {
        self.context.saturating_sub(output.min(self.max_output))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_has_the_limits_of_its_model_and_another_version_is_not_guessed() {
        let context = |model| ModelLimits::of(model).map(|limits| limits.context);
        for (model, known) in [
            ("gpt-4", Some(8_192)),
            ("gpt-4-0613", Some(8_192)),
            ("gpt-4o-audio-preview", Some(128_000)),
            ("openai/gpt-4o-mini", Some(128_000)),
            ("gpt-5-2025-08-07", Some(400_000)),
            ("gpt-5.4-2026-03-05", Some(1_050_000)),
            ("claude-haiku-4-5@20251001", Some(200_000)),
            ("models/gemini-2.5-flash-preview-09-2025", Some(1_048_576)),
            ("gpt-4.9", None),
            ("gpt-40", None),
            ("claude-3", None),
            ("gpt", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(context(model), known, "{model}");
        }
    }

    #[test]
    fn the_prompt_and_the_answer_share_the_context() {
        let limits = ModelLimits { context: 400_000, max_output: 128_000 };
        assert_eq!((limits.max_input(1_000), limits.max_input(u64::MAX)), (399_000, 272_000));
    }
}
