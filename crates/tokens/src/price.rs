//! What one model costs.

use atomr_agents_core::{Money, Usage};

use crate::TokenCounts;

/// Prices are per so many tokens.
const PER_TOKENS: u128 = 1_000_000;

/// Surcharges are in hundredths.
const PERCENT: u128 = 100;

/// What one model costs, in millionths of a US dollar per million tokens: $2.50 is `2_500_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens read from the provider's prompt cache; the same as `input` where there is no discount.
    pub cached_input: u64,
    /// Tokens read and written to the provider's prompt cache for its usual time; the same as `input` where that costs
    /// nothing more.
    pub cache_write: u64,
    /// Tokens read and written to the provider's prompt cache for a longer time.
    pub cache_write_long: u64,
    /// Tokens written, thoughts included.
    pub output: u64,
    /// What a call with a long prompt costs instead.
    pub long_prompt: Option<LongPrompt>,
}

/// A surcharge on everything in a call whose prompt is long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LongPrompt {
    /// A prompt of more tokens than this is long, cached ones included.
    pub over: u64,
    /// What everything read costs then, in percent of the price.
    pub input_percent: u32,
    /// What everything written costs then, in percent of the price.
    pub output_percent: u32,
}

impl Price {
    /// A price in millionths of a US dollar per million tokens. Writing to the cache costs nothing beyond `input`.
    #[must_use]
    pub const fn new(input: u64, cached_input: u64, output: u64) -> Self {
        Self { input, cached_input, cache_write: input, cache_write_long: input, output, long_prompt: None }
    }

    /// The same with prices for tokens written to the cache: for the usual time, and for a longer one.
    #[must_use]
    pub const fn with_cache_write(self, usual: u64, long: u64) -> Self {
        Self { cache_write: usual, cache_write_long: long, ..self }
    }

    /// The same with a surcharge on long prompts.
    #[must_use]
    pub const fn with_long_prompt(self, long: LongPrompt) -> Self {
        Self { long_prompt: Some(long), ..self }
    }

    /// What one model call costs, rounded half up to a millionth of a dollar. How the provider's numbers are read is
    /// told by [`TokenCounts::of`].
    ///
    /// Ask call by call and add the money: in a sum of usages, calls with and without a total mix, and the excess of
    /// one can hide behind the missing total of another.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Money {
        self.cost_of(&TokenCounts::of(usage))
    }

    /// What a call of so many tokens costs, rounded half up to a millionth of a dollar.
    #[must_use]
    pub fn cost_of(&self, counts: &TokenCounts) -> Money {
        let long = self.long_prompt.filter(|long| counts.input() > long.over);
        let (read, written) = long.map_or((100, 100), |long| (long.input_percent, long.output_percent));
        // Saturating, because three factors may not fit; such an amount is far beyond `Money` anyway.
        let sum = [
            (counts.uncached_input, self.input, read),
            (counts.cached_input, self.cached_input, read),
            (counts.cache_write, self.cache_write, read),
            (counts.cache_write_long, self.cache_write_long, read),
            (counts.output, self.output, written),
        ]
        .into_iter()
        .map(|(tokens, price, percent)| {
            u128::from(tokens).saturating_mul(u128::from(price)).saturating_mul(u128::from(percent))
        })
        .fold(0u128, u128::saturating_add);
        let unit = PER_TOKENS * PERCENT;
        let rounded = sum / unit + u128::from(sum % unit >= unit / 2);
        Money::from_micro_usd(u64::try_from(rounded).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GPT_4O: Price = Price::new(2_500_000, 1_250_000, 10_000_000);

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, ..Usage::default() }
    }

    #[test]
    fn plain_tokens() {
        // 1000 * 2.50 + 500 * 10.00 = 2500 + 5000 millionths
        assert_eq!(GPT_4O.cost(&usage(1_000, 500)).micro_usd(), 7_500);
        assert_eq!(GPT_4O.cost(&usage(0, 0)).micro_usd(), 0);
    }

    #[test]
    fn cached_tokens_cost_less_and_written_ones_more() {
        // 2006 read, 1920 of them cached: 86 * 2.50 + 1920 * 1.25 + 300 * 10.00 = 215 + 2400 + 3000
        let told = Usage { cached_input_tokens: Some(1_920), ..usage(2_006, 300) };
        assert_eq!(GPT_4O.cost(&told).micro_usd(), 5_615);
        let sonnet = Price::new(3_000_000, 300_000, 15_000_000).with_cache_write(3_750_000, 6_000_000);
        let counts = TokenCounts {
            uncached_input: 4,
            cached_input: 1_000,
            cache_write: 100,
            cache_write_long: 65,
            output: 201,
            reasoning: 100,
        };
        // 4 * 3 + 1000 * 0.3 + 100 * 3.75 + 65 * 6 + 201 * 15 = 12 + 300 + 375 + 390 + 3015
        assert_eq!(sonnet.cost_of(&counts).micro_usd(), 4_092);
    }

    #[test]
    fn reasoning_is_a_part_of_the_output_unless_only_the_total_has_it() {
        // OpenAI: 75 in, 1186 out of which 1024 are thoughts, total 1261: 75 * 1.10 + 1186 * 4.40 = 82.5 + 5218.4
        let o4_mini = Price::new(1_100_000, 275_000, 4_400_000);
        let openai = Usage { reasoning_tokens: Some(1_024), total_tokens: Some(1_261), ..usage(75, 1_186) };
        assert_eq!(o4_mini.cost(&openai).micro_usd(), 5_301);
        // xAI: 32 in, 9 out, 400 thoughts, total 441: 32 * 0.30 + (9 + 400) * 0.50 = 9.6 + 204.5
        let grok = Price::new(300_000, 75_000, 500_000);
        let xai = Usage { reasoning_tokens: Some(400), total_tokens: Some(441), ..usage(32, 9) };
        assert_eq!(grok.cost(&xai).micro_usd(), 214);
    }

    #[test]
    fn a_long_prompt_costs_more_from_the_first_token_on() {
        let long = LongPrompt { over: 200_000, input_percent: 200, output_percent: 150 };
        let pro = Price::new(1_250_000, 125_000, 10_000_000).with_long_prompt(long);
        assert_eq!(pro.cost(&usage(200_000, 100)).micro_usd(), 251_000);
        // 200001 * 2.50 + 100 * 15.00 = 500002.5 + 1500
        assert_eq!(pro.cost(&usage(200_001, 100)).micro_usd(), 501_503);
        let cached = Usage { cached_input_tokens: Some(200_000), ..usage(200_001, 0) };
        assert_eq!(pro.cost(&cached).micro_usd(), 50_003); // 2.5 + 200000 * 0.25
    }

    #[test]
    fn rounds_half_up_once() {
        let price = Price::new(500_000, 500_000, 499_999);
        assert_eq!(price.cost(&usage(1, 0)).micro_usd(), 1); // 0.5
        assert_eq!(price.cost(&usage(0, 1)).micro_usd(), 0); // 0.499999
        assert_eq!(price.cost(&usage(1, 1)).micro_usd(), 1); // 0.999999, not 0.5 and 0.5 rounded apart
    }

    #[test]
    fn absurd_numbers_saturate() {
        let all = Price::new(u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(
            all.cost(&Usage { total_tokens: Some(u64::MAX), ..usage(u64::MAX, u64::MAX) }).micro_usd(),
            u64::MAX
        );
    }

    proptest! {
        #[test]
        fn is_the_nearest_millionth_and_grows_with_every_count(
            input in 0u64..10_000_000, cached in 0u64..10_000_000, output in 0u64..10_000_000, more in 0u64..1_000_000,
            prices in prop::array::uniform3(0u64..1_000_000_000),
        ) {
            let price = Price::new(prices[0].max(prices[1]), prices[1], prices[2]);
            let cached = cached.min(input);
            let told = Usage {
                cached_input_tokens: Some(cached), total_tokens: Some(input + output + more), ..usage(input, output)
            };
            let cost = u128::from(price.cost(&told).micro_usd());
            let exact = u128::from(input - cached) * u128::from(price.input)
                + u128::from(cached) * u128::from(price.cached_input)
                + u128::from(output + more) * u128::from(price.output);
            prop_assert!((cost * 1_000_000).abs_diff(exact) <= 500_000);
            let larger = Usage { output_tokens: output + 1, total_tokens: Some(input + output + more + 1), ..told.clone() };
            prop_assert!(price.cost(&larger) >= price.cost(&told));
            let less_cached = Usage { cached_input_tokens: None, ..told.clone() };
            prop_assert!(price.cost(&less_cached) >= price.cost(&told));
        }
    }
}
