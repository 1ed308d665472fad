//! A recorded run, done again without a model, a tool or a network.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{CallCtx, Message};
use atomr_agents_state::{EffectKey, Item, Recorded, RunReader, RunStatus, Store};

use super::digest::first_difference;
use super::log::{Log, Source};
use super::open::{Kept, OneOrMore, Turn, turns};
use crate::{AgentError, BoxedAgent, RunInput};

/// What came of doing a recorded run again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The run.
    pub run: String,
    /// How it was doing when it was read.
    pub status: RunStatus,
    /// How many model calls were as recorded.
    pub model_calls: u32,
    /// How many tool calls were.
    pub tool_calls: u32,
    /// The first thing that is not as recorded.
    pub divergence: Option<Divergence>,
    /// The transcript, as far as it was made again.
    pub messages: Vec<Message>,
}

/// The first thing that a run does otherwise now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The model or tool call.
    pub at: EffectKey,
    /// What of it: `instructions`, `tools`, `settings` or `messages` of a model call; `tool` or `arguments` of a tool call.
    pub what: String,
    /// What was recorded, as a name or a hash.
    pub recorded: String,
    /// What it is now.
    pub now: String,
}

/// What a run that is only looked at has recorded, and what was seen of it.
pub(crate) struct Replayed {
    pub(crate) reader: RunReader,
    pub(crate) recorded: HashMap<EffectKey, Recorded>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    model_calls: u32,
    tool_calls: u32,
    divergence: Option<Divergence>,
    /// The log ends before the run does.
    ended: bool,
}

impl Replayed {
    fn with<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compares what is asked now with what was. An error stops the replay: it is a divergence, or the end of the log.
    pub(crate) fn compare(&self, key: &EffectKey, kind: &str, now: &str) -> Result<(), AgentError> {
        let intent = self.recorded.get(key).and_then(|recorded| recorded.intent.as_ref());
        let Some(intent) = intent else { return Err(self.end()) };
        let found = first_difference(&intent.digest, now);
        self.with(|seen| match found {
            Some((what, recorded, now)) => {
                seen.divergence = Some(Divergence { at: key.clone(), what, recorded, now });
                Err(AgentError::Cancelled)
            }
            None => {
                match kind {
                    "model" => seen.model_calls += 1,
                    _ => seen.tool_calls += 1,
                }
                Ok(())
            }
        })
    }

    /// What is asked now was not recorded: the log ends here.
    pub(crate) fn end(&self) -> AgentError {
        self.with(|seen| seen.ended = true);
        AgentError::Cancelled
    }
}

impl BoxedAgent {
    /// Does a recorded run again: models and tools are served from its log, hooks are not run, nothing is written. What the
    /// engine asks for is compared with what was asked for, and the first difference is named. Strategies are asked as in a
    /// run, so instructions or memories that change by themselves are a difference, too.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use atomr_agents_agent::{AgentBuilder, AgentOptions, Durable};
    /// use atomr_agents_core::CallCtx;
    /// use atomr_agents_state::{MemoryStore, Store};
    /// use atomr_agents_testkit::ScriptedModel;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    /// let told = |text: &str| {
    ///     let options = AgentOptions { durable: Some(Durable::new(store.clone())), ..AgentOptions::default() };
    ///     let model = Arc::new(ScriptedModel::new().text("Rain."));
    ///     AgentBuilder::new(model, "scripted").instructions(text).with_options(options).build()
    /// };
    /// told("Be short.")?.begin_as("r1", "Oslo?", CallCtx::new()).await?;
    /// assert_eq!(told("Be short.")?.replay(&store, "r1", &CallCtx::new()).await?.divergence, None);
    /// let divergence = told("Be long.")?.replay(&store, "r1", &CallCtx::new()).await?.divergence.unwrap();
    /// assert_eq!((divergence.at.to_string().as_str(), divergence.what.as_str()), ("1:agent#1", "instructions"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`AgentError::Log`] when there is no such run or it is damaged; when the store or a strategy fails.
    pub async fn replay(&self, store: &Arc<dyn Store>, run: &str, ctx: &CallCtx) -> Result<Replay, AgentError> {
        let reader = RunReader::open(Arc::clone(store), run).await?;
        let frames = reader.frames().await?;
        let mut recorded: HashMap<EffectKey, Recorded> = HashMap::new();
        for item in frames.iter().flat_map(|placed| &placed.frame.items) {
            match item {
                Item::Intent(intent) => {
                    recorded.entry(intent.key.clone()).or_default().intent = Some(intent.clone());
                }
                Item::Outcome(outcome) => {
                    recorded.entry(outcome.key.clone()).or_default().outcome = Some(outcome.clone());
                }
                _ => {}
            }
        }
        let status = reader.record().status;
        let all = turns(run, &frames)?;
        let replayed = Arc::new(Replayed { reader, recorded, seen: Mutex::default() });
        let mut messages = Vec::new();
        for (step, history, input) in all {
            let history = replayed.reader.values(&history.iter().collect::<Vec<_>>()).await?;
            let input = replayed.reader.values::<OneOrMore>(&[&input]).await?.pop().map(OneOrMore::all);
            let turn = Turn { history, input: input.unwrap_or_default() };
            messages = self.replay_turn(&replayed, step, turn, ctx).await?;
            if replayed.with(|seen| seen.ended || seen.divergence.is_some()) {
                break;
            }
        }
        Ok(replayed.with(|seen| Replay {
            run: run.to_owned(),
            status,
            model_calls: seen.model_calls,
            tool_calls: seen.tool_calls,
            divergence: seen.divergence.clone(),
            messages,
        }))
    }

    async fn replay_turn(
        &self,
        from: &Arc<Replayed>,
        step: u64,
        turn: Turn,
        ctx: &CallCtx,
    ) -> Result<Vec<Message>, AgentError> {
        let path = self.name().into();
        let log = Log { source: Source::Replay(Arc::clone(from)), step, path, top: true, own: false };
        let input = RunInput { messages: turn.input, history: turn.history };
        let run = self.begin_kept(input, Kept::Replay(log), ctx.scoped());
        let transcript = run.transcript();
        match run.await {
            Ok(_) => {}
            // How a run fails is recorded with what was said, and is the same now.
            Err(error) if from.with(|seen| seen.ended || seen.divergence.is_some()) => drop(error),
            Err(error) => match error.error {
                AgentError::Failure(_) | AgentError::InvalidOutput { .. } => {}
                error => return Err(error),
            },
        }
        Ok(transcript.machine().messages().to_vec())
    }
}
