//! Hashes of what is asked, part by part, so that a replay can name the part that is another one.

use atomr_agents_core::{Message, ModelRequest, ToolCall};

use super::version::hash;

/// The parts of a request, each by name with its hash, in the order in which a difference is told.
pub(crate) fn of_request(request: &ModelRequest) -> String {
    let systems = request.messages.iter().take_while(|message| message.role == atomr_agents_core::Role::System).count();
    let (system, transcript): (&[Message], &[Message]) = request.messages.split_at(systems);
    let settings = (
        &request.model,
        &request.tool_choice,
        &request.output,
        &request.sampling,
        &request.cache,
        &request.metadata,
        &request.extra_body,
    );
    format!(
        "instructions={} tools={} settings={} messages={}",
        hash(&system),
        hash(&request.tools),
        hash(&settings),
        hash(&transcript)
    )
}

/// The parts of a call.
pub(crate) fn of_call(call: &ToolCall) -> String {
    // What the model wrote with other spaces is the same call.
    let arguments = call.arguments().map_or_else(|_| hash(&call.raw), |value| hash(&value));
    format!("tool={} arguments={arguments}", call.name)
}

/// The first part that is another one, with what it was and what it is.
pub(crate) fn first_difference(before: &str, now: &str) -> Option<(String, String, String)> {
    let parts = |text: &str| -> Vec<(String, String)> {
        text.split(' ').filter_map(|part| part.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
    };
    let (before, now) = (parts(before), parts(now));
    before
        .iter()
        .zip(&now)
        .find(|(before, now)| before != now)
        .map(|((name, before), (_, now))| (name.clone(), before.clone(), now.clone()))
}
