//! The few nearest of many.

use std::cmp::Ordering;

use crate::Neighbour;

/// The nearest first; equals by their id.
pub(super) fn nearer(a: &Neighbour, b: &Neighbour) -> Ordering {
    b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
}

/// Keeps the `k` highest of the numbers it is shown, and knows the lowest of them.
#[derive(Debug)]
pub(super) struct Highest {
    /// The lowest first.
    values: Vec<f32>,
    k: usize,
}

impl Highest {
    pub(super) fn new(k: usize) -> Self {
        Self { values: Vec::with_capacity(k.min(1024) + 1), k }
    }

    /// What a number must reach to count.
    pub(super) fn limit(&self) -> f32 {
        if self.values.len() < self.k {
            f32::NEG_INFINITY
        } else {
            self.values.first().copied().unwrap_or(f32::INFINITY)
        }
    }

    pub(super) fn show(&mut self, value: f32) {
        if self.values.len() == self.k {
            let at = self.values.partition_point(|kept| *kept < value);
            let lower = self.values.get_mut(..at).unwrap_or_default();
            // The lowest goes, and its place wanders to where the new one belongs.
            if !lower.is_empty() {
                lower.rotate_left(1);
            }
            if let Some(lowest) = lower.last_mut() {
                *lowest = value;
            }
            return;
        }
        let at = self.values.partition_point(|kept| *kept < value);
        self.values.insert(at, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_limit_is_the_kth_highest(values in prop::collection::vec(-9i8..9, 0..40), k in 1usize..12) {
            let mut highest = Highest::new(k);
            values.iter().for_each(|value| highest.show(f32::from(*value)));
            let mut sorted = values;
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let wanted = sorted.get(k - 1).map_or(f32::NEG_INFINITY, |value| f32::from(*value));
            prop_assert_eq!(highest.limit(), wanted);
        }
    }
}
