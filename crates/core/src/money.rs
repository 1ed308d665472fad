//! Money, counted exactly.

use std::fmt;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// An amount in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money {
    micro_usd: u64,
}

impl Money {
    /// So many millionths of a US dollar.
    #[must_use]
    pub const fn from_micro_usd(micro_usd: u64) -> Self {
        Self { micro_usd }
    }

    /// The amount in millionths of a US dollar.
    #[must_use]
    pub const fn micro_usd(self) -> u64 {
        self.micro_usd
    }

    /// The amount in US dollars, for display.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // exact below 9 billion dollars
    pub fn usd(self) -> f64 {
        self.micro_usd as f64 / 1e6
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.micro_usd = self.micro_usd.saturating_add(other.micro_usd);
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}.{:06}", self.micro_usd / 1_000_000, self.micro_usd % 1_000_000)
    }
}
