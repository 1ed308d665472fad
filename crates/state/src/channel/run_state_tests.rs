//! States, schemas and what is stored of them.

use std::sync::Arc;

use atomr_agents_core::{Kind, Value};
use serde_json::json;

use super::*;

fn schema() -> StateSchema {
    StateSchema::builder()
        .add("log", AppendList)
        .add("messages", AppendMessages)
        .add_with_default("facts", MergeMap, json!({"sky": "blue"}))
        .add("newest", MaxByTimestamp)
        .add_with_default("count", LastWriteWins, json!(0))
        .add("seen", reducer("union", union))
        .build()
        .unwrap()
}

fn union(current: &Value, incoming: Value) -> Result<Value, ReduceError> {
    let mut all = current.as_array().cloned().unwrap_or_default();
    match incoming {
        Value::Array(items) => {
            for item in items {
                if !all.contains(&item) {
                    all.push(item);
                }
            }
            Ok(Value::Array(all))
        }
        Value::String(word) if word == "panic" => panic!("at the word {word}"),
        other => Err(ReduceError::refused(format!("{other} is no set"))),
    }
}

fn told(deltas: &[Delta]) -> Value {
    serde_json::to_value(deltas).unwrap()
}

#[test]
fn a_state_begins_with_its_defaults() {
    let state = RunState::new(&schema());
    let all = json!({"log": [], "messages": [], "facts": {"sky": "blue"}, "newest": null, "count": 0, "seen": null});
    assert_eq!(state.snapshot().to_value(), all);
    assert_eq!(serde_json::to_value(state.snapshot()).unwrap(), all);
    assert_eq!(state.step(), 0);
}

#[test]
fn a_delta_tells_only_what_is_new() {
    let mut state = RunState::new(&schema());
    state.write("messages", json!([{"id": "a"}, {"id": "b"}])).unwrap();
    state.write("seen", json!([1, 2])).unwrap();
    let deltas = state
        .apply([
            Write::new("b", "messages", json!([{"id": "c"}, {"id": "a", "x": 1}])),
            Write::new("a", "messages", json!([{"id": "c", "x": 0}, {"id": "b"}])),
            Write::new("a", "facts", json!({"grass": "green", "sky": "blue"})),
            Write::new("c", "facts", json!({"grass": "brown"})),
            Write::new("a", "newest", json!({"ts_ms": 3})),
            Write::new("b", "newest", json!({"ts_ms": 2})),
            Write::new("a", "count", json!(0)),
            Write::new("a", "seen", json!([2, 3])),
            Write::new("a", "log", json!(null)),
        ])
        .unwrap();
    let expected = json!([
        {"channel": "messages", "change": {"replace": {"at": 0, "value": {"id": "a", "x": 1}}}},
        {"channel": "messages", "change": {"append": [{"id": "c"}]}},
        {"channel": "facts", "change": {"merge": {"grass": "brown"}}},
        {"channel": "newest", "change": {"set": {"ts_ms": 3}}},
        {"channel": "seen", "change": {"append": [3]}},
    ]);
    assert_eq!(told(&deltas), expected);
    assert_eq!(serde_json::from_value::<Vec<Delta>>(expected).unwrap(), deltas);
    assert_eq!(state.step(), 1);
}

#[test]
fn a_map_that_a_users_reducer_makes_is_told_by_its_keys_and_anything_smaller_as_a_whole() {
    let last = reducer("last", |_, incoming| Ok(incoming));
    let mut state = RunState::new(&StateSchema::builder().add("it", last).build().unwrap());
    for (write, change) in [
        (json!({"a": 1, "b": 2}), json!({"set": {"a": 1, "b": 2}})),
        (json!({"a": 1, "b": 3, "c": 4}), json!({"merge": {"b": 3, "c": 4}})),
        (json!({"a": 1, "b": 3}), json!({"set": {"a": 1, "b": 3}})),
        (json!({"b": 3, "a": 1, "c": 1}), json!({"set": {"b": 3, "a": 1, "c": 1}})),
        (json!([1]), json!({"set": [1]})),
        (json!([1, 2]), json!({"append": [2]})),
        (json!([2]), json!({"set": [2]})),
    ] {
        assert_eq!(told(&state.write("it", write).unwrap())[0]["change"], change);
    }
    assert_eq!(state.write("it", json!([2])).unwrap(), []);
}

#[test]
fn two_writers_of_a_channel_that_keeps_one_write_are_both_named() {
    let mut state = RunState::new(&schema());
    let writes = [Write::new("right", "count", json!(1)), Write::new("left", "count", json!(1))];
    let error = state.apply(writes).unwrap_err();
    assert_eq!(error.kind(), Kind::State);
    assert!(error.to_string().contains("channel `count`") && error.to_string().contains("left and right"), "{error}");
    let twice = [Write::new("left", "count", json!(1)), Write::new("left", "count", json!(2))];
    state.apply(twice).unwrap();
    assert_eq!(state.get::<u32>("count").unwrap(), 2);
}

#[test]
fn a_write_that_is_refused_leaves_everything_as_it_was() {
    let mut state = RunState::new(&schema());
    state.apply([Write::new("a", "seen", json!([1]))]).unwrap();
    let before = state.clone();
    for (channel, value, kind, part) in [
        ("mesages", json!({}), Kind::State, "perhaps `messages` is meant. There are: log, messages, facts"),
        ("messages", json!(["x"]), Kind::State, "reducer append_messages, written by z: nothing was written"),
        ("facts", json!(1), Kind::State, "reducer merge_map"),
        ("newest", json!({}), Kind::State, "reducer max_by_timestamp"),
        ("seen", json!(5), Kind::State, "reducer union"),
        ("seen", json!("panic"), Kind::Contract, "reducer union"),
    ] {
        let writes =
            [Write::new("y", "log", json!(1)), Write::new("z", channel, value), Write::new("y", "count", json!(9))];
        let error = state.apply(writes).unwrap_err();
        assert_eq!((error.kind(), &state), (kind, &before), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn the_cause_of_a_panic_is_told() {
    let mut state = RunState::new(&schema());
    let error = state.write("seen", json!("panic")).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "it panicked: at the word panic");
}

#[test]
fn a_view_stays_as_it_was_made() {
    let mut state = RunState::new(&schema());
    state.write("log", json!([1])).unwrap();
    state.write("facts", json!({"a": 1})).unwrap();
    let view = state.snapshot();
    let told = view.to_value();
    for item in 0..100 {
        let writes = [Write::new("n", "log", json!(item)), Write::new("n", "facts", json!({"sky": item, "b": 1}))];
        state.apply(writes).unwrap();
    }
    assert_eq!((view.to_value(), view.step()), (told, 0));
    assert_eq!((state.read("log").unwrap().as_list().unwrap().len(), state.step()), (101, 100));
}

#[test]
fn a_channel_is_read_as_a_type() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Message {
        id: String,
    }
    let mut state = RunState::new(&schema());
    state.write("messages", json!([{"id": "a"}, {"id": "b"}])).unwrap();
    let messages: Vec<Message> = state.get("messages").unwrap();
    assert_eq!(messages, [Message { id: "a".into() }, Message { id: "b".into() }]);
    assert_eq!(state.get::<std::collections::BTreeMap<String, String>>("facts").unwrap()["sky"], "blue");
    let error = state.get::<Vec<u32>>("messages").unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("`messages`")), (Kind::State, true));
}

#[test]
fn a_channel_that_is_overwritten_forgets_what_it_held_and_is_still_checked() {
    let mut state = RunState::new(&schema());
    state.write("messages", json!([{"id": "a"}, {"id": "b"}])).unwrap();
    let deltas = state.overwrite("messages", json!([{"id": "b"}])).unwrap();
    assert_eq!(told(&deltas), json!([{"channel": "messages", "change": {"set": [{"id": "b"}]}}]));
    assert_eq!(state.overwrite("messages", json!([{"id": "b"}])).unwrap(), []);
    let before = state.clone();
    assert!(state.overwrite("messages", json!([3])).is_err());
    assert!(state.overwrite("nobody", json!([3])).is_err());
    assert_eq!(state, before);
    // The place of an item is known anew, too.
    state.write("messages", json!({"id": "b", "x": 1})).unwrap();
    assert_eq!(state.read("messages").unwrap().to_value(), json!([{"id": "b", "x": 1}]));
}

#[test]
fn a_check_sees_items_values_and_what_a_users_reducer_made() {
    let small =
        || Check::by(|value| if value.as_i64() < Some(10) { Ok(()) } else { Err("it takes less than 10".into()) });
    let add = |current: &Value, more: Value| Ok(json!(current.as_i64().unwrap_or(0) + more.as_i64().unwrap_or(0)));
    let schema = StateSchema::builder()
        .add("list", AppendList)
        .add("map", MergeMap)
        .add("sum", reducer("sum", add))
        .check("list", small())
        .check("map", small())
        .check("sum", small())
        .build()
        .unwrap();
    let mut state = RunState::new(&schema);
    for (channel, good, bad) in [
        ("list", json!([1, 9]), json!([1, 10])),
        ("map", json!({"a": 9}), json!({"b": 10})),
        ("sum", json!(9), json!(1)),
    ] {
        state.write(channel, good).unwrap();
        let before = state.clone();
        let error = state.apply([Write::new("node", channel, bad)]).unwrap_err();
        assert_eq!(state, before);
        let text =
            format!("channel `{channel}`, written by node: it takes less than 10, and this is 10; nothing was written");
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_schema_that_makes_no_sense_is_refused() {
    for (schema, part) in [
        (StateSchema::builder().add_lww("a").add("a", AppendList), "two of this name"),
        (StateSchema::builder().add_lww(""), "must have a name"),
        (StateSchema::builder().add_lww("count").check("cuont", JsonType::Integer), "perhaps `count` is meant"),
        (StateSchema::builder().add_with_default("a", AppendList, json!({})), "channel `a`, reducer append_list"),
        (StateSchema::builder().add_with_default("a", AppendMessages, json!([1])), "reducer append_messages"),
        (
            StateSchema::builder().add_with_default("a", LastWriteWins, json!("x")).check("a", JsonType::Integer),
            "string",
        ),
    ] {
        let error = schema.build().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_fingerprint_stays_as_long_as_names_reducers_and_defaults_do() {
    let one = StateSchema::builder().add("a", AppendList).add_with_default("b", MergeMap, json!({"x": 1, "y": 2}));
    let two = StateSchema::builder().add_with_default("b", MergeMap, json!({"y": 2, "x": 1})).add("a", AppendList);
    let (one, two) = (one.build().unwrap(), two.check("a", JsonType::String).build().unwrap());
    // This is in stores: another value here means that no stored run fits any more.
    assert_eq!(one.fingerprint(), "d4b5c10fd45dbce1d44da40a16748a46");
    assert_eq!((one.fingerprint(), one.difference(&two)), (two.fingerprint(), vec![]));
    let three =
        StateSchema::builder().add("a", AppendMessages).add_with_default("b", MergeMap, json!({"x": 1})).add_lww("c");
    let three = three.build().unwrap();
    assert_ne!(one, three);
    let stored: SchemaForm = serde_json::from_value(serde_json::to_value(one.form()).unwrap()).unwrap();
    let told: Vec<String> = three.form().difference(&stored).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "channel `a` has the reducer append_messages instead of append_list",
            r#"channel `b` begins with {"x":1} instead of {"x":1,"y":2}"#,
            "channel `c` is new",
        ]
    );
    assert_eq!(one.difference(&three).last().unwrap().to_string(), "channel `c` is gone");
}

#[test]
fn a_base_is_bare_json_and_a_state_again() {
    let mut state = RunState::new(&schema());
    state.apply([Write::new("a", "messages", json!({"id": "a"})), Write::new("a", "seen", json!([1]))]).unwrap();
    let stored = serde_json::to_value(state.base()).unwrap();
    let channels = json!({
        "count": 0, "facts": {"sky": "blue"}, "log": [], "messages": [{"id": "a"}], "newest": null, "seen": [1],
    });
    assert_eq!(stored, json!({"step": 1, "channels": channels}));
    let again = RunState::from_base(&schema(), serde_json::from_value(stored).unwrap()).unwrap();
    assert_eq!(again, state);
}

#[test]
fn what_was_stored_and_does_not_fit_is_refused_and_changes_nothing() {
    let mut state = RunState::new(&schema());
    state.write("messages", json!([{"id": "a"}, {}])).unwrap();
    let before = state.clone();
    for (channel, change) in [
        ("messages", json!({"set": {}})),
        ("messages", json!({"append": [{"id": "a"}]})),
        ("messages", json!({"replace": {"at": 1, "value": {"id": "a"}}})),
        ("messages", json!({"replace": {"at": 7, "value": {"id": "new"}}})),
        ("messages", json!({"merge": {}})),
        ("facts", json!({"append": []})),
        ("count", json!({"append": [1]})),
        ("gone", json!({"set": 1})),
    ] {
        let deltas = json!([{"channel": "log", "change": {"append": [1]}}, {"channel": channel, "change": change}]);
        let error = state.restore(4, serde_json::from_value::<Vec<Delta>>(deltas).unwrap()).unwrap_err();
        assert_eq!(error.kind(), if channel == "gone" { Kind::State } else { Kind::Corrupt }, "{error}");
        assert_eq!(state, before);
    }
    let base = Base { step: 1, channels: [(Arc::from("log"), ChannelValue::Single(Arc::new(json!(1))))].into() };
    assert_eq!(RunState::from_base(&schema(), base).unwrap_err().kind(), Kind::Corrupt);
}
