//! What near means.

use std::fmt;
use std::str::FromStr;

use crate::{EmbedError, kernels};

/// How the nearness of two vectors is told. A score is higher for what is nearer.
///
/// ```
/// use atomr_agents_embed::Metric;
///
/// assert_eq!("l2".parse::<Metric>()?, Metric::L2);
/// assert_eq!("euclid".parse::<Metric>().unwrap_err().to_string(), "metric must be \"cosine\", \"dot\" or \"l2\", not \"euclid\"");
/// # Ok::<(), atomr_agents_embed::EmbedError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Metric {
    /// The cosine of the angle, from -1 to 1. A vector of zeros has the score 0 with everything.
    #[default]
    Cosine,
    /// The dot product.
    Dot,
    /// The negative square of the Euclidean distance.
    L2,
}

impl Metric {
    /// The score of two vectors as they are kept: those compared by cosine have the length 1.
    pub(crate) fn score(self, query: &[f32], vector: &[f32]) -> f32 {
        match self {
            Self::Cosine | Self::Dot => kernels::dot(query, vector),
            Self::L2 => -kernels::squared_distance(query, vector),
        }
    }

    /// Its number in files.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Cosine => 0,
            Self::Dot => 1,
            Self::L2 => 2,
        }
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        [Self::Cosine, Self::Dot, Self::L2].into_iter().find(|metric| metric.number() == number)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        })
    }
}

impl FromStr for Metric {
    type Err = EmbedError;

    fn from_str(name: &str) -> Result<Self, EmbedError> {
        [Self::Cosine, Self::Dot, Self::L2].into_iter().find(|metric| metric.to_string() == name).ok_or_else(|| {
            EmbedError::invalid("metric", format!("must be \"cosine\", \"dot\" or \"l2\", not {name:?}"))
        })
    }
}
