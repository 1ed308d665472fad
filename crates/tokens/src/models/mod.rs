//! What is known about the providers' models: one list per provider.

mod anthropic;
mod gemini;
mod openai;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::{LongPrompt, ModelLimits, Price};

/// The day on which the lists were compared with a third party's (LiteLLM 1.110.2: input, cached input, cache writes,
/// output, surcharges, limits); nothing was checked against the providers' own price pages. Anthropic's models before
/// Claude 4.5 stand as they were last known. Who bills by these figures sets prices of their own.
pub(crate) const AS_OF: &str = "2026-11-25";

/// Whose models they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    OpenAi,
    Anthropic,
    Gemini,
}

/// One model: what it costs for its provider's standard tier, and how much it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Model {
    pub(crate) name: &'static str,
    pub(crate) price: Price,
    pub(crate) limits: ModelLimits,
}

impl Model {
    /// Input, cached input and output in millionths of a dollar per million tokens.
    const fn new(name: &'static str, prices: [u64; 3], context: u64, max_output: u64) -> Self {
        let [input, cached, output] = prices;
        Self { name, price: Price::new(input, cached, output), limits: ModelLimits { context, max_output } }
    }

    const fn write(self, usual: u64, long: u64) -> Self {
        Self { price: self.price.with_cache_write(usual, long), ..self }
    }

    const fn long(self, over: u64, input_percent: u32, output_percent: u32) -> Self {
        Self { price: self.price.with_long_prompt(LongPrompt { over, input_percent, output_percent }), ..self }
    }
}

/// Every model of a provider.
pub(crate) fn of(provider: Provider) -> &'static [Model] {
    match provider {
        Provider::OpenAi => openai::MODELS,
        Provider::Anthropic => anthropic::MODELS,
        Provider::Gemini => gemini::MODELS,
    }
}

/// Every model by its name, with its provider.
pub(crate) fn by_name() -> &'static HashMap<&'static str, (Provider, Model)> {
    static ALL: LazyLock<HashMap<&'static str, (Provider, Model)>> = LazyLock::new(|| {
        let providers = [Provider::OpenAi, Provider::Anthropic, Provider::Gemini];
        let models =
            providers.into_iter().flat_map(|provider| of(provider).iter().map(move |model| (provider, *model)));
        models.map(|(provider, model)| (model.name, (provider, model))).collect()
    });
    &ALL
}

/// The name in front of a snapshot's date: `-2024-08-06`, `-20240806` or, as Google's cloud writes it, `@20240806`.
pub(crate) fn undated(model: &str) -> Option<&str> {
    ["-0000-00-00", "-00000000", "@00000000"].iter().find_map(|shape| {
        let (name, date) = model.split_at_checked(model.len().checked_sub(shape.len())?)?;
        let fits = date.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == shape,
        });
        (fits && !name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_model_is_listed_twice_and_every_row_makes_sense() {
        let listed: usize = [Provider::OpenAi, Provider::Anthropic, Provider::Gemini].map(|p| of(p).len()).iter().sum();
        assert_eq!(by_name().len(), listed);
        for (name, (_, Model { price, limits, .. })) in by_name() {
            assert!(price.cached_input <= price.input && price.input < price.output, "{name}");
            assert!(price.input <= price.cache_write && price.cache_write <= price.cache_write_long, "{name}");
            assert!(limits.max_output <= limits.context && limits.max_output > 0, "{name}");
            if let Some(long) = price.long_prompt {
                assert!(long.over < limits.context && long.input_percent > 100, "{name}");
            }
        }
    }

    #[test]
    fn a_date_is_taken_off_and_nothing_else() {
        for (model, name) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-haiku-4-5-20251001", Some("claude-haiku-4-5")),
            ("claude-sonnet-4-5@20250929", Some("claude-sonnet-4-5")),
            ("gpt-4o-audio-preview", None),
            ("gpt-4o-2024", None),
            ("gpt-4o-2024-08-0x", None),
            ("-2024-08-06", None),
            ("", None),
        ] {
            assert_eq!(undated(model), name, "{model}");
        }
        assert_eq!(undated("ü-2024-08-06"), Some("ü"));
    }
}
