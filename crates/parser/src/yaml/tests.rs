use super::*;
use crate::Place;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> Value {
    Yaml.parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn values_are_real_values() {
    for (text, value) in [
        (
            "a: 1\nb: -2.5\nc: true\nd: null\ne: ~\nf:",
            json!({"a": 1, "b": -2.5, "c": true, "d": null, "e": null, "f": null}),
        ),
        ("- a\n-\n  - b\n  - c: {d: [1, 2]}", json!(["a", ["b", {"c": {"d": [1, 2]}}]])),
        ("country: no\nswitch: on\nquoted: \"1\"", json!({"country": "no", "switch": "on", "quoted": "1"})),
        ("text: |\n  one\n  two\nfolded: >-\n  one\n  two", json!({"text": "one\ntwo\n", "folded": "one two"})),
        (
            "base: &b {x: 1}\nother: *b\nmerged:\n  <<: *b\n  y: 2",
            json!({"base": {"x": 1}, "other": {"x": 1}, "merged": {"x": 1, "y": 2}}),
        ),
        ("n: 1_000", json!({"n": "1_000"})),
        ("# note\n1: one\ntrue: two", json!({"1": "one", "true": "two"})),
        ("Sure:\n```yaml\na: 1\n```\nBye: now", json!({"a": 1})),
        ("```\na: 1", json!({"a": 1})),
        ("a: \"```\"", json!({"a": "```"})),
        ("---\na: 1\n...", json!({"a": 1})),
        ("[18446744073709551615, -9223372036854775808, 1e30]", json!([u64::MAX, i64::MIN, 1e30])),
    ] {
        assert_eq!(read(text), value, "{text}");
    }
}

#[test]
fn what_is_no_yaml_or_has_no_json_is_refused() {
    for text in [
        "",
        "```yaml\n```",
        "a: [1",
        "a: 1\na: 2",
        "a: .nan",
        "a: -.inf",
        "a: 1e999",
        "a: 18446744073709551616",
        "a: -9223372036854775809",
        "a: *unknown",
        "a: &a [*a]",
        "a: 1\n---\nb: 2",
        "? [a, b]\n: 1",
        "a: 'x",
    ] {
        let error = Yaml.parse(text).expect_err(text);
        assert!(error.fault().is_some(), "{error}");
    }
    let text = "Ok:\n```yaml\nä: 1\nb: [1, ]]\n```";
    let error = Yaml.parse(text).unwrap_err();
    let Some(Place::Byte(at)) = error.fault().unwrap().place else { panic!("{error}") };
    assert!(at >= text.find("b:").unwrap() && at <= text.len() - 4, "{error}");
}

#[test]
fn bombs_end_at_once() {
    let laughs: String =
        (1..12).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(", "))).collect();
    let error = Yaml.parse(&format!("l0: &l0 lol\n{laughs}")).unwrap_err();
    assert!(error.to_string().contains("alias"), "{error}");
    for bomb in [
        "[".repeat(100_000),
        "{".repeat(1_000_000),
        "- ".repeat(100_000),
        "a: ".repeat(100_000),
        "? ".repeat(100_000),
        "&a ".repeat(100_000),
        "!".repeat(100_000),
        "[1,".repeat(300_000),
        format!("[{}]", "1,".repeat(200_000)),
        "{".repeat(2_000_000),
    ] {
        assert!(Yaml.parse(&bomb).is_err(), "{}", &bomb[..9]);
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
        "[ -~äöü€😀\n\t]*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let fields = prop::collection::vec(("[ -~]{0,6}", inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            fields.prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_is_yaml(value in values()) {
        prop_assert_eq!(read(&value.to_string()), value);
    }

    #[test]
    fn it_never_panics(text in "(?s).*|[-:?&*!|>'\"%@`{}\\[\\], \na#0-9.]*") {
        let _ = Yaml.parse(&text);
    }
}
