//! The run as a state machine without I/O.

use atomr_agents_core::{FinishReason, Message, Part, Role, ToolCall, Usage, Value};
use atomr_agents_inference::ModelReply;
use serde::{Deserialize, Serialize};

use crate::turn::{
    CallResult, Slot, SlotState, Then, cut_call, give_every_call_an_id, results_of, settle, tool_message,
};
use crate::{AnswerRule, Effect, Failure, MachineError, ToolTask, Verdict};

const ENDED: &str = "the run ended before this call did";

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
    /// Who has the conversation, once it was handed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    values: serde_json::Map<String, Value>,
    /// How many answers were rejected.
    #[serde(default)]
    rejections: u32,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
enum Phase {
    Model,
    Tools { slots: Vec<Slot> },
    Answer { finish: FinishReason, finish_raw: String, text: String, calls: Vec<ToolCall>, at: Option<usize> },
    Done { finish: FinishReason, finish_raw: String, text: String, value: Option<Value> },
    Failed { failure: Failure },
}

impl Machine {
    /// A run that begins with `input`, after what was said in `history`.
    #[must_use]
    pub fn new(history: Vec<Message>, input: Vec<Message>, max_iterations: u32) -> Self {
        let mut messages = history;
        let history = messages.len();
        messages.extend(input);
        Self {
            messages,
            history,
            max_iterations,
            iteration: 0,
            usage: Usage::default(),
            agent: None,
            values: serde_json::Map::new(),
            rejections: 0,
            phase: Phase::Model,
        }
    }

    /// Begins with something else instead.
    ///
    /// # Errors
    /// [`MachineError`] when the model was called already.
    pub fn set_input(&mut self, history: Vec<Message>, input: Vec<Message>) -> Result<(), MachineError> {
        if self.iteration > 0 {
            return Err(MachineError("another input"));
        }
        self.history = history.len();
        self.messages = history;
        self.messages.extend(input);
        Ok(())
    }

    /// Puts another transcript in the place of the one there is: the model is called with it next.
    pub(crate) fn rewrite(&mut self, messages: Vec<Message>) {
        self.history = self.history.min(messages.len());
        self.messages = messages;
        self.phase = Phase::Model;
    }

    /// What is to be done next. Asking twice gives the same answer.
    #[must_use]
    pub fn next(&self) -> Effect {
        match &self.phase {
            Phase::Model => Effect::CallModel { iteration: self.iteration + 1 },
            Phase::Tools { slots } => {
                let (mut run, mut ask) = (Vec::new(), Vec::new());
                for (index, slot) in slots.iter().enumerate() {
                    match &slot.state {
                        SlotState::Open => run.push(ToolTask { index, call: slot.call.clone(), approved: false }),
                        SlotState::Approved { call, .. } => {
                            run.push(ToolTask { index, call: call.clone(), approved: true });
                        }
                        SlotState::Waiting { call } => ask.push((index, call.clone())),
                        SlotState::Done { .. } => {}
                    }
                }
                if run.is_empty() { Effect::Suspend(ask) } else { Effect::CallTools(run) }
            }
            Phase::Answer { text, at, .. } => Effect::CheckAnswer { text: text.clone(), by_tool: at.is_some() },
            Phase::Done { finish, finish_raw, text, value } => Effect::Finish {
                finish: *finish,
                finish_raw: finish_raw.clone(),
                text: text.clone(),
                value: value.clone(),
            },
            Phase::Failed { failure } => Effect::Fail(failure.clone()),
        }
    }

    /// The model answered.
    ///
    /// # Errors
    /// [`MachineError`] when no model call was asked for.
    pub fn feed_reply(&mut self, reply: ModelReply, rule: AnswerRule<'_>) -> Result<(), MachineError> {
        if self.phase != Phase::Model {
            return Err(MachineError("a model's reply"));
        }
        self.iteration += 1;
        self.usage += &reply.usage;
        let ModelReply { mut message, finish, finish_raw, .. } = reply;
        give_every_call_an_id(&mut message, &self.messages, self.iteration);
        let calls: Vec<ToolCall> = message.tool_calls().cloned().collect();
        let refusal = message.refusal().map(str::to_owned);
        let text = message.text();
        self.messages.push(message);
        let answered_at = rule.tool.and_then(|tool| calls.iter().position(|call| call.name == tool));
        // A call asks to be run whatever the provider calls the finish: some say `stop`.
        self.phase = if let Some(text) = refusal {
            Phase::Failed { failure: Failure::Refusal { text } }
        } else if finish == FinishReason::ContentFilter {
            Phase::Failed { failure: Failure::ContentFilter }
        } else if let Some(cut) = cut_call(&calls).filter(|_| finish == FinishReason::Length) {
            let failure = Failure::IncompleteToolCall { name: cut.name.clone(), bytes: cut.raw.len() };
            Phase::Failed { failure }
        } else if let Some(at) = answered_at {
            Phase::Answer { finish, finish_raw, text: calls[at].raw.clone(), calls, at: Some(at) }
        } else if calls.is_empty() && finish == FinishReason::Paused && self.may_call_again() {
            Phase::Model
        } else if calls.is_empty() && rule.checked {
            Phase::Answer { finish, finish_raw, text, calls, at: None }
        } else if calls.is_empty() {
            Phase::Done { finish, finish_raw, text, value: None }
        } else if !self.may_call_again() {
            let pending = calls.into_iter().map(|call| call.name).collect();
            Phase::Failed { failure: Failure::IterationCap { limit: self.max_iterations, pending } }
        } else {
            Phase::Tools { slots: calls.into_iter().map(Slot::open).collect() }
        };
        Ok(())
    }

    /// The answer has the shape that was asked for.
    ///
    /// # Errors
    /// [`MachineError`] when no answer was to be checked.
    pub fn accept(&mut self, value: Value) -> Result<(), MachineError> {
        let (finish, finish_raw, text) = self.judge("Taken as the answer.", false)?;
        self.phase = Phase::Done { finish, finish_raw, text, value: Some(value) };
        Ok(())
    }

    /// The answer does not have the shape that was asked for: the model is told `message` and asked again.
    ///
    /// # Errors
    /// [`MachineError`] when no answer was to be checked.
    pub fn reject(&mut self, message: &str) -> Result<(), MachineError> {
        self.judge(message, true)?;
        self.rejections += 1;
        self.phase = Phase::Model;
        Ok(())
    }

    /// Answers the answer, so that the transcript can be read again by a model.
    fn judge(&mut self, message: &str, rejected: bool) -> Result<(FinishReason, String, String), MachineError> {
        let Phase::Answer { finish, finish_raw, text, calls, at } = &self.phase else {
            return Err(MachineError("a verdict on an answer"));
        };
        let told = if rejected { CallResult::error(message) } else { CallResult::text(message) };
        match at {
            Some(at) => {
                let results = calls.iter().enumerate().map(|(index, call)| (call, (index == *at).then_some(&told)));
                self.messages.push(tool_message(results, "not run: the answer was given in the same message"));
            }
            None if rejected => self.messages.push(Message::user(message)),
            None => {}
        }
        Ok((*finish, finish_raw.clone(), text.clone()))
    }

    /// Somebody must be asked about a call before it runs; `call` is what would be run.
    ///
    /// # Errors
    /// [`MachineError`] when this call is not open.
    pub fn wait(&mut self, index: usize, call: ToolCall) -> Result<(), MachineError> {
        let slot = self.slot(index)?;
        if slot.state != SlotState::Open {
            return Err(MachineError("to wait with a call that is not open"));
        }
        slot.state = SlotState::Waiting { call };
        Ok(())
    }

    /// Somebody said what shall happen with a call that waits.
    ///
    /// # Errors
    /// [`MachineError`] when this call does not wait.
    pub fn decide(&mut self, index: usize, verdict: Verdict) -> Result<(), MachineError> {
        let slot = self.slot(index)?;
        let SlotState::Waiting { call } = &slot.state else {
            return Err(MachineError("a decision about a call that does not wait"));
        };
        let call = call.clone();
        match verdict {
            Verdict::Approve => slot.state = SlotState::Approved { call, edited: false },
            Verdict::Edit { arguments } => {
                let raw = Value::Object(arguments).to_string();
                slot.state = SlotState::Approved { call: ToolCall { raw, ..call }, edited: true };
            }
            Verdict::Deny { reason } => {
                let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let result = CallResult::error(format!("not run: a person denied this call{reason}"));
                self.feed_tool(index, result)?;
            }
        }
        Ok(())
    }

    /// Whether somebody said that this call may be run, and it has not been yet.
    #[must_use]
    pub fn is_approved(&self, index: usize) -> bool {
        let Phase::Tools { slots } = &self.phase else { return false };
        slots.get(index).is_some_and(|slot| matches!(slot.state, SlotState::Approved { .. }))
    }

    /// The calls that wait for somebody's word, with their positions.
    pub fn waiting(&self) -> impl Iterator<Item = (usize, &ToolCall)> {
        let slots = match &self.phase {
            Phase::Tools { slots } => slots.as_slice(),
            _ => &[],
        };
        slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            SlotState::Waiting { call } => Some((index, call)),
            _ => None,
        })
    }

    /// A tool call ended. When the last one of a turn has, the results join the transcript in the order of the
    /// calls, whatever order they came in.
    ///
    /// # Errors
    /// [`MachineError`] when this call was not asked for or has ended before.
    pub fn feed_tool(&mut self, index: usize, mut result: CallResult) -> Result<(), MachineError> {
        let slot = self.slot(index)?;
        match &slot.state {
            SlotState::Done { .. } => return Err(MachineError("a second result of one call")),
            // The transcript keeps what the model wrote, so it must be told what was run instead.
            SlotState::Approved { call, edited: true } => {
                let note = format!("A person changed the arguments of this call before it ran, to {}", call.raw);
                result.parts.insert(0, Part::text(note + "\n"));
            }
            _ => {}
        }
        slot.state = SlotState::Done { result };
        self.end_turn();
        Ok(())
    }

    fn slot(&mut self, index: usize) -> Result<&mut Slot, MachineError> {
        let Phase::Tools { slots } = &mut self.phase else { return Err(MachineError("a word on a tool call")) };
        slots.get_mut(index).ok_or(MachineError("a word on a call that there is not"))
    }

    fn end_turn(&mut self) {
        let Phase::Tools { slots } = &mut self.phase else { return };
        if slots.iter().any(|slot| slot.result().is_none()) {
            return;
        }
        let (then, values) = settle(slots);
        self.messages.push(results_of(slots, ENDED));
        self.values.extend(values);
        self.phase = match then {
            Some(Then::Done { value }) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let finish_raw = "done by a tool".to_owned();
                Phase::Done { finish: FinishReason::Stop, finish_raw, text, value: Some(value) }
            }
            Some(Then::Handoff { target }) => {
                self.agent = Some(target);
                Phase::Model
            }
            _ => Phase::Model,
        };
    }

    /// The run cannot go on. What the model had said before it broke off joins the transcript.
    pub fn fail(&mut self, failure: Failure, partial: Option<Message>, usage: &Usage) {
        self.usage += usage;
        match &self.phase {
            Phase::Model => self.messages.extend(partial),
            Phase::Tools { slots } => self.messages.push(results_of(slots, ENDED)),
            // An answer that nobody waits for is no part of the conversation.
            _ => {}
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
            Phase::Tools { slots } => messages.push(results_of(slots, ENDED)),
            Phase::Failed { .. } | Phase::Answer { .. } => {
                if let Some(last) = messages.last()
                    && last.role == Role::Assistant
                    && last.tool_calls().next().is_some()
                {
                    let message =
                        tool_message(last.tool_calls().map(|call| (call, None)), "not run: the run ended first");
                    messages.push(message);
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

    /// Whether the model may be called again.
    #[must_use]
    pub fn may_call_again(&self) -> bool {
        self.iteration < self.max_iterations
    }

    /// How many answers were rejected.
    #[must_use]
    pub fn rejections(&self) -> u32 {
        self.rejections
    }

    /// Tokens of all model calls so far.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Who has the conversation; `None` while it is the agent that began the run.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        self.agent.as_deref()
    }

    /// What tools left for the caller.
    #[must_use]
    pub fn values(&self) -> &serde_json::Map<String, Value> {
        &self.values
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
