//! What went wrong in the published package: each fault by its number in the list of them, and that it does not happen here.
//! Faults 55 and 56 are of Python and of the stores, and have their tests there.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use atomr_agents_callable::{CallableError, CallableHandle, FnCallable, predicate};
use atomr_agents_core::Value;
use atomr_agents_state::{CheckpointKey, Checkpointer, EffectClass, RunStatus};
use atomr_agents_workflow::{
    Command, Dag, END, Graph, JoinStrategy, NodeCall, NodeError, Part, Router, RunOptions, START, StatefulRunner, Step,
    Subgraph, Target, Update, WorkflowRunner,
};
use common::{Count, empty, log, over, says, schema, store};
use futures_util::StreamExt;
use serde_json::json;

fn tag(name: &'static str) -> Step {
    Step::invoke(Arc::new(FnCallable::new(name, move |input: Value, _| async move {
        Ok(json!(format!("{}>{name}", input.as_str().unwrap_or(&input.to_string()))))
    })))
}

fn yes(holds: bool) -> CallableHandle {
    Arc::new(predicate("yes", move |_| holds))
}

fn stops(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn names(outcome: &atomr_agents_workflow::RunOutcome) -> Vec<&str> {
    outcome.interrupts.iter().map(|interrupt| interrupt.path.as_str()).collect()
}

#[tokio::test]
async fn fault_50_a_branch_branches() {
    let branch = Step::Branch { predicate: yes(true), if_true: "a".into(), if_false: "c".into() };
    let dag =
        Dag::<String>::builder("d").step("which", branch).step("a", tag("a")).step("c", tag("c")).build().unwrap();
    let outcome = WorkflowRunner::new(dag).run("X".into(), RunOptions::default()).await.unwrap();
    assert_eq!((outcome.ran, outcome.output), (vec!["which".to_owned(), "a".to_owned()], Some(json!("X>a"))));
}

#[tokio::test]
async fn fault_51_edges_carry_data_and_what_is_due_is_run_in_the_order_of_names() {
    let dag =
        Dag::<String>::builder("d").step("a", tag("a")).step("b", tag("b")).step("c", tag("c")).step("d", tag("d"));
    let dag = dag.edge("a", "b").edge("a", "c").edge("b", "d").edge("c", "d").entry("a").build().unwrap();
    let outcome = WorkflowRunner::new(dag).run("X".into(), RunOptions::default()).await.unwrap();
    assert_eq!((&outcome.outputs["b"], &outcome.outputs["c"]), (&json!("X>a>b"), &json!("X>a>c")));
    assert_eq!(outcome.ran, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn fault_52_a_runner_runs_again_with_new_input() {
    let runner = WorkflowRunner::new(Dag::<String>::builder("d").step("a", tag("a")).build().unwrap());
    for input in ["X", "Y"] {
        let outcome = runner.run(input.into(), RunOptions::default()).await.unwrap();
        assert_eq!(outcome.output, Some(json!(format!("{input}>a"))));
    }
}

#[tokio::test]
async fn fault_53_a_resumed_step_is_given_what_its_predecessor_gave() {
    let tries = Count::default();
    let counted = tries.clone();
    let flaky: CallableHandle = Arc::new(FnCallable::new("f", move |input: Value, _| {
        let failed = counted.up() == 1;
        let down = || CallableError::Contract { label: "f".into(), message: "down".into() };
        async move { if failed { Err(down()) } else { Ok(json!(format!("F({})", input.as_str().unwrap()))) } }
    }));
    let dag = Dag::<String>::builder("d").step("a", tag("a")).step("f", Step::invoke(flaky)).edge("a", "f");
    let runner = WorkflowRunner::new(dag.build().unwrap());
    runner.run("X".into(), RunOptions::named("r")).await.unwrap_err();
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.output, Some(json!("F(X>a)")));
}

#[tokio::test]
async fn fault_54_loops_maps_people_and_races_do_what_they_say_and_tell_what_they_do() {
    let hangs: CallableHandle = Arc::new(FnCallable::new("hangs", |_, _| std::future::pending()));
    let race = Step::Parallel {
        steps: vec![("slow".into(), Step::invoke(hangs)), ("quick".into(), tag("quick"))],
        join: JoinStrategy::Any,
    };
    let once = Step::Loop { body: Box::new(tag("round")), again: yes(false), max_rounds: 5 };
    let dag = Dag::builder("d")
        .step("loop", Step::Map { body: Box::new(once), concurrency: 2 })
        .step("human", Step::human("fine?"))
        .step("race", race)
        .edge("loop", "human")
        .edge("human", "race");
    let runner = WorkflowRunner::new(dag.build().unwrap());
    let outcome = runner.run(json!(["x", "y"]), RunOptions::named("r")).await.unwrap();
    assert_eq!(outcome.outputs["loop"], json!(["x>round", "y>round"]));
    assert_eq!(outcome.interrupts[0].value["input"], json!(["x>round", "y>round"]));
    let mut stream = runner.stateful().stream_resume("r", [Command::Answer(json!("ok"))], RunOptions::default());
    let mut told = Vec::new();
    while let Some(part) = stream.next().await {
        if let Part::Update { path, .. } = part {
            told.push(path.to_string());
        }
    }
    assert_eq!(told, ["human", "race"]);
    let outcome = runner.read(stream.outcome().unwrap().unwrap()).unwrap();
    assert_eq!(outcome.output, Some(json!("ok>quick")));
}

fn layers() -> Graph {
    Graph::builder("layers", schema())
        .node("a", says("a"))
        .node("b", says("b"))
        .node("c", says("c"))
        .edge(START, "a")
        .edge(START, "b")
        .join(["a", "b"], "c")
        .edge("c", END)
        .build()
        .unwrap()
}

#[tokio::test]
async fn fault_57_two_breakpoints_in_one_layer_are_passed() {
    let runner = StatefulRunner::new(layers());
    let options = || RunOptions { interrupt_before: stops(&["a", "b"]), ..RunOptions::named("r") };
    assert_eq!(names(&runner.run(empty(), options()).await.unwrap()), ["a", "b"]);
    let outcome = runner.resume("r", [Command::Continue], options()).await.unwrap();
    assert_eq!((outcome.status, log(&outcome.state)), (RunStatus::Finished, log_of(&["a", "b", "c"])));
}

fn log_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn fault_58_a_breakpoint_after_an_answer_or_after_another_one_is_not_skipped() {
    let asks = |call: NodeCall| async move {
        call.ctx.interrupt("?").await?;
        Ok(Update::new().write("log", json!(["asks"])))
    };
    let graph = Graph::builder("g", schema())
        .node("asks", asks)
        .node("b", says("b"))
        .node("c", says("c"))
        .edge(START, "asks")
        .edge("asks", "b")
        .edge("b", "c")
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    let options = || RunOptions {
        interrupt_before: stops(&["b", "c"]),
        interrupt_after: stops(&["b"]),
        ..RunOptions::named("r")
    };
    runner.run(empty(), options()).await.unwrap();
    assert_eq!(names(&runner.resume("r", [Command::Answer(json!(1))], options()).await.unwrap()), ["b"]);
    let mut stopped = Vec::new();
    for _ in 0..2 {
        let outcome = runner.resume("r", [Command::Continue], options()).await.unwrap();
        stopped.push(format!("{:?} {}", outcome.interrupts[0].kind, outcome.interrupts[0].path));
    }
    assert_eq!(stopped, ["After b", "Before c"]);
}

#[tokio::test]
async fn fault_59_a_stop_makes_no_second_checkpoint_of_one_number() {
    let store = store();
    let runner = over(&layers(), &store);
    let options = || RunOptions { interrupt_before: stops(&["*"]), ..RunOptions::named("r") };
    runner.run(empty(), options()).await.unwrap();
    while runner.resume("r", [Command::Continue], options()).await.unwrap().status == RunStatus::Suspended {}
    let checkpointer = Checkpointer::new(store);
    let steps: Vec<u64> =
        checkpointer.list("layers", "r").await.unwrap().iter().map(|checkpoint| checkpoint.key.step).collect();
    assert_eq!(steps, [0, 1, 2]);
    let key = CheckpointKey { workflow: "layers".into(), run: "r".into(), step: 2 };
    let (loaded, latest) = (checkpointer.load(&key).await.unwrap(), checkpointer.latest("layers", "r").await.unwrap());
    assert_eq!(loaded, latest);
}

#[tokio::test]
async fn fault_60_going_back_counts_on_and_edits_go_through_reducers_and_schema() {
    let runner = StatefulRunner::new(layers());
    let options = || RunOptions { interrupt_before: stops(&["c"]), ..RunOptions::named("r") };
    runner.run(empty(), options()).await.unwrap();
    runner.resume("r", [Command::Goto(vec![Target::to("a"), Target::to("b")])], options()).await.unwrap();
    let wrong = Command::Update(vec![("nothing".into(), json!(1))]);
    let error = runner.resume("r", [wrong], options()).await.unwrap_err();
    assert!(error.to_string().contains("there is no channel `nothing`"), "{error}");
    let edit = Command::Update(vec![("log".into(), json!("edited"))]);
    let outcome = runner.resume("r", [edit, Command::Continue], options()).await.unwrap();
    assert_eq!((outcome.step, log(&outcome.state)), (5, log_of(&["a", "b", "a", "b", "edited", "c"])));
    let fork = runner.fork("r", 0, json!({"log": "forked"}), None).await.unwrap();
    let outcome = runner.resume(&fork, [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!(log(&outcome.state), ["forked", "a", "b", "c"]);
    assert!(runner.fork("r", 0, json!({"nothing": 1}), None).await.is_err());
}

#[tokio::test]
async fn fault_61_a_resume_runs_no_sibling_again_and_hands_the_answer_to_the_step_that_asked() {
    for cold in [false, true] {
        let effects = Count::default();
        let counted = effects.clone();
        let works = move |_call: NodeCall| {
            counted.up();
            async { Ok(Update::new().write("log", json!(["works"]))) }
        };
        let asks = |name: &'static str| {
            move |call: NodeCall| async move {
                let answer = call.ctx.interrupt(name).await?;
                Ok(Update::new().write("log", json!([format!("{name} got {answer}")])))
            }
        };
        let graph = Graph::builder("g", schema())
            .node("a", asks("a"))
            .node("b", asks("b"))
            .node("works", works)
            .edge(START, "a")
            .edge(START, "b")
            .edge(START, "works")
            .build()
            .unwrap();
        let store = store();
        let mut runner = over(&graph, &store);
        runner.run(empty(), RunOptions::named("r")).await.unwrap();
        for (id, answer) in [("1:b/interrupt#0", 2), ("1:a/interrupt#0", 1)] {
            if cold {
                runner = over(&graph, &store);
            }
            runner.resume("r", [Command::resume(id, answer)], RunOptions::default()).await.unwrap();
        }
        let snapshot = runner.get_state("r").await.unwrap();
        assert_eq!(log(&snapshot.state), ["a got 1", "b got 2", "works"]);
        assert_eq!(effects.get(), 1);
    }
}

#[tokio::test]
async fn fault_62_cycles_and_conditional_edges_run_and_a_failing_step_loses_no_writes_of_others() {
    let tries = Count::default();
    let counted = tries.clone();
    let flaky = move |_call: NodeCall| {
        let failed = counted.up() == 2;
        async move {
            tokio::task::yield_now().await;
            if failed { Err(NodeError::failed(atomr_agents_core::Kind::Connect, "down")) } else { Ok(Update::new()) }
        }
    };
    let router = Router::new(|state| match log(state).len() {
        0..3 => vec![Target::to("grows"), Target::to("flaky")],
        _ => vec![Target::end()],
    });
    let graph = Graph::builder("g", schema())
        .node("grows", says("x"))
        .node("flaky", flaky)
        .edge(START, "grows")
        .edge(START, "flaky")
        .branch("grows", router, ["grows", "flaky", END])
        .build()
        .unwrap();
    let runner = StatefulRunner::new(graph);
    runner.run(empty(), RunOptions::named("r")).await.unwrap_err();
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!((log(&outcome.state).len(), tries.get()), (3, 4));
}

#[tokio::test]
async fn fault_63_a_graph_in_a_step_is_fresh_at_each_visit_and_takes_its_new_input() {
    let effects = Count::default();
    let counted = effects.clone();
    let inner = move |call: NodeCall| {
        let counted = counted.clone();
        async move {
            let count: u64 = call.state.get("count")?;
            let done: u32 = call.ctx.effect("work", EffectClass::Idempotent, |_| async { Ok(counted.up()) }).await?;
            Ok(Update::new().write("answer", json!([count, done])))
        }
    };
    let inner = Graph::builder("inner", schema()).node("a", inner).edge(START, "a").build().unwrap();
    let sub = Subgraph::with_maps(
        inner,
        Arc::new(|call| Ok(json!({"count": call.input.as_deref()}))),
        Arc::new(|state| Ok(Update::new().write("log", json!([state.read("answer")?.to_value().to_string()])))),
    );
    let graph = Graph::builder("outer", schema())
        .node("sub", sub)
        .branch(START, Router::new(|_| vec![Target::send("sub", 7), Target::send("sub", 8)]), ["sub"])
        .build()
        .unwrap();
    let outcome = StatefulRunner::new(graph).run(empty(), RunOptions::default()).await.unwrap();
    let mut seen = log(&outcome.state);
    seen.iter_mut().for_each(|seen| *seen = seen[..2].to_owned());
    assert_eq!((seen, effects.get()), (log_of(&["[7", "[8"]), 2));
}
