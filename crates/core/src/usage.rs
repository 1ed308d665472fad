//! Tokens used.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Tokens used by one model call or by several together.
///
/// The numbers are the provider's own, under common names: whether `input_tokens` includes cached tokens and
/// whether `output_tokens` includes reasoning differs between providers and is documented by each provider crate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// The provider's own sum, where it sends one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// Tokens read from the provider's prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u64>,
    /// Tokens written to the provider's prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens spent on thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// What the provider sent, as it stands; empty in sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Value>,
}

impl AddAssign<&Usage> for Usage {
    fn add_assign(&mut self, other: &Usage) {
        // The numbers are the provider's word; a mad one must not end the run.
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        add(&mut self.total_tokens, other.total_tokens);
        add(&mut self.cached_input_tokens, other.cached_input_tokens);
        add(&mut self.cache_write_tokens, other.cache_write_tokens);
        add(&mut self.reasoning_tokens, other.reasoning_tokens);
        self.raw = None;
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_unknown_apart_from_zero() {
        let mut sum = Usage::default();
        sum += &Usage { input_tokens: 3, output_tokens: 1, reasoning_tokens: Some(1), ..Usage::default() };
        sum += &Usage { input_tokens: 4, output_tokens: 2, ..Usage::default() };
        assert_eq!((sum.input_tokens, sum.output_tokens), (7, 3));
        assert_eq!(sum.reasoning_tokens, Some(1));
        assert_eq!(sum.cached_input_tokens, None);
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let most = Usage { input_tokens: u64::MAX, total_tokens: Some(u64::MAX), ..Usage::default() };
        let mut sum = most.clone();
        sum += &most;
        assert_eq!((sum.input_tokens, sum.total_tokens), (u64::MAX, Some(u64::MAX)));
    }
}
