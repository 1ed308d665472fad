//! What each reducer does, and what it refuses.

use atomr_agents_core::Value;
use serde_json::json;

use super::*;

fn reduced(by: BuiltIn, current: Value, incoming: Value) -> Result<Value, String> {
    by.reduce(&current, incoming).map_err(|error| error.to_string())
}

#[test]
fn each_built_in_reducer_does_what_its_name_says() {
    for (by, current, incoming, after) in [
        (LastWriteWins, json!(1), json!("two"), json!("two")),
        (LastWriteWins, json!(1), json!(null), json!(null)),
        (AppendList, json!(null), json!([1]), json!([1])),
        (AppendList, json!([1]), json!([2, [3]]), json!([1, 2, [3]])),
        (AppendList, json!([1]), json!({"a": 2}), json!([1, {"a": 2}])),
        (AppendList, json!([1]), json!(null), json!([1])),
        (AppendMessages, json!([{"id": "a"}]), json!({"id": "b"}), json!([{"id": "a"}, {"id": "b"}])),
        (
            AppendMessages,
            json!([{"id": "a"}, {"id": "b"}]),
            json!([{"id": "a", "x": 1}, {"id": "c"}, {"id": "c", "x": 2}]),
            json!([{"id": "a", "x": 1}, {"id": "b"}, {"id": "c", "x": 2}]),
        ),
        (AppendMessages, json!([{"id": 1}]), json!([{"id": 1}, {}]), json!([{"id": 1}, {"id": 1}, {}])),
        (MergeMap, json!({"a": {"x": 1}, "b": 1}), json!({"a": {}, "c": 3}), json!({"a": {}, "b": 1, "c": 3})),
        (MergeMap, json!(null), json!(null), json!({})),
        (MaxByTimestamp, json!({"ts_ms": 5}), json!({"ts_ms": 4}), json!({"ts_ms": 5})),
        (MaxByTimestamp, json!({"ts_ms": 5}), json!({"ts_ms": 5, "x": 1}), json!({"ts_ms": 5, "x": 1})),
        (MaxByTimestamp, json!(null), json!({"ts_ms": -1}), json!({"ts_ms": -1})),
        (MaxByTimestamp, json!({"ts_ms": -1}), json!({"ts_ms": u64::MAX}), json!({"ts_ms": u64::MAX})),
    ] {
        assert_eq!(reduced(by, current.clone(), incoming.clone()), Ok(after), "{by}: {current} by {incoming}");
    }
}

#[test]
fn a_wrong_type_is_named_with_what_to_do() {
    for (by, current, incoming, part) in [
        (AppendList, json!("x"), json!(1), "given the string \"x\", and it takes an array as the current value"),
        (AppendMessages, json!([]), json!("hello"), "given the string \"hello\", and it takes messages"),
        (AppendMessages, json!([]), json!([{"id": "a"}, 7]), "given 7"),
        (MergeMap, json!({}), json!([["a", 1]]), "an array of 1 that begins with an array, and it takes an object"),
        (
            MaxByTimestamp,
            json!(null),
            json!({"ts_ms": 1.5}),
            "an object with ts_ms, and it takes an object with an int",
        ),
        (MaxByTimestamp, json!(null), json!(3), "write {\"ts_ms\": 1700000000000, …}"),
    ] {
        let error = reduced(by, current, incoming).unwrap_err();
        assert!(error.contains(part), "{by}: {error}");
    }
}

#[test]
fn keys_keep_the_order_in_which_they_came() {
    let merged = MergeMap.reduce(&json!({"z": 1, "a": 1}), json!({"m": 2, "z": 2})).unwrap();
    assert_eq!(merged.to_string(), r#"{"z":2,"a":1,"m":2}"#);
}

#[test]
fn a_reducer_that_says_it_is_a_built_in_one_is_kept_as_that() {
    struct Add;
    impl Reducer for Add {
        fn name(&self) -> &str {
            "operator.add"
        }
        fn reduce(&self, _: &Value, _: Value) -> Result<Value, ReduceError> {
            Err(ReduceError::refused("nobody asks"))
        }
        fn built_in(&self) -> Option<BuiltIn> {
            Some(AppendList)
        }
    }
    let mut state = RunState::new(&StateSchema::builder().add("log", Add).build().unwrap());
    state.write("log", json!([1])).unwrap();
    assert!(state.read("log").unwrap().as_list().is_some());
}
