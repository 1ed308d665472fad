//! The steps of a dag.

use std::fmt;

use atomr_agents_callable::CallableHandle;
use atomr_agents_core::Value;
use atomr_agents_state::EffectClass;

/// A step of a [`crate::Dag`]: it is given a value and gives one.
#[derive(Clone)]
#[non_exhaustive]
pub enum Step {
    /// Calls a callable.
    Invoke {
        /// What is called.
        callable: CallableHandle,
        /// What happens when it is called twice, as it may be after a crash.
        effect: EffectClass,
    },
    /// Goes to one of two steps; the other is not run. Both are given what this one was.
    Branch {
        /// Answers `true` or `false` when it is called with the input ([`atomr_agents_callable::predicate`]).
        predicate: CallableHandle,
        /// The step for `true`.
        if_true: String,
        /// The step for `false`.
        if_false: String,
    },
    /// Several steps at the same time, each given the input.
    Parallel {
        /// The steps by name.
        steps: Vec<(String, Step)>,
        /// What is given on.
        join: JoinStrategy,
    },
    /// A step again and again, each time given what it gave the time before.
    Loop {
        /// The step.
        body: Box<Step>,
        /// Whether to go round again, asked with what the step gave.
        again: CallableHandle,
        /// The most rounds; one more is an error.
        max_rounds: u32,
    },
    /// A step for each item of a list, at the same time; gives the list of what came of them, in the order of the items.
    Map {
        /// The step.
        body: Box<Step>,
        /// The most items at the same time.
        concurrency: usize,
    },
    /// Asks somebody, and gives the answer.
    Human {
        /// What is asked.
        approval: Approval,
    },
}

/// What a step asks somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approval {
    /// The question.
    pub prompt: String,
    /// What helps to answer it.
    pub context: Value,
}

/// When several steps at the same time are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinStrategy {
    /// When all are; gives an object of what each gave. The first error is the error of all.
    #[default]
    All,
    /// When the first of them is, the others are dropped; gives what it gave. An error if all fail.
    Any,
}

/// What a step is given.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum InputMapping {
    /// What came along the edges: the run's input for a step that the run begins with, what the step before gave, or, where
    /// several lead here, an object of what each of those gave that ran.
    #[default]
    Edges,
    /// This.
    One(Source),
    /// An object of these.
    Object(Vec<(String, Source)>),
}

/// Where a part of a step's input comes from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// The run's input, or the part of it that a JSON pointer (`/user/name`; empty for all) names.
    Input(String),
    /// What a step gave that comes before this one, or a part of it; null if that step was not run.
    Step(String, String),
    /// This value.
    Value(Value),
}

impl Step {
    /// Calls `callable`.
    #[must_use]
    pub fn invoke(callable: CallableHandle) -> Self {
        Self::Invoke { callable, effect: EffectClass::None }
    }

    /// Asks somebody.
    #[must_use]
    pub fn human(prompt: impl Into<String>) -> Self {
        Self::Human { approval: Approval { prompt: prompt.into(), context: Value::Null } }
    }

    /// What kind of step it is, in one word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invoke { .. } => "invoke",
            Self::Branch { .. } => "branch",
            Self::Parallel { .. } => "parallel",
            Self::Loop { .. } => "loop",
            Self::Map { .. } => "map",
            Self::Human { .. } => "human",
        }
    }

    /// What the step is made of, for the version of its dag.
    pub(crate) fn outline(&self) -> String {
        match self {
            Self::Invoke { callable, .. } => callable.label().to_owned(),
            Self::Branch { predicate, if_true, if_false } => format!("{}?{if_true}:{if_false}", predicate.label()),
            Self::Parallel { steps, join } => {
                let steps: Vec<String> =
                    steps.iter().map(|(name, step)| format!("{name}={}", step.outline())).collect();
                format!("{join:?}({})", steps.join(","))
            }
            Self::Loop { body, again, max_rounds } => format!("{}*{max_rounds}?{}", body.outline(), again.label()),
            Self::Map { body, .. } => format!("each({})", body.outline()),
            Self::Human { approval } => approval.prompt.clone(),
        }
    }

    /// What is wrong with it, or with a step inside it.
    pub(crate) fn fault(&self, inside: bool) -> Option<&'static str> {
        match self {
            Self::Branch { .. } if inside => {
                Some("has a branch inside: a branch chooses between steps of the dag; call a `callable::Branch` there")
            }
            Self::Parallel { steps, .. } if steps.is_empty() => Some("has nothing to do at the same time"),
            Self::Loop { max_rounds: 0, .. } => Some("goes round no times: `max_rounds` is at least 1"),
            Self::Map { concurrency: 0, .. } => Some("works on no items at the same time: `concurrency` is at least 1"),
            Self::Parallel { steps, .. } => {
                let twice = |at: usize| steps[..at].iter().any(|(name, _)| *name == steps[at].0);
                if (0..steps.len()).any(twice) {
                    return Some("has two steps of one name inside");
                }
                steps.iter().find_map(|(_, step)| step.fault(true))
            }
            Self::Loop { body, .. } | Self::Map { body, .. } => body.fault(true),
            _ => None,
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind(), self.outline())
    }
}
