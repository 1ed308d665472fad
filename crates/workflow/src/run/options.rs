//! How runs go.

use std::collections::BTreeMap;
use std::time::Duration;

use atomr_agents_core::{CallCtx, CancellationToken};
use atomr_agents_observability::EventBus;
use atomr_agents_state::{Durability, JournalOptions, When};

/// How the runs of a runner go, unless a call says otherwise.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// What a commit survives.
    pub durability: Durability,
    /// When commits are made.
    pub when: When,
    /// For how long a process that is not heard of keeps others from going on with its runs.
    pub lease: Duration,
    /// The most super-steps of one call.
    pub max_steps: u64,
    /// The most steps that run at the same time.
    pub max_parallel: usize,
    /// The most suspended runs whose frames are kept in memory; the one that waits longest goes first. A run whose frames
    /// are gone goes on as after a crash: its steps are run again, and find what is recorded.
    pub max_suspended: usize,
    /// How long the frames of a suspended run are kept.
    pub suspended_for: Duration,
    /// Steps to stop before; `*` for each.
    pub interrupt_before: Vec<String>,
    /// Steps to stop after; `*` for each.
    pub interrupt_after: Vec<String>,
    /// Whether the events of a run are kept with it, to be read again by their numbers. Those of a run that is part of
    /// another are kept there.
    pub record_events: bool,
    /// Where the events of all runs go, besides to who asked for one.
    pub buses: Vec<EventBus>,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Full,
            when: When::Sync,
            lease: Duration::from_secs(30),
            max_steps: 10_000,
            max_parallel: 256,
            max_suspended: 1_000,
            suspended_for: Duration::from_secs(3_600),
            interrupt_before: Vec::new(),
            interrupt_after: Vec::new(),
            record_events: true,
            buses: Vec::new(),
        }
    }
}

/// What happens when a run is begun under a name that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// It is an error.
    #[default]
    Refuse,
    /// It is another turn of the same run: it begins with the state that is there, and its input is written to it. Whatever
    /// was due before is given up.
    NextTurn,
}

/// What happens when a run is gone on with by a graph that looks different from the one that began it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// It is an error that names what is different.
    #[default]
    Refuse,
    /// It goes on with the graph that there is now. Steps that are due and do not exist any more are an error.
    Accept,
}

/// How one call of a run goes. What is `None` or empty is as the runner has it.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// The run's name. `None` for a fresh one.
    pub name: Option<String>,
    /// What happens if there is a run of that name.
    pub existing: Existing,
    /// Cancelling, deadline, budget, and where events go.
    pub ctx: Option<CallCtx>,
    /// The most super-steps of this call.
    pub max_steps: Option<u64>,
    /// Steps to stop before; `*` for each.
    pub interrupt_before: Option<Vec<String>>,
    /// Steps to stop after; `*` for each.
    pub interrupt_after: Option<Vec<String>>,
    /// Cancelled to have the run stop after the super-step that is under way.
    pub drain: Option<CancellationToken>,
    /// What a commit survives.
    pub durability: Option<Durability>,
    /// When commits are made.
    pub when: Option<When>,
    /// What happens if the graph has changed.
    pub on_change: OnChange,
    /// The super-step after which the run is gone on with, instead of the last: what came after it is kept, and done again
    /// under new numbers.
    pub at: Option<u64>,
    /// The user's own words about a new run.
    pub labels: BTreeMap<String, String>,
    /// Where the events of this call go, besides.
    pub buses: Vec<EventBus>,
}

impl RunOptions {
    /// A run of this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    pub(crate) fn journal(&self, runner: &RunnerOptions) -> JournalOptions {
        JournalOptions {
            durability: self.durability.unwrap_or(runner.durability),
            when: self.when.unwrap_or(runner.when),
            lease: runner.lease,
            ..JournalOptions::default()
        }
    }
}
