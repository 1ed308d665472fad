//! Runs of graphs: order, fan-out, joins, limits, errors.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use atomr_agents_core::{CallCtx, CancellationToken, Kind, Value};
use atomr_agents_state::{RunLogError, RunStatus};
use atomr_agents_workflow::{
    CachePolicy, Command, Destinations, END, Existing, Graph, NodeCall, NodeError, NodeOptions, RetryPolicy, Router,
    RunOptions, START, StatefulRunner, Subgraph, Target, Update, WorkflowError, dispatch_fan_out,
};
use common::{Count, empty, log, over, says, schema, store};
use serde_json::json;

fn counting(limit: u64) -> Graph {
    let count = |call: NodeCall| async move {
        let count: u64 = call.state.get("count")?;
        Ok(Update::new().write("count", count + 1).write("log", json!([format!("m{count}")])))
    };
    let router = Router::new(move |state| match state.get::<u64>("count") {
        Ok(count) if count < limit => vec![Target::to("count")],
        _ => vec![Target::end()],
    });
    let graph = Graph::builder("counting", schema()).node("count", count).edge(START, "count");
    graph.branch("count", router, ["count", END]).build().unwrap()
}

#[tokio::test]
async fn a_loop_goes_round_until_its_router_ends_it_and_every_step_is_kept() {
    let runner = StatefulRunner::new(counting(30));
    let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
    assert_eq!((outcome.status, outcome.step, log(&outcome.state).len()), (RunStatus::Finished, 30, 30));
    let history = runner.history("r", 100).await.unwrap();
    let steps: Vec<u64> = history.iter().map(|snapshot| snapshot.step).collect();
    assert_eq!(steps, (0..=30).rev().collect::<Vec<_>>());
    assert_eq!(log(&runner.state_at("r", 7).await.unwrap().state).len(), 7);
}

#[tokio::test]
async fn what_is_due_together_runs_at_the_same_time_and_is_written_in_the_order_of_names() {
    let meet = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let waits = |name: &'static str| {
        let meet = std::sync::Arc::clone(&meet);
        move |_call: NodeCall| {
            let meet = std::sync::Arc::clone(&meet);
            async move {
                meet.wait().await;
                Ok(Update::new().write("log", json!([name])))
            }
        }
    };
    let graph = Graph::builder("two", schema())
        .node("b", waits("b"))
        .node("a", waits("a"))
        .node("last", says("last"))
        .edge(START, "b")
        .edge(START, "a")
        .join(["a", "b"], "last")
        .build()
        .unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["a", "b", "last"]);
}

#[tokio::test]
async fn a_join_waits_for_branches_of_different_length() {
    let graph = Graph::builder("uneven", schema())
        .node("short", says("short"))
        .node("long_1", says("long_1"))
        .node("long_2", says("long_2"))
        .node("end", says("end"))
        .edge(START, "short")
        .edge(START, "long_1")
        .edge("long_1", "long_2")
        .join(["short", "long_2"], "end")
        .build()
        .unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["long_1", "short", "long_2", "end"]);
}

#[tokio::test]
async fn a_fan_out_visits_a_node_once_for_each_item_and_joins_in_the_order_of_sending() {
    let worker = |call: NodeCall| async move {
        let item = call.input.as_deref().and_then(Value::as_u64).unwrap();
        tokio::time::sleep(Duration::from_millis(20 - item)).await;
        Ok(Update::new().write("log", json!([format!("w{item}")])))
    };
    let graph = Graph::builder("fan", schema())
        .node("plan", says("plan"))
        .node("worker", worker)
        .node("collect", says("collect"))
        .edge(START, "plan")
        .branch("plan", Router::new(|_| dispatch_fan_out("worker", (0..12).map(Value::from))), ["worker"])
        .edge("worker", "collect")
        .build()
        .unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    let mut expected: Vec<String> = (0..12).map(|item| format!("w{item}")).collect();
    expected.insert(0, "plan".into());
    expected.push("collect".into());
    assert_eq!(log(&outcome.state), expected);
}

#[tokio::test]
async fn a_step_may_send_the_run_itself_where_it_declared_so_and_nowhere_else() {
    let goes = |goes| NodeOptions { goes, ..NodeOptions::default() };
    let jump = |_call: NodeCall| async { Ok(Update::new().goto("b")) };
    let graph = |destinations| {
        Graph::builder("jump", schema())
            .node_with("a", jump, goes(destinations))
            .node("b", says("b"))
            .edge(START, "a")
            .edge("a", END)
            .edge("b", END)
            .open_branch("b", Router::new(|_| vec![]))
            .build()
    };
    let to_b = graph(Destinations::To(vec!["b".into()])).unwrap();
    let outcome = StatefulRunner::new(to_b).run(empty(), RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["b"]);
    let nowhere = Graph::builder("jump", schema())
        .node("a", jump)
        .node("b", says("b"))
        .edge(START, "a")
        .edge(START, "b")
        .build()
        .unwrap();
    let error = StatefulRunner::new(nowhere).run(empty(), RunOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("did not declare that it may go anywhere"), "{error}");
    assert_eq!(error.kind(), Kind::Workflow);
}

#[tokio::test]
async fn the_step_limit_is_an_error_of_its_own_and_the_run_can_go_on() {
    let runner = StatefulRunner::new(counting(10));
    let options = RunOptions { max_steps: Some(4), ..RunOptions::named("r") };
    let error = runner.run(empty(), options).await.unwrap_err();
    assert!(matches!(error, WorkflowError::StepLimit { limit: 4, .. }), "{error}");
    assert_eq!(error.kind(), Kind::IterationCap);
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.step, outcome.status), (10, RunStatus::Finished));
}

#[tokio::test]
async fn a_drained_run_finishes_the_step_under_way_and_goes_on_later() {
    let drain = CancellationToken::new();
    let token = drain.clone();
    let graph = Graph::builder("drain", schema())
        .node("a", move |_call: NodeCall| {
            let token = token.clone();
            async move {
                token.cancel();
                Ok(Update::new().write("log", json!(["a"])))
            }
        })
        .node("b", says("b"))
        .edge(START, "a")
        .edge("a", "b")
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    let options = RunOptions { drain: Some(drain), ..RunOptions::named("r") };
    let outcome = runner.run(empty(), options).await.unwrap();
    assert_eq!((outcome.status, log(&outcome.state)), (RunStatus::Paused, vec!["a".to_owned()]));
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.status, log(&outcome.state).len()), (RunStatus::Finished, 2));
}

#[tokio::test]
async fn a_cancelled_run_ends_at_once_and_can_be_resumed() {
    let graph = |hangs: bool| {
        Graph::builder("hang", schema())
            .node("a", says("a"))
            .node("b", move |_call: NodeCall| async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(Update::new().write("log", json!(["b"])))
            })
            .edge(START, "a")
            .edge("a", "b")
            .build()
            .unwrap()
    };
    let store = store();
    let ctx = CallCtx::new();
    let options = RunOptions { ctx: Some(ctx.clone()), ..RunOptions::named("r") };
    let runner = over(&graph(true), &store);
    let (result, ()) = tokio::join!(runner.run(empty(), options), async { ctx.cancel.cancel() });
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(runner.get_state("r").await.unwrap().status, RunStatus::Cancelled);
    let outcome = over(&graph(false), &store).resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_the_caller_ends_the_run() {
    let graph = Graph::builder("slow", schema())
        .node("a", |_call: NodeCall| async {
            tokio::time::sleep(Duration::from_secs(100)).await;
            Ok(Update::new())
        })
        .edge(START, "a")
        .build()
        .unwrap();
    let ctx = CallCtx::new().with_timeout(Duration::from_secs(1));
    let options = RunOptions { ctx: Some(ctx), ..RunOptions::default() };
    let error = StatefulRunner::new(graph).run(empty(), options).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Timeout { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_step_is_tried_again_as_its_policy_says_and_its_time_is_limited() {
    let calls = Count::default();
    let counted = calls.clone();
    let flaky = move |call: NodeCall| {
        let calls = counted.clone();
        async move {
            calls.up();
            match call.ctx.attempt() {
                1 => Err(NodeError::failed(Kind::ServerError, "not now")),
                2 => std::future::pending().await,
                _ => Ok(Update::new().write("log", json!(["third"]))),
            }
        }
    };
    let options = NodeOptions {
        retry: Some(RetryPolicy::default()),
        timeout: Some(Duration::from_secs(1)),
        ..NodeOptions::default()
    };
    let graph = Graph::builder("flaky", schema()).node_with("a", flaky, options).edge(START, "a").build().unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    assert_eq!((log(&outcome.state), calls.get()), (vec!["third".to_owned()], 3));
}

#[tokio::test(start_paused = true)]
async fn an_idle_step_is_ended_and_one_that_shows_life_is_not() {
    let alive = |signs: bool| {
        let node = move |call: NodeCall| async move {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if signs {
                    call.ctx.progress();
                }
            }
            Ok(Update::new())
        };
        let options = NodeOptions { idle_timeout: Some(Duration::from_secs(2)), ..NodeOptions::default() };
        Graph::builder("idle", schema()).node_with("a", node, options).edge(START, "a").build().unwrap()
    };
    StatefulRunner::new(alive(true)).run(empty(), RunOptions::default()).await.unwrap();
    let error = StatefulRunner::new(alive(false)).run(empty(), RunOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("no sign of life for 2s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_cached_step_is_given_again_for_an_equal_input_while_it_is_good() {
    let calls = Count::default();
    let counted = calls.clone();
    let node = move |call: NodeCall| {
        let number = counted.up();
        async move { Ok(Update::new().write("answer", json!([number, call.state.get::<u64>("count")?]))) }
    };
    let cache = CachePolicy { ttl: Some(Duration::from_secs(60)), key: None };
    let options = NodeOptions { cache: Some(cache), ..NodeOptions::default() };
    let graph = Graph::builder("cached", schema()).node_with("a", node, options).edge(START, "a").build().unwrap();
    let runner = StatefulRunner::new(graph);
    let answer = async |count: u64| {
        let outcome = runner.run(json!({"count": count}), RunOptions::default()).await.unwrap();
        outcome.state.get::<Value>("answer").unwrap()
    };
    assert_eq!(answer(1).await, json!([1, 1]));
    assert_eq!(answer(1).await, json!([1, 1]));
    assert_eq!(answer(2).await, json!([2, 2]));
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(answer(1).await, json!([3, 1]));
}

#[tokio::test]
async fn a_panic_and_an_undeclared_write_are_errors_of_the_step() {
    let wrong = NodeOptions { writes: Some(vec!["log".into()]), ..NodeOptions::default() };
    let graph = Graph::builder("wrong", schema())
        .node_with("a", |_call: NodeCall| async { Ok(Update::new().write("count", 1)) }, wrong)
        .edge(START, "a")
        .build()
        .unwrap();
    let error = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Contract);
    let graph = Graph::builder("panics", schema())
        .node("a", |_call: NodeCall| async { std::panic::panic_any("no".to_owned()) })
        .edge(START, "a")
        .build()
        .unwrap();
    let error = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("it panicked: no"), "{error}");
}

#[tokio::test]
async fn a_bad_input_leaves_no_run_behind() {
    let runner = StatefulRunner::new(counting(3));
    let error = runner.run(json!({"nothing": 1}), RunOptions::named("r")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    let error = runner.run(json!([1]), RunOptions::named("r")).await.unwrap_err();
    assert!(error.to_string().contains("the input is an object of channels and values, not a list"), "{error}");
    assert_eq!(runner.get_state("r").await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test]
async fn two_runs_with_one_name_are_an_error_and_another_turn_is_not() {
    let runner = StatefulRunner::new(counting(3));
    runner.run(json!({"count": 0}), RunOptions::named("r")).await.unwrap();
    let error = runner.run(empty(), RunOptions::named("r")).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::Exists { .. })), "{error}");
    let options = RunOptions { existing: Existing::NextTurn, ..RunOptions::named("r") };
    let outcome = runner.run(json!({"count": 1, "log": ["again"]}), options).await.unwrap();
    assert_eq!(log(&outcome.state), ["m0", "m1", "m2", "again", "m1", "m2"]);
    assert_eq!(outcome.step, 6);
}

#[tokio::test]
async fn a_graph_in_a_step_has_channels_of_its_own_and_is_fresh_at_each_visit() {
    let inner = counting(3);
    let outer = |call: NodeCall| async move {
        let count: u64 = call.state.get("count")?;
        Ok(Update::new().write("count", 0).write("answer", count))
    };
    let sub = Subgraph::with_maps(
        inner,
        std::sync::Arc::new(|_call| Ok(json!({"log": ["begun"]}))),
        std::sync::Arc::new(|state| Ok(Update::new().write("log", json!([log(state).len()])).write("count", 7))),
    );
    let graph = Graph::builder("outer", schema())
        .node("sub", sub)
        .node("reset", outer)
        .edge(START, "sub")
        .edge("sub", "reset")
        .branch(
            "reset",
            Router::new(|state| {
                let rounds = state.read("log").map_or(0, |log| log.as_list().map_or(0, |log| log.len()));
                if rounds < 2 { vec![Target::to("sub")] } else { vec![Target::end()] }
            }),
            ["sub", END],
        )
        .build()
        .unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    assert_eq!(outcome.state.get::<Vec<u32>>("log").unwrap(), [4, 4]);
    assert_eq!(outcome.state.get::<u32>("answer").unwrap(), 7);
}
