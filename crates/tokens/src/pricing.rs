//! The price lists, provider by provider.

use atomr_agents_core::{Money, Usage};

use crate::models::{self, AS_OF, Provider, undated};
use crate::{Counting, Price, PriceTable, TokenCounts};

macro_rules! pricing {
    ($(#[$doc:meta])* $name:ident, $provider:expr, $counting:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            /// The list prices this crate was built with; see [`PriceTable::builtin`] for what they are worth.
            #[must_use]
            pub fn published() -> &'static Self {
                &$name
            }

            /// What a model of this provider costs; `None` if it is another provider's or not known.
            #[must_use]
            pub fn get(&self, model: &str) -> Option<Price> {
                listed($provider, model)
            }

            /// What one call cost, its numbers read as this provider means them; see [`Counting`].
            #[must_use]
            pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
                self.get(model).map(|price| price.cost_of(&TokenCounts::read(usage, $counting)))
            }

            /// Every listed model with its price.
            pub fn models(&self) -> impl Iterator<Item = (&'static str, Price)> {
                models::of($provider).iter().map(|model| (model.name, model.price))
            }

            /// The day up to which these prices are meant to hold, `YYYY-MM-DD`.
            #[must_use]
            pub fn as_of(&self) -> &'static str {
                AS_OF
            }
        }

        impl From<$name> for PriceTable {
            /// A table of this provider's models alone.
            fn from(pricing: $name) -> Self {
                pricing.models().fold(Self::empty(), |table, (model, price)| table.with_price(model, price))
            }
        }
    };
}

pricing! {
    /// What OpenAI's models cost, for both of its interfaces.
    ///
    /// ```
    /// use atomr_agents_tokens::OpenAiPricing;
    ///
    /// assert_eq!(OpenAiPricing::published().get("gpt-4o").unwrap().input, 2_500_000);
    /// assert!(OpenAiPricing::published().get("claude-opus-5").is_none());
    /// ```
    OpenAiPricing, Provider::OpenAi, Counting::OpenAi
}

pricing! {
    /// What Anthropic's models cost.
    ///
    /// ```
    /// use atomr_agents_core::Usage;
    /// use atomr_agents_tokens::AnthropicPricing;
    ///
    /// // $1.00 for a million read, $0.10 from the cache, $1.25 to the cache, $5.00 for a million written.
    /// let usage = Usage {
    ///     input_tokens: 10,
    ///     cached_input_tokens: Some(1_000),
    ///     cache_write_tokens: Some(200),
    ///     output_tokens: 40,
    ///     ..Usage::default()
    /// };
    /// let cost = AnthropicPricing::published().cost("claude-haiku-4-5-20251001", &usage);
    /// assert_eq!(cost.unwrap().micro_usd(), 10 + 100 + 250 + 200);
    /// ```
    AnthropicPricing, Provider::Anthropic, Counting::Anthropic
}

pricing! {
    /// What Google's Gemini models cost.
    ///
    /// ```
    /// use atomr_agents_core::Usage;
    /// use atomr_agents_tokens::GeminiPricing;
    ///
    /// // $0.30 for a million read, $2.50 for a million written; thoughts stand beside the output.
    /// let usage = Usage { input_tokens: 10, output_tokens: 2, reasoning_tokens: Some(40), ..Usage::default() };
    /// let cost = GeminiPricing::published().cost("gemini-2.5-flash", &usage);
    /// assert_eq!(cost.unwrap().micro_usd(), 3 + 105);
    /// ```
    GeminiPricing, Provider::Gemini, Counting::Gemini
}

fn listed(provider: Provider, model: &str) -> Option<Price> {
    let known = models::by_name();
    let (owner, found) = known.get(model).or_else(|| known.get(undated(model)?))?;
    (*owner == provider).then_some(found.price)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_knows_its_own_models_and_the_table_knows_them_all() {
        let all = PriceTable::builtin();
        let tables: [(PriceTable, &str, &str); 3] = [
            ((*OpenAiPricing::published()).into(), "gpt-5-mini-2025-08-07", "claude-opus-5"),
            ((*AnthropicPricing::published()).into(), "claude-opus-5", "gemini-2.5-pro"),
            ((*GeminiPricing::published()).into(), "gemini-2.5-pro", "gpt-5-mini"),
        ];
        for (table, own, others) in tables {
            assert!(table.price(own).is_some() && table.price(own) == all.price(own), "{own}");
            assert_eq!(table.price(others), None, "{others}");
        }
        assert_eq!(OpenAiPricing.as_of(), all.as_of());
    }
}
