//! Prices by model.

use std::collections::HashMap;

use atomr_agents_core::{Money, Usage};

use crate::Price;
use crate::models::{self, AS_OF, undated};

/// Prices by model, of every provider. A dated snapshot (`gpt-4o-2024-08-06`) has the price of its model unless it has
/// its own; any other longer name (`gpt-4o-audio-preview`) is another model, because guessing would be wrong by factors.
#[derive(Clone, Debug, Default)]
pub struct PriceTable {
    builtin: bool,
    own: HashMap<String, Price>,
}

impl PriceTable {
    /// The list prices this crate was built with, for orientation: they change without notice and were not checked
    /// against the providers (see [`PriceTable::as_of`]). [`PriceTable::with_price`] replaces one.
    #[must_use]
    pub fn builtin() -> Self {
        Self { builtin: true, own: HashMap::new() }
    }

    /// A table that knows nothing yet.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The day up to which the built-in prices are meant to hold, `YYYY-MM-DD`; empty for a table without them.
    #[must_use]
    pub fn as_of(&self) -> &str {
        if self.builtin { AS_OF } else { "" }
    }

    /// The same table with this price for this model, whatever it had before.
    #[must_use]
    pub fn with_price(mut self, model: impl Into<String>, price: Price) -> Self {
        self.own.insert(model.into(), price);
        self
    }

    /// What `model` costs: the price under exactly this name, else under the name without its date; own prices first.
    #[must_use]
    pub fn price(&self, model: &str) -> Option<Price> {
        let own = self.own.get(model).or_else(|| self.own.get(undated(model)?));
        own.copied().or_else(|| {
            let known = models::by_name();
            let found = || known.get(model).or_else(|| known.get(undated(model)?));
            self.builtin.then(found).flatten().map(|(_, model)| model.price)
        })
    }

    /// What one call of `model` cost; `None` if the price is not known. See [`Price::cost`].
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Money> {
        self.price(model).map(|price| price.cost(usage))
    }
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
        assert_eq!(table.price("claude-haiku-4-5-20251001").map(|price| price.cache_write), Some(1_250_000));
        assert_eq!(table.price("claude-sonnet-4@20250514"), table.price("claude-sonnet-4-20250514"));
    }

    #[test]
    fn another_model_is_not_guessed() {
        let table = PriceTable::builtin();
        let unknown = ["gpt-4o-audio-preview", "gpt-4o-2024", "gpt-4o-2024-08-0x", "gpt-4.9", "openai/gpt-4o", ""];
        for model in unknown {
            assert_eq!(table.price(model), None, "{model}");
        }
        assert_eq!(PriceTable::empty().price("gpt-4o"), None);
    }

    #[test]
    fn own_prices_win_and_also_serve_snapshots() {
        let own = Price::new(1, 2, 3);
        let table = PriceTable::builtin().with_price("gpt-4o", own).with_price("mine", own);
        assert_eq!(table.price("gpt-4o-2024-11-20"), Some(own));
        assert_eq!(table.price("gpt-4o-2024-05-13"), Some(own));
        assert_eq!(table.price("mine-2030-01-01"), Some(own));
        assert_eq!(PriceTable::builtin().price("mine"), None);
        assert_eq!((PriceTable::empty().as_of(), table.as_of()), ("", AS_OF));
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
}
