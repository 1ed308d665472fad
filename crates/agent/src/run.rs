//! A run as its starter sees it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use atomr_agents_core::{FinishReason, Message, Money, RunId, Usage, Value};
use atomr_agents_observability::{RunEvents, Subscription};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::bill::Bill;
use crate::{Machine, PendingRun, RunError};

/// What a run produced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run.
    pub run: RunId,
    /// The name under which it is kept, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The agent that had the conversation at the end.
    pub agent: String,
    /// The final text; empty for a run that waits for people.
    pub output: String,
    /// The answer as JSON, when an output schema was asked for or a tool ended the run.
    pub value: Option<Value>,
    /// What tools left for the caller, by name.
    pub values: serde_json::Map<String, Value>,
    /// The run itself, when it waits for people; see [`crate::BoxedAgent::resume`].
    pub pending: Option<Box<PendingRun>>,
    /// The whole transcript: history, input, everything said and every tool result. Ready to be the history of
    /// the next run.
    pub messages: Vec<Message>,
    /// How many of the messages are history.
    pub history: usize,
    /// Tokens of all model calls of this run, those included that a middleware made again. Runs inside of it have their
    /// own.
    pub usage: Usage,
    /// What they cost; `None` when the price of a model is not known, or an answer broke off and was asked for again.
    pub cost: Option<Money>,
    /// Why the model stopped, normalised. [`FinishReason::Length`] means that the text is cut. A run that waits for
    /// people has [`FinishReason::ToolCalls`].
    pub finish: FinishReason,
    /// How many times the model was called.
    pub iterations: u32,
    /// How many events the run emitted.
    pub events: u64,
}

/// What a failed run had produced.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial {
    /// The run.
    pub run: RunId,
    /// The transcript, fit to be sent to a model again: calls without an answer are answered with why.
    pub messages: Vec<Message>,
    /// Tokens of all model calls, as far as they were told.
    pub usage: Usage,
    /// What they cost; `None` when the price of a model is not known, or an answer broke off, which the provider
    /// may charge for or not.
    pub cost: Option<Money>,
}

/// What changes while a run goes on.
pub(crate) struct RunState {
    /// The run; one that goes on has the id it had before, once that is known.
    pub(crate) run: RunId,
    pub(crate) machine: Machine,
    pub(crate) bill: Bill,
}

/// How a run ended well.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) value: Option<Value>,
    pub(crate) ending: Ending,
}

pub(crate) enum Ending {
    Done(FinishReason),
    Suspended(Box<PendingRun>),
}

impl RunState {
    pub(crate) fn result(&self, agent: &str, answer: Answer) -> RunResult {
        let (finish, pending) = match answer.ending {
            Ending::Done(finish) => (finish, None),
            Ending::Suspended(pending) => (FinishReason::ToolCalls, Some(pending)),
        };
        RunResult {
            run: self.run,
            kept: None,
            agent: agent.to_owned(),
            output: answer.text,
            value: answer.value,
            values: self.machine.values().clone(),
            history: self.machine.history_len(),
            // The transcript of a run that waits may be read on its own: the calls that wait have no result in it yet.
            messages: if pending.is_some() { self.machine.closed_messages() } else { self.machine.messages().to_vec() },
            pending,
            usage: self.machine.usage().clone(),
            cost: self.bill.cost(),
            finish,
            iterations: self.machine.iteration(),
            events: 0,
        }
    }
}

/// A view of a run's transcript that stays good when the run is dropped.
#[derive(Clone)]
pub struct Transcript {
    pub(crate) state: Arc<Mutex<RunState>>,
}

impl Transcript {
    /// What has been produced so far.
    #[must_use]
    pub fn partial(&self) -> Partial {
        let state = self.lock();
        let mut messages = state.machine.closed_messages();
        let (said, unfed, cost) = state.bill.seen();
        messages.extend(said);
        let mut usage = state.machine.usage().clone();
        usage += &unfed;
        Partial { run: state.run, messages, usage, cost }
    }

    /// The run machine as it is now.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.lock().machine.clone()
    }

    /// No code that holds this lock can leave the state half changed, so a poisoned lock is as good as another.
    pub(crate) fn lock(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").field("run", &self.lock().run).finish_non_exhaustive()
    }
}

/// A run that was begun. It is a future: nothing happens before it is polled, and dropping it stops the model's
/// stream and all tools.
#[must_use = "a run does nothing until it is awaited"]
pub struct Run {
    pub(crate) transcript: Transcript,
    pub(crate) events: Option<Arc<RunEvents>>,
    pub(crate) future: BoxFuture<'static, Result<RunResult, RunError>>,
}

impl Run {
    /// The run's id. One that goes on by its name has the id that it had before, as soon as its log was read.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.transcript.lock().run
    }

    /// The run's events from here on; `None` for a run inside another run, whose events go to the outer one.
    #[must_use]
    pub fn subscribe(&self) -> Option<Subscription> {
        self.events.as_ref().map(|events| events.subscribe())
    }

    /// A view of the transcript that stays good when the run is dropped.
    #[must_use]
    pub fn transcript(&self) -> Transcript {
        self.transcript.clone()
    }
}

impl Future for Run {
    type Output = Result<RunResult, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id()).finish_non_exhaustive()
    }
}
