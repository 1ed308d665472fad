//! Runs that are kept: what was asked of models and tools and what came of it is written to a store around each call, so
//! that a run that was killed at any point goes on in its middle, by its name, in whatever process.
//!
//! The machine is deterministic: to resume a run is to make a new one and feed it what is recorded. What has no outcome is
//! done again, unless it must not happen twice.

mod calls;
mod digest;
mod driving;
mod ending;
mod fork;
mod ledger;
mod log;
mod open;
mod replay;
mod resolve;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_state::{JournalOptions, Store};

pub(crate) use calls::{Fresh, effect_of, settle, stage_intents};
pub(crate) use digest::{of_call, of_request};
pub(crate) use log::{Halt, Known, Log, Source};
pub(crate) use open::{Kept, MESSAGES, OneOrMore, Turn, Where, recorder, scope_of, transcript, turns};
pub(crate) use version::{difference as version_difference, of as version_of};

pub use fork::{Edits, fork_run};
pub use ledger::StoreLedger;
pub use replay::{Divergence, Replay};
pub use resolve::resolve;

/// Where runs are kept, and how.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_agent::{AgentBuilder, AgentOptions, Durable};
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_state::{MemoryStore, RunReader, RunStatus};
/// use atomr_agents_testkit::ScriptedModel;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Arc::new(MemoryStore::new());
/// let options = AgentOptions { durable: Some(Durable::new(store.clone())), ..AgentOptions::default() };
/// let model = Arc::new(ScriptedModel::new().text("Rain."));
/// let agent = AgentBuilder::new(model, "scripted").with_options(options).build()?;
/// let result = agent.begin_as("order-17", "Oslo?", CallCtx::new()).await?;
/// assert_eq!((result.output.as_str(), result.kept.as_deref()), ("Rain.", Some("order-17")));
/// assert_eq!(RunReader::open(store, "order-17").await?.record().status, RunStatus::Finished);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Durable {
    /// Where.
    pub store: Arc<dyn Store>,
    /// How its log is written. Without an owner each run has one of its own, so that two that resume one keep each other
    /// out. With a name that a worker keeps when it is started anew, it goes on at once with what it held, instead of when
    /// the lease has run out.
    pub journal: JournalOptions,
    /// What to do with a run that was begun by another version of the agent.
    pub on_change: OnChange,
    /// The user's own words about the runs.
    pub labels: BTreeMap<String, String>,
}

/// What to do with a run that was begun by another version of the agent: another model, other instructions, tools or
/// output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnChange {
    /// It is not resumed; the error says what is different.
    #[default]
    Refuse,
    /// It is resumed all the same: what is recorded stays, the rest is done by the agent as it is now.
    Accept,
}

impl Durable {
    /// In this store, with a commit before everything that it could not be known of otherwise.
    pub fn new(store: Arc<dyn Store>) -> Self {
        let journal = JournalOptions { owner: String::new(), ..JournalOptions::default() };
        Self { store, journal, on_change: OnChange::default(), labels: BTreeMap::new() }
    }

    pub(crate) fn journal_options(&self) -> JournalOptions {
        let mut options = self.journal.clone();
        if options.owner.is_empty() {
            options.owner = JournalOptions::default().owner;
        }
        options
    }
}
