//! Plays the rows and looks at what became of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use atomr_agents::core::Part;
use atomr_agents::prelude::*;
use atomr_agents_testkit::{Cut, Format, ReplayServer, Reply, Script};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::case::{Case, Expected, OUTPUT, first, second};
use crate::speakers::{Patience, Speaker, speakers};

/// Longer than any row may take, on a busy machine.
pub(crate) const HANG: Duration = Duration::from_secs(60);

/// The tools that ran, with what they were given.
pub(crate) type Ran = Arc<Mutex<Vec<(String, Value)>>>;

/// Plays the rows of every provider and names all that went wrong, not only the first.
pub(crate) async fn all(cases: fn(Format) -> Vec<Case>) {
    let mut wrong = Vec::new();
    for speaker in &speakers() {
        let mut plays = Vec::new();
        for case in cases(speaker.format) {
            if case.cuts {
                plays.push((case.clone(), Cut::Seeded(case.name.len() as u64)));
            }
            plays.push((case, Cut::Whole));
        }
        let plays = plays.into_iter().map(|(case, cut)| async move {
            let outcome = play(speaker, &case, cut.clone()).await;
            outcome.err().map(|wrong| format!("{}, {}, {cut:?}: {wrong}", speaker.format, case.name))
        });
        wrong.extend(
            futures_util::stream::iter(plays)
                .buffer_unordered(8)
                .filter_map(async |wrong| wrong)
                .collect::<Vec<_>>()
                .await,
        );
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{} rows went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Plays one row: the faulty answer, then, if it is asked again, a good one, and the good one to the tools' results.
async fn play(speaker: &Speaker, case: &Case, cut: Cut) -> Result<(), String> {
    let patience = if case.impatient { Patience::Short } else { Patience::Long };
    let good = |turn| Reply::new(speaker.format.stream(&turn)).cut(cut.clone());
    let (again, last) = (good(first()), good(second()));
    let faulty = Mutex::new(Some(case.reply.clone().cut(cut.clone())));
    let script = Script::choose(move |request| match request.assistant_turns() {
        0 => Some(faulty.lock().unwrap().take().unwrap_or_else(|| again.clone())),
        _ => Some(last.clone()),
    });
    let server = ReplayServer::start(script).await.unwrap();
    let ran = Ran::default();
    let agent = agent((speaker.client)(&server.url(), patience), &ran);
    let run = tokio::time::timeout(HANG, agent.run("2 + 3, and say zwölf", CallCtx::new()));
    let outcome = run.await.map_err(|_| "it hangs".to_owned())?;
    drop(agent);
    if !server.quiet(HANG).await {
        return Err("the connection stays open".into());
    }
    let canary = |text: String| text.contains("canary");
    if canary(format!("{outcome:?}")) || outcome.as_ref().is_err_and(|error| canary(error.to_string())) {
        return Err("the key is told".into());
    }
    let (ran, asked) = (ran.lock().unwrap().clone(), server.summary().requests);
    let became = became(&outcome, &ran, asked)?;
    let told = outcome.map_or_else(|error| error.to_string(), |result| result.output);
    match case.expected.contains(&became) {
        true => Ok(()),
        false => Err(format!("{became:?} ({told}), not {:?}", case.expected)),
    }
}

/// An agent with two tools that keep what they were given.
pub(crate) fn agent(client: Arc<dyn InferenceClient>, ran: &Ran) -> Agent {
    let tool = |name: &'static str| {
        let ran = Arc::clone(ran);
        let parameters = json!({"type": "object"});
        let tool = FnTool::new(name, "", parameters, move |arguments, _ctx| {
            ran.lock().unwrap().push((name.to_owned(), arguments.clone()));
            async move { Ok(arguments) }
        });
        Arc::new(tool) as Arc<dyn Tool>
    };
    let tools = StaticTools::new([tool("add"), tool("echo")]).unwrap();
    AgentBuilder::new(client, "m").with_tools(tools).build().unwrap()
}

/// What became of a run; an error where it is nothing that may become of any run.
fn became(outcome: &Result<RunResult, RunError>, ran: &[(String, Value)], asked: usize) -> Result<Expected, String> {
    let mut ran = ran.to_vec();
    ran.sort_by(|one, other| one.0.cmp(&other.0));
    let both = [("add".to_owned(), json!({"a": 2, "b": 3})), ("echo".to_owned(), json!({"text": "zwölf"}))];
    match outcome {
        Ok(result) if result.output != OUTPUT => Err(format!("the run says {:?}", result.output)),
        Ok(_) if ran == both && asked == 2 => Ok(Expected::Whole),
        Ok(_) if ran == both && asked == 3 => Ok(Expected::Retried),
        Ok(result) if ran == both[..1] && asked == 2 && told_not_json(&result.messages) => Ok(Expected::Told),
        Err(error) if ran.is_empty() && asked == 1 => Ok(Expected::Ends(error.kind())),
        _ => Err(format!("after {asked} requests {outcome:?}, and the tools got {ran:?}")),
    }
}

/// Whether the model was told that its last call could not be read.
fn told_not_json(messages: &[Message]) -> bool {
    let mut results = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolResult { parts, is_error, .. } => Some((parts, *is_error)),
        _ => None,
    });
    results.next_back().is_some_and(|(parts, is_error)| {
        is_error && matches!(&parts[..], [Part::Text { text }] if text.contains("not JSON"))
    })
}
