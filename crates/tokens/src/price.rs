//! What one model costs.

use atomr_agents_core::{Money, Usage};

/// Prices are per so many tokens.
const PER_TOKENS: u128 = 1_000_000;

/// What one model costs, in millionths of a US dollar per million tokens: $2.50 is `2_500_000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens read from the provider's prompt cache; the same as `input` where there is no discount.
    pub cached_input: u64,
    /// Tokens written, thoughts included.
    pub output: u64,
}

impl Price {
    /// A price in millionths of a US dollar per million tokens.
    #[must_use]
    pub const fn new(input: u64, cached_input: u64, output: u64) -> Self {
        Self { input, cached_input, output }
    }

    /// What one model call costs, rounded half up to a millionth of a dollar.
    ///
    /// Cached tokens are a part of the input, reasoning is a part of the output. Where the provider's own total is
    /// more than input and output together (xAI counts reasoning in the total only), the excess is output too.
    ///
    /// Ask call by call and add the money: in a sum of usages, calls with and without a total mix, and the excess of
    /// one can hide behind the missing total of another.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Money {
        let cached = usage.cached_input_tokens.unwrap_or(0).min(usage.input_tokens);
        let uncached = usage.input_tokens - cached;
        let told = u128::from(usage.input_tokens) + u128::from(usage.output_tokens);
        let excess = usage.total_tokens.map_or(0, |total| u128::from(total).saturating_sub(told));
        let output = u128::from(usage.output_tokens) + excess;
        // Saturating, because three products of u64 may not fit; such an amount is far beyond `Money` anyway.
        let sum = [(u128::from(uncached), self.input), (u128::from(cached), self.cached_input), (output, self.output)]
            .into_iter()
            .fold(0u128, |sum, (tokens, price)| sum.saturating_add(tokens.saturating_mul(u128::from(price))));
        let rounded = sum / PER_TOKENS + u128::from(sum % PER_TOKENS >= PER_TOKENS / 2);
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
    fn cached_tokens_are_a_part_of_the_input() {
        // 2006 read, 1920 of them cached: 86 * 2.50 + 1920 * 1.25 + 300 * 10.00 = 215 + 2400 + 3000
        let told = Usage { cached_input_tokens: Some(1_920), ..usage(2_006, 300) };
        assert_eq!(GPT_4O.cost(&told).micro_usd(), 5_615);
        // More cached than read cannot be: then all of it was cached. 10 * 1.25 = 12.5
        let odd = Usage { cached_input_tokens: Some(99), ..usage(10, 0) };
        assert_eq!(GPT_4O.cost(&odd).micro_usd(), 13);
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
            let told = Usage {
                cached_input_tokens: Some(cached), total_tokens: Some(input + output + more), ..usage(input, output)
            };
            let cost = u128::from(price.cost(&told).micro_usd());
            let cached = cached.min(input);
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
