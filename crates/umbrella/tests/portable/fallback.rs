//! A chain of providers: the first fails before its first word, the next answers, and whoever goes on can.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents::agent::RunInput;
use atomr_agents::core::EventKind;
use atomr_agents::inference::FallbackClient;
use atomr_agents::observability::EventBus;
use atomr_agents::prelude::*;
use atomr_agents_testkit::{Fault, ReplayServer, Reply, RetryAfter, Script, Trouble, Turn};
use serde_json::json;

use crate::checks;
use crate::scenes::tool;
use crate::speakers::{Speaker, speakers};

/// What happens to the first request to the first provider.
fn troubles() -> Vec<(&'static str, Trouble)> {
    let overloaded = Trouble::Status { status: 529, message: "Overloaded".into(), after: RetryAfter::Absent };
    vec![
        ("529", overloaded),
        ("reset after the head", Trouble::Fault(Fault::ResetAt(0))),
        ("closed before the head", Trouble::Fault(Fault::CloseBeforeHeaders)),
    ]
}

/// What every provider says, at whatever point of the conversation it is asked.
fn script() -> Script {
    let call = Turn::tool_calls([("add", json!({"a": 2, "b": 3})), ("multiply", json!({"a": 2, "b": 3}))])
        .after_text("Let me see. ")
        .after_thinking("I had better use both tools here.", Some("a proof that is nobody else's"));
    Script::turns([call, Turn::text("5 and 6."), Turn::text("30.")])
}

fn agent(client: Arc<dyn InferenceClient>, model: &str, bus: &EventBus) -> Agent {
    AgentBuilder::new(client, model)
        .with_tools(StaticTools::new(["add", "multiply"].map(tool)).unwrap())
        .with_options(AgentOptions { buses: vec![bus.clone()], ..AgentOptions::default() })
        .build()
        .unwrap()
}

/// Plays one pair; what each server was sent must be valid for it.
async fn play(first: Speaker, next: Speaker, name: &str, trouble: Trouble) -> Result<(), String> {
    let failing = ReplayServer::start(script().troubles([Some(trouble)])).await.unwrap();
    let steady = ReplayServer::start(script()).await.unwrap();
    let (one, two) = ((first.client)(&failing.url()), (next.client)(&steady.url()));
    let chain: Arc<dyn InferenceClient> = Arc::new(FallbackClient::new(Arc::clone(&one)).then(two.clone(), next.model));
    let bus = EventBus::new();
    let mut events = bus.subscribe();
    let talker = agent(Arc::clone(&chain), first.model, &bus);
    let begun = talker.run("2 and 3?", CallCtx::new()).await.map_err(|error| format!("{name}: {error}"))?;
    let told = events.try_recv_batch(1_000).unwrap();
    let fell: Vec<_> =
        told.events.iter().filter(|event| matches!(event.kind, EventKind::ModelFallback { .. })).collect();
    if fell.len() != 1 || begun.output != "5 and 6." {
        return Err(format!("{name}: {fell:?} {}", begun.output));
    }
    // The call is of the second provider, so are its proofs; the results went to the first one again.
    let thought = begun.messages.iter().flat_map(|message| &message.parts).find_map(|part| match part {
        Part::Thinking { provider, .. } => provider.as_deref(),
        _ => None,
    });
    if thought.is_some_and(|owner| owner != next.provider) {
        return Err(format!("{name}: the thought is of {thought:?}"));
    }
    if (failing.requests().len(), steady.requests().len()) != (2, 1) {
        return Err(format!("{name}: {} and {} requests", failing.requests().len(), steady.requests().len()));
    }
    let after_the_fall = failing.requests().pop().unwrap().body;
    let results = begun.messages.iter().position(|message| message.role == Role::Tool).unwrap();
    let mut faults = checks::faults(&begun.messages[..=results], &next, &first, &after_the_fall);
    for (client, speaker, server) in [(chain, first, &failing), (one, first, &failing), (two, next, &steady)] {
        let input = RunInput::from("Multiply them.").with_history(begun.messages.clone());
        let gone_on = agent(client, speaker.model, &bus).run(input, CallCtx::new()).await;
        let output = gone_on.map_err(|error| format!("{name}, then {}: {error}", speaker.provider))?.output;
        if output != "30." {
            faults.push(format!("then {} says {output}", speaker.provider));
        }
        let body = server.requests().pop().unwrap().body;
        faults.extend(checks::faults(&begun.messages, &next, &speaker, &body));
    }
    failing.stop().await;
    steady.stop().await;
    if faults.is_empty() { Ok(()) } else { Err(format!("{name}: {}", faults.join("; "))) }
}

#[tokio::test]
async fn the_next_provider_answers_and_the_conversation_goes_on_with_either() {
    let mut wrong = Vec::new();
    let mut played = 0;
    for first in speakers() {
        for next in speakers().into_iter().filter(|next| next.provider != first.provider) {
            for (name, trouble) in troubles() {
                let name = format!("{} fails ({name}), {} answers", first.provider, next.provider);
                let outcome = tokio::time::timeout(Duration::from_secs(60), play(first, next, &name, trouble)).await;
                wrong.extend(outcome.unwrap_or_else(|_| Err(format!("{name}: it hangs"))).err());
                played += 1;
            }
        }
    }
    assert_eq!(played, 36);
    assert!(wrong.is_empty(), "{} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn after_the_first_word_nobody_else_is_asked() {
    for first in speakers() {
        let body = first.format.stream(&Turn::text("Half of an answer, and then"));
        let cut = body.body.windows(4).position(|bytes| bytes == b"Half").unwrap();
        let end = body.body[cut..].windows(2).position(|bytes| bytes == b"\n\n" || bytes == b"\r\n").unwrap();
        let reply = Reply::new(body).fault(Fault::ResetAt(cut + end + 4));
        let failing = ReplayServer::start(Script::always(reply)).await.unwrap();
        let steady = ReplayServer::start(script()).await.unwrap();
        let next = speakers().into_iter().find(|next| next.provider != first.provider).unwrap();
        let chain = FallbackClient::new((first.client)(&failing.url())).then((next.client)(&steady.url()), next.model);
        let bus = EventBus::new();
        let error = agent(Arc::new(chain), first.model, &bus).run("2 and 3?", CallCtx::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::StreamInterrupted, "{} {error}", first.provider);
        assert!(steady.requests().is_empty(), "{}", first.provider);
        failing.stop().await;
        steady.stop().await;
    }
}
