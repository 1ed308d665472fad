//! Tests of the run machine.

use atomr_agents_core::Kind;
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
    CallResult::text(text)
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
    machine.feed_reply(reply(FinishReason::Stop, vec![call("a", "{}")]), AnswerRule::default()).unwrap();
    assert!(matches!(machine.next(), Effect::CallTools(calls) if calls.len() == 1));
}

#[test]
fn repeated_and_missing_ids_are_replaced() {
    let mut machine = started(4);
    machine
        .feed_reply(
            reply(FinishReason::ToolCalls, vec![call("", "{}"), call("0", "{}"), call("0", "{}")]),
            AnswerRule::default(),
        )
        .unwrap();
    let ids: Vec<String> = machine.messages().last().unwrap().tool_calls().map(|call| call.id.clone()).collect();
    assert_eq!(ids, ["call_1_0", "0", "call_1_2"]);
}

#[test]
fn the_cap_is_an_error_of_its_own_and_the_calls_are_answered() {
    let mut machine = started(1);
    machine
        .feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")]), AnswerRule::default())
        .unwrap();
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
        machine.feed_reply(reply, AnswerRule::default()).unwrap();
        assert!(failure(&machine).to_string().contains(said));
        assert_answered(&machine.closed_messages());
    }
}

#[test]
fn it_refuses_what_it_did_not_ask_for() {
    let mut machine = started(4);
    assert!(machine.feed_tool(0, ok("x")).is_err());
    machine
        .feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")]), AnswerRule::default())
        .unwrap();
    assert!(machine.feed_reply(reply(FinishReason::Stop, vec![]), AnswerRule::default()).is_err());
    machine.feed_tool(1, ok("x")).unwrap();
    assert!(machine.feed_tool(1, ok("x")).is_err());
    assert!(machine.feed_tool(2, ok("x")).is_err());
}

#[test]
fn failing_in_the_middle_of_tools_keeps_what_they_had_answered() {
    let mut machine = started(4);
    machine
        .feed_reply(reply(FinishReason::ToolCalls, vec![call("a", "{}"), call("b", "{}")]), AnswerRule::default())
        .unwrap();
    machine.feed_tool(1, ok("done")).unwrap();
    let running = machine.closed_messages();
    machine.fail(Failure::Effect { kind: Kind::Cancelled, message: "c".into() }, None, &Usage::default());
    assert_eq!(running, machine.closed_messages());
    assert_answered(&running);
    let Part::ToolResult { parts, is_error: false, .. } = &running.last().unwrap().parts[1] else { panic!() };
    assert_eq!(parts, &[Part::text("done")]);
}

fn asked(machine: &mut Machine, calls: Vec<Part>) {
    machine.feed_reply(reply(FinishReason::ToolCalls, calls), AnswerRule::default()).unwrap();
}

fn finished(machine: &Machine) -> (String, Option<Value>) {
    match machine.next() {
        Effect::Finish { text, value, .. } => (text, value),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_that_waits_is_run_only_after_a_decision_and_with_what_was_decided() {
    let mut machine = started(4);
    asked(&mut machine, vec![call("a", "{}"), call("b", "{\"n\":1}"), call("c", "{}")]);
    let waiting = |machine: &Machine, index: usize| match machine.next() {
        Effect::CallTools(tasks) => tasks[index].call.clone(),
        other => panic!("{other:?}"),
    };
    let (b, c) = (waiting(&machine, 1), waiting(&machine, 2));
    machine.wait(1, b.clone()).unwrap();
    machine.wait(2, c).unwrap();
    assert!(machine.wait(2, b.clone()).is_err(), "it waits already");
    machine.feed_tool(0, ok("done")).unwrap();
    let Effect::Suspend(pending) = machine.next() else { panic!("{:?}", machine.next()) };
    assert_eq!(pending.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 2]);
    assert_answered(&machine.closed_messages());
    assert!(machine.decide(0, Verdict::Approve).is_err());
    let edited = serde_json::from_str("{\"n\":2}").unwrap();
    machine.decide(1, Verdict::Edit { arguments: edited }).unwrap();
    machine.decide(2, Verdict::Deny { reason: "too dear".into() }).unwrap();
    let Effect::CallTools(tasks) = machine.next() else { panic!() };
    assert_eq!(tasks, [ToolTask { index: 1, call: ToolCall { raw: "{\"n\":2}".into(), ..b }, approved: true }]);
    machine.feed_tool(1, ok("paid")).unwrap();
    assert_answered(machine.messages());
    let last = serde_json::to_string(machine.messages().last().unwrap()).unwrap();
    assert!(last.contains("denied this call: too dear") && last.contains("changed") && last.contains("paid"), "{last}");
}

#[test]
fn a_tool_can_end_the_run_or_hand_it_over_and_only_one_of_them_does() {
    let then = |then: Then| CallResult { then: Some(then), ..ok("") };
    let to = |target: &str| then(Then::Handoff { target: target.into() });
    let mut machine = started(4);
    asked(&mut machine, vec![call("a", ""), call("b", ""), call("c", "")]);
    let values = serde_json::from_str("{\"seen\": true}").unwrap();
    machine.feed_tool(2, to("billing")).unwrap();
    machine.feed_tool(1, to("support")).unwrap();
    machine.feed_tool(0, then(Then::Update { values })).unwrap();
    assert_eq!((machine.agent(), machine.values()["seen"].as_bool()), (Some("support"), Some(true)));
    assert_eq!(machine.next(), Effect::CallModel { iteration: 2 });
    let last = serde_json::to_string(machine.messages().last().unwrap()).unwrap();
    assert!(last.contains("another call of the same answer came first"), "{last}");
    asked(&mut machine, vec![call("a", ""), call("b", "")]);
    machine.feed_tool(0, to("billing")).unwrap();
    machine.feed_tool(1, then(Then::Done { value: Value::from(3) })).unwrap();
    assert_eq!(finished(&machine), ("3".into(), Some(Value::from(3))));
    assert_eq!(machine.agent(), Some("support"));
    assert_answered(machine.messages());
}

#[test]
fn a_provider_that_paused_is_asked_to_go_on() {
    let mut machine = started(2);
    let paused = || reply(FinishReason::Paused, vec![Part::text("searching")]);
    machine.feed_reply(paused(), AnswerRule::default()).unwrap();
    assert_eq!(machine.next(), Effect::CallModel { iteration: 2 });
    machine.feed_reply(paused(), AnswerRule::default()).unwrap();
    assert_eq!(finished(&machine).0, "searching", "after the last call it is what there is");
}

#[test]
fn an_answer_is_checked_and_a_rejected_one_is_asked_for_again() {
    let rule = AnswerRule { tool: Some("tool_final"), checked: true };
    let mut machine = started(4);
    let stopped = |text: &str| reply(FinishReason::Stop, vec![Part::text(text)]);
    machine.feed_reply(stopped("hm"), rule).unwrap();
    assert_eq!(machine.next(), Effect::CheckAnswer { text: "hm".into(), by_tool: false });
    machine.reject("no JSON").unwrap();
    assert_eq!((machine.rejections(), machine.messages().last().unwrap().text().as_str()), (1, "no JSON"));
    let calls = vec![call("other", "{}"), call("final", "{\"n\":1}")];
    machine.feed_reply(reply(FinishReason::ToolCalls, calls), rule).unwrap();
    assert_eq!(machine.next(), Effect::CheckAnswer { text: "{\"n\":1}".into(), by_tool: true });
    assert_answered(&machine.closed_messages());
    machine.reject("n must be 2").unwrap();
    assert!(machine.accept(Value::Null).is_err(), "there is no answer");
    machine.feed_reply(reply(FinishReason::Stop, vec![call("final", "{\"n\":2}")]), rule).unwrap();
    machine.accept(serde_json::from_str("{\"n\":2}").unwrap()).unwrap();
    assert_eq!(finished(&machine).1.unwrap()["n"], 2);
    assert_answered(machine.messages());
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
        machine.feed_reply(reply(FinishReason::ToolCalls, calls), AnswerRule::default()).unwrap();
        for index in order {
            machine = again(machine);
            let Effect::CallTools(open) = machine.next() else { panic!() };
            prop_assert!(open.iter().any(|task| task.index == index));
            machine.feed_tool(index, ok(&index.to_string())).unwrap();
        }
        assert_answered(machine.messages());
        machine.feed_reply(reply(FinishReason::Stop, vec![Part::text("answer")]), AnswerRule::default()).unwrap();
        let done = Effect::Finish {
            finish: FinishReason::Stop,
            finish_raw: "word".into(),
            text: "answer".into(),
            value: None,
        };
        prop_assert_eq!(machine.next(), done);
        prop_assert_eq!(machine.usage().input_tokens, 2);
        prop_assert_eq!(machine.messages()[0].text(), "before");
    }

    /// Whatever the machine is fed, in whatever order, its transcript only grows and is one that a provider takes.
    #[test]
    fn every_transcript_can_be_sent_again(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..60)) {
        let before = vec![
            Message::user("before"),
            Message { role: Role::Assistant, parts: vec![call("0", "{}")] },
            tool_message([(&ToolCall::new("0", "tool_0", "{}"), Some(&ok("answered")))], ""),
        ];
        let mut machine = Machine::new(before, vec![Message::user("now")], 6);
        for (what, which, how) in steps {
            let earlier = machine.messages().to_vec();
            // What was not asked for is refused, and changes nothing.
            let copy = machine.clone();
            if let Err(MachineError(_)) = random_step(&mut machine, what, which, how) {
                prop_assert_eq!(&machine, &copy);
            }
            prop_assert!(machine.messages().starts_with(&earlier));
            assert_can_be_sent(&machine.closed_messages());
            let text = serde_json::to_string(&machine).unwrap();
            let again: Machine = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&again, &machine);
            prop_assert_eq!(again.next(), machine.next());
            match machine.next() {
                Effect::CallTools(tasks) => prop_assert!(!tasks.is_empty()),
                Effect::Suspend(calls) => prop_assert!(!calls.is_empty()),
                Effect::CallModel { iteration } => prop_assert!(iteration <= 6),
                _ => {}
            }
        }
    }
}

/// One of all the things that can be done to a machine.
fn random_step(machine: &mut Machine, what: u8, which: u8, how: u8) -> Result<(), MachineError> {
    let index = usize::from(which % 4);
    let then = |then: Then| CallResult { then: Some(then), ..ok("") };
    match what % 8 {
        0 | 1 => {
            let ids = ["", "0", "call_1_0", "call_2_1", "x"];
            let calls = (0..which % 4)
                .map(|at| call(ids[(usize::from(at) + usize::from(how)) % 5], ["{}", "{", ""][usize::from(how % 3)]));
            let mut parts: Vec<Part> = calls.collect();
            if how.is_multiple_of(5) {
                parts.insert(0, Part::text("text"));
            }
            if how.is_multiple_of(31) {
                parts.push(Part::Refusal { text: "no".into() });
            }
            let finishes = [FinishReason::Stop, FinishReason::ToolCalls, FinishReason::Paused, FinishReason::Length];
            let rule = AnswerRule { tool: (how.is_multiple_of(2)).then_some("tool_x"), checked: how.is_multiple_of(3) };
            machine.feed_reply(reply(finishes[usize::from(how % 4)], parts), rule)
        }
        2 | 3 => machine.feed_tool(
            index,
            match how % 6 {
                0 => then(Then::Handoff { target: "other".into() }),
                1 if how > 200 => then(Then::Done { value: Value::from(1) }),
                2 => CallResult::error("failed"),
                _ => ok("done"),
            },
        ),
        4 => machine.wait(index, ToolCall::new("w", "tool_w", "{}")),
        5 => machine.decide(
            index,
            match how % 3 {
                0 => Verdict::Approve,
                1 => Verdict::Edit { arguments: serde_json::Map::new() },
                _ => Verdict::Deny { reason: String::new() },
            },
        ),
        6 if how.is_multiple_of(2) => machine.reject("again"),
        6 => machine.accept(Value::from(2)),
        _ if how > 240 => {
            let partial =
                (how.is_multiple_of(2)).then(|| Message { role: Role::Assistant, parts: vec![Part::text("half")] });
            machine.fail(Failure::Effect { kind: Kind::Cancelled, message: "c".into() }, partial, &Usage::default());
            Ok(())
        }
        _ if machine.iteration() > 0 => machine.set_input(vec![], vec![Message::user("late")]),
        _ => Ok(()),
    }
}

/// Each call is answered once, right behind its message and in order, no answer stands anywhere else, and no two calls
/// have one id.
fn assert_can_be_sent(messages: &[Message]) {
    let mut ids = std::collections::HashSet::new();
    assert_answered(messages);
    for (at, message) in messages.iter().enumerate() {
        assert!(message.tool_calls().all(|call| !call.id.is_empty() && ids.insert(call.id.clone())), "{messages:?}");
        let before = at.checked_sub(1).map(|before| &messages[before]);
        if message.role == Role::Tool {
            assert!(before.is_some_and(|before| before.tool_calls().count() == message.parts.len()), "{messages:?}");
        }
    }
}
