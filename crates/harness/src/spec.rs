//! What a harness is called and what it may use.

use atomr_agents_core::Budget;
use serde::{Deserialize, Serialize};

/// What a harness is called and what it may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarnessSpec {
    /// Its name.
    pub id: String,
    /// Its version. A run that was begun by another version is not gone on with.
    pub version: String,
    /// What one run may use, together with everything below it. `iterations` counts those of the harness and the model
    /// calls below; `time` counts while it runs, over all processes.
    #[serde(default)]
    pub budget: Budget,
}

impl HarnessSpec {
    /// A harness of that name and version, without limits.
    #[must_use]
    pub fn new(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self { id: id.into(), version: version.into(), budget: Budget::default() }
    }

    /// The same with this budget.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }
}
