//! What model calls cost, and how many tokens they take. A [`PriceTable`] knows what a provider asks for a million
//! tokens of a model on a certain date, and turns the [`Usage`](atomr_agents_core::Usage) of one call into
//! [`Money`](atomr_agents_core::Money), exactly: integers all the way, rounded once, at the end. [`TokenCounts`] is the
//! one place where the providers' different ways of counting meet; [`ModelLimits`] says how much a model takes, and a
//! [`TokenCounter`] how much of that a request will need, before it is sent.
//!
//! This crate knows no provider's protocol beyond the names of its numbers, and does no I/O: prices and limits are
//! compiled in, for orientation, and anybody may put their own over them. A model it does not know has no price, not a
//! price of zero.
//!
//! ```
//! use atomr_agents_core::Usage;
//! use atomr_agents_tokens::{Price, PriceTable};
//!
//! let prices = PriceTable::builtin().with_price("my-model", Price::new(1_000_000, 500_000, 2_000_000));
//! let usage = Usage { input_tokens: 1_000, output_tokens: 200, ..Usage::default() };
//! assert_eq!(prices.cost("gpt-4o-mini-2024-07-18", &usage).unwrap().micro_usd(), 270);
//! assert_eq!(prices.cost("my-model", &usage).unwrap().micro_usd(), 1_400);
//! assert_eq!(prices.cost("someone-elses-model", &usage), None);
//! ```
//!
//! The feature `bpe` adds `BpeCounter`, which counts text for OpenAI's models exactly (about 5 MB of vocabularies).

#[cfg(feature = "bpe")]
mod bpe;
mod counter;
mod counts;
mod estimate;
mod limits;
mod media;
mod models;
mod price;
mod pricing;
mod table;

#[cfg(feature = "bpe")]
pub use bpe::BpeCounter;
pub use counter::TokenCounter;
pub use counts::{Counting, TokenCounts};
pub use estimate::EstimatingCounter;
pub use limits::ModelLimits;
pub use price::{LongPrompt, Price};
pub use pricing::{AnthropicPricing, GeminiPricing, OpenAiPricing};
pub use table::PriceTable;
