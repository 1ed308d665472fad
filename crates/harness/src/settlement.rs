//! What is said of an iteration whose outcome is not known.

use atomr_agents_strategy::LoopStep;

/// What is to be done with an iteration that must not be run twice ([`StepEffect::Once`](crate::StepEffect::Once)), was begun, and
/// of which nothing says whether it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Settlement {
    /// Nothing is known: the run stops with an error of kind
    /// [`OutcomeUnknown`](atomr_agents_core::Kind::OutcomeUnknown).
    #[default]
    Unknown,
    /// It has not happened: it is run.
    RunAgain,
    /// It has happened, and this came of it.
    Was(LoopStep),
}
