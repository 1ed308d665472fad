use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn numbers_are_compared_as_numbers_and_exactly() {
    let metadata = |value: Value| Map::from_iter([("n".to_owned(), value)]);
    assert!(Filter::eq("n", 3).matches(&metadata(json!(3.0))));
    assert!(Filter::gt("n", 3).matches(&metadata(json!(3.5))));
    assert!(Filter::lt("n", -3).matches(&metadata(json!(-3.5))));
    assert!(Filter::gt("n", 9_007_199_254_740_992i64).matches(&metadata(json!(9_007_199_254_740_993i64))));
    assert!(Filter::lt("n", u64::MAX).matches(&metadata(json!(-1))));
    assert!(!Filter::eq("n", "3").matches(&metadata(json!(3))));
    assert!(Filter::any_of("n", [1.0, 3.0]).matches(&metadata(json!(3))));
    assert!(Filter::eq("n", json!([1, {"a": 2}])).matches(&metadata(json!([1.0, {"a": 2.0}]))));
}

#[test]
fn what_has_no_order_is_refused_and_the_key_is_named() {
    for value in [json!(null), json!(true), json!([1]), json!({})] {
        let filter = !(Filter::exists("a") | Filter::ge("when", value));
        let error = filter.check().unwrap_err();
        assert!(matches!(&error, RetrieveError::Filter { key, .. } if key == "when"), "{error}");
    }
    let deep = (0..100).fold(Filter::exists("a"), |filter, _| !filter);
    assert!(deep.check().unwrap_err().to_string().contains("deep"));
}

#[test]
fn a_filter_is_plain_data() {
    let written = json!({"op": "and", "filters": [
        {"op": "in", "key": "city", "values": ["Oslo", "Bergen"]},
        {"op": "not", "filter": {"op": "exists", "key": "draft"}},
    ]});
    let filter: Filter = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(filter, Filter::any_of("city", ["Oslo", "Bergen"]) & !Filter::exists("draft"));
    assert_eq!(serde_json::to_value(&filter).unwrap(), written);
    for wrong in
        [json!({"op": "like", "key": "a", "value": 1}), json!({"op": "eq", "key": "a"}), json!("eq"), json!({})]
    {
        assert!(serde_json::from_value::<Filter>(wrong).is_err());
    }
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-3..4i64).prop_map(Value::from),
        (-6..7i32).prop_map(|half| Value::from(f64::from(half) / 2.0)),
        "[ab]{0,2}".prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    let key = || prop_oneof![Just("x"), Just("y")];
    let number =
        || prop_oneof![(-3..4i64).prop_map(Value::from), (-6..7i32).prop_map(|n| Value::from(f64::from(n) / 2.0))];
    let leaf = prop_oneof![
        (key(), value()).prop_map(|(key, value)| Filter::eq(key, value)),
        (key(), value()).prop_map(|(key, value)| Filter::ne(key, value)),
        (key(), number()).prop_map(|(key, value)| Filter::lt(key, value)),
        (key(), number()).prop_map(|(key, value)| Filter::le(key, value)),
        (key(), number()).prop_map(|(key, value)| Filter::gt(key, value)),
        (key(), number()).prop_map(|(key, value)| Filter::ge(key, value)),
        (key(), proptest::collection::vec(value(), 0..3)).prop_map(|(key, values)| Filter::any_of(key, values)),
        key().prop_map(Filter::exists),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Filter::all),
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Filter::any),
            inner.prop_map(|filter| !filter),
        ]
    })
}

/// What a filter means, written another way: numbers as halves, everything else by its text.
fn naive(filter: &Filter, metadata: &Map<String, Value>) -> bool {
    let number = |value: &Value| value.as_f64().map(|value| (value * 2.0).round() as i64);
    let same = |a: &Value, b: &Value| match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => format!("{a}") == format!("{b}"),
    };
    let compared = |key: &str, value: &Value| Some((number(metadata.get(key)?)?, number(value)?));
    match filter {
        Filter::Eq { key, value } => metadata.get(key).is_some_and(|have| same(have, value)),
        Filter::Ne { key, value } => !naive(&Filter::eq(key.clone(), value.clone()), metadata),
        Filter::Lt { key, value } => compared(key, value).is_some_and(|(a, b)| a < b),
        Filter::Le { key, value } => compared(key, value).is_some_and(|(a, b)| a <= b),
        Filter::Gt { key, value } => compared(key, value).is_some_and(|(a, b)| a > b),
        Filter::Ge { key, value } => compared(key, value).is_some_and(|(a, b)| a >= b),
        Filter::In { key, values } => metadata.get(key).is_some_and(|have| values.iter().any(|one| same(have, one))),
        Filter::Contains { .. } => false,
        Filter::Exists { key } => metadata.get(key) != Some(&Value::Null) && metadata.contains_key(key),
        Filter::And { filters } => !filters.iter().any(|filter| !naive(filter, metadata)),
        Filter::Or { filters } => filters.iter().filter(|filter| naive(filter, metadata)).count() > 0,
        Filter::Not { filter } => !naive(filter, metadata),
    }
}

proptest! {
    #[test]
    fn a_filter_means_what_a_plain_reading_of_it_means(
        filter in filter(),
        x in proptest::option::of(value()),
        y in proptest::option::of(value()),
    ) {
        let metadata: Map<String, Value> =
            [("x", x), ("y", y)].into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
        filter.check().unwrap();
        prop_assert_eq!(filter.matches(&metadata), naive(&filter, &metadata));
        let text = serde_json::to_string(&filter).unwrap();
        prop_assert_eq!(serde_json::from_str::<Filter>(&text).unwrap(), filter);
    }
}
