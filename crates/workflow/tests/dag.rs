//! Dags: data along edges, branches, joins, loops, maps, people; and what is wrong with one.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use atomr_agents_callable::{Callable, CallableError, CallableHandle, FnCallable, predicate};
use atomr_agents_core::{CallCtx, Kind, Value};
use atomr_agents_state::{EffectClass, RunStatus};
use atomr_agents_workflow::{
    Command, Dag, GraphFault, InputMapping, JoinStrategy, RunOptions, Source, Step, StepOptions, WorkflowRunner,
};
use common::{Count, store};
use serde_json::json;

fn tagged(tag: &'static str) -> CallableHandle {
    Arc::new(FnCallable::new(tag, move |input: Value, _| async move {
        let text = input.as_str().map_or_else(|| input.to_string(), str::to_owned);
        Ok(json!(format!("{text}>{tag}")))
    }))
}

fn counted(count: &Count) -> CallableHandle {
    let count = count.clone();
    Arc::new(FnCallable::new("counted", move |input: Value, _| {
        count.up();
        async move { Ok(input) }
    }))
}

fn fails() -> CallableHandle {
    Arc::new(FnCallable::new("fails", |_, _| async {
        Err(CallableError::Contract { label: "fails".into(), message: "always".into() })
    }))
}

fn is_large() -> CallableHandle {
    Arc::new(predicate("large", |n| n.as_i64() > Some(10)))
}

async fn output<S: serde::Serialize>(dag: Dag<S>, input: S) -> Value {
    WorkflowRunner::new(dag).run(input, RunOptions::default()).await.unwrap().output.unwrap()
}

#[tokio::test]
async fn a_diamond_hands_each_step_what_its_own_predecessors_gave() {
    let dag = Dag::<String>::builder("diamond")
        .step("d", Step::invoke(tagged("d")))
        .step("c", Step::invoke(tagged("c")))
        .step("b", Step::invoke(tagged("b")))
        .step("a", Step::invoke(tagged("a")))
        .edge("a", "b")
        .edge("a", "c")
        .edge("b", "d")
        .edge("c", "d")
        .build()
        .unwrap();
    let said = output(dag, "x".to_owned()).await;
    assert_eq!(said, json!(r#"{"b":"x>a>b","c":"x>a>c"}>d"#));
}

#[tokio::test]
async fn a_mapping_says_what_a_step_is_given() {
    let fields = vec![
        ("name".to_owned(), Source::Input("/user/name".into())),
        ("first".to_owned(), Source::Step("a".into(), String::new())),
        ("fixed".to_owned(), Source::Value(json!(7))),
        ("gone".to_owned(), Source::Input("/nobody".into())),
    ];
    let mapped = StepOptions { input: InputMapping::Object(fields), ..StepOptions::default() };
    let picked = StepOptions { input: InputMapping::One(Source::Input("/user/name".into())), ..StepOptions::default() };
    let echo: CallableHandle = Arc::new(FnCallable::new("echo", |input, _| async move { Ok(input) }));
    let dag = Dag::builder("mapped")
        .step_with("a", Step::invoke(tagged("a")), picked)
        .step("b", Step::invoke(tagged("b")))
        .step_with("c", Step::invoke(echo), mapped)
        .edge("a", "b")
        .edge("b", "c")
        .build()
        .unwrap();
    let said = output(dag, json!({"user": {"name": "Ada"}})).await;
    assert_eq!(said, json!({"name": "Ada", "first": "Ada>a", "fixed": 7, "gone": null}));
}

fn branching(arm: Step) -> Dag<i64> {
    let branch = Step::Branch { predicate: is_large(), if_true: "large".into(), if_false: "small".into() };
    Dag::builder("branching")
        .step("which", branch)
        .step("large", arm)
        .step("more", Step::invoke(tagged("more")))
        .step("small", Step::invoke(tagged("small")))
        .step("after", Step::invoke(tagged("after")))
        .edge("large", "more")
        .edge("more", "after")
        .edge("small", "after")
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_branch_runs_one_arm_and_a_join_behind_it_does_not_wait_for_the_other() {
    let runner = WorkflowRunner::new(branching(Step::invoke(tagged("large"))));
    let large = runner.run(11, RunOptions::default()).await.unwrap();
    assert_eq!(large.ran, ["which", "large", "more", "after"]);
    assert_eq!(large.output, Some(json!(r#"{"more":"11>large>more"}>after"#)));
    let small = runner.run(1, RunOptions::default()).await.unwrap();
    assert_eq!(small.ran, ["which", "small", "after"]);
    assert_eq!(small.output, Some(json!(r#"{"small":"1>small"}>after"#)));
}

#[tokio::test]
async fn a_step_that_joins_any_runs_once_when_the_first_has_come() {
    let any = StepOptions { join: JoinStrategy::Any, ..StepOptions::default() };
    let dag = Dag::<i64>::builder("any")
        .step("short", Step::invoke(tagged("short")))
        .step("long", Step::invoke(tagged("long")))
        .step("longer", Step::invoke(tagged("longer")))
        .step_with("first", Step::invoke(tagged("first")), any)
        .edge("long", "longer")
        .edge("short", "first")
        .edge("longer", "first")
        .build()
        .unwrap();
    let outcome = WorkflowRunner::new(dag).run(1, RunOptions::default()).await.unwrap();
    assert_eq!(outcome.output, Some(json!(r#"{"short":"1>short"}>first"#)));
    assert_eq!(outcome.ran.iter().filter(|name| *name == "first").count(), 1);
}

#[tokio::test]
async fn loops_maps_and_parallel_steps_do_what_they_say() {
    let double: CallableHandle =
        Arc::new(FnCallable::new("double", |n: Value, _| async move { Ok(json!(n.as_i64().unwrap_or(0) * 2)) }));
    let small: CallableHandle = Arc::new(predicate("small", |n| n.as_i64() < Some(100)));
    let looped = Step::Loop { body: Box::new(Step::invoke(double)), again: small, max_rounds: 20 };
    let dag = Dag::builder("each")
        .step("each", Step::Map { body: Box::new(looped.clone()), concurrency: 2 })
        .step(
            "both",
            Step::Parallel {
                steps: vec![("one".into(), Step::invoke(tagged("one"))), ("two".into(), Step::invoke(tagged("two")))],
                join: JoinStrategy::All,
            },
        )
        .edge("each", "both")
        .build()
        .unwrap();
    let said = output(dag, json!([1, 50, 99])).await;
    assert_eq!(said, json!({"one": "[128,100,198]>one", "two": "[128,100,198]>two"}));
    let endless = Step::Loop {
        body: Box::new(Step::invoke(tagged("x"))),
        again: Arc::new(predicate("yes", |_| true)),
        max_rounds: 3,
    };
    let dag = Dag::<i64>::builder("endless").step("a", endless).build().unwrap();
    let error = WorkflowRunner::new(dag).run(1, RunOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::IterationCap);
}

#[tokio::test]
async fn the_first_of_parallel_steps_wins_and_all_failing_is_an_error() {
    let hangs: CallableHandle = Arc::new(FnCallable::new("hangs", |_, _| std::future::pending()));
    let race = |steps: Vec<(String, Step)>| {
        let parallel = Step::Parallel { steps, join: JoinStrategy::Any };
        Dag::<i64>::builder("race").step("a", parallel).build().unwrap()
    };
    let won = race(vec![
        ("hangs".into(), Step::invoke(hangs)),
        ("fails".into(), Step::invoke(fails())),
        ("wins".into(), Step::invoke(tagged("wins"))),
    ]);
    assert_eq!(output(won, 1).await, json!("1>wins"));
    let lost = race(vec![("one".into(), Step::invoke(fails())), ("two".into(), Step::invoke(fails()))]);
    let error = WorkflowRunner::new(lost).run(1, RunOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Contract);
}

#[tokio::test]
async fn several_people_are_asked_at_once_and_each_answers_by_id_while_done_work_stays_done() {
    let calls = Count::default();
    let ask = |prompt: &str| Step::human(prompt);
    let parallel = Step::Parallel {
        steps: vec![
            ("anna".into(), ask("Anna?")),
            ("work".into(), Step::invoke(counted(&calls))),
            ("bert".into(), ask("Bert?")),
        ],
        join: JoinStrategy::All,
    };
    let dag = Dag::<i64>::builder("people").step("all", parallel).build().unwrap();
    let store = store();
    let runner = || WorkflowRunner::with_store(dag.clone(), Arc::clone(&store), Default::default());
    let outcome = runner().run(5, RunOptions::named("r")).await.unwrap();
    let asked: Vec<_> = outcome.interrupts.iter().map(|one| (one.id.as_str(), &one.value["prompt"])).collect();
    assert_eq!(asked, [("1:all/anna.interrupt#0", &json!("Anna?")), ("1:all/bert.interrupt#0", &json!("Bert?"))]);
    // Each answer reaches another process, in which the step is run again.
    let outcome = runner().resume("r", [Command::resume(asked[1].0, "b")], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.status, outcome.interrupts.len()), (RunStatus::Suspended, 1));
    let outcome = runner().resume("r", [Command::Answer(json!("a"))], RunOptions::default()).await.unwrap();
    assert_eq!(outcome.output, Some(json!({"anna": "a", "work": 5, "bert": "b"})));
    assert_eq!(calls.get(), 1);
}

#[tokio::test]
async fn a_failed_step_is_resumed_with_what_its_predecessor_gave() {
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let flag = Arc::clone(&broken);
    let flaky: CallableHandle = Arc::new(FnCallable::new("flaky", move |input: Value, _| {
        let broken = flag.load(std::sync::atomic::Ordering::SeqCst);
        async move {
            if broken {
                return Err(CallableError::Contract { label: "flaky".into(), message: "down".into() });
            }
            Ok(json!(format!("F({})", input.as_str().unwrap_or_default())))
        }
    }));
    let calls = Count::default();
    let dag = Dag::<String>::builder("flaky")
        .step("count", Step::Invoke { callable: counted(&calls), effect: EffectClass::Once })
        .step("a", Step::invoke(tagged("a")))
        .step("f", Step::invoke(flaky))
        .edge("count", "a")
        .edge("a", "f")
        .build()
        .unwrap();
    let runner = WorkflowRunner::new(dag);
    runner.run("X".into(), RunOptions::named("r")).await.unwrap_err();
    broken.store(false, std::sync::atomic::Ordering::SeqCst);
    let outcome = runner.resume("r", [Command::Continue], RunOptions::default()).await.unwrap();
    assert_eq!((outcome.output, calls.get()), (Some(json!("F(X>a)")), 1));
}

#[tokio::test]
async fn a_runner_is_a_callable_that_keeps_the_rules_of_callables() {
    let runner =
        WorkflowRunner::new(Dag::<Value>::builder("callable").step("a", Step::invoke(tagged("a"))).build().unwrap());
    atomr_agents_callable::conformance::check(&runner, json!("x")).await.unwrap();
    let asks = WorkflowRunner::new(Dag::<Value>::builder("asks").step("a", Step::human("?")).build().unwrap());
    let error = asks.call(json!(1), CallCtx::new()).await.unwrap_err();
    assert!(error.to_string().contains("a call has nobody to ask"), "{error}");
}

#[test]
fn what_is_wrong_with_a_dag_is_named() {
    let step = || Step::invoke(tagged("x"));
    let cycle = Dag::<i64>::builder("c").step("a", step()).step("b", step()).step("c", step());
    let cycle = cycle.edge("a", "b").edge("b", "c").edge("c", "b");
    let error = cycle.build().unwrap_err();
    assert!(error.to_string().contains("\"c\" cannot be run"), "{error}");
    let [GraphFault::Cycle { steps }] = &error.faults[..] else { panic!("{error}") };
    assert_eq!(steps.first(), steps.last());
    assert!(steps.contains(&"b".to_owned()) && steps.contains(&"c".to_owned()), "{error}");

    let all = Dag::<i64>::builder("c").step("a", step()).step("b", step()).edge("a", "b").edge("b", "a").build();
    assert!(matches!(all.unwrap_err().faults[..], [GraphFault::Cycle { .. }]));

    let unknown = Dag::<i64>::builder("u").step("a", step()).edge("a", "nobody").build().unwrap_err();
    assert!(unknown.to_string().contains("the edge \"a\" -> \"nobody\" names \"nobody\""), "{unknown}");

    let entry = Dag::<i64>::builder("e").step("a", step()).step("b", step()).entry("a").build().unwrap_err();
    assert_eq!(entry.faults, [GraphFault::Unreachable { steps: vec!["b".into()] }]);

    let twice = Dag::<i64>::builder("t").step("a", step()).step("a", step()).build().unwrap_err();
    assert_eq!(twice.faults, [GraphFault::Duplicate { name: "a".into() }]);

    let late =
        StepOptions { input: InputMapping::One(Source::Step("b".into(), String::new())), ..StepOptions::default() };
    let late =
        Dag::<i64>::builder("l").step_with("a", step(), late).step("b", step()).edge("a", "b").build().unwrap_err();
    assert!(late.to_string().contains("takes its input from \"b\", which does not come before it"), "{late}");

    let branch = Step::Branch { predicate: is_large(), if_true: "a".into(), if_false: "a".into() };
    let inside = Step::Loop { body: Box::new(branch), again: is_large(), max_rounds: 1 };
    let inside = Dag::<i64>::builder("i").step("a", inside).build().unwrap_err();
    assert!(inside.to_string().contains("step \"a\" has a branch inside"), "{inside}");

    assert_eq!(Dag::<i64>::builder("empty").build().unwrap_err().faults, [GraphFault::NoEntry]);
}
