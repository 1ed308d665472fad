//! The tokens of one call, each counted once: the one place where the providers' ways of counting meet.

use atomr_agents_core::{Usage, Value};

/// How a provider's numbers are to be read. It belongs to the wire format, not to the model: Claude behind a server that
/// speaks like OpenAI is counted like OpenAI.
///
/// | format | input | cache reads and writes | output | thoughts |
/// |---|---|---|---|---|
/// | OpenAI chat completions and Responses | everything read | in the input | everything written | in the output; xAI has them in the total only |
/// | Anthropic Messages | what no cache had to do with | beside the input | everything written | in the output |
/// | Gemini generateContent | the prompt | in the input | the visible answer | beside the output |
///
/// What the total has beyond these is output with OpenAI (xAI's thoughts), and input with Gemini (what its own tools
/// put into the prompt).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Counting {
    /// Cached tokens are a part of the input, thoughts a part of the output.
    #[default]
    OpenAi,
    /// Cached tokens stand beside the input, thoughts are a part of the output.
    Anthropic,
    /// Cached tokens are a part of the input, thoughts stand beside the output.
    Gemini,
}

impl Counting {
    /// How these numbers are to be read, by the names they have in [`Usage::raw`]. Without it (a client written by the
    /// user, a sum) they are read like OpenAI's, unless more is cached than read: then the cache stands beside it.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        let has = |name: &str| usage.raw.as_ref().is_some_and(|raw| raw.get(name).is_some());
        if has("cache_read_input_tokens") || has("cache_creation_input_tokens") {
            Self::Anthropic
        } else if has("promptTokenCount") || has("candidatesTokenCount") || has("totalTokenCount") {
            Self::Gemini
        } else if usage.raw.is_none() && cached(usage).saturating_add(written(usage)) > usage.input_tokens {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

/// The tokens of one call, each counted once.
///
/// ```
/// use atomr_agents_core::Usage;
/// use atomr_agents_tokens::{Counting, TokenCounts};
///
/// // The same call as told by two providers: 100 tokens read, 80 of them from the cache.
/// let anthropic = Usage { input_tokens: 20, cached_input_tokens: Some(80), output_tokens: 5, ..Usage::default() };
/// let openai = Usage { input_tokens: 100, ..anthropic.clone() };
/// assert_eq!(TokenCounts::read(&anthropic, Counting::Anthropic), TokenCounts::read(&openai, Counting::OpenAi));
/// assert_eq!(TokenCounts::of(&openai).total(), 105);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TokenCounts {
    /// Read, and neither from nor for a cache.
    pub uncached_input: u64,
    /// Read from the provider's cache.
    pub cached_input: u64,
    /// Read, and written to the provider's cache for its usual time.
    pub cache_write: u64,
    /// Read, and written to the provider's cache for a longer time (Anthropic: an hour).
    pub cache_write_long: u64,
    /// Written, thoughts included.
    pub output: u64,
    /// Of the output, thoughts. For orientation: they cost what output costs.
    pub reasoning: u64,
}

impl TokenCounts {
    /// The counts behind the numbers of a provider, read as [`Counting::of`] says. For one call: in a sum, calls with
    /// and without a total mix.
    #[must_use]
    pub fn of(usage: &Usage) -> Self {
        Self::read(usage, Counting::of(usage))
    }

    /// The counts behind the numbers of a provider that counts so.
    #[must_use]
    pub fn read(usage: &Usage, counting: Counting) -> Self {
        let (reasoning, beyond) =
            (usage.reasoning_tokens.unwrap_or(0), |told: u64| usage.total_tokens.unwrap_or(0).saturating_sub(told));
        let told = usage.input_tokens.saturating_add(usage.output_tokens);
        let (input, output) = match counting {
            Counting::OpenAi => (usage.input_tokens, usage.output_tokens.saturating_add(beyond(told))),
            Counting::Anthropic => {
                let beside = cached(usage).saturating_add(written(usage));
                (usage.input_tokens.saturating_add(beside), usage.output_tokens)
            }
            Counting::Gemini => {
                let own_tools = beyond(told.saturating_add(reasoning));
                (usage.input_tokens.saturating_add(own_tools), usage.output_tokens.saturating_add(reasoning))
            }
        };
        // More from the cache than was read cannot be: then all of it was.
        let cached_input = cached(usage).min(input);
        let written = written(usage).min(input - cached_input);
        let cache_write_long = written_for_long(usage).min(written);
        Self {
            uncached_input: input - cached_input - written,
            cached_input,
            cache_write: written - cache_write_long,
            cache_write_long,
            output,
            reasoning: reasoning.min(output),
        }
    }

    /// Everything read.
    #[must_use]
    pub fn input(&self) -> u64 {
        [self.cached_input, self.cache_write, self.cache_write_long]
            .into_iter()
            .fold(self.uncached_input, u64::saturating_add)
    }

    /// Everything read and written.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.input().saturating_add(self.output)
    }
}

fn cached(usage: &Usage) -> u64 {
    usage.cached_input_tokens.unwrap_or(0)
}

fn written(usage: &Usage) -> u64 {
    usage.cache_write_tokens.unwrap_or(0)
}

/// Anthropic tells both times apart in its own numbers only.
fn written_for_long(usage: &Usage) -> u64 {
    let long = usage.raw.as_ref().and_then(|raw| raw.pointer("/cache_creation/ephemeral_1h_input_tokens"));
    long.and_then(Value::as_u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> Option<Value> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn anthropic_counts_the_cache_beside_the_input() {
        let usage = Usage {
            input_tokens: 4,
            output_tokens: 201,
            cached_input_tokens: Some(1_000),
            cache_write_tokens: Some(165),
            raw: json(
                r#"{"cache_read_input_tokens":1000,"cache_creation_input_tokens":165,
                    "cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":65}}"#,
            ),
            ..Usage::default()
        };
        let counts = TokenCounts::of(&usage);
        let told = [counts.uncached_input, counts.cached_input, counts.cache_write, counts.cache_write_long];
        assert_eq!((told, counts.output, counts.total()), ([4, 1_000, 100, 65], 201, 1_370));
    }

    #[test]
    fn gemini_counts_thoughts_beside_the_output_and_its_tools_beside_the_prompt() {
        // A recorded answer: 147 in the prompt, 360 put there by tools, 108 visible, 168 thought, 783 in all.
        let usage = Usage {
            input_tokens: 147,
            output_tokens: 108,
            reasoning_tokens: Some(168),
            total_tokens: Some(783),
            raw: json(r#"{"promptTokenCount":147}"#),
            ..Usage::default()
        };
        let counts = TokenCounts::of(&usage);
        assert_eq!((counts.input(), counts.output, counts.reasoning, counts.total()), (507, 276, 168, 783));
    }

    #[test]
    fn openai_counts_all_within_and_xai_thoughts_in_the_total() {
        let raw = json(r#"{"prompt_tokens":32}"#);
        let openai = Usage {
            input_tokens: 75,
            output_tokens: 1_186,
            cached_input_tokens: Some(50),
            reasoning_tokens: Some(1_024),
            total_tokens: Some(1_261),
            raw: raw.clone(),
            ..Usage::default()
        };
        let counts = TokenCounts::of(&openai);
        assert_eq!((counts.uncached_input, counts.cached_input, counts.output), (25, 50, 1_186));
        let xai = Usage {
            input_tokens: 32,
            output_tokens: 9,
            reasoning_tokens: Some(400),
            total_tokens: Some(441),
            raw,
            ..Usage::default()
        };
        assert_eq!((TokenCounts::of(&xai).output, TokenCounts::of(&xai).total()), (409, 441));
    }

    #[test]
    fn without_the_providers_names_impossible_numbers_tell() {
        let beside = Usage { input_tokens: 10, cached_input_tokens: Some(99), ..Usage::default() };
        assert_eq!((TokenCounts::of(&beside).uncached_input, TokenCounts::of(&beside).cached_input), (10, 99));
        let odd = Usage { raw: json(r#"{"prompt_tokens":10}"#), ..beside };
        assert_eq!((TokenCounts::of(&odd).uncached_input, TokenCounts::of(&odd).cached_input), (0, 10));
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(
            input in 0u64..1_000_000, cached in 0u64..1_000_000, written in 0u64..1_000_000,
            output in 0u64..1_000_000, reasoning in 0u64..1_000_000, more in 0u64..1_000_000,
        ) {
            let cached = cached.min(input);
            let written = written.min(input - cached);
            let reasoning = reasoning.min(output);
            let openai = Usage {
                input_tokens: input, output_tokens: output, cached_input_tokens: Some(cached),
                cache_write_tokens: Some(written), reasoning_tokens: Some(reasoning),
                total_tokens: Some(input + output + more), raw: None,
            };
            let counts = TokenCounts::read(&openai, Counting::OpenAi);
            prop_assert_eq!(counts.total(), input + output + more);
            let anthropic = Usage {
                input_tokens: input - cached - written, total_tokens: None, output_tokens: output + more, ..openai.clone()
            };
            prop_assert_eq!(TokenCounts::read(&anthropic, Counting::Anthropic), counts);
            let gemini = Usage {
                output_tokens: output + more - reasoning, cache_write_tokens: Some(written), ..openai
            };
            prop_assert_eq!(TokenCounts::read(&gemini, Counting::Gemini), counts);
        }
    }
}
