//! One budget for a run and everything below it.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Kind, Money};

/// How much a run and everything below it may use. `None` is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Tokens read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What model calls cost. A model whose price is not known cannot be called under such a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// Wall time, from the start of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Duration>,
    /// Model calls, and iterations of harnesses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u64>,
    /// Tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
}

impl Budget {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Something a budget limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Tokens.
    Tokens,
    /// Money, in millionths of a US dollar.
    Cost,
    /// Wall time, in milliseconds.
    Time,
    /// Model calls, and iterations of harnesses.
    Iterations,
    /// Tool calls.
    ToolCalls,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Tokens => "tokens",
            Resource::Cost => "cost",
            Resource::Time => "time",
            Resource::Iterations => "iterations",
            Resource::ToolCalls => "tool_calls",
        })
    }
}

/// An amount of everything that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Tokens read and written.
    pub tokens: u64,
    /// What model calls cost, as far as prices are known.
    pub cost: Money,
    /// Model calls, and iterations of harnesses.
    pub iterations: u64,
    /// Tool calls.
    pub tool_calls: u64,
}

impl Amount {
    pub(crate) fn get(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Tokens => self.tokens,
            Resource::Cost => self.cost.micro_usd(),
            Resource::Iterations => self.iterations,
            Resource::ToolCalls => self.tool_calls,
            Resource::Time => 0,
        }
    }

    fn combine(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        Self {
            tokens: with(self.tokens, other.tokens),
            cost: Money::from_micro_usd(with(self.cost.micro_usd(), other.cost.micro_usd())),
            iterations: with(self.iterations, other.iterations),
            tool_calls: with(self.tool_calls, other.tool_calls),
        }
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.combine(other, u64::saturating_sub)
    }
}

/// A budget does not hold what was asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetExceeded {
    /// What is used up.
    pub resource: Resource,
    /// The limit, in the resource's own unit.
    pub limit: u64,
    /// How much is used.
    pub spent: u64,
    /// How much is set aside for calls under way.
    pub reserved: u64,
    /// How much was asked for.
    pub asked: u64,
}

impl BudgetExceeded {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::BudgetExceeded
    }
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, limit, spent, reserved, asked } = self;
        let amount = |units: u64| match resource {
            Resource::Cost => Money::from_micro_usd(units).to_string(),
            Resource::Time => format!("{:?}", Duration::from_millis(units)),
            _ => units.to_string(),
        };
        write!(f, "the budget of {} {} is used up: {} spent", amount(*limit), resource, amount(*spent))?;
        if *reserved > 0 {
            write!(f, ", {} set aside", amount(*reserved))?;
        }
        if *asked > 0 {
            write!(f, ", {} needed", amount(*asked))?;
        }
        Ok(())
    }
}

impl Error for BudgetExceeded {}
