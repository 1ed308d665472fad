//! Where a loop stands.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Amount, Budget, Value};
use serde::{Deserialize, Serialize};

/// Where a loop stands between two iterations. What is large in it is shared: a clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HarnessState {
    /// What the run was given.
    pub input: Arc<Value>,
    /// What the iterations hand on. The input before the first one.
    pub working_memory: Arc<Value>,
    /// How many iterations have ended.
    pub iteration: u64,
    /// The latest of them, the oldest first: up to [`HarnessState::HISTORY`].
    pub history: Arc<VecDeque<StepEvent>>,
    /// What was used so far, by everything below the loop too.
    pub spent: Amount,
    /// How long it has run, over all processes that have worked on it.
    pub elapsed: Duration,
    /// What is left of the budget; `None` is without a limit.
    pub remaining: Budget,
}

impl HarnessState {
    /// How many iterations [`HarnessState::history`] keeps.
    pub const HISTORY: usize = 128;

    /// Before the first iteration.
    #[must_use]
    pub fn new(input: Value) -> Self {
        let input = Arc::new(input);
        Self { working_memory: Arc::clone(&input), input, ..Self::default() }
    }

    /// Counts an iteration that has ended, with what it hands on.
    pub fn advance(&mut self, event: StepEvent, working_memory: Option<Arc<Value>>) {
        self.iteration = event.iteration;
        let history = Arc::make_mut(&mut self.history);
        while history.len() >= Self::HISTORY {
            history.pop_front();
        }
        history.push_back(event);
        if let Some(working_memory) = working_memory {
            self.working_memory = working_memory;
        }
    }

    /// Takes the last iteration back, which had begun with this.
    pub fn retract(&mut self, working_memory: Arc<Value>) {
        if Arc::make_mut(&mut self.history).pop_back().is_some() {
            self.iteration -= 1;
        }
        self.working_memory = working_memory;
    }
}

/// An iteration that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Which, from 1.
    pub iteration: u64,
    /// What the strategy called it; may be empty.
    pub label: String,
    /// When it ended, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// What it used.
    pub spent: Amount,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_history_keeps_the_latest_and_a_clone_is_not_touched() {
        let mut state = HarnessState::new(json!("in"));
        for iteration in 1..=HarnessState::HISTORY as u64 {
            state.advance(StepEvent { iteration, ..StepEvent::default() }, None);
        }
        let before = state.clone();
        let last = HarnessState::HISTORY as u64 + 1;
        state.advance(StepEvent { iteration: last, ..StepEvent::default() }, Some(Arc::new(json!(1))));
        assert_eq!(
            (state.history.len(), state.history[0].iteration, state.iteration),
            (HarnessState::HISTORY, 2, last)
        );
        assert_eq!((before.history[0].iteration, before.iteration), (1, last - 1));
        state.retract(Arc::new(json!("in")));
        assert_eq!((state.iteration, &*state.working_memory), (before.iteration, &*before.working_memory));
        state.advance(StepEvent { iteration: last, ..StepEvent::default() }, Some(Arc::new(json!(1))));
        assert_eq!((&*before.working_memory, &*state.working_memory), (&json!("in"), &json!(1)));
    }
}
