use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn decoder() -> PartialJson {
    PartialJson::default()
}

/// The value after each piece, then the answer of `finish`.
fn values(pieces: &[&str]) -> Vec<Option<Value>> {
    let mut decoder = decoder();
    let after = |piece: &&str| {
        decoder.push(piece, &mut Vec::new()).unwrap();
        decoder.value().cloned()
    };
    pieces.iter().map(after).collect()
}

fn changes(pieces: &[&str]) -> Vec<String> {
    let (mut decoder, mut out) = (decoder(), Vec::new());
    for piece in pieces {
        decoder.push(piece, &mut out).unwrap();
    }
    decoder.finish(&mut out).unwrap();
    out.iter()
        .map(|change| match change {
            Change::Started { path, shape } => format!("{path} {shape:?}"),
            Change::Grew { path, piece } => format!("{path} +{piece}"),
            Change::Scalar { path, value } => format!("{path} {value}"),
            Change::Finished { path } => format!("{path} end"),
        })
        .collect()
}

fn decode<'p>(
    pieces: impl IntoIterator<Item = &'p str>,
    limits: PartialJsonLimits,
) -> (PartialJson, Vec<Change>, Option<PartialJsonError>) {
    let (mut decoder, mut out) = (PartialJson::new(limits), Vec::new());
    let error = pieces.into_iter().find_map(|piece| decoder.push(piece, &mut out).err());
    let error = error.or_else(|| decoder.finish(&mut out).err());
    (decoder, out, error)
}

fn fail(text: &str) -> String {
    let whole = decode([text], PartialJsonLimits::default()).2.unwrap();
    let one_by_one = text.char_indices().map(|(at, char)| &text[at..at + char.len_utf8()]);
    assert_eq!(decode(one_by_one, PartialJsonLimits::default()).2.unwrap(), whole, "{text}");
    whole.to_string()
}

#[test]
fn what_is_not_whole_is_held_back() {
    let shown = |pieces: &[&str]| values(pieces).pop().flatten();
    for (text, want) in [
        (r#"{"#, json!({})),
        (r#"{"a"#, json!({})),
        (r#"{"a""#, json!({})),
        (r#"{"a":"#, json!({})),
        (r#"{"a":1"#, json!({})),
        (r#"{"a":1,"#, json!({ "a": 1 })),
        (r#"{"a":1 "#, json!({ "a": 1 })),
        (r#"{"a":"#, json!({})),
        (r#"{"a":""#, json!({ "a": "" })),
        (r#"{"a":"b\"#, json!({ "a": "b" })),
        (r#"{"a":"b\u00e"#, json!({ "a": "b" })),
        (r#"{"a":"b\u00e9"#, json!({ "a": "bé" })),
        (r#"{"a":"\ud83d"#, json!({ "a": "" })),
        (r#"{"a":"\ud83d\ude0"#, json!({ "a": "" })),
        (r#"{"a":"\ud83d\ude00"#, json!({ "a": "😀" })),
        (r#"[tru"#, json!([])),
        (r#"[true"#, json!([true])),
        (r#"[true, nul"#, json!([true])),
        (r#"[-"#, json!([])),
        (r#"[1.5e3"#, json!([])),
        (r#"[1.5e3]"#, json!([1500.0])),
        (r#"[[], {"#, json!([[], {}])),
    ] {
        assert_eq!(shown(&[text]), Some(want.clone()), "{text}");
        let one_by_one: Vec<_> = text.char_indices().map(|(at, char)| &text[at..at + char.len_utf8()]).collect();
        assert_eq!(shown(&one_by_one), Some(want), "{text} one by one");
    }
    for text in ["", " \n", "12", "fals", "-"] {
        assert_eq!(shown(&[text]), None, "{text}");
    }
}

#[test]
fn changes_come_in_the_order_of_the_text() {
    assert_eq!(
        changes(&[r#"{"a": {"b": ["x"#, "", "y", r#"z", 1"#, "0, null, \"\"", r#"]}, "c/d": fal"#, "se}"]),
        [
            " Object",
            "/a Object",
            "/a/b Array",
            "/a/b/0 String",
            "/a/b/0 +x",
            "/a/b/0 +y",
            "/a/b/0 +z",
            "/a/b/0 end",
            "/a/b/1 10",
            "/a/b/2 null",
            "/a/b/3 String",
            "/a/b/3 end",
            "/a/b end",
            "/a end",
            "/c~1d false",
            " end"
        ]
    );
    assert_eq!(changes(&["1", "2"]), [" 12"]);
    assert_eq!(changes(&["\"\\", "n\""]), [" String", " +\n", " end"]);
}

#[test]
fn a_repeated_key_replaces_the_first_at_its_place() {
    let text = r#"{"a": [1], "b": 2, "a": {"c": "x"#;
    assert_eq!(values(&[text]), [Some(json!({ "a": { "c": "x" }, "b": 2 }))]);
    let (mut decoder, mut out) = (decoder(), Vec::new());
    for piece in [text, "y", r#"", "d": [0, "#, "1]}", "}"] {
        decoder.push(piece, &mut out).unwrap();
    }
    let whole = r#"{"a":{"c":"xy","d":[0,1]},"b":2}"#;
    assert_eq!(decoder.finish(&mut out).unwrap().to_string(), whole, "in this order");
    assert!(decoder.is_complete());
    assert_eq!(decoder.into_value().unwrap().to_string(), whole);
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    for (text, want) in [
        (r#"{"a": 1, x}"#, "invalid JSON at byte 9: expected a key in quotes, found 'x'"),
        (r#"{"é": é}"#, "invalid JSON at byte 7: expected a value, found 'é'"),
        (r#"{"a" 1}"#, "invalid JSON at byte 5: expected a colon, found '1'"),
        (r#"{,}"#, "invalid JSON at byte 1: expected a key in quotes or }, found ','"),
        (r#"{"a":1,}"#, "invalid JSON at byte 7: expected a key in quotes, found '}'"),
        (r#"[1,]"#, "invalid JSON at byte 3: expected a value, found ']'"),
        (r#"[1}"#, "invalid JSON at byte 2: expected a comma or ], found '}'"),
        (r#"{"a":1]"#, "invalid JSON at byte 6: expected a comma or }, found ']'"),
        (r#"]"#, "invalid JSON at byte 0: expected a value, found ']'"),
        (r#"{} {"#, "invalid JSON at byte 3: expected the end of the text, found '{'"),
        (r#"01"#, "invalid JSON at byte 1: expected the end of the text, found '1'"),
        (r#"[-x]"#, "invalid JSON at byte 2: expected a digit, found 'x'"),
        (r#"[1.]"#, "invalid JSON at byte 3: expected a digit, found ']'"),
        (r#"[trve]"#, "invalid JSON at byte 3: expected true, found 'v'"),
        ("[\"a\nb\"]", "invalid JSON at byte 3: expected no control character in a string, found '\\n'"),
        (r#"["\x"]"#, "invalid JSON at byte 3: expected one of \"\\/bfnrtu after a backslash, found 'x'"),
        (r#"["\u00g0"]"#, "invalid JSON at byte 6: expected four hexadecimal digits, found 'g'"),
        (r#"["\ud800"]"#, "invalid JSON at byte 8: expected the second half of a surrogate pair, found '\"'"),
        (r#"["\udc00"]"#, "invalid JSON at byte 7: expected a whole surrogate pair, found '0'"),
        ("", "the JSON is cut at byte 0: expected a value"),
        ("-", "the JSON is cut at byte 1: expected a digit"),
        ("[1", "the JSON is cut at byte 2: expected the end of a number"),
        (r#"{"a": "b"#, "the JSON is cut at byte 8: expected the end of a string"),
        (r#"{"a": tr"#, "the JSON is cut at byte 8: expected true"),
        (r#"{"a": 1"#, "the JSON is cut at byte 7: expected the end of a number"),
        (r#"{"a": [] "#, "the JSON is cut at byte 9: expected a comma or }"),
        (
            "[18446744073709551616]",
            "the integer 18446744073709551616 at byte 1 does not fit into 64 bits; pass it as a string",
        ),
        (
            "[ -9223372036854775809]",
            "the integer -9223372036854775809 at byte 2 does not fit into 64 bits; pass it as a string",
        ),
        ("1e999", "the number 1e999 at byte 0 is out of range"),
    ] {
        assert_eq!(fail(text), want);
    }
}

#[test]
fn an_error_stays_and_what_came_before_it_is_known() {
    let (mut decoder, mut out) = (decoder(), Vec::new());
    let error = decoder.push("{\"a\": \"b\u{1}", &mut out).unwrap_err();
    assert_eq!(decoder.value(), Some(&json!({ "a": "b" })));
    assert_eq!(out.len(), 3, "{out:?}");
    assert_eq!(decoder.push("}", &mut out), Err(error.clone()));
    assert_eq!(decoder.finish(&mut out), Err(error));
    assert!(!decoder.is_complete());
}

#[test]
fn after_finish_said_incomplete_the_rest_may_come() {
    let (mut decoder, mut out) = (decoder(), Vec::new());
    decoder.push("{\"a\": -", &mut out).unwrap();
    assert!(decoder.finish(&mut out).is_err());
    decoder.push("1}", &mut out).unwrap();
    assert_eq!(decoder.finish(&mut out), Ok(&json!({ "a": -1 })));
    assert!(decoder.push(" \n", &mut out).is_ok());
}

#[test]
fn limits_hold_wherever_the_text_is_cut() {
    let limits = PartialJsonLimits { max_depth: 2, max_bytes: 10 };
    for (text, error) in [
        ("[[1]]", None),
        ("[[[]]]", Some(PartialJsonError::TooDeep { offset: 2, limit: 2 })),
        ("[12345678]", None),
        ("[12345678] ", Some(PartialJsonError::TooLarge { limit: 10 })),
        ("\"12345678é\"", Some(PartialJsonError::TooLarge { limit: 10 })),
    ] {
        for size in [1, 2, 100] {
            let chars: Vec<_> = text.chars().collect();
            let pieces: Vec<String> = chars.chunks(size).map(|chars| chars.iter().collect()).collect();
            assert_eq!(decode(pieces.iter().map(String::as_str), limits).2, error, "{text} by {size}");
        }
    }
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let default = PartialJsonLimits::default();
    assert_eq!(decode([&*deep(127)], default).2, None);
    assert!(serde_json::from_str::<Value>(&deep(127)).is_ok());
    assert!(matches!(decode([&*deep(128)], default).2, Some(PartialJsonError::TooDeep { offset: 127, .. })));
    assert!(serde_json::from_str::<Value>(&deep(128)).is_err());
    let bold = PartialJsonLimits { max_depth: usize::MAX, ..default };
    assert!(matches!(decode([&*deep(100_000)], bold).2, Some(PartialJsonError::TooDeep { limit: 512, .. })));
}

/// Is `part` what the start of a text may show whose whole value is `whole`?
fn is_prefix(part: &Value, whole: &Value) -> bool {
    match (part, whole) {
        (Value::String(part), Value::String(whole)) => whole.starts_with(part.as_str()),
        (Value::Array(part), Value::Array(whole)) => {
            part.len() <= whole.len() && part.iter().zip(whole).all(|(part, whole)| is_prefix(part, whole))
        }
        (Value::Object(part), Value::Object(whole)) => {
            part.len() <= whole.len()
                && part.iter().zip(whole).all(|((k, part), (key, whole))| k == key && is_prefix(part, whole))
        }
        _ => part == whole,
    }
}

/// The value that the changes alone amount to.
fn replay(changes: &[Change]) -> Option<Value> {
    let mut root = None;
    for change in changes {
        let new = match change {
            Change::Started { shape: Shape::Object, .. } => json!({}),
            Change::Started { shape: Shape::Array, .. } => json!([]),
            Change::Started { shape: Shape::String, .. } => json!(""),
            Change::Scalar { value, .. } => value.clone(),
            Change::Grew { path, piece } => {
                let place = root.as_mut().and_then(|root: &mut Value| root.pointer_mut(&path.to_string())).unwrap();
                *place = Value::String(place.as_str().unwrap().to_owned() + piece);
                continue;
            }
            Change::Finished { path } => {
                assert!(root.as_ref().and_then(|root| root.pointer(&path.to_string())).is_some());
                continue;
            }
        };
        let Some(parent) = change.path().parent() else {
            root = Some(new);
            continue;
        };
        match root.as_mut().and_then(|root| root.pointer_mut(&parent.to_string())).unwrap() {
            Value::Array(elements) => {
                assert_eq!(change.path().last(), Some(&Segment::Index(elements.len())));
                elements.push(new);
            }
            Value::Object(members) => match change.path().last() {
                Some(Segment::Key(key)) => drop(members.insert(key.to_string(), new)),
                other => panic!("{other:?}"),
            },
            other => panic!("{other}"),
        }
    }
    root
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c\"\\\\/\n\té😀\u{1}]{0,12}", any::<String>()];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Writes `value` with escapes and white space that `serde_json` would not write itself.
fn written(value: &Value, pretty: bool, escaped: bool) -> String {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap();
    if !escaped {
        return text;
    }
    let mut out = String::new();
    for char in text.chars() {
        if char.is_ascii() {
            out.push(char);
        } else {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out += &format!("\\u{unit:04x}");
            }
        }
    }
    out
}

/// `text` in pieces of `sizes` characters, over and over.
fn cut<'t>(text: &'t str, sizes: &[usize]) -> Vec<&'t str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let at = rest.char_indices().nth(*size).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(at);
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// What `serde_json` says of the text, with the house's rule for large integers.
fn reference(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

proptest! {
    #[test]
    fn any_cut_gives_what_serde_json_gives_and_every_prefix_is_one(
        value in any_json(),
        pretty: bool,
        escaped: bool,
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let text = written(&value, pretty, escaped);
        let whole = reference(&text).unwrap();
        let (mut decoder, mut out) = (decoder(), Vec::new());
        let mut before = None;
        for piece in cut(&text, &sizes) {
            decoder.push(piece, &mut out).unwrap();
            if let Some(part) = decoder.value() {
                prop_assert!(is_prefix(part, &whole), "{part} of {whole}");
                if let Some(before) = &before {
                    prop_assert!(is_prefix(before, part), "{before} then {part}");
                }
                before = Some(part.clone());
            }
            prop_assert_eq!(&replay(&out), &before);
        }
        let mut quiet = PartialJson::default();
        for (n, piece) in cut(&text, &sizes).into_iter().enumerate() {
            if n % 3 == 1 { quiet.push(piece, &mut Vec::new()) } else { quiet.push_quiet(piece) }.unwrap();
        }
        prop_assert_eq!(quiet.finish(&mut Vec::new()), Ok(&whole));
        let done = decoder.finish(&mut out).unwrap().clone();
        prop_assert_eq!(done.to_string(), whole.to_string(), "the order of the keys too");
        prop_assert_eq!(&done, &whole);
        prop_assert_eq!(replay(&out), Some(whole));
    }

    #[test]
    fn broken_text_is_refused_where_serde_json_refuses_it_and_alike_however_it_is_cut(
        value in any_json(),
        at: prop::sample::Index,
        splice in r#"[\[\]{}:,"0-9eE.+tfn\\u \x00-]{0,4}"#,
        removed in 0_usize..4,
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let mut chars: Vec<char> = written(&value, false, true).chars().collect();
        let from = at.index(chars.len());
        chars.splice(from..(from + removed).min(chars.len()), splice.chars());
        let text: String = chars.into_iter().collect();
        let (whole, all, error) = decode([&*text], PartialJsonLimits::default());
        match (&error, reference(&text)) {
            (None, want) => prop_assert_eq!(whole.value(), want.as_ref(), "{}", text),
            (Some(PartialJsonError::IntegerTooLarge { .. }), _) => {}
            (Some(error), want) => prop_assert!(want.is_none(), "{text}: {error}"),
        }
        let (pieces, some, again) = decode(cut(&text, &sizes), PartialJsonLimits::default());
        prop_assert_eq!(again, error);
        prop_assert_eq!(pieces.value(), whole.value());
        prop_assert_eq!(replay(&some), replay(&all));
    }

    #[test]
    fn integers_are_exact_or_refused(number in any::<i128>(), width in 0_u32..127) {
        let text = (number >> width).to_string();
        match decode([&*text], PartialJsonLimits::default()) {
            (decoder, _, None) => prop_assert_eq!(decoder.value().unwrap().to_string(), text),
            (_, _, Some(error)) => prop_assert!(error.to_string().contains(&text), "{}", error),
        }
    }
}
