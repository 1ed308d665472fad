//! What is seen of real runs with agents inside them: one ordered stream, and the tree that grows from it.
#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::sync::Arc;
use std::time::Duration;

use atomr_agents::agent::{Agent, AgentBuilder, AgentOptions, AgentTool};
use atomr_agents::core::{CallCtx, EventKind};
use atomr_agents::observability::{EventBus, JsonlTracer, NodeKind, NodeStatus, RunTree};
use atomr_agents::strategy::StaticTools;
use atomr_agents::tool::{FnTool, Tool, ToolError};
use atomr_agents_testkit::ScriptedModel;
use serde_json::json;

fn agent(name: &str, model: ScriptedModel, tools: Vec<Arc<dyn Tool>>, buses: Vec<EventBus>) -> Agent {
    let options = AgentOptions { name: name.into(), buses, ..AgentOptions::default() };
    AgentBuilder::new(Arc::new(model), "m")
        .with_tools(StaticTools::new(tools).unwrap())
        .with_options(options)
        .build()
        .unwrap()
}

/// A planner that has a writer write, who looks things up: one search takes its time, the other fails.
fn planner(bus: &EventBus) -> Agent {
    let search: Arc<dyn Tool> =
        Arc::new(FnTool::new("search", "", json!({"type": "object"}), |arguments, _| async move {
            tokio::time::sleep(Duration::from_millis(25)).await;
            if arguments["fail"] == true { Err(ToolError::failed("offline")) } else { Ok(json!("found")) }
        }));
    let searches = [("search", json!({})), ("search", json!({"fail": true}))];
    let writer = agent("writer", ScriptedModel::new().tool_calls(searches).text("A letter."), vec![search], Vec::new());
    let writer: Arc<dyn Tool> = Arc::new(AgentTool::new(writer, "Writes."));
    let model = ScriptedModel::new().tool_calls([("writer", json!({"task": "a letter"}))]).text("Done.");
    agent("planner", model, vec![writer], vec![bus.clone()])
}

#[tokio::test]
async fn agents_inside_a_run_are_in_its_stream_and_below_the_tool_that_ran_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let bus = EventBus::new();
    let tree = RunTree::new();
    let mut stream = bus.subscribe();
    let tracers = [
        bus.attach_tracer(Arc::new(tree.clone())).unwrap(),
        bus.attach_tracer(Arc::new(JsonlTracer::open(&path).unwrap())).unwrap(),
    ];
    let ctx = CallCtx::new();
    let result = planner(&bus).run("Write a letter.", ctx.clone()).await.unwrap();
    for tracer in tracers {
        tracer.detach().await.unwrap();
    }

    let events = stream.try_recv_batch(1_000).unwrap().events;
    let order: Vec<(u64, u32)> = events.iter().map(|event| (event.seq, event.index)).collect();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]), "one order for all agents: {order:?}");
    assert!(events.windows(2).all(|pair| pair[0].time_ms <= pair[1].time_ms));
    assert!(events.iter().all(|event| event.run == ctx.run));
    let inside = events.iter().filter(|event| &*event.path == "writer").count();
    assert!(inside > 8 && events.iter().all(|event| event.path.is_empty() || &*event.path == "writer"), "{inside}");

    let run = tree.get(ctx.run).unwrap();
    assert_eq!((tree.roots().len(), run.name.as_str(), run.status), (1, "planner", NodeStatus::Ok));
    assert_eq!(run.usage.as_ref(), Some(&result.usage));
    let told: u64 = run.walk().map(|node| node.events).sum();
    assert_eq!(told, events.len() as u64, "each event belongs to one node");
    let lines: Vec<(NodeKind, &str, NodeStatus)> =
        run.walk().map(|node| (node.kind, node.name.as_str(), node.status)).collect();
    let (writer, calls) = (&lines[2..=3], &lines[5..=6]);
    assert_eq!(writer, [(NodeKind::Tool, "writer", NodeStatus::Ok), (NodeKind::Agent, "writer", NodeStatus::Ok)]);
    assert_eq!(calls, [(NodeKind::Tool, "search", NodeStatus::Ok), (NodeKind::Tool, "search", NodeStatus::Failed)]);
    let searched = run.of_kind(NodeKind::Tool).filter(|node| node.name == "search");
    assert!(searched.into_iter().all(|node| node.elapsed_ms >= Some(25)), "{run}");
    assert_eq!(lines.len(), 9, "{run}");

    // What was written is the run again.
    let again = RunTree::new();
    for line in std::fs::read_to_string(&path).unwrap().lines() {
        again.ingest(&serde_json::from_str(line).unwrap());
    }
    assert_eq!(again.get(ctx.run).unwrap(), run);
}

#[tokio::test]
async fn a_listener_that_lags_behind_a_real_run_is_told_and_the_run_is_not_slower_for_it() {
    let bus = EventBus::with_capacity(4);
    let mut stalled = bus.subscribe();
    let result = planner(&bus).run("Write a letter.", CallCtx::new()).await.unwrap();
    let batch = stalled.try_recv_batch(1_000).unwrap();
    assert_eq!(batch.events.len(), 4);
    assert_eq!(batch.missed + 4, result.events);
    assert!(matches!(batch.lagged().unwrap().kind, EventKind::Lagged { missed } if missed == batch.missed));
    assert!(matches!(batch.events[3].kind, EventKind::RunFinished { .. }));
}
