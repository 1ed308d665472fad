//! Suspending and going on: hot, cold, at breakpoints, with several questions at once.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_core::{Kind, Value};
use atomr_agents_state::{EffectClass, RunLogError, RunStatus};
use atomr_agents_workflow::{
    Command, END, Graph, InterruptKind, NodeCall, RunOptions, RunnerOptions, START, StatefulRunner, Subgraph, Target,
    Update, WorkflowError,
};
use common::{Count, empty, log, over, says, schema, store};
use serde_json::json;

/// Counts how often its beginning and its end are run, with a question between and an effect before it.
fn asking(starts: &Count, ends: &Count, effects: &Count) -> Graph {
    let (starts, ends, effects) = (starts.clone(), ends.clone(), effects.clone());
    let node = move |call: NodeCall| {
        let (starts, ends, effects) = (starts.clone(), ends.clone(), effects.clone());
        async move {
            starts.up();
            let done: u32 = call.ctx.effect("pay", EffectClass::Once, |_| async { Ok(effects.up()) }).await?;
            let first = call.ctx.interrupt("first?").await?;
            let second = call.ctx.interrupt("second?").await?;
            ends.up();
            Ok(Update::new().write("answer", json!([done, first, second])))
        }
    };
    Graph::builder("asking", schema()).node("ask", node).edge(START, "ask").edge("ask", END).build().unwrap()
}

#[tokio::test]
async fn while_the_process_lives_the_same_frame_goes_on() {
    let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
    let runner = StatefulRunner::new(asking(&starts, &ends, &effects));
    let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
    assert_eq!((outcome.status, runner.suspended()), (RunStatus::Suspended, 1));
    assert_eq!(outcome.interrupts[0].value, json!("first?"));
    let outcome = runner.resume("r", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.interrupts[0].id, "1:ask/interrupt#1");
    let outcome = runner.resume("r", [Command::Answer(json!(2))], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!([1, 1, 2]));
    assert_eq!((starts.get(), ends.get(), effects.get(), runner.suspended()), (1, 1, 1, 0));
}

#[tokio::test]
async fn a_question_that_waits_in_a_task_of_its_own_goes_on_in_the_same_frame_too() {
    // As a step written in Python does: its coroutine is on an event loop, and the question on the runtime.
    let starts = Count::default();
    let begun = starts.clone();
    let node = move |call: NodeCall| {
        begun.up();
        async move {
            let mut asked = tokio::task::JoinSet::new();
            asked.spawn(async move { call.ctx.interrupt("who?").await });
            let answer = asked.join_next().await.unwrap().unwrap()?;
            Ok(Update::new().write("answer", answer))
        }
    };
    let graph =
        Graph::builder("asking", schema()).node("ask", node).edge(START, "ask").edge("ask", END).build().unwrap();
    let runner = StatefulRunner::new(graph);
    let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
    assert_eq!(outcome.status, RunStatus::Suspended);
    let outcome = runner.resume("r", [Command::Answer(json!("Ada"))], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.status, starts.get()), (RunStatus::Finished, 1));
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!("Ada"));
}

#[tokio::test]
async fn after_a_crash_the_step_is_run_again_and_everything_recorded_is_served() {
    let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
    let (graph, store) = (asking(&starts, &ends, &effects), store());
    over(&graph, &store).run(empty(), RunOptions::named("r")).await.unwrap();
    over(&graph, &store).resume("r", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
    let answer = [Command::resume("1:ask/interrupt#1", 2)];
    let outcome = over(&graph, &store).resume("r", answer, RunOptions::default()).await.unwrap();
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!([1, 1, 2]));
    assert_eq!((starts.get(), ends.get(), effects.get()), (3, 1, 1));
}

#[tokio::test]
async fn a_frame_that_was_given_up_is_replayed() {
    let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
    let options = RunnerOptions { max_suspended: 1, ..RunnerOptions::default() };
    let runner = StatefulRunner::with_store(asking(&starts, &ends, &effects), store(), options);
    for name in ["one", "two"] {
        runner.run(empty(), RunOptions::named(name)).await.unwrap();
    }
    assert_eq!((runner.suspended(), starts.get()), (1, 2));
    runner.resume("one", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
    assert_eq!(starts.get(), 3, "its frame had to make room");
}

#[tokio::test]
async fn a_frame_is_not_used_when_another_process_went_on_with_the_run() {
    let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
    let (graph, store) = (asking(&starts, &ends, &effects), store());
    let (one, two) = (over(&graph, &store), over(&graph, &store));
    one.run(empty(), RunOptions::named("r")).await.unwrap();
    two.resume("r", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
    let outcome = one.resume("r", [Command::Answer(json!(2))], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!([1, 1, 2]));
    assert_eq!((starts.get(), ends.get()), (3, 1));
}

#[tokio::test]
async fn several_questions_wait_at_once_and_each_is_answered_by_its_id() {
    let asks = |name: &'static str| {
        move |call: NodeCall| async move {
            let answer = call.ctx.interrupt(name).await?;
            Ok(Update::new().write("log", json!([format!("{name} {answer}")])))
        }
    };
    let graph = Graph::builder("several", schema())
        .node("a", asks("a"))
        .node("b", asks("b"))
        .node("works", says("works"))
        .node("end", says("end"))
        .edge(START, "a")
        .edge(START, "b")
        .edge(START, "works")
        .join(["a", "b", "works"], "end")
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
    let ids: Vec<&str> = outcome.interrupts.iter().map(|interrupt| interrupt.id.as_str()).collect();
    assert_eq!(ids, ["1:a/interrupt#0", "1:b/interrupt#0"]);
    let error = runner.resume("r", [Command::Answer(json!(0))], RunOptions::default()).await.unwrap_err();
    assert!(matches!(error, WorkflowError::WhichInterrupt { .. }), "{error}");
    let outcome = runner.resume("r", [Command::resume(ids[1], 2)], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.status, outcome.interrupts.len()), (RunStatus::Suspended, 1));
    // Nothing is answered: what waits goes on waiting.
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.interrupts[0].id, ids[0]);
    let outcome = runner.resume("r", [Command::resume(ids[0], 1)], RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["a 1", "b 2", "works", "end"]);
}

#[tokio::test]
async fn an_answer_that_nothing_waits_for_is_refused_and_so_is_a_run_that_is_over() {
    let runner = StatefulRunner::new(asking(&Count::default(), &Count::default(), &Count::default()));
    runner.run(empty(), RunOptions::named("r")).await.unwrap();
    for wrong in ["1:ask/interrupt#7", "nonsense"] {
        let error = runner.resume("r", [Command::resume(wrong, 1)], RunOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains("these wait: 1:ask/interrupt#0"), "{error}");
    }
    for answer in [1, 2] {
        runner.resume("r", [Command::Answer(json!(answer))], RunOptions::default()).await.unwrap();
    }
    let error = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::Over { .. })), "{error}");
    let error = runner.resume("nobody", [Command::Continue], RunOptions::default()).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::NoSuchRun { .. })), "{error}");
}

#[tokio::test]
async fn a_question_in_a_graph_inside_a_step_suspends_the_outer_run_and_goes_on_hot_and_cold() {
    for cold in [false, true] {
        let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
        let sub = Subgraph::with_maps(
            asking(&starts, &ends, &effects),
            Arc::new(|_| Ok(json!({}))),
            Arc::new(|state| Ok(Update::new().write("answer", state.read("answer")?.to_value()))),
        );
        let graph = Graph::builder("outer", schema())
            .node("sub", sub)
            .node("beside", says("beside"))
            .edge(START, "sub")
            .edge(START, "beside")
            .build()
            .unwrap();
        let store = store();
        let mut runner = over(&graph, &store);
        let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
        assert_eq!(outcome.interrupts[0].id, "1:sub/1.ask/interrupt#0");
        for answer in [1, 2] {
            if cold {
                runner = over(&graph, &store);
            }
            runner.resume("r", [Command::Answer(json!(answer))], RunOptions::default()).await.unwrap();
        }
        let snapshot = runner.get_state("r").await.unwrap();
        assert_eq!((snapshot.status, log(&snapshot.state)), (RunStatus::Finished, vec!["beside".to_owned()]));
        assert_eq!(snapshot.state.get::<Value>("answer").unwrap(), json!([1, 1, 2]));
        assert_eq!((starts.get(), ends.get(), effects.get()), (if cold { 3 } else { 1 }, 1, 1));
    }
}

fn line() -> Graph {
    Graph::builder("line", schema())
        .node("a", says("a"))
        .node("b1", says("b1"))
        .node("b2", says("b2"))
        .node("c", says("c"))
        .edge(START, "a")
        .edge("a", "b1")
        .edge("a", "b2")
        .join(["b1", "b2"], "c")
        .build()
        .unwrap()
}

#[tokio::test]
async fn breakpoints_of_one_super_step_are_passed_together_and_the_next_ones_are_not() {
    let runner = StatefulRunner::new(line());
    let stops = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let options = || RunOptions {
        interrupt_before: stops(&["b1", "b2", "c"]),
        interrupt_after: stops(&["a"]),
        ..RunOptions::named("r")
    };
    let next = async || runner.resume("r", [Command::Continue], options()).await.unwrap();
    let names = |outcome: &atomr_agents_workflow::RunOutcome| -> Vec<String> {
        outcome.interrupts.iter().map(|interrupt| format!("{:?} {}", interrupt.kind, interrupt.path)).collect()
    };
    assert_eq!(names(&runner.run(empty(), options()).await.unwrap()), ["After a"]);
    assert_eq!(names(&next().await), ["Before b1", "Before b2"]);
    let outcome = next().await;
    assert_eq!((names(&outcome), log(&outcome.state).len()), (vec!["Before c".to_owned()], 3));
    assert_eq!(next().await.status, RunStatus::Finished);
    let wrong = RunOptions { interrupt_before: stops(&["nobody"]), ..RunOptions::default() };
    let error = runner.run(empty(), wrong).await.unwrap_err();
    assert!(error.to_string().contains("interrupt_before names \"nobody\""), "{error}");
}

#[tokio::test]
async fn a_run_at_a_breakpoint_is_edited_through_the_reducers_and_goes_on_behind_it() {
    let runner = StatefulRunner::new(line());
    let options = || RunOptions { interrupt_before: Some(vec!["c".into()]), ..RunOptions::named("r") };
    let outcome = runner.run(empty(), options()).await.unwrap();
    assert_eq!(outcome.interrupts[0].kind, InterruptKind::Before);
    let snapshot = runner.update_state("r", json!({"log": "edited"}), None, RunOptions::default()).await.unwrap();
    assert_eq!((snapshot.step, snapshot.status, &snapshot.next), (3, RunStatus::Suspended, &vec!["c".to_owned()]));
    let outcome = runner.resume("r", [Command::Continue], options()).await.unwrap();
    assert_eq!(log(&outcome.state), ["a", "b1", "b2", "edited", "c"]);
    assert_eq!(outcome.step, 4);
    let error = runner.update_state("r", json!({"nothing": 1}), None, RunOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::State);
}

#[tokio::test]
async fn an_edit_of_a_run_that_waits_keeps_the_question_and_what_was_done() {
    let (starts, ends, effects) = (Count::default(), Count::default(), Count::default());
    let runner = StatefulRunner::new(asking(&starts, &ends, &effects));
    runner.run(empty(), RunOptions::named("r")).await.unwrap();
    let snapshot = runner.update_state("r", json!({"log": "note"}), None, RunOptions::default()).await.unwrap();
    assert_eq!(snapshot.interrupts[0].id, "2:ask/interrupt#0");
    runner.resume("r", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
    let commands = [Command::Update(vec![("log".into(), json!("more"))]), Command::Answer(json!(2))];
    let outcome = runner.resume("r", commands, RunOptions::default()).await.unwrap();
    assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!([1, 1, 2]));
    assert_eq!((effects.get(), log(&outcome.state)), (1, vec!["note".to_owned(), "more".to_owned()]));
}

#[tokio::test]
async fn a_run_that_is_sent_elsewhere_counts_on_and_is_resumed_where_it_stands() {
    let runner = StatefulRunner::new(line());
    let options = || RunOptions { interrupt_before: Some(vec!["c".into()]), ..RunOptions::named("r") };
    let outcome = runner.run(empty(), options()).await.unwrap();
    assert_eq!(outcome.step, 2);
    let outcome = runner.resume("r", [Command::Goto(vec![Target::to("a")])], options()).await.unwrap();
    assert_eq!((outcome.status, outcome.step), (RunStatus::Suspended, 5));
    let latest = runner.get_state("r").await.unwrap();
    assert_eq!((latest.step, latest.next), (5, vec!["c".to_owned()]));
    let outcome = runner.resume("r", [Command::Continue], options()).await.unwrap();
    assert_eq!(log(&outcome.state), ["a", "b1", "b2", "a", "b1", "b2", "c"]);
    let steps: Vec<u64> = runner.history("r", 100).await.unwrap().iter().map(|snapshot| snapshot.step).collect();
    assert_eq!(steps, [6, 5, 4, 3, 2, 1, 0], "no number twice");
    let error = over(&line(), runner.store()).run(empty(), options()).await.unwrap_err();
    assert!(matches!(error, WorkflowError::Log(RunLogError::Exists { .. })));
}

#[tokio::test]
async fn answers_may_be_given_to_several_at_once() {
    let asks = |call: NodeCall| async move {
        let answer = call.ctx.interrupt(call.input.as_deref().cloned().unwrap_or_default()).await?;
        Ok(Update::new().write("log", json!([answer])))
    };
    let send = |_call: NodeCall| async { Ok(Update::new().send("ask", 1).send("ask", 2).send("ask", 3)) };
    let goes = atomr_agents_workflow::NodeOptions {
        goes: atomr_agents_workflow::Destinations::To(vec!["ask".into()]),
        ..Default::default()
    };
    let graph = Graph::builder("sent", schema())
        .node_with("send", send, goes)
        .node("ask", asks)
        .edge(START, "send")
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
    let answers: BTreeMap<String, Value> = outcome
        .interrupts
        .iter()
        .map(|interrupt| (interrupt.id.clone(), json!(format!("{} for {}", interrupt.value, interrupt.path))))
        .collect();
    let outcome = runner.resume("r", [Command::Resume(answers)], RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["1 for ask[0]", "2 for ask[1]", "3 for ask[2]"]);
}

#[tokio::test]
async fn a_step_that_cannot_wait_leaves_and_is_run_again_with_each_answer() {
    let starts = Count::default();
    let counted = starts.clone();
    let node = move |call: NodeCall| {
        counted.up();
        async move {
            let first = call.ctx.interrupt_or_leave("first?").await?;
            let second = call.ctx.interrupt_or_leave("second?").await?;
            Ok(Update::new().write("answer", json!([first, second])))
        }
    };
    let inner = Graph::builder("inner", schema()).node("leaves", node).edge(START, "leaves").build().unwrap();
    let sub = Subgraph::with_maps(
        inner.clone(),
        Arc::new(|_| Ok(json!({}))),
        Arc::new(|state| Ok(Update::new().write("answer", state.read("answer")?.to_value()))),
    );
    let outer = Graph::builder("outer", schema()).node("sub", sub).edge(START, "sub").build().unwrap();
    for (graph, id) in [(inner, "1:leaves/interrupt#1"), (outer, "1:sub/1.leaves/interrupt#1")] {
        let (runner, before) = (StatefulRunner::new(graph), starts.get());
        let outcome = runner.run(empty(), RunOptions::named("r")).await.unwrap();
        assert_eq!((outcome.status, outcome.interrupts.len()), (RunStatus::Suspended, 1));
        let outcome = runner.resume("r", [Command::Answer(json!(1))], RunOptions::default()).await.unwrap();
        assert_eq!(outcome.interrupts[0].id, id);
        let outcome = runner.resume("r", [Command::Answer(json!(2))], RunOptions::default()).await.unwrap();
        assert_eq!(outcome.state.get::<Value>("answer").unwrap(), json!([1, 2]));
        assert_eq!(starts.get() - before, 3);
    }
}
