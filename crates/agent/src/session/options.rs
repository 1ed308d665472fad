//! How sessions are held.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{CallCtx, Message};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::AgentError;

/// What becomes of an input that arrives while a turn of its session runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// It runs next, in the order of arrival.
    #[default]
    Queue,
    /// It joins the running turn before its next model call; if the turn ends first, it becomes the next one.
    Steer,
    /// The running turn is stopped, what it did is recorded, and the input takes its place.
    Interrupt,
    /// It is refused at once.
    Reject,
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "queue" => Ok(Self::Queue),
            "steer" => Ok(Self::Steer),
            "interrupt" => Ok(Self::Interrupt),
            "reject" => Ok(Self::Reject),
            other => Err(format!("a policy is \"queue\", \"steer\", \"interrupt\" or \"reject\", not {other:?}")),
        }
    }
}

/// What becomes of a turn whose process was killed, when the session is opened next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnfinished {
    /// It goes on in its middle and ends before the new input has its turn.
    #[default]
    Resume,
    /// What it did stays in the history, and it is not gone on with.
    Abandon,
    /// The new input is refused with [`crate::SessionError::Unfinished`].
    Ask,
}

impl FromStr for OnUnfinished {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "resume" => Ok(Self::Resume),
            "abandon" => Ok(Self::Abandon),
            "ask" => Ok(Self::Ask),
            other => Err(format!("on_unfinished is \"resume\", \"abandon\" or \"ask\", not {other:?}")),
        }
    }
}

/// How much of a conversation the model sees. Beyond it the history is compacted between two turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryLimit {
    /// The most messages.
    pub messages: Option<usize>,
    /// The most tokens, as the agent's counter counts them.
    pub tokens: Option<u64>,
}

/// Makes a shorter history of one that is over its limit, such as a summary and the last messages. A closure is one.
pub trait Compaction: Send + Sync {
    /// The shorter history. Every tool call in it has its result, and every result its call.
    ///
    /// # Errors
    /// Whatever it fails with ends the input's run before its turn began; nothing is written.
    fn compact<'a>(
        &'a self,
        messages: Vec<Message>,
        ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Message>, AgentError>>;
}

impl<F> Compaction for F
where
    F: Fn(Vec<Message>) -> Vec<Message> + Send + Sync,
{
    fn compact<'a>(
        &'a self,
        messages: Vec<Message>,
        _ctx: &'a CallCtx,
    ) -> BoxFuture<'a, Result<Vec<Message>, AgentError>> {
        let shorter = self(messages);
        Box::pin(async move { Ok(shorter) })
    }
}

/// How sessions are held.
#[derive(Clone)]
pub struct SessionOptions {
    /// What becomes of an input that arrives while a turn runs. Default: queue.
    pub policy: Policy,
    /// How many inputs wait in a session at most; one more is refused with [`crate::AgentError::Overloaded`]. Default 64.
    pub queue: usize,
    /// How long an input waits for its turn, after which it is taken back. Default: ten minutes.
    pub wait: Duration,
    /// For how long a process that is not heard of keeps a session. It is renewed at a third of that. Default: 30 s.
    pub lease: Duration,
    /// How often others that hold a session are looked at: whether they let go, whether an input came from elsewhere.
    /// Default: 100 ms.
    pub poll: Duration,
    /// What becomes of a turn whose process was killed. Default: it is resumed.
    pub on_unfinished: OnUnfinished,
    /// How much of the conversation the model sees. Default: all of it.
    pub history: HistoryLimit,
    /// What makes a history shorter that is over the limit. Default: the oldest turns are left out.
    pub compaction: Option<Arc<dyn Compaction>>,
    /// How many sessions without a store are remembered; the one that was used longest ago is forgotten first.
    /// Default 100,000.
    pub remembered: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            queue: 64,
            wait: Duration::from_secs(600),
            lease: Duration::from_secs(30),
            poll: Duration::from_millis(100),
            on_unfinished: OnUnfinished::default(),
            history: HistoryLimit::default(),
            compaction: None,
            remembered: 100_000,
        }
    }
}

impl SessionOptions {
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let wrong = |setting, message: &str| Err(AgentError::Config { setting, message: message.to_owned() });
        if self.queue == 0 {
            return wrong("queue", "it is 0, so no input could wait; use the policy \"reject\" for that");
        }
        if self.remembered == 0 {
            return wrong("remembered", "it is 0, so no session could be remembered; use at least 1");
        }
        if self.lease.is_zero() || self.poll.is_zero() {
            return wrong("lease", "it and poll must be longer than nothing");
        }
        if self.history.messages == Some(0) || self.history.tokens == Some(0) {
            return wrong("history", "it is 0, so the model could never see what was said; use at least 1");
        }
        Ok(())
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("policy", &self.policy)
            .field("on_unfinished", &self.on_unfinished)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
