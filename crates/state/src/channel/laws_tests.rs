//! What holds for any writes.

use atomr_agents_core::Value;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// One channel for each built-in reducer, and one whose reducer refuses and panics at times.
fn schema() -> StateSchema {
    let build = StateSchema::builder().add("own", reducer("own", own));
    let build = BuiltIn::ALL.into_iter().fold(build, |build, by| build.add(by.name(), by));
    build.add_with_default("begun", AppendMessages, json!([{"id": "a"}, {"id": "b"}])).build().unwrap()
}

fn own(current: &Value, incoming: Value) -> Result<Value, ReduceError> {
    match (current, incoming) {
        (_, Value::Bool(true)) => panic!("at a true word"),
        (_, Value::Bool(false)) => Err(ReduceError::refused("no")),
        (Value::Array(items), Value::Array(more)) => Ok(Value::Array([items.as_slice(), more.as_slice()].concat())),
        (Value::Object(map), Value::Object(more)) => Ok(Value::Object(map.clone().into_iter().chain(more).collect())),
        (_, incoming) => Ok(incoming),
    }
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![4 => "[a-e]".prop_map(Value::from), 1 => (0..3_i64).prop_map(Value::from)]
}

fn message() -> impl Strategy<Value = Value> {
    (proptest::option::of(id()), "[a-z]{0,4}").prop_map(|(id, text)| match id {
        Some(id) => json!({"id": id, "text": text}),
        None => json!({"text": text}),
    })
}

fn map() -> impl Strategy<Value = Value> {
    proptest::collection::vec(("[a-d]", 0..4_i64), 0..4)
        .prop_map(|all| Value::Object(all.into_iter().map(|(k, v)| (k, v.into())).collect()))
}

fn stamped() -> impl Strategy<Value = Value> {
    (-2..3_i64, 0..9_i64).prop_map(|(ts_ms, x)| json!({"ts_ms": ts_ms, "x": x}))
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..5_i64).prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        message(),
        map(),
        stamped(),
        proptest::collection::vec(message(), 0..5).prop_map(Value::from),
        proptest::collection::vec(0..5_i64, 0..5).prop_map(Value::from),
    ]
}

/// Something that a channel with this reducer takes.
fn taken(by: BuiltIn) -> BoxedStrategy<Value> {
    match by {
        LastWriteWins => any_value().boxed(),
        AppendList => proptest::collection::vec(any_value(), 0..4).prop_map(Value::from).boxed(),
        AppendMessages => proptest::collection::vec(message(), 0..6).prop_map(Value::from).boxed(),
        MergeMap => map().boxed(),
        MaxByTimestamp => stamped().boxed(),
    }
}

fn good_write() -> impl Strategy<Value = (String, Value)> {
    let built_in = proptest::sample::select(BuiltIn::ALL.to_vec())
        .prop_flat_map(|by| taken(by).prop_map(move |value| (by.name().to_owned(), value)));
    let begun = taken(AppendMessages).prop_map(|value| ("begun".to_owned(), value));
    let own =
        any_value().prop_filter("is refused", |value| !value.is_boolean()).prop_map(|value| ("own".to_owned(), value));
    prop_oneof![5 => built_in, 1 => begun, 1 => own]
}

fn any_write() -> impl Strategy<Value = (String, Value)> {
    let names: Vec<String> = schema().names().map(str::to_owned).chain(["nobody".to_owned()]).collect();
    (proptest::sample::select(names), any_value())
}

/// The writes of a super-step; each of a task of its own, but for the channel that takes one writer.
fn step(writes: Vec<(String, Value)>) -> Vec<Write> {
    let task =
        |at: usize, channel: &str| if channel == LastWriteWins.name() { "one".into() } else { format!("fan[{at}]") };
    let writes = writes.into_iter().enumerate();
    writes.map(|(at, (channel, value))| Write::new(task(at, &channel), channel, value)).collect()
}

proptest! {
    #[test]
    fn stored_deltas_on_a_stored_base_are_the_state(
        steps in proptest::collection::vec(proptest::collection::vec(good_write(), 0..8), 0..12), at in 0..12_usize,
    ) {
        let mut state = RunState::new(&schema());
        let (mut base, mut checkpoints) = (state.base(), Vec::new());
        for (number, writes) in steps.into_iter().enumerate() {
            let deltas = state.apply(step(writes)).unwrap();
            checkpoints.push((state.step(), deltas));
            if number == at {
                (base, checkpoints) = (state.base(), Vec::new());
            }
        }
        let again = RunState::replay(&schema(), base.clone(), checkpoints.clone()).unwrap();
        prop_assert_eq!(&again, &state);
        let stored = serde_json::to_string(&(&base, &checkpoints)).unwrap();
        let (base, checkpoints): (Base, Vec<(u64, Vec<Delta>)>) = serde_json::from_str(&stored).unwrap();
        let again = RunState::replay(&schema(), base, checkpoints).unwrap();
        prop_assert_eq!(&again, &state);
        // To the order of the keys.
        prop_assert_eq!(serde_json::to_string(&again.base()).unwrap(), serde_json::to_string(&state.base()).unwrap());
    }

    #[test]
    fn the_order_in_which_tasks_end_does_not_matter(
        writes in proptest::collection::vec(good_write(), 0..15).prop_map(step).prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
    ) {
        let (in_order, mut as_ended) = writes;
        // What one task wrote stays in the order in which it did.
        let of_one: Vec<Write> = in_order.iter().filter(|write| &*write.task == "one").cloned().collect();
        for (place, write) in as_ended.iter_mut().filter(|write| &*write.task == "one").zip(of_one) {
            *place = write;
        }
        let (mut one, mut two) = (RunState::new(&schema()), RunState::new(&schema()));
        prop_assert_eq!(one.apply(in_order).unwrap(), two.apply(as_ended).unwrap());
        prop_assert_eq!(one, two);
    }

    #[test]
    fn either_all_writes_of_a_step_are_in_the_state_or_none(
        before in proptest::collection::vec(good_write(), 0..8), writes in proptest::collection::vec(any_write(), 0..6),
    ) {
        let mut state = RunState::new(&schema());
        state.apply(step(before)).unwrap();
        let (was, base) = (state.clone(), serde_json::to_string(&state.base()).unwrap());
        match state.apply(step(writes.clone())) {
            Ok(_) => {
                let mut one_by_one = was;
                for (channel, value) in writes {
                    one_by_one.write(&channel, value).unwrap();
                }
                prop_assert_eq!(state.snapshot().to_value(), one_by_one.snapshot().to_value());
            }
            Err(_) => {
                prop_assert_eq!(&state, &was);
                prop_assert_eq!(serde_json::to_string(&state.base()).unwrap(), base);
            }
        }
    }

    #[test]
    fn built_in_reducers_are_associative(
        (by, a, b, c) in proptest::sample::select(BuiltIn::ALL.to_vec())
            .prop_flat_map(|by| (Just(by), taken(by), taken(by), taken(by))),
    ) {
        let left = by.reduce(&by.reduce(&a, b.clone()).unwrap(), c.clone()).unwrap();
        let right = by.reduce(&a, by.reduce(&b, c).unwrap()).unwrap();
        prop_assert_eq!(left, right);
    }

    #[test]
    fn a_weight_that_is_kept_is_the_weight_there_is(writes in proptest::collection::vec(good_write(), 0..20)) {
        let mut state = RunState::new(&schema());
        for (channel, value) in writes {
            state.write(&channel, value).unwrap();
        }
        for (name, value) in state.snapshot().iter() {
            prop_assert_eq!(value.weight(), weight_of(&value.to_value()), "{}", name);
        }
    }
}
