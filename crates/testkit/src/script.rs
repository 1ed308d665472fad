//! What a server answers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Cut, Exchange, Fault, Flaw, Format, Received, RetryAfter, Turn};

/// One answer: a recorded one, how it is cut, and what goes wrong with it.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Shared: one answer may be given thousands of times.
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) cut: Cut,
    pub(crate) fault: Option<Fault>,
}

impl Reply {
    /// The answer of `exchange`, whole.
    #[must_use]
    pub fn new(exchange: Exchange) -> Self {
        Self { exchange: Arc::new(exchange), cut: Cut::Whole, fault: None }
    }

    /// The same answer, cut like this.
    #[must_use]
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// The same answer with this fault.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

impl From<Exchange> for Reply {
    fn from(exchange: Exchange) -> Self {
        Self::new(exchange)
    }
}

/// An empty answer with this fault.
impl From<Fault> for Reply {
    fn from(fault: Fault) -> Self {
        Self::new(Exchange::event_stream("")).fault(fault)
    }
}

/// What one answer of a script meets; see [`Script::troubles`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Trouble {
    /// It is sent with this fault.
    Fault(Fault),
    /// It breaks its format like this. Only turns can, and only in formats that have a place for it.
    Flaw(Flaw),
    /// In its place comes an error, in the words of the format that the request asks for.
    Status {
        /// The status.
        status: u16,
        /// What it says.
        message: String,
        /// When to come back.
        after: RetryAfter,
    },
}

/// What a server answers, request by request. A request that it has no answer for gets a 400 that says so.
#[derive(Clone)]
pub struct Script {
    choose: Choose,
    cut: Option<Cut>,
    troubles: Arc<Mutex<VecDeque<Option<Trouble>>>>,
}

type Chooser = dyn Fn(&Received) -> Option<Reply> + Send + Sync;

#[derive(Clone)]
enum Choose {
    Sequence(Arc<Mutex<VecDeque<Reply>>>),
    By(Arc<Chooser>),
    Turns(Arc<[Turn]>),
}

/// The turn that a request asks for, and the format in which it does.
fn asked<'t>(turns: &'t [Turn], request: &Received) -> Option<(&'t Turn, Format)> {
    let turn = turns.get(request.assistant_turns().checked_rem(turns.len())?)?;
    Some((turn, Format::of(request)?))
}

impl Script {
    /// A fixed sequence, empty so far: each request takes the next answer.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Choose::Sequence(Arc::default()))
    }

    /// The next answer of the sequence. On a script that chooses it changes nothing.
    #[must_use]
    pub fn then(self, reply: impl Into<Reply>) -> Self {
        if let Choose::Sequence(replies) = &self.choose {
            replies.lock().unwrap_or_else(PoisonError::into_inner).push_back(reply.into());
        }
        self
    }

    /// The same answer to every request.
    #[must_use]
    pub fn always(reply: impl Into<Reply>) -> Self {
        let reply = reply.into();
        Self::choose(move |_| Some(reply.clone()))
    }

    /// The answer that `choose` picks for each request.
    #[must_use]
    pub fn choose(choose: impl Fn(&Received) -> Option<Reply> + Send + Sync + 'static) -> Self {
        Self::with(Choose::By(Arc::new(choose)))
    }

    fn with(choose: Choose) -> Self {
        Self { choose, cut: None, troubles: Arc::default() }
    }

    /// The steps of a conversation: the answer is chosen by the number of assistant turns in the request (the rest of
    /// a division, beyond the last step), so that many conversations can go on at once and each can go on for ever.
    #[must_use]
    pub fn conversation<R: Into<Reply>>(steps: impl IntoIterator<Item = R>) -> Self {
        let steps: Vec<Reply> = steps.into_iter().map(Into::into).collect();
        Self::choose(move |request| {
            let at = request.assistant_turns().checked_rem(steps.len())?;
            steps.get(at).cloned()
        })
    }

    /// The turns of a conversation, chosen as [`Script::conversation`] does, in whatever format the request asks for:
    /// one script for the clients of all providers.
    #[must_use]
    pub fn turns(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self::with(Choose::Turns(turns.into_iter().collect()))
    }

    /// The same answers, of which the first, second, … meet these troubles; those after them meet none. An error in place
    /// of an answer uses none up.
    #[must_use]
    pub fn troubles(self, troubles: impl IntoIterator<Item = Option<Trouble>>) -> Self {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).extend(troubles);
        self
    }

    /// The same answers, all cut like this.
    #[must_use]
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cut = Some(cut);
        self
    }

    pub(crate) fn reply(&self, request: &Received) -> Option<Reply> {
        let trouble = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).pop_front().flatten();
        let mut reply = match trouble {
            Some(Trouble::Status { status, message, after }) => {
                after.put(Format::of(request).unwrap_or(Format::OpenAiChat), status, &message).into()
            }
            Some(Trouble::Flaw(flaw)) => match &self.choose {
                Choose::Turns(turns) => {
                    let (turn, format) = asked(turns, request)?;
                    format.flawed(turn, &flaw)?.into()
                }
                _ => return None,
            },
            Some(Trouble::Fault(fault)) => self.chosen(request)?.fault(fault),
            None => self.chosen(request)?,
        };
        if let Some(cut) = &self.cut {
            reply.cut = cut.clone();
        }
        Some(reply)
    }

    fn chosen(&self, request: &Received) -> Option<Reply> {
        match &self.choose {
            Choose::Sequence(replies) => replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front(),
            Choose::By(choose) => choose(request),
            Choose::Turns(turns) => {
                let (turn, format) = asked(turns, request)?;
                Some(if request.wants_stream() { format.stream(turn) } else { format.whole(turn) }.into())
            }
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.choose {
            Choose::Sequence(_) => "a sequence",
            Choose::By(_) => "a choice",
            Choose::Turns(_) => "turns",
        };
        f.debug_struct("Script").field("answers", &kind).field("cut", &self.cut).finish()
    }
}
