//! The run as a state machine without I/O.

use std::collections::HashSet;

use atomr_agents_core::{FinishReason, Kind, Message, Part, Role, ToolCall, Usage, Value};
use atomr_agents_inference::ModelReply;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The run as a state machine without I/O: [`Machine::next`] says what is to be done, the `feed` methods say how
/// it went. It is plain data; written down at any moment and read back, it asks for the same effect again.
///
/// ```
/// use atomr_agents_agent::{Effect, Machine};
/// use atomr_agents_core::Message;
///
/// let machine = Machine::new(vec![], vec![Message::user("Hi")], 8);
/// let stored = serde_json::to_string(&machine).unwrap();
/// let machine: Machine = serde_json::from_str(&stored).unwrap();
/// assert_eq!(machine.next(), Effect::CallModel { iteration: 1 });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    messages: Vec<Message>,
    history: usize,
    max_iterations: u32,
    iteration: u32,
    usage: Usage,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
enum Phase {
    Model,
    Tools { calls: Vec<ToolCall>, results: Vec<Option<CallResult>> },
    Done { finish: FinishReason, finish_raw: String },
    Failed { failure: Failure },
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Call the model with [`Machine::messages`].
    CallModel {
        /// The number of this call in the run, from 1.
        iteration: u32,
    },
    /// Run these calls, at once if possible. The number is the call's position in its answer.
    CallTools(Vec<(usize, ToolCall)>),
    /// Nothing: the last message is the answer.
    Finish {
        /// Why the model stopped, normalised.
        finish: FinishReason,
        /// Why the model stopped, in the provider's own word.
        finish_raw: String,
    },
    /// Nothing: the run failed.
    Fail(Failure),
}

/// What the model will see of a tool call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// The content.
    pub parts: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Data for the caller that the model does not see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Value>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Error)]
#[serde(tag = "failure", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// The model still wanted tools when its calls were used up.
    #[error("the model was called {limit} times, which is the limit, and still asks for {}", pending.join(", "))]
    IterationCap {
        /// The limit.
        limit: u32,
        /// The tools it asked for; they were not run.
        pending: Vec<String>,
    },
    /// The output limit cut the arguments of a tool call.
    #[error("the output limit cut the arguments for {name} after {bytes} bytes; raise max_tokens")]
    IncompleteToolCall {
        /// The tool.
        name: String,
        /// How much had arrived.
        bytes: usize,
    },
    /// The provider's safety system cut the answer.
    #[error("the provider's content filter stopped the answer")]
    ContentFilter,
    /// The model refused.
    #[error("the model refused: {text}")]
    Refusal {
        /// In its words.
        text: String,
    },
    /// An effect failed.
    #[error("{message}")]
    Effect {
        /// What it amounts to.
        kind: Kind,
        /// In words.
        message: String,
    },
}

/// The machine was fed something it did not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the run machine did not ask for this: {0}")]
pub struct MachineError(pub &'static str);

impl Machine {
    /// A run that begins with `input`, after what was said in `history`.
    #[must_use]
    pub fn new(history: Vec<Message>, input: Vec<Message>, max_iterations: u32) -> Self {
        let mut messages = history;
        let history = messages.len();
        messages.extend(input);
        Self { messages, history, max_iterations, iteration: 0, usage: Usage::default(), phase: Phase::Model }
    }

    /// What is to be done next. Asking twice gives the same answer.
    #[must_use]
    pub fn next(&self) -> Effect {
        match &self.phase {
            Phase::Model => Effect::CallModel { iteration: self.iteration + 1 },
            Phase::Tools { calls, results } => Effect::CallTools(
                calls
                    .iter()
                    .zip(results)
                    .enumerate()
                    .filter(|(_, (_, result))| result.is_none())
                    .map(|(index, (call, _))| (index, call.clone()))
                    .collect(),
            ),
            Phase::Done { finish, finish_raw } => Effect::Finish { finish: *finish, finish_raw: finish_raw.clone() },
            Phase::Failed { failure } => Effect::Fail(failure.clone()),
        }
    }

    /// The model answered.
    ///
    /// # Errors
    /// [`MachineError`] when no model call was asked for.
    pub fn feed_reply(&mut self, reply: ModelReply) -> Result<(), MachineError> {
        if self.phase != Phase::Model {
            return Err(MachineError("a model's reply"));
        }
        self.iteration += 1;
        self.usage += &reply.usage;
        let ModelReply { mut message, finish, finish_raw, .. } = reply;
        self.give_every_call_an_id(&mut message);
        let calls: Vec<ToolCall> = message.tool_calls().cloned().collect();
        let refusal = message.refusal().map(str::to_owned);
        self.messages.push(message);
        // A call asks to be run whatever the provider calls the finish: some say `stop`.
        self.phase = if finish == FinishReason::ContentFilter {
            Phase::Failed { failure: Failure::ContentFilter }
        } else if let Some(cut) = cut_call(&calls).filter(|_| finish == FinishReason::Length) {
            let failure = Failure::IncompleteToolCall { name: cut.name.clone(), bytes: cut.raw.len() };
            Phase::Failed { failure }
        } else if let Some(text) = refusal {
            Phase::Failed { failure: Failure::Refusal { text } }
        } else if calls.is_empty() {
            Phase::Done { finish, finish_raw }
        } else if self.iteration >= self.max_iterations {
            let pending = calls.into_iter().map(|call| call.name).collect();
            Phase::Failed { failure: Failure::IterationCap { limit: self.max_iterations, pending } }
        } else {
            let results = vec![None; calls.len()];
            Phase::Tools { calls, results }
        };
        Ok(())
    }

    /// A tool call ended. When the last one of a turn has, the results join the transcript in the order of the
    /// calls, whatever order they came in.
    ///
    /// # Errors
    /// [`MachineError`] when this call was not asked for or has ended before.
    pub fn feed_tool(&mut self, index: usize, result: CallResult) -> Result<(), MachineError> {
        let Phase::Tools { calls, results } = &mut self.phase else {
            return Err(MachineError("a tool's result"));
        };
        match results.get_mut(index) {
            Some(slot @ None) => *slot = Some(result),
            _ => return Err(MachineError("a second result of one call, or a result of no call")),
        }
        if results.iter().all(Option::is_some) {
            let message = tool_message(calls, results, "");
            self.messages.push(message);
            self.phase = Phase::Model;
        }
        Ok(())
    }

    /// The run cannot go on. What the model had said before it broke off joins the transcript.
    pub fn fail(&mut self, failure: Failure, partial: Option<Message>, usage: &Usage) {
        self.usage += usage;
        self.messages.extend(partial);
        if let Phase::Tools { calls, results } = &self.phase {
            self.messages.push(tool_message(calls, results, "the run ended before this call did"));
        }
        self.phase = Phase::Failed { failure };
    }

    /// The whole transcript, history included, as it is now.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The transcript as it may be sent to a model again: calls that were never answered are answered with the
    /// reason why not.
    #[must_use]
    pub fn closed_messages(&self) -> Vec<Message> {
        let mut messages = self.messages.clone();
        match &self.phase {
            Phase::Tools { calls, results } => {
                messages.push(tool_message(calls, results, "the run ended before this call did"));
            }
            Phase::Failed { .. } => {
                if let Some(last) = messages.last()
                    && last.role == Role::Assistant
                    && last.tool_calls().next().is_some()
                {
                    let calls: Vec<ToolCall> = last.tool_calls().cloned().collect();
                    let nothing = vec![None; calls.len()];
                    messages.push(tool_message(&calls, &nothing, "not run: the run ended first"));
                }
            }
            Phase::Model | Phase::Done { .. } => {}
        }
        messages
    }

    /// How many messages came before this run.
    #[must_use]
    pub fn history_len(&self) -> usize {
        self.history
    }

    /// How many times the model has answered.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    /// Tokens of all model calls so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Providers repeat or omit ids; results must find their calls all the same.
    fn give_every_call_an_id(&self, message: &mut Message) {
        let mut seen = HashSet::new();
        let mut position = 0;
        for part in &mut message.parts {
            if let Part::ToolCall(call) = part {
                if call.id.is_empty() || !seen.insert(call.id.clone()) {
                    call.id = format!("call_{}_{position}", self.iteration);
                    seen.insert(call.id.clone());
                }
                position += 1;
            }
        }
    }
}

/// The call whose arguments the output limit cut, if the answer ended at it. That the last call has no arguments at
/// all says nothing about whether it was meant to have some, so it counts as cut.
fn cut_call(calls: &[ToolCall]) -> Option<&ToolCall> {
    let last_is_bare = calls.last().filter(|call| call.raw.trim().is_empty());
    calls.iter().find(|call| call.arguments().is_err()).or(last_is_bare)
}

fn tool_message(calls: &[ToolCall], results: &[Option<CallResult>], missing: &str) -> Message {
    let parts = calls
        .iter()
        .zip(results)
        .map(|(call, result)| match result {
            Some(CallResult { parts, is_error, artifact }) => Part::ToolResult {
                call_id: call.id.clone(),
                parts: parts.clone(),
                is_error: *is_error,
                artifact: artifact.clone(),
            },
            None => Part::ToolResult {
                call_id: call.id.clone(),
                parts: vec![Part::text(missing)],
                is_error: true,
                artifact: None,
            },
        })
        .collect();
    Message { role: Role::Tool, parts }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
