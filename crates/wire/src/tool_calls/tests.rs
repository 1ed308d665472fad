use super::*;

type Finished = Vec<(String, String, String)>;

fn run(deltas: &[&str], limits: ToolCallLimits) -> Result<(Vec<ToolCallEvent>, Finished), WireError> {
    let (mut calls, mut out) = (ToolCallAssembler::with_limits(limits), Vec::new());
    for delta in deltas {
        calls.deltas_json(delta, &mut out)?;
    }
    calls.finish(&mut out)?;
    let finished = out.iter().filter_map(|event| match event.clone() {
        ToolCallEvent::Finished { id, name, arguments, .. } => Some((id, name, arguments)),
        _ => None,
    });
    let finished = finished.collect();
    Ok((out, finished))
}

fn calls(deltas: &[&str]) -> Result<Vec<[String; 3]>, WireError> {
    run(deltas, ToolCallLimits::default()).map(|(_, calls)| calls.into_iter().map(|(a, b, c)| [a, b, c]).collect())
}

#[test]
fn interleaved_deltas_keep_apart() {
    let got = calls(&[
        r#"[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]"#,
        r#"[{"index":0,"id":"a","function":{"name":"f"}}]"#,
        r#"[{"index":1,"function":{"arguments":"{\"x\""}},{"index":0,"function":{"arguments":"{"}}]"#,
        r#"[{"index":0,"function":{"arguments":"}"}}]"#,
        r#"[{"index":1,"function":{"arguments":":1}"}}]"#,
    ]);
    assert_eq!(got.unwrap(), [["b", "g", r#"{"x":1}"#], ["a", "f", "{}"]]);
}

#[test]
fn missing_indices() {
    // A new id is a new call, a known one goes on, nothing at all goes on with the last.
    let got = calls(&[
        r#"[{"id":"a","function":{"name":"f","arguments":"{"}},{"id":"b","function":{"name":"f","arguments":"{"}}]"#,
        r#"[{"id":"a","function":{"name":"f","arguments":"}"}}]"#,
        r#"[{"id":"b","function":{"arguments":"\"k\""}}]"#,
        r#"[{"function":{"arguments":":2}"}}]"#,
    ]);
    assert_eq!(got.unwrap(), [["a", "f", "{}"], ["b", "f", r#"{"k":2}"#]]);
    // Without ids a name begins a call.
    let got = calls(&[r#"[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"f","arguments":{"a":1}}}]"#]);
    assert_eq!(got.unwrap(), [["", "f", "{}"], ["", "f", r#"{"a":1}"#]]);
    assert!(matches!(calls(&[r#"[{"function":{"arguments":"{}"}}]"#]), Err(WireError::OrphanArguments)));
}

#[test]
fn repeated_ids_and_names_keep_the_first() {
    let got = calls(&[
        r#"[{"index":0,"id":"0","function":{"name":"f","arguments":""}}]"#,
        r#"[{"index":0,"id":"0","function":{"name":"f","arguments":"{"}}]"#,
        r#"[{"index":0,"id":"0","function":{"name":"other","arguments":"}"}}]"#,
        r#"[{"index":0,"id":"","function":{"name":"","arguments":null}}]"#,
    ]);
    assert_eq!(got.unwrap(), [["0", "f", "{}"]]);
}

#[test]
fn two_calls_at_one_index_are_an_error() {
    let whole = |id: &str, name: &str| format!(r#"[{{"index":0{id},"function":{{"name":"{name}","arguments":"1"}}}}]"#);
    for (first, second, ids) in [
        (whole(r#","id":"a""#, "f"), whole(r#","id":"b""#, "f"), ("a", "b")),
        (whole("", "f"), whole(r#","id":"b""#, "f"), ("f", "b")),
        (whole(r#","id":"a""#, "f"), whole("", "g"), ("a", "g")),
        (whole("", "f"), whole("", "g"), ("f", "g")),
    ] {
        match calls(&[&first, &second]) {
            Err(WireError::DuplicateIndex { index: 0, first, second }) => assert_eq!((&*first, &*second), ids),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn announced_before_its_deltas_and_once() {
    let event = |out: &[ToolCallEvent], at: usize| format!("{:?}", out[at]);
    let (out, _) = run(
        &[
            r#"[{"index":0,"function":{"arguments":"{"}}]"#,
            r#"[{"index":0,"function":{"name":"f"}}]"#,
            r#"[{"index":0,"function":{"arguments":"}"}}]"#,
        ],
        ToolCallLimits::default(),
    )
    .unwrap();
    assert_eq!(out.len(), 4);
    assert_eq!(event(&out, 0), r#"Started { index: 0, id: "", name: "f" }"#);
    assert_eq!(event(&out, 1), r#"Delta { index: 0, arguments: "{" }"#);
    assert_eq!(event(&out, 2), r#"Delta { index: 0, arguments: "}" }"#);
    // A name alone waits for the id; nothing more ever comes of this one.
    let (out, finished) = run(&[r#"[{"index":0,"function":{"name":"f"}}]"#], ToolCallLimits::default()).unwrap();
    assert_eq!((out.len(), finished.len()), (2, 1));
    let deltas = [r#"[{"index":0,"function":{"name":"f"}}]"#, r#"[{"index":0,"id":"a"}]"#];
    assert_eq!(run(&deltas, ToolCallLimits::default()).unwrap().1[0].0, "a");
}

#[test]
fn limits() {
    let limits = ToolCallLimits { max_tool_args: 4, max_total_bytes: 12, max_index: 2 };
    let delta = |index: u64, arguments: &str| {
        format!(r#"[{{"index":{index},"id":"i{index}","function":{{"name":"f","arguments":"{arguments}"}}}}]"#)
    };
    let result = |deltas: &[String]| {
        let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
        run(&deltas, limits).map(|(_, calls)| calls.len())
    };
    assert_eq!(result(&[delta(0, "1234")]).unwrap(), 1);
    let error = result(&[delta(0, "123"), delta(0, "45")]).unwrap_err();
    assert!(matches!(error, WireError::ArgumentsTooLarge { name, limit: 4 } if name == "f"));
    let error = result(&[delta(0, "1234"), delta(1, "1234")]).unwrap_err();
    assert!(matches!(error, WireError::CallsTooLarge { limit: 12 }));
    for index in [3, u64::from(u32::MAX) + 1, u64::MAX] {
        let error = result(&[delta(index, "")]).unwrap_err();
        assert!(matches!(error, WireError::IndexOutOfRange { index: at, max: 2, .. } if at == index));
    }
    let nameless = r#"[{"id":"a"},{"id":"b"},{"id":"c"},{"id":"d"}]"#;
    assert!(matches!(run(&[nameless], limits), Err(WireError::IndexOutOfRange { index: 3, .. })));
}

#[test]
fn a_call_without_a_name_is_an_error_unless_cut() {
    let mut assembler = ToolCallAssembler::new();
    let mut out = Vec::new();
    let deltas = r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":1"}},
        {"index":1,"id":"b","function":{"arguments":"{}"}},{"index":2,"id":"c","function":{"name":"h","arguments":"{}"}}]"#;
    assembler.deltas_json(deltas, &mut out).unwrap();
    let mut cut = assembler.clone();
    assert!(matches!(assembler.finish(&mut out), Err(WireError::MissingToolName { index: 1, id }) if id == "b"));
    out.clear();
    cut.finish_cut(&mut out).unwrap();
    let want = ToolCallEvent::Finished { index: 2, id: "c".into(), name: "h".into(), arguments: "{}".into() };
    assert_eq!(out, [want]);
}

#[test]
fn not_a_list() {
    assert!(matches!(calls(&["{}"]), Err(WireError::InvalidJson { .. })));
    assert_eq!(calls(&["null", "[]", r#"[{"index":5}]"#]).unwrap().len(), 0);
}

#[test]
fn chunks_and_deltas_may_be_taken_without_announcements() {
    let mut calls = ToolCallAssembler::new();
    for json in [
        r#"{"role":"assistant","content":null}"#,
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"x","arguments":"{"}}]}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0,"id":"other","function":{"name":"y"}}]}}]}"#,
        r#"{"choices":[{"index":0,"delta":null,"finish_reason":"stop"}],"tool_calls":null}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"}"}}]}"#,
        r#"{"choices":null}"#,
        "null",
    ] {
        calls.chat_json(json).unwrap();
    }
    for json in ["[]", "1", r#"{"choices":{}}"#, r#"{"choices":[{"delta":[]}]}"#, ""] {
        assert!(calls.chat_json(json).is_err(), "{json}");
    }
    let mut out = Vec::new();
    calls.finish(&mut out).unwrap();
    let finished = ToolCallEvent::Finished { index: 0, id: "a".into(), name: "x".into(), arguments: "{}".into() };
    assert_eq!(out.last(), Some(&finished));
    assert_eq!(out.iter().filter(|event| matches!(event, ToolCallEvent::Finished { .. })).count(), 1);
}
