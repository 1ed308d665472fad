//! What is wrong with a graph is named; what a graph looks like is stable.

use atomr_agents_state::{AppendList, LastWriteWins, StateSchema};
use proptest::prelude::*;

use super::*;
use crate::{Destinations, NodeCall, NodeError, Update};

fn schema() -> StateSchema {
    StateSchema::builder().add("last", LastWriteWins).add("list", AppendList).build().unwrap()
}

type Answer = std::future::Ready<Result<Update, NodeError>>;

fn nothing() -> impl Fn(NodeCall) -> Answer {
    |_| std::future::ready(Ok(Update::new()))
}

fn writes(channels: &[&str]) -> NodeOptions {
    let writes = channels.iter().map(|channel| (*channel).to_owned()).collect();
    NodeOptions { writes: Some(writes), ..NodeOptions::default() }
}

fn with(names: &[&str]) -> GraphBuilder {
    names.iter().fold(Graph::builder("g", schema()), |builder, name| builder.node(name, nothing()))
}

fn faults(builder: GraphBuilder) -> Vec<GraphFault> {
    builder.build().map_or_else(|error| error.faults, |_| Vec::new())
}

fn named(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_fault_is_named_with_the_steps_it_is_about() {
    assert_eq!(faults(with(&["a"])), [GraphFault::NoEntry]);
    let fault = faults(with(&["a", "a"]).edge(START, "a"));
    assert_eq!(fault, [GraphFault::Duplicate { name: "a".into() }]);
    for name in ["__a", START] {
        let fault = faults(with(&[name]));
        assert!(fault.contains(&GraphFault::Reserved { name: name.into() }), "{fault:?}");
    }
    for name in ["", "a/b", "a#1", "a:b", "a[0]", "a\n"] {
        let fault = faults(with(&[name]).edge(START, name));
        assert_eq!(fault, [GraphFault::BadName { name: name.into() }]);
    }
    let error = with(&["a"]).edge(START, "a").edge("a", "b").build().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"graph "g" cannot be run: the edge "a" -> "b" names "b", which is no step of the graph"#
    );
    let fault = faults(with(&["a", "b", "c"]).edge(START, "a").edge("b", "c"));
    assert_eq!(fault, [GraphFault::Unreachable { steps: named(&["b", "c"]) }]);
    let fault = faults(with(&["a", "b"]).edge(START, "a").edge("a", "b").edge("b", "a"));
    assert_eq!(fault, [GraphFault::NoWayToEnd { steps: named(&["a", "b"]) }]);
    assert!(matches!(faults(with(&["a"]).edge("a", START))[..], [GraphFault::WrongWay { .. }]));
    assert!(matches!(faults(with(&["a"]).edge(END, "a"))[..], [GraphFault::WrongWay { .. }]));
    assert!(matches!(faults(with(&["a"]).edge(START, "a").join([], "a"))[..], [GraphFault::BadStep { .. }]));
    let unknown = Graph::builder("g", schema()).node_with("a", nothing(), writes(&["nothing"])).edge(START, "a");
    assert_eq!(faults(unknown), [GraphFault::UnknownChannel { step: "a".into(), channel: "nothing".into() }]);
}

#[test]
fn a_cycle_with_a_way_out_is_fine_and_so_is_a_step_that_goes_where_it_likes() {
    let router = || crate::Router::new(|_| vec![]);
    assert_eq!(faults(with(&["a", "b"]).edge(START, "a").edge("a", "b").branch("b", router(), ["a", END])), []);
    assert_eq!(faults(with(&["a", "b"]).edge(START, "a").open_branch("a", router())), []);
    let any = NodeOptions { goes: Destinations::Any, ..NodeOptions::default() };
    assert_eq!(faults(with(&["b"]).node_with("a", nothing(), any).edge(START, "a")), []);
    let to = NodeOptions { goes: Destinations::To(vec!["x".into()]), ..NodeOptions::default() };
    let fault = faults(with(&["b"]).node_with("a", nothing(), to).edge(START, "a"));
    assert!(matches!(&fault[..], [GraphFault::Unknown { name, .. }] if name == "x"), "{fault:?}");
}

#[test]
fn two_steps_that_certainly_run_together_do_not_both_write_what_keeps_one_write() {
    let two = |channel: &str| {
        let builder = with(&["first"]).edge(START, "first");
        let builder = builder.node_with("a", nothing(), writes(&[channel])).node("before_b", nothing());
        builder
            .node_with("b", nothing(), writes(&[channel]))
            .node("before_a", nothing())
            .edge("first", "before_a")
            .edge("first", "before_b")
            .edge("before_a", "a")
            .edge("before_b", "b")
    };
    let fault = faults(two("last"));
    assert_eq!(fault, [GraphFault::TwoWriters { channel: "last".into(), steps: named(&["a", "b"]) }]);
    assert_eq!(faults(two("list")), []);
    let one_after_the_other = Graph::builder("g", schema())
        .node_with("a", nothing(), writes(&["last"]))
        .node_with("b", nothing(), writes(&["last"]))
        .edge(START, "a")
        .edge("a", "b");
    assert_eq!(faults(one_after_the_other), []);
}

#[test]
fn the_version_does_not_depend_on_the_order_of_adding_and_the_difference_tells_what_changed() {
    let one = with(&["a", "b"]).edge(START, "a").edge("a", "b").build().unwrap();
    let two = with(&["b", "a"]).edge("a", "b").edge(START, "a").build().unwrap();
    assert_eq!(one.version(), two.version());
    assert!(one.difference(&two).is_empty());
    // Runs that are stored name it: it must stay what it is.
    assert_eq!(one.version(), "5c9b25eacc9273c77a8c0628bf166ffa");
    let three = with(&["a", "c"]).edge(START, "a").edge("a", "c").build().unwrap();
    assert_eq!(one.difference(&three).to_string(), "added: edge a -> c, step c; removed: edge a -> b, step b");
    let schema = StateSchema::builder().add("last", AppendList).build().unwrap();
    let four = Graph::builder("g", schema).node("a", nothing()).node("b", nothing()).edge(START, "a").edge("a", "b");
    let difference = one.difference(&four.build().unwrap());
    assert_eq!((difference.removed, difference.changed), (named(&["channel list"]), named(&["channel last"])));
}

fn drawn() -> Graph {
    let router = crate::Router::new(|_| vec![]);
    let kind = |kind| NodeOptions { kind: Some(kind), ..NodeOptions::default() };
    Graph::builder("a <graph> & \"more\"", schema())
        .node("plan", nothing())
        .node_with("search the <web>", nothing(), kind("subgraph"))
        .node("read", nothing())
        .node_with("review", nothing(), kind("human"))
        .node("write", nothing())
        .edge(START, "plan")
        .edge("plan", "search the <web>")
        .edge("plan", "read")
        .join(["search the <web>", "read"], "write")
        .edge("write", "review")
        .labelled_branch("review", router, [("again", "plan"), ("more text", "write"), ("fine", END)])
        .build()
        .unwrap()
}

#[test]
fn drawings_show_every_step_and_escape_what_has_a_meaning() {
    let mermaid = drawn().mermaid();
    assert!(mermaid.starts_with("flowchart TD\n    n0([\"start\"])\n"), "{mermaid}");
    assert!(mermaid.contains("n2[[\"search the #60;web#62;\"]]"), "{mermaid}");
    assert!(mermaid.contains("n4 -.->|\"again\"| n1"), "{mermaid}");
    assert!(mermaid.contains("n2 -->|\"all\"| n5"), "{mermaid}");
    let svg = drawn().svg();
    assert!(svg.contains("search the &lt;web&gt;") && !svg.contains("<web>"), "{svg}");
    assert!(svg.contains("<title>a &lt;graph&gt; &amp; &quot;more&quot;</title>"), "{svg}");
    assert_eq!(svg.matches("class=\"edge").count(), drawn().shape().edges.len());
}

proptest! {
    #[test]
    fn any_graph_is_drawn_without_overlaps(edges in proptest::collection::vec((0_usize..12, 0_usize..12), 1..40)) {
        let name = |at: usize| format!("s{at}");
        let any = || NodeOptions { goes: Destinations::Any, ..NodeOptions::default() };
        let mut builder = (0..12).fold(Graph::builder("g", schema()), |builder, at| {
            builder.node_with(&name(at), nothing(), any())
        });
        builder = builder.edge(START, "s0");
        for (from, to) in edges {
            builder = builder.edge(&name(from), &name(to));
        }
        let svg = builder.build().unwrap().svg();
        prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
        // Each place is a rectangle or a path with a top and a left side; those of one row do not touch.
        let mut rows = std::collections::BTreeMap::<String, Vec<(f64, f64)>>::new();
        for line in svg.lines().filter(|line| line.starts_with("<rect class=\"place")) {
            let field = |name: &str| line.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
            let (x, width): (f64, f64) = (field("x").parse().unwrap(), field("width").parse().unwrap());
            rows.entry(field("y").to_owned()).or_default().push((x, x + width));
        }
        for row in rows.values_mut() {
            row.sort_by(|one, two| one.0.total_cmp(&two.0));
            prop_assert!(row.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", row);
        }
    }
}
