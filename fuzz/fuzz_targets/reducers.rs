//! Channels: a step is in the state with all its writes or with none, in whatever order its tasks ended; what is stored
//! of it makes the same state again; a stored base or delta that is damaged is refused and changes nothing.
//!
//! Each line is a write: a byte for the channel, one for the task, and JSON. An empty line ends the step; a line that
//! begins with `!` is taken for stored deltas.
#![no_main]

use atomr_agents_state::{Base, BuiltIn, Delta, ReduceError, Reducer as _, RunState, StateSchema, Write, reducer};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn schema() -> StateSchema {
    let own = reducer("own", |current, incoming| match (current, incoming) {
        (_, Value::Bool(_)) => Err(ReduceError::refused("no")),
        (Value::Array(items), Value::Array(more)) => Ok(Value::Array([items.as_slice(), more.as_slice()].concat())),
        (_, incoming) => Ok(incoming),
    });
    let builder =
        BuiltIn::ALL.into_iter().fold(StateSchema::builder().add("own", own), |all, by| all.add(by.name(), by));
    builder.build().expect("it is a schema")
}

fn write(schema: &StateSchema, line: &[u8]) -> Option<Write> {
    let [channel, task, json @ ..] = line else { return None };
    let channel = schema.names().nth(usize::from(*channel) % 7).unwrap_or("nobody");
    Some(Write::new(format!("fan[{}]", task % 16), channel, serde_json::from_slice(json).ok()?))
}

fn stored(state: &RunState) -> String {
    serde_json::to_string(&state.base()).expect("a base is JSON")
}

fuzz_target!(|input: &[u8]| {
    let schema = schema();
    let mut state = RunState::new(&schema);
    let (base, mut checkpoints, mut step) = (stored(&state), Vec::new(), Vec::new());
    for line in input.split(|byte| *byte == b'\n').chain([&b""[..]]) {
        if let [b'!', json @ ..] = line {
            let Ok(deltas) = serde_json::from_slice::<Vec<Delta>>(json) else { continue };
            let before = state.clone();
            let mut damaged = state.clone();
            if damaged.restore(9, deltas).is_err() {
                assert_eq!(damaged, before);
            }
            continue;
        }
        if !line.is_empty() {
            step.extend(write(&schema, line));
            continue;
        }
        let writes = std::mem::take(&mut step);
        let mut as_ended = writes.clone();
        // Another order of the tasks; what one task wrote stays in its order.
        as_ended.sort_by_key(|write| std::cmp::Reverse(write.task.clone()));
        let (before, text) = (state.clone(), stored(&state));
        let mut other = state.clone();
        match (state.apply(writes), other.apply(as_ended)) {
            (Ok(deltas), Ok(same)) => {
                assert_eq!(deltas, same);
                assert_eq!(stored(&state), stored(&other));
                checkpoints.push((state.step(), serde_json::to_string(&deltas).expect("deltas are JSON")));
            }
            (Err(_), Err(_)) => {
                assert_eq!(state, before);
                assert_eq!(stored(&state), text);
            }
            (one, two) => panic!("one order is taken and the other is not: {one:?}, {two:?}"),
        }
    }
    let base: Base = serde_json::from_str(&base).expect("a base is read again");
    let read =
        |(step, text): (u64, String)| (step, serde_json::from_str::<Vec<Delta>>(&text).expect("deltas are read again"));
    let again = RunState::replay(&schema, base, checkpoints.into_iter().map(read)).expect("what was stored fits");
    assert_eq!(again, state);
    assert_eq!(stored(&again), stored(&state));
});
