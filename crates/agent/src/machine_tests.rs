//! Tests of the run machine.

use proptest::prelude::*;

use super::*;

fn call(id: &str, raw: &str) -> Part {
    Part::ToolCall(ToolCall::new(id, format!("tool_{id}"), raw))
}

fn reply(finish: FinishReason, parts: Vec<Part>) -> ModelReply {
    ModelReply {
        message: Message { role: Role::Assistant, parts },
        finish,
        finish_raw: "word".into(),
        usage: Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() },
        id: None,
        model: None,
        alternatives: vec![],
    }
}

fn ok(text: &str) -> CallResult {
    CallResult { parts: vec![Part::text(text)], is_error: false, artifact: None }
}

fn started(max_iterations: u32) -> Machine {
    Machine::new(vec![Message::user("before")], vec![Message::user("now")], max_iterations)
}

fn failure(machine: &Machine) -> Failure {
    match machine.next() {
        Effect::Fail(failure) => failure,
        other => panic!("{other:?}"),
    }
}

/// Every call of the transcript has exactly one result after it: what providers insist on.
fn assert_answered(messages: &[Message]) {
    for (at, message) in messages.iter().enumerate() {
        let asked: Vec<&str> = message.tool_calls().map(|call| call.id.as_str()).collect();
        if asked.is_empty() {
            continue;
        }
        let answered: Vec<&str> = messages[at + 1]
            .parts
            .iter()
            .map(|part| match part {
                Part::ToolResult { call_id, .. } => call_id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(asked, answered);
    }
}

#[test]
fn tools_are_run_even_if_the_provider_says_stop() {
    let mut machine = started(4);
    machine.feed_reply(reply(FinishReason::Stop, vec![call("a", "{}")])).unwrap();
    assert!(matches!(machine.next(), Effect::CallTools(calls) if calls.len() == 1));
}

#[test]
fn repeated_and_missing_ids_are_replaced() {
    let mut machine = started(4);
    machine.feed_reply(reply(FinishReason::ToolCalls, vec![call("", "{}"), call("0", "{}"), call("0", "{}")])).unwrap();
    let ids: Vec<String> = machine.messages().last().unwrap().tool_calls().map(|call| call.id.clone()).collect();
    assert_eq!(ids, ["call_1_0", "0", "call_1_2"]);
}

#[test]
fn the_cap_is_an_error_of_its_own_and_the_calls_are_answered() {
    let mut machine = started(1);
    machine.feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")])).unwrap();
    assert_eq!(failure(&machine), Failure::IterationCap { limit: 1, pending: vec!["tool_a".into(), "tool_b".into()] });
    assert_answered(&machine.closed_messages());
}

#[test]
fn cut_arguments_refusals_and_filters_fail_the_run() {
    let cases = [
        (reply(FinishReason::Length, vec![call("a", "{\"x\":")]), "cut the arguments for tool_a after 5 bytes"),
        (reply(FinishReason::Length, vec![call("a", ""), call("b", "")]), "cut the arguments for tool_b after 0 bytes"),
        (reply(FinishReason::Stop, vec![Part::Refusal { text: "no".into() }]), "the model refused: no"),
        (reply(FinishReason::ContentFilter, vec![call("a", "{}")]), "content filter"),
    ];
    for (reply, said) in cases {
        let mut machine = started(4);
        machine.feed_reply(reply).unwrap();
        assert!(failure(&machine).to_string().contains(said));
        assert_answered(&machine.closed_messages());
    }
}

#[test]
fn it_refuses_what_it_did_not_ask_for() {
    let mut machine = started(4);
    assert!(machine.feed_tool(0, ok("x")).is_err());
    machine.feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")])).unwrap();
    assert!(machine.feed_reply(reply(FinishReason::Stop, vec![])).is_err());
    machine.feed_tool(1, ok("x")).unwrap();
    assert!(machine.feed_tool(1, ok("x")).is_err());
    assert!(machine.feed_tool(2, ok("x")).is_err());
}

#[test]
fn failing_in_the_middle_of_tools_keeps_what_they_had_answered() {
    let mut machine = started(4);
    machine.feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")])).unwrap();
    machine.feed_tool(1, ok("done")).unwrap();
    let running = machine.closed_messages();
    machine.fail(Failure::Effect { kind: Kind::Cancelled, message: "c".into() }, None, &Usage::default());
    assert_eq!(running, machine.closed_messages());
    assert_answered(&running);
    let Part::ToolResult { parts, is_error: false, .. } = &running.last().unwrap().parts[1] else { panic!() };
    assert_eq!(parts, &[Part::text("done")]);
}

proptest! {
    /// Results join the transcript in the order of the calls, whatever order they come in, and a machine that is
    /// written down and read back after every step goes the same way.
    #[test]
    fn order_and_storage(order in Just((0..6usize).collect::<Vec<_>>()).prop_shuffle(), store in any::<bool>()) {
        let again = |machine: Machine| -> Machine {
            if store { serde_json::from_str(&serde_json::to_string(&machine).unwrap()).unwrap() } else { machine }
        };
        let mut machine = again(started(9));
        let calls = (0..6).map(|n| call(&n.to_string(), "{}")).collect();
        machine.feed_reply(reply(FinishReason::ToolCalls, calls)).unwrap();
        for index in order {
            machine = again(machine);
            let Effect::CallTools(open) = machine.next() else { panic!() };
            prop_assert!(open.iter().any(|(at, _)| *at == index));
            machine.feed_tool(index, ok(&index.to_string())).unwrap();
        }
        assert_answered(machine.messages());
        machine.feed_reply(reply(FinishReason::Stop, vec![Part::text("answer")])).unwrap();
        let done = Effect::Finish { finish: FinishReason::Stop, finish_raw: "word".into() };
        prop_assert_eq!(machine.next(), done);
        prop_assert_eq!(machine.usage().input_tokens, 2);
        prop_assert_eq!(machine.messages()[0].text(), "before");
    }
}
