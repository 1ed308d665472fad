//! How a tree grows with each event.

use std::collections::HashMap;
use std::sync::Arc;

use atomr_agents_core::{Event, EventKind, Kind, RunId, Usage};

use super::nodes::{Id, Nodes, Place};
use crate::text::kept;
use crate::{NodeKind, NodeStatus, RunNode, RunTreeLimits};

/// What is under way at one place.
struct Scope {
    node: Id,
    model: Option<Id>,
    /// Tool calls that have begun, by call id and position.
    tools: Vec<((Arc<str>, u32), Id)>,
}

/// A tree and what is under way in it.
#[derive(Default)]
pub(super) struct Grow {
    limits: RunTreeLimits,
    nodes: Nodes,
    scopes: HashMap<Place, Vec<Scope>>,
    forgotten: u64,
    missed: u64,
}

impl Grow {
    pub(super) fn new(limits: RunTreeLimits) -> Self {
        let limits = RunTreeLimits { runs: limits.runs.max(1), nodes: limits.nodes.max(1), ..limits };
        Self { limits, ..Self::default() }
    }

    pub(super) fn roots(&self) -> Vec<RunNode> {
        self.nodes.roots().filter_map(|root| self.nodes.whole(root)).collect()
    }

    pub(super) fn get(&self, run: RunId) -> Option<RunNode> {
        self.nodes.whole(self.top(run)?)
    }

    /// The uppermost agent of a run.
    fn top(&self, run: RunId) -> Option<Id> {
        let ours = self.scopes.iter().filter(|((of, _), _)| *of == run);
        let (_, scopes) = ours.min_by_key(|((_, path), _)| path.len())?;
        scopes.last().map(|scope| scope.node)
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limits);
    }

    pub(super) fn ingest(&mut self, event: &Event) {
        if let EventKind::Lagged { missed } = event.kind {
            // It names the run of the event that follows, and no place in it.
            self.missed += missed;
            if let Some(node) = self.top(event.run).and_then(|top| self.nodes.get_mut(top)) {
                node.missed += missed;
            }
            return;
        }
        if let EventKind::RunStarted { agent, model: _ } = &event.kind {
            return self.run_started(event, agent);
        }
        if let EventKind::HarnessStarted { harness, .. } = &event.kind {
            self.open(event, NodeKind::Harness, harness, true);
            return self.with_agent(event, |_, _| {});
        }
        if let EventKind::NodeStarted { node, .. } = &event.kind {
            self.open(event, NodeKind::Step, node, true);
            return self.with_agent(event, |_, _| {});
        }
        self.enter(event);
        match &event.kind {
            EventKind::RunFinished { .. }
            | EventKind::RunFailed { .. }
            | EventKind::RunSuspended { .. }
            | EventKind::NodeFinished { .. }
            | EventKind::HarnessFinished { .. } => {
                self.run_ended(event);
            }
            EventKind::ModelRequested { .. } => self.model_requested(event),
            EventKind::ToolStarted { .. } | EventKind::ToolInvoked { .. } => self.tool(event),
            EventKind::ApprovalRequested { .. } | EventKind::ApprovalResolved { .. } => self.tool(event),
            EventKind::HandedOff { .. }
            | EventKind::HarnessIteration { .. }
            | EventKind::NodeRetried { .. }
            | EventKind::CheckpointSaved { .. }
            | EventKind::StateWritten { .. }
            | EventKind::InterruptRaised { .. }
            | EventKind::InterruptResumed { .. } => self.with_agent(event, |_, _| {}),
            _ => self.model(event),
        }
    }

    /// Sees to it that the event's place has an agent, also if its beginning was missed.
    fn enter(&mut self, event: &Event) {
        let known = self.scope(event).is_some_and(|scope| self.nodes.has(scope.node));
        if !known {
            let name = event.path.rsplit('/').next().unwrap_or_default().to_owned();
            let harness = matches!(event.kind, EventKind::HarnessIteration { .. } | EventKind::HarnessFinished { .. });
            self.open(event, if harness { NodeKind::Harness } else { NodeKind::Agent }, &name, false);
        }
    }

    fn run_started(&mut self, event: &Event, agent: &str) {
        let waiting = self.scope(event).filter(|scope| self.nodes.status(scope.node) == Some(NodeStatus::Waiting));
        if waiting.is_some() {
            // It was suspended, and somebody resumed it.
            return self.with_agent(event, |node, _| {
                node.status = NodeStatus::Running;
                node.elapsed_ms = None;
            });
        }
        self.open(event, NodeKind::Agent, agent, true);
        self.with_agent(event, |_, _| {});
    }

    /// Gives the event's place an agent or a harness. Only a beginning is counted as left out, or each later event would be.
    fn open(&mut self, event: &Event, kind: NodeKind, name: &str, beginning: bool) {
        let parent = self.parent(event);
        let mut node = self.node(event, kind, name);
        node.parent = event.parent;
        let place = (event.run, Arc::clone(&event.path));
        let Some(node) = self.add(node, Some(place), parent, beginning) else { return };
        let scopes = self.scopes.entry((event.run, Arc::clone(&event.path))).or_default();
        // What is over needs no place any more, only the last one is asked for.
        scopes.retain(|scope| matches!(self.nodes.status(scope.node), Some(NodeStatus::Running)));
        scopes.push(Scope { node, model: None, tools: Vec::new() });
    }

    /// Where an agent belongs: the nearest agent above it in its run, or in the run that started it, or the only tool
    /// call that is under way there.
    fn parent(&self, event: &Event) -> Option<Id> {
        let above = |run: RunId, path: &str| {
            let scope = self.scopes.get(&(run, Arc::from(path)))?.last()?;
            self.nodes.has(scope.node).then_some(match scope.tools[..] {
                [(_, tool)] if self.nodes.has(tool) => tool,
                _ => scope.node,
            })
        };
        let mut path: &str = &event.path;
        while let Some(shorter) = path.rfind('/').map(|at| &path[..at]).or((!path.is_empty()).then_some("")) {
            path = shorter;
            if let Some(id) = above(event.run, path) {
                return Some(id);
            }
        }
        let run = event.parent.filter(|parent| *parent != event.run)?;
        let mut path: &str = &event.path;
        loop {
            if let Some(id) = above(run, path) {
                return Some(id);
            }
            path = path.rfind('/').map(|at| &path[..at]).or((!path.is_empty()).then_some(""))?;
        }
    }

    fn run_ended(&mut self, event: &Event) {
        self.close_model(event, None);
        let text = self.limits.text;
        let mut left = Vec::new();
        self.with_agent(event, |node, scope| {
            let (status, elapsed) = match &event.kind {
                EventKind::RunFinished { usage, cost, elapsed_ms } => {
                    (node.usage, node.cost) = (Some(counted(usage)), *cost);
                    (NodeStatus::Ok, *elapsed_ms)
                }
                EventKind::RunFailed { error, message, elapsed_ms } => {
                    (node.error, node.message) = (Some(*error), Some(kept(message, text)));
                    (NodeStatus::Failed, *elapsed_ms)
                }
                EventKind::HarnessFinished { elapsed_ms, .. } => (NodeStatus::Ok, *elapsed_ms),
                EventKind::NodeFinished { error, elapsed_ms, .. } => {
                    node.error = *error;
                    (if error.is_some() { NodeStatus::Failed } else { NodeStatus::Ok }, *elapsed_ms)
                }
                EventKind::RunSuspended { elapsed_ms, .. } => (NodeStatus::Waiting, *elapsed_ms),
                _ => return,
            };
            (node.status, node.elapsed_ms) = (status, Some(elapsed));
            if status != NodeStatus::Waiting {
                left = std::mem::take(&mut scope.tools);
            }
        });
        for (_, tool) in left {
            self.close(tool, NodeStatus::Unknown, event.time_ms);
        }
    }

    fn model_requested(&mut self, event: &Event) {
        self.close_model(event, None);
        let EventKind::ModelRequested { model, .. } = &event.kind else { return };
        let Some(agent) = self.scope(event).map(|scope| scope.node) else { return };
        let node = self.node(event, NodeKind::Model, model);
        let added = self.add(node, None, Some(agent), true);
        if let Some(scope) = self.scope_mut(event) {
            scope.model = added;
        }
        self.model(event);
    }

    /// Ends the last model call if it has not ended.
    fn close_model(&mut self, event: &Event, status: Option<NodeStatus>) {
        let Some(model) = self.scope(event).and_then(|scope| scope.model) else { return };
        if self.nodes.status(model) != Some(NodeStatus::Running) {
            return;
        }
        let failed = match &event.kind {
            EventKind::RunFailed { error, message, .. } => Some((*error, kept(message, self.limits.text))),
            _ => None,
        };
        let status = status.unwrap_or(if failed.is_some() { NodeStatus::Failed } else { NodeStatus::Unknown });
        self.close(model, status, event.time_ms);
        if let (Some((error, message)), Some(node)) = (failed, self.nodes.get_mut(model)) {
            (node.error, node.message) = (Some(error), Some(message));
        }
    }

    /// What tells about the model call under way, or the last one.
    fn model(&mut self, event: &Event) {
        let text = self.limits.text;
        let model = self.scope(event).and_then(|scope| scope.model);
        let Some(node) = model.and_then(|model| self.nodes.get_mut(model)) else {
            return self.with_agent(event, |_, _| {});
        };
        node.events += 1;
        match &event.kind {
            EventKind::ModelRetried { reason, .. } => {
                node.retries += 1;
                node.message = Some(kept(reason, text));
            }
            EventKind::ModelFallback { to, reason, .. } => {
                node.retries += 1;
                (node.name, node.message) = (kept(to, text), Some(kept(reason, text)));
            }
            EventKind::CacheHit { .. } => node.cached = true,
            EventKind::BudgetSpent { cost, .. } => node.cost = *cost,
            EventKind::ModelFinished { finish, usage, elapsed_ms, .. } => {
                (node.usage, node.finish) = (Some(counted(usage)), Some(kept(finish, text)));
                (node.status, node.elapsed_ms) = (NodeStatus::Ok, Some(*elapsed_ms));
            }
            EventKind::OutputRejected { message, .. } => {
                (node.status, node.error) = (NodeStatus::Failed, Some(Kind::InvalidOutput));
                node.message = Some(kept(message, text));
            }
            _ => {}
        }
    }

    fn tool(&mut self, event: &Event) {
        let (EventKind::ToolStarted { call_index, call_id, name, .. }
        | EventKind::ToolInvoked { call_index, call_id, name, .. }
        | EventKind::ApprovalRequested { call_index, call_id, name, .. }
        | EventKind::ApprovalResolved { call_index, call_id, name, .. }) = &event.kind
        else {
            return;
        };
        let key = (Arc::clone(call_id), *call_index);
        let Some(scope) = self.scope(event) else { return };
        let open = scope.tools.iter().find(|(open, _)| *open == key).map(|(_, id)| *id);
        let agent = scope.node;
        let id = match open.filter(|id| self.nodes.has(*id)) {
            Some(id) => id,
            None => {
                let mut node = self.node(event, NodeKind::Tool, name);
                node.call_id = Some(kept(call_id, self.limits.text));
                let begins = !matches!(event.kind, EventKind::ToolInvoked { .. } | EventKind::ApprovalResolved { .. });
                let Some(id) = self.add(node, None, Some(agent), begins) else { return };
                if let Some(scope) = self.scope_mut(event) {
                    scope.tools.push((key.clone(), id));
                }
                id
            }
        };
        let text = self.limits.text;
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.events += 1;
        match &event.kind {
            EventKind::ToolStarted { arguments, .. } => {
                (node.status, node.started_ms) = (NodeStatus::Running, event.time_ms);
                node.arguments = Some(kept(arguments, text));
            }
            EventKind::ApprovalRequested { arguments, .. } => {
                (node.status, node.arguments) = (NodeStatus::Waiting, Some(kept(arguments, text)));
            }
            EventKind::ToolInvoked { ok, error, result, elapsed_ms, .. } => {
                node.status = if *ok { NodeStatus::Ok } else { NodeStatus::Failed };
                (node.error, node.result) = (*error, Some(kept(result, text)));
                node.elapsed_ms = Some(*elapsed_ms);
                if let Some(scope) = self.scope_mut(event) {
                    scope.tools.retain(|(open, _)| *open != key);
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, id: Id, status: NodeStatus, time_ms: u64) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.status = status;
            node.elapsed_ms = Some(time_ms.saturating_sub(node.started_ms));
        }
    }

    fn node(&self, event: &Event, kind: NodeKind, name: &str) -> RunNode {
        RunNode {
            run: event.run,
            parent: None,
            path: kept(&event.path, self.limits.text),
            kind,
            name: kept(name, self.limits.text),
            status: NodeStatus::Running,
            started_ms: event.time_ms,
            elapsed_ms: None,
            usage: None,
            cost: None,
            error: None,
            message: None,
            retries: 0,
            cached: false,
            finish: None,
            call_id: None,
            arguments: None,
            result: None,
            events: 0,
            missed: 0,
            omitted: 0,
            children: Vec::new(),
        }
    }

    /// Adds a node, forgetting old runs for it; `None` if it does not fit in, which is counted above it if `count` says so.
    fn add(&mut self, node: RunNode, place: Option<Place>, parent: Option<Id>, count: bool) -> Option<Id> {
        let ours = parent.and_then(|parent| self.nodes.root_of(parent));
        while self.nodes.len() >= self.limits.nodes || (ours.is_none() && self.nodes.root_count() >= self.limits.runs) {
            let over = |id: &Id| !matches!(self.nodes.status(*id), Some(NodeStatus::Running | NodeStatus::Waiting));
            let others = || self.nodes.roots().filter(|root| Some(*root) != ours);
            let Some(oldest) = others().find(over).or_else(|| others().next()) else {
                if let Some(above) = parent.and_then(|parent| self.nodes.get_mut(parent)).filter(|_| count) {
                    above.omitted += 1;
                }
                return None;
            };
            self.forget(oldest);
        }
        Some(self.nodes.add(node, place, parent))
    }

    fn forget(&mut self, root: Id) {
        self.forgotten += 1;
        for place in self.nodes.remove_root(root) {
            if let Some(scopes) = self.scopes.get_mut(&place) {
                scopes.retain(|scope| self.nodes.has(scope.node));
                if scopes.is_empty() {
                    self.scopes.remove(&place);
                }
            }
        }
    }

    fn scope(&self, event: &Event) -> Option<&Scope> {
        self.scopes.get(&(event.run, Arc::clone(&event.path)))?.last()
    }

    fn scope_mut(&mut self, event: &Event) -> Option<&mut Scope> {
        self.scopes.get_mut(&(event.run, Arc::clone(&event.path)))?.last_mut()
    }

    fn with_agent(&mut self, event: &Event, change: impl FnOnce(&mut RunNode, &mut Scope)) {
        let scope = self.scopes.get_mut(&(event.run, Arc::clone(&event.path))).and_then(|scopes| scopes.last_mut());
        let Some(scope) = scope else { return };
        if let Some(node) = self.nodes.get_mut(scope.node) {
            node.events += 1;
            change(node, scope);
        }
    }
}

/// The numbers of a usage, without what the provider sent.
fn counted(usage: &Usage) -> Usage {
    Usage { raw: None, ..usage.clone() }
}
