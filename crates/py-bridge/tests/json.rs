//! JSON values survive the way into Python and back, whatever they hold.

use atomr_agents_py_bridge::json;
use proptest::prelude::*;
use pyo3::prelude::*;
use serde_json::{Map, Number, Value};

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("JSON has finite numbers only", Number::from_f64).prop_map(Value::Number),
        ".*".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::vec((".*", inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was(value in values()) {
        let back = Python::attach(|py| {
            let object = json::to_py(py, &value).unwrap();
            json::from_py(&object).unwrap()
        });
        prop_assert_eq!(back, value);
    }

    /// The pointer of a fault leads to the value that is at fault.
    #[test]
    fn the_pointer_of_a_fault_leads_to_it(path in prop::collection::vec("[a-z/~0-9]{0,4}", 0..6)) {
        Python::attach(|py| {
            let bytes = py.eval(c"b''", None, None).unwrap();
            let mut mark = Value::from("here");
            let mut object = bytes;
            for step in path.iter().rev() {
                let table = pyo3::types::PyDict::new(py);
                table.set_item(step, &object).unwrap();
                object = table.into_any();
                mark = Value::Object([(step.clone(), mark)].into_iter().collect());
            }
            let fault = json::from_py(&object).unwrap_err();
            assert_eq!(mark.pointer(&fault.path), Some(&Value::from("here")), "{fault}");
        });
    }
}
