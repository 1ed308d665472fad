//! How an agent runs.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atomr_agents_core::{Budget, CachePoint, OutputSchema, Sampling, ToolChoice, Value};
use atomr_agents_inference::OutputMode;
use atomr_agents_observability::EventBus;
use atomr_agents_tokens::{EstimatingCounter, PriceTable, TokenCounter};
use atomr_agents_tool::Grants;

use crate::ledger::{ApprovalLedger, MemoryLedger};
use crate::middleware::AgentMiddleware;
use crate::output::OutputValidator;
use crate::{AgentError, Durable, Handoff};

/// How an agent runs. All durations are wall time.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The agent's name, in events and paths. Default `agent`.
    pub name: String,
    /// How many times a run may call the model. Default 32.
    pub max_iterations: u32,
    /// How many tool calls of one turn run at once; the others wait. Default 128.
    pub max_parallel_tools: usize,
    /// How long a run may take; a deadline of its context counts too. Default: no limit.
    pub timeout: Option<Duration>,
    /// What a run and everything below it may use. A run inside another one draws on the outer budget too. Default: no
    /// limit.
    pub budget: Budget,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Which tool the model must call in its first answer; afterwards it decides itself.
    pub tool_choice: ToolChoice,
    /// The shape the answer must have.
    pub output: Option<OutputSchema>,
    /// How the model is asked for the shape. Default: the best way that the model knows.
    pub output_mode: Option<OutputMode>,
    /// How often the model is asked again for an answer that does not have the shape. Default 2.
    pub output_retries: u32,
    /// Checks more of an answer than its schema can say.
    pub output_validator: Option<Arc<dyn OutputValidator>>,
    /// Who may take the conversation over.
    pub handoffs: Vec<Handoff>,
    /// What stands between the loop and what it does; the first is the outermost.
    pub middleware: Vec<Arc<dyn AgentMiddleware>>,
    /// What tools may do. A run inside another one is allowed what both allow. Default: what the context allows, which is
    /// nothing unless somebody granted it.
    pub grants: Option<Grants>,
    /// Remembers which approvals were used. Default: in memory, per agent, the latest 65,536.
    pub ledger: Arc<dyn ApprovalLedger>,
    /// After which parts of the prompt the provider shall keep what it has read, where that must be asked for.
    pub cache: Vec<CachePoint>,
    /// Announce when the beginning of a prompt is not that of the one before it, in this run or the last one of this
    /// agent, so that the provider's prompt cache cannot serve it. Default false.
    pub watch_prompt: bool,
    /// Words about each request for the provider's records.
    pub metadata: serde_json::Map<String, Value>,
    /// Fields put into the provider's request body as they are.
    pub extra_body: serde_json::Map<String, Value>,
    /// What models cost.
    pub prices: Arc<PriceTable>,
    /// Counts prompts under a budget of tokens or money. Default: an estimate from above.
    pub counter: Arc<dyn TokenCounter>,
    /// Where runs are kept, so that one that was killed goes on in its middle. Default: nowhere. A run inside another one
    /// that is kept is recorded in that one's log.
    pub durable: Option<Durable>,
    /// Buses that see the events of every run.
    pub buses: Vec<EventBus>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        // One table serves all agents that have no prices of their own.
        static PRICES: OnceLock<Arc<PriceTable>> = OnceLock::new();
        Self {
            name: "agent".into(),
            max_iterations: 32,
            max_parallel_tools: 128,
            timeout: None,
            budget: Budget::default(),
            sampling: Sampling::default(),
            tool_choice: ToolChoice::default(),
            output: None,
            output_mode: None,
            output_retries: 2,
            output_validator: None,
            handoffs: Vec::new(),
            middleware: Vec::new(),
            grants: None,
            ledger: Arc::new(MemoryLedger::default()),
            cache: Vec::new(),
            watch_prompt: false,
            metadata: serde_json::Map::new(),
            extra_body: serde_json::Map::new(),
            counter: Arc::new(EstimatingCounter),
            prices: Arc::clone(PRICES.get_or_init(|| Arc::new(PriceTable::builtin()))),
            durable: None,
            buses: Vec::new(),
        }
    }
}

impl AgentOptions {
    pub(crate) fn check(&self) -> Result<(), AgentError> {
        let wrong = |setting, message: &str| Err(AgentError::Config { setting, message: message.into() });
        if self.max_iterations == 0 {
            return wrong("max_iterations", "it is 0, so the model could never be called; use at least 1");
        }
        if self.max_parallel_tools == 0 {
            return wrong("max_parallel_tools", "it is 0, so no tool could ever run; use at least 1");
        }
        let Sampling { temperature, top_p, max_tokens, .. } = &self.sampling;
        if temperature.is_some_and(|value| !value.is_finite() || value < 0.0) {
            return wrong("temperature", "it must be a number, 0 or above");
        }
        if top_p.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
            return wrong("top_p", "it must lie between 0 and 1");
        }
        if *max_tokens == Some(0) {
            return wrong("max_tokens", "it is 0, so the model could say nothing; use at least 1");
        }
        let names: Vec<&str> = self.handoffs.iter().map(Handoff::target).collect();
        if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let message = format!("two of them ({at} is one) go to an agent named {name:?}; give one another name");
            return Err(AgentError::Config { setting: "handoffs", message });
        }
        Ok(())
    }
}
