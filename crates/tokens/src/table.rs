//! Prices by model.

use std::collections::HashMap;

use atomr_agents_core::{Money, Usage};

use crate::Price;

/// The day up to which the list below is meant to hold. It was written from general knowledge, not copied from the
/// provider's price page on that day: input and output prices were compared with third-party lists, cached-input prices
/// could not be confirmed. Who bills by these figures sets prices of their own.
const AS_OF: &str = "2025-12-31";

/// OpenAI's list prices for the standard tier, as far as known: model, input, cached input, output.
const OPENAI: &[(&str, u64, u64, u64)] = &[
    ("gpt-4o", 2_500_000, 1_250_000, 10_000_000),
    // The first snapshot kept its price and has no cache discount.
    ("gpt-4o-2024-05-13", 5_000_000, 5_000_000, 15_000_000),
    ("gpt-4o-mini", 150_000, 75_000, 600_000),
    ("gpt-4.1", 2_000_000, 500_000, 8_000_000),
    ("gpt-4.1-mini", 400_000, 100_000, 1_600_000),
    ("gpt-4.1-nano", 100_000, 25_000, 400_000),
    ("o1", 15_000_000, 7_500_000, 60_000_000),
    ("o3", 2_000_000, 500_000, 8_000_000),
    ("o3-mini", 1_100_000, 550_000, 4_400_000),
    ("o4-mini", 1_100_000, 275_000, 4_400_000),
    ("gpt-5", 1_250_000, 125_000, 10_000_000),
    ("gpt-5-mini", 250_000, 25_000, 2_000_000),
    ("gpt-5-nano", 50_000, 5_000, 400_000),
    ("gpt-5-chat-latest", 1_250_000, 125_000, 10_000_000),
    ("gpt-5-codex", 1_250_000, 125_000, 10_000_000),
    ("gpt-5-pro", 15_000_000, 15_000_000, 120_000_000),
    ("gpt-5.1", 1_250_000, 125_000, 10_000_000),
    ("gpt-5.1-chat-latest", 1_250_000, 125_000, 10_000_000),
    ("gpt-5.1-codex", 1_250_000, 125_000, 10_000_000),
    ("gpt-5.2", 1_750_000, 175_000, 14_000_000),
    ("gpt-5.2-chat-latest", 1_750_000, 175_000, 14_000_000),
];

/// Prices by model. A dated snapshot (`gpt-4o-2024-08-06`) has the price of its model unless it has its own; any other
/// longer name (`gpt-4o-audio-preview`) is another model, because guessing would be wrong by factors.
#[derive(Clone, Debug, Default)]
pub struct PriceTable {
    as_of: &'static str,
    prices: HashMap<String, Price>,
}

impl PriceTable {
    /// The list prices this crate was built with, for orientation: they change without notice and were not checked
    /// against the provider (see [`PriceTable::as_of`]). [`PriceTable::with_price`] replaces one.
    #[must_use]
    pub fn builtin() -> Self {
        let prices = OPENAI.iter().map(|(model, input, cached, output)| {
            let price = Price::new(*input, *cached, *output);
            ((*model).to_owned(), price)
        });
        Self { as_of: AS_OF, prices: prices.collect() }
    }

    /// A table that knows nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The day up to which the built-in prices are meant to hold, `YYYY-MM-DD`; empty for a table without them.
    #[must_use]
    pub fn as_of(&self) -> &str {
        self.as_of
    }

    /// The same table with this price for this model, whatever it had before.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.prices.insert(model.into(), price);
        self
    }

    /// What `model` costs: the price under exactly this name, else under the name without its date.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<Price> {
        self.prices.get(model).or_else(|| self.prices.get(undated(model)?)).copied()
    }

    /// What one call of `model` cost; `None` if the price is not known. See [`Price::cost`].
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        self.price(model).map(|price| price.cost(usage))
    }
}

/// The name in front of `-YYYY-MM-DD`.
fn undated(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub("-2024-08-06".len())?)?;
    let shaped = date.bytes().zip(*b"-0000-00-00").all(|(byte, shape)| match shape {
        b'-' => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (shaped && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dated_snapshot_has_its_models_price_or_its_own() {
        let table = PriceTable::builtin();
        assert_eq!(table.price("gpt-4o-2024-08-06"), table.price("gpt-4o"));
        assert_eq!(table.price("gpt-4o-2024-05-13"), Some(Price::new(5_000_000, 5_000_000, 15_000_000)));
        assert_eq!(table.price("gpt-4.1-nano-2025-04-14"), Some(Price::new(100_000, 25_000, 400_000)));
        assert_eq!(table.price("gpt-5-mini-2025-08-07"), Some(Price::new(250_000, 25_000, 2_000_000)));
        assert_ne!(table.price("gpt-4o-mini-2024-07-18"), table.price("gpt-4o"));
    }

    #[test]
    fn another_model_is_not_guessed() {
        let table = PriceTable::builtin();
        for model in ["gpt-4o-audio-preview", "gpt-4o-2024", "gpt-4o-2024-08-0x", "gpt-4", "o3-pro", "", "ü-2024-08-06"]
        {
            assert_eq!(table.price(model), None, "{model}");
        }
    }

    #[test]
    fn own_prices_win_and_also_serve_snapshots() {
        let own = Price::new(1, 2, 3);
        let table = PriceTable::builtin().with_price("gpt-4o", own).with_price("mine", own);
        assert_eq!(table.price("gpt-4o-2024-11-20"), Some(own));
        assert_eq!(table.price("mine-2030-01-01"), Some(own));
        assert_eq!(PriceTable::builtin().price("mine"), None);
        assert!(PriceTable::empty().as_of().is_empty());
    }

    #[test]
    fn costs_by_hand() {
        let table = PriceTable::builtin();
        let usage = Usage {
            input_tokens: 12_345,
            cached_input_tokens: Some(10_240),
            output_tokens: 678,
            total_tokens: Some(13_023),
            ..Usage::default()
        };
        for (model, micro_usd) in [
            ("gpt-4o", 24_843),     // 2105*2.5 + 10240*1.25 + 678*10 = 5262.5 + 12800 + 6780 = 24842.5
            ("gpt-4o-mini", 1_491), // 2105*.15 + 10240*.075 + 678*.6 = 315.75 + 768 + 406.8 = 1490.55
            ("gpt-4.1", 14_754),    // 4210 + 5120 + 5424
            ("gpt-5", 10_691),      // 2631.25 + 1280 + 6780 = 10691.25
            ("gpt-5-nano", 428),    // 105.25 + 51.2 + 271.2 = 427.65
            ("o3-mini", 10_931),    // 2315.5 + 5632 + 2983.2 = 10930.7
        ] {
            assert_eq!(table.cost(model, &usage).map(Money::micro_usd), Some(micro_usd), "{model}");
        }
        assert_eq!(table.cost("unknown", &usage), None);
    }

    #[test]
    fn no_model_is_listed_twice_and_caching_never_costs_more() {
        let table = PriceTable::builtin();
        assert_eq!(table.prices.len(), OPENAI.len());
        for (model, price) in &table.prices {
            assert!(price.cached_input <= price.input && price.input < price.output, "{model}");
        }
        assert_eq!(table.as_of(), AS_OF);
    }
}
