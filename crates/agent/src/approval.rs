//! Tool calls that wait for somebody's word, and a run that is put away until then.

use atomr_agents_core::{Amount, Kind, Money, RunId, ToolCall};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::run::RunState;
use crate::{Effect, Machine, Verdict};

/// The form in which a suspended run is written down.
const FORMAT: u32 = 1;

/// A run that waits for people. It is plain data: written down, it can be taken up by another process with
/// [`crate::BoxedAgent::resume`], with decisions about its calls.
///
/// It holds the transcript, so it is as confidential as that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PendingRun {
    format: u32,
    run: RunId,
    /// Names this conversation alone: runs inside another one share its id.
    key: RunId,
    agent: String,
    machine: Machine,
    cost: Option<Money>,
    /// What counted against the run's own budget.
    #[serde(default)]
    spent: Amount,
    calls: Vec<PendingCall>,
    /// The name under which it is kept: then it goes on in its log, and decisions are recorded there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
}

/// A suspended run with decisions made about its calls.
pub(crate) struct Decided {
    pub(crate) machine: Machine,
    /// The calls that were decided about.
    pub(crate) used: Vec<PendingCall>,
}

/// A tool call that waits for somebody's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCall {
    /// Position among the calls of the answer, from 0.
    pub call_index: usize,
    /// The provider's id for the call.
    pub call_id: String,
    /// The tool.
    pub name: String,
    /// The arguments that would be used, as JSON text.
    pub arguments: String,
    /// What a decision is bound to: BLAKE3 over the run, the model call, the position, the tool and the exact arguments.
    pub digest: String,
}

/// What somebody said about a pending call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The digest of the call that was looked at.
    pub digest: String,
    /// What was said.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Why a suspended run is not taken up.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApprovalError {
    /// A decision belongs to no call that waits.
    #[error(
        "a decision is about no call that waits (digest {digest}): the call was changed since, or it belongs to another \
         run; ask again with the calls as they are now"
    )]
    NoSuchCall {
        /// The digest of the decision.
        digest: String,
    },
    /// A call was decided about twice.
    #[error("there are two decisions about the call of {name}; give one")]
    DecidedTwice {
        /// The tool.
        name: String,
    },
    /// The decision was used before.
    #[error("the decision about the call of {name} was used before; what was approved once is not run twice")]
    Replayed {
        /// The tool.
        name: String,
    },
    /// No decision was given.
    #[error("no decision was given; {} calls wait: {}", waiting.len(), waiting.join(", "))]
    Undecided {
        /// The tools of the calls that wait.
        waiting: Vec<String>,
    },
    /// The run waits for something else than people.
    #[error("the suspended run was changed since: it has calls that are to be run without anybody having been asked")]
    Altered,
    /// The run belongs to another agent.
    #[error("the run was begun by the agent {expected:?}, it cannot be taken up by {found:?}")]
    OtherAgent {
        /// The agent that began it.
        expected: String,
        /// The agent that was asked.
        found: String,
    },
    /// The run was written down in a form that this version does not know.
    #[error("the suspended run has the format {found}; this version reads up to {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// The used decisions could not be written down.
    #[error("it could not be recorded that a decision is used: {message}")]
    Ledger {
        /// Why not.
        message: String,
    },
}

impl ApprovalError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Approval
    }
}

impl PendingCall {
    fn new(key: RunId, iteration: u32, index: usize, call: &ToolCall) -> Self {
        let mut hasher = blake3::Hasher::new();
        let (iteration, index_text) = (iteration.to_string(), index.to_string());
        for field in [&key.to_string(), &iteration, &index_text, &call.id, &call.name, &call.raw] {
            // The length in front of each keeps two different calls from having the same bytes.
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
        Self {
            call_index: index,
            call_id: call.id.clone(),
            name: call.name.clone(),
            arguments: call.raw.clone(),
            digest: hasher.finalize().to_hex().to_string(),
        }
    }

    /// It may be run as it is.
    #[must_use]
    pub fn approve(&self) -> Decision {
        Decision { digest: self.digest.clone(), verdict: Verdict::Approve }
    }

    /// It may be run with these arguments instead.
    #[must_use]
    pub fn edit(&self, arguments: serde_json::Map<String, serde_json::Value>) -> Decision {
        Decision { digest: self.digest.clone(), verdict: Verdict::Edit { arguments } }
    }

    /// It may not be run; the model is told the reason.
    #[must_use]
    pub fn deny(&self, reason: impl Into<String>) -> Decision {
        Decision { digest: self.digest.clone(), verdict: Verdict::Deny { reason: reason.into() } }
    }
}

impl PendingRun {
    /// The run as it is, when it waits for people and for nothing else.
    pub(crate) fn of(run: RunId, key: RunId, agent: &str, state: &RunState, spent: Amount) -> Option<Self> {
        let machine = state.machine.clone();
        let (calls, cost) = (waiting(key, &machine), state.bill.cost());
        let agent = agent.to_owned();
        let kept = None;
        (!calls.is_empty()).then_some(Self { format: FORMAT, run, key, agent, machine, cost, spent, calls, kept })
    }

    pub(crate) fn kept_as(mut self, name: Option<&str>) -> Self {
        self.kept = name.map(str::to_owned);
        self
    }

    /// The name under which the run is kept, if it is: it can be taken up by it, also by another process
    /// ([`crate::BoxedAgent::resume_run`]).
    #[must_use]
    pub fn kept(&self) -> Option<&str> {
        self.kept.as_deref()
    }

    pub(crate) fn key(&self) -> RunId {
        self.key
    }

    pub(crate) fn cost(&self) -> Option<Money> {
        self.cost
    }

    pub(crate) fn spent(&self) -> Amount {
        self.spent
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The agent that began it.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// The calls that wait.
    #[must_use]
    pub fn calls(&self) -> &[PendingCall] {
        &self.calls
    }

    /// The transcript so far; calls that wait are answered with why they have no result.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine with these decisions made. The digests are computed anew from the calls that would be run: whatever
    /// was changed since somebody looked fits no decision.
    pub(crate) fn decided(self, agent: &str, decisions: &[Decision]) -> Result<Decided, ApprovalError> {
        if self.format != FORMAT {
            return Err(ApprovalError::Format { found: self.format });
        }
        if self.agent != agent {
            return Err(ApprovalError::OtherAgent { expected: self.agent, found: agent.to_owned() });
        }
        let mut machine = self.machine;
        if !matches!(machine.next(), Effect::Suspend(_)) {
            return Err(ApprovalError::Altered);
        }
        let used = decide(self.key, &mut machine, decisions)?;
        Ok(Decided { machine, used })
    }
}

/// Makes these decisions. The calls that they are about; the digests are computed anew from the calls that would be run.
pub(crate) fn decide(
    key: RunId,
    machine: &mut Machine,
    decisions: &[Decision],
) -> Result<Vec<PendingCall>, ApprovalError> {
    let calls = waiting(key, machine);
    if decisions.is_empty() {
        return Err(ApprovalError::Undecided { waiting: calls.into_iter().map(|call| call.name).collect() });
    }
    let mut used: Vec<PendingCall> = Vec::new();
    for decision in decisions {
        let Some(call) = calls.iter().find(|call| call.digest == decision.digest) else {
            return Err(ApprovalError::NoSuchCall { digest: decision.digest.clone() });
        };
        if used.contains(call) {
            return Err(ApprovalError::DecidedTwice { name: call.name.clone() });
        }
        let fits = machine.decide(call.call_index, decision.verdict.clone());
        fits.map_err(|_| ApprovalError::NoSuchCall { digest: decision.digest.clone() })?;
        used.push(call.clone());
    }
    Ok(used)
}

fn waiting(key: RunId, machine: &Machine) -> Vec<PendingCall> {
    let pending = machine.waiting();
    pending.map(|(index, call)| PendingCall::new(key, machine.iteration(), index, call)).collect()
}
