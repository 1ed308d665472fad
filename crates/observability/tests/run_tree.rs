//! Trees of runs: what grows from which events, what is asked of them, and how much they keep.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::sync::Arc;

use atomr_agents_core::{CallCtx, Event, EventKind, Kind, Money, RunId, Usage};
use atomr_agents_observability::{
    EventBus, NodeKind, NodeStatus, RunEvents, RunNode, RunTree, RunTreeLimits, conformance,
};
use proptest::prelude::*;

fn started(agent: &str) -> EventKind {
    EventKind::RunStarted { agent: agent.into(), model: "m".into() }
}

fn finished(elapsed_ms: u64) -> EventKind {
    let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
    EventKind::RunFinished { usage: Box::new(usage), cost: Some(Money::from_micro_usd(7)), elapsed_ms }
}

fn requested() -> EventKind {
    EventKind::ModelRequested { model: "m".into(), iteration: 1, messages: 1, tools: 1, prompt_hash: None }
}

fn answered(elapsed_ms: u64) -> EventKind {
    let usage = Usage { input_tokens: 5, output_tokens: 1, ..Usage::default() };
    EventKind::ModelFinished { finish: "stop".into(), usage: Box::new(usage), tool_calls: 0, elapsed_ms }
}

fn tool_started(id: &str, name: &str) -> EventKind {
    let arguments = "{\"api_key\": \"hush\"}".into();
    EventKind::ToolStarted { call_index: 0, call_id: id.into(), name: name.into(), arguments }
}

fn tool_invoked(id: &str, name: &str, error: Option<Kind>) -> EventKind {
    EventKind::ToolInvoked {
        call_index: 0,
        call_id: id.into(),
        name: name.into(),
        ok: error.is_none(),
        error,
        result: "done".into(),
        elapsed_ms: 40,
    }
}

/// A run whose events a tree sees.
struct Run {
    tree: RunTree,
    ctx: CallCtx,
    stream: atomr_agents_observability::Subscription,
}

impl Run {
    fn new(tree: &RunTree) -> Self {
        let events = Arc::new(RunEvents::new([]));
        let stream = events.subscribe();
        Self { tree: tree.clone(), ctx: CallCtx::new().with_sink(events), stream }
    }

    fn tell(&mut self, events: impl IntoIterator<Item = EventKind>) {
        let ctx = self.ctx.clone();
        self.tell_at(&ctx, events);
    }

    fn tell_at(&mut self, ctx: &CallCtx, events: impl IntoIterator<Item = EventKind>) {
        events.into_iter().for_each(|event| ctx.emit(event));
        while let Ok(batch) = self.stream.try_recv_batch(1_000) {
            batch.events.iter().for_each(|event| self.tree.ingest(event));
        }
    }

    fn node(&self) -> RunNode {
        self.tree.get(self.ctx.run).unwrap()
    }
}

#[tokio::test]
async fn the_tree_conforms() {
    conformance::check(Arc::new(RunTree::new())).await.unwrap();
}

#[tokio::test]
async fn a_tracer_fills_it_with_agents_models_and_tools() {
    let bus = EventBus::new();
    let tree = RunTree::new();
    let handle = bus.attach_tracer(Arc::new(tree.clone())).unwrap();
    let ctx = CallCtx::new().with_sink(Arc::new(RunEvents::new([bus])));
    let writer = ctx.child("writer");
    ctx.emit(started("planner"));
    ctx.emit(requested());
    ctx.emit(EventKind::ModelRetried { attempt: 2, wait_ms: 5, reason: "429".into() });
    ctx.emit(EventKind::TextDelta { text: "x".into() });
    ctx.emit(answered(30));
    ctx.emit(EventKind::BudgetSpent { tokens: 6, cost: Some(Money::from_micro_usd(3)) });
    ctx.emit(tool_started("c1", "write"));
    writer.emit(started("writer"));
    writer.emit(requested());
    writer.emit(answered(12));
    writer.emit(finished(20));
    ctx.emit(tool_invoked("c1", "write", None));
    ctx.emit(tool_started("c2", "search"));
    ctx.emit(tool_invoked("c2", "search", Some(Kind::Timeout)));
    ctx.emit(requested());
    ctx.emit(EventKind::RunFailed { error: Kind::ServerError, message: "broke\n".into(), elapsed_ms: 90 });
    handle.detach().await.unwrap();

    let run = tree.get(ctx.run).unwrap();
    let last = &run.children[3];
    let lines = run.to_string().replace(&format!("failed in {} ms", last.elapsed_ms.unwrap()), "failed in ? ms");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], "agent planner failed in 90 ms, server_error: broke\\n");
    assert_eq!(lines[1], "├─ model m ok in 30 ms, 5 + 1 tokens, $0.000003, tried 2 times: 429");
    assert_eq!(lines[2], "├─ tool write ok in 40 ms");
    assert_eq!(lines[3], "│  └─ agent writer ok in 20 ms, 10 + 2 tokens, $0.000007");
    assert_eq!(lines[4], "│     └─ model m ok in 12 ms, 5 + 1 tokens");
    assert_eq!(lines[5], "├─ tool search failed in 40 ms, timeout");
    assert_eq!(lines[6], "└─ model m failed in ? ms, server_error: broke\\n");

    assert_eq!(run.walk().count(), 7);
    assert_eq!((tree.len(), tree.roots().len()), (7, 1));
    assert_eq!(run.failures().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["planner", "search", "m"]);
    assert_eq!(run.total_usage().input_tokens, 10);
    let tool = run.of_kind(NodeKind::Tool).next().unwrap();
    assert_eq!(tool.arguments.as_deref(), Some("{\"api_key\": \"[redacted]\"}"));
    assert_eq!((tool.call_id.as_deref(), tool.result.as_deref()), (Some("c1"), Some("done")));
    assert!(tool.started_ms > 1_600_000_000_000);
    let told: u64 = run.walk().map(|node| node.events).sum();
    assert_eq!(told, 16, "each event is counted once");

    let json = serde_json::to_string(&run).unwrap();
    assert_eq!(serde_json::from_str::<RunNode>(&json).unwrap(), run);
}

#[test]
fn an_agent_is_below_the_only_tool_that_runs_or_below_the_other_agent() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    run.tell([started("planner"), tool_started("c1", "a"), tool_started("c2", "b")]);
    let writer = run.ctx.child("writer");
    run.tell_at(&writer, [started("writer")]);
    run.tell([tool_invoked("c1", "a", None)]);
    let other = run.ctx.child("other").child("deep");
    run.tell_at(&other, [started("deep")]);
    let node = run.node();
    let names = |node: &RunNode| node.children.iter().map(|child| child.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&node), ["a", "b", "writer"]);
    assert_eq!(names(&node.children[1]), ["deep"]);
}

#[test]
fn a_run_of_its_own_is_below_the_run_that_started_it() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    run.tell([started("pipeline")]);
    let mut child = run.ctx.clone();
    child.parent = Some(std::mem::replace(&mut child.run, RunId::new()));
    run.tell_at(&child, [started("step"), finished(3)]);
    let node = run.node();
    assert_eq!((node.children.len(), node.children[0].parent), (1, Some(run.ctx.run)));
    assert_eq!(tree.get(child.run).unwrap(), *node.children[0]);
    assert_eq!(tree.roots(), [node]);
}

#[test]
fn a_run_that_was_suspended_goes_on_as_the_same() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    let request = EventKind::ApprovalRequested {
        call_index: 0,
        call_id: "c1".into(),
        name: "pay".into(),
        arguments: "{}".into(),
    };
    run.tell([started("payer"), request, EventKind::RunSuspended { pending: 1, elapsed_ms: 5 }]);
    let node = run.node();
    assert_eq!((node.status, node.children[0].status), (NodeStatus::Waiting, NodeStatus::Waiting));
    run.tell([started("payer"), tool_started("c1", "pay"), tool_invoked("c1", "pay", None), finished(9)]);
    let node = run.node();
    assert_eq!((node.status, node.children.len(), node.children[0].status), (NodeStatus::Ok, 1, NodeStatus::Ok));
    assert_eq!(tree.roots().len(), 1);
}

#[test]
fn the_same_agent_may_run_again_and_what_was_not_ended_is_unknown() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    run.tell([started("planner")]);
    let writer = run.ctx.child("writer");
    for _ in 0..2 {
        run.tell_at(&writer, [started("writer"), requested(), tool_started("c", "t"), finished(1)]);
    }
    let node = run.node();
    assert_eq!(node.children.len(), 2);
    for child in &node.children {
        assert_eq!(child.children.iter().map(|node| node.status).collect::<Vec<_>>(), [NodeStatus::Unknown; 2]);
    }
}

#[test]
fn a_lagging_tree_says_so_and_goes_on_with_what_it_sees() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    run.tell([EventKind::Lagged { missed: 3 }, requested(), answered(5)]);
    run.tell([EventKind::Lagged { missed: 4 }, finished(9)]);
    let node = run.node();
    assert_eq!((tree.missed(), node.missed, node.name.as_str()), (7, 4, ""));
    assert_eq!(node.to_string().lines().count(), 2);
    assert!(node.to_string().contains("incomplete: 4 events missed"));
}

#[test]
fn old_runs_are_forgotten_and_those_that_have_ended_first() {
    let tree = RunTree::with_limits(RunTreeLimits { runs: 3, ..RunTreeLimits::default() });
    let mut running = Run::new(&tree);
    running.tell([started("long")]);
    for _ in 0..10 {
        Run::new(&tree).tell([started("short"), finished(1)]);
    }
    let names: Vec<_> = tree.roots().into_iter().map(|node| node.name).collect();
    assert_eq!((names, tree.forgotten()), (vec!["long".into(), "short".to_owned(), "short".into()], 8));
    running.tell([finished(9)]);
    assert_eq!(running.node().elapsed_ms, Some(9));
    tree.clear();
    assert!(tree.is_empty() && tree.get(running.ctx.run).is_none());
}

#[test]
fn what_does_not_fit_into_one_run_is_left_out_and_counted() {
    let limits = RunTreeLimits { nodes: 5, text: 10, ..RunTreeLimits::default() };
    let tree = RunTree::with_limits(limits);
    let mut run = Run::new(&tree);
    run.tell([started("a very long name é")]);
    for at in 0..20 {
        let id = at.to_string();
        run.tell([requested(), answered(1), tool_started(&id, "t"), tool_invoked(&id, "t", None)]);
    }
    run.tell([finished(1)]);
    let node = run.node();
    assert_eq!((tree.len(), node.children.len(), node.omitted), (5, 4, 36));
    assert_eq!((node.name.as_str(), node.status), ("a very lon…", NodeStatus::Ok));
    Run::new(&tree).tell([started("next")]);
    assert_eq!((tree.len(), tree.forgotten()), (1, 1));
}

#[test]
fn a_tree_of_any_depth_can_be_walked_and_printed() {
    let tree = RunTree::new();
    let mut run = Run::new(&tree);
    let mut ctx = run.ctx.clone();
    for _ in 0..1_000 {
        run.tell_at(&ctx, [started("a")]);
        ctx = ctx.child("a");
    }
    let node = run.node();
    assert_eq!((node.walk().count(), node.to_string().lines().count()), (1_000, 1_000));
}

fn kinds() -> impl Strategy<Value = EventKind> {
    prop::sample::select(EventKind::samples())
}

proptest! {
    #[test]
    fn whatever_comes_it_stays_within_its_limits(
        steps in prop::collection::vec((0..6usize, 0..4usize, any::<bool>(), kinds()), 0..400),
        runs in 1..4usize,
        nodes in 1..30usize,
    ) {
        let tree = RunTree::with_limits(RunTreeLimits { runs, nodes, text: 5 });
        let ids: Vec<RunId> = (0..6).map(|_| RunId::new()).collect();
        let paths = ["", "a", "a/b", "c"];
        for (at, (run, path, nested, kind)) in steps.into_iter().enumerate() {
            let event = Event {
                run: ids[run],
                seq: at as u64,
                index: 0,
                path: Arc::from(paths[path]),
                parent: nested.then(|| ids[(run + 1) % 6]),
                time_ms: at as u64,
                kind,
            };
            tree.ingest(&event);
            prop_assert!(tree.len() <= nodes && tree.roots().len() <= runs);
        }
        let walked: usize = tree.roots().iter().map(|root| root.walk().count()).sum();
        prop_assert_eq!(walked, tree.len());
        prop_assert!(tree.roots().iter().flat_map(RunNode::walk).all(|node| node.name.len() <= 8));
    }
}
