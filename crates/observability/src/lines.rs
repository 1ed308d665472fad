//! One readable line per event.

use std::fmt::{self, Write};
use std::sync::Arc;

use atomr_agents_core::{Event, EventKind, Kind, Money, RunId, Usage};

use crate::output::Render;
use crate::redact;
use crate::text::{count, cut, duration, escape, floor};

/// How much of a text a line shows, in characters.
const SHOWN: usize = 200;
/// How much of joined pieces is kept; more is counted only.
const KEPT: usize = 4 * SHOWN;
/// How many texts may be joined at the same time; the oldest is written when there are more.
const OPEN: usize = 64;

/// Pieces of one text, joined until it is complete.
struct Joined {
    run: RunId,
    path: Arc<str>,
    /// Tells the texts of one agent apart: the kind of the piece, and which tool call it belongs to.
    part: (&'static str, u32),
    name: Option<Arc<str>>,
    text: String,
    more: usize,
    time_ms: u64,
}

/// Makes the lines that [`crate::StdoutTracer`] writes, for those who write them elsewhere.
pub struct LineFormatter {
    colours: bool,
    redact: bool,
    open: Vec<Joined>,
}

impl LineFormatter {
    /// One that writes in colours or not, and masks what looks like a secret or not (see [`crate::redact`]).
    #[must_use]
    pub fn new(colours: bool, redact: bool) -> Self {
        Self { colours, redact, open: Vec::new() }
    }

    /// The lines that this event completes, each with its end of line. A piece of a text gives none: it is joined.
    #[must_use]
    pub fn event(&mut self, event: &Event) -> String {
        let mut out = String::new();
        self.put(event, &mut out);
        out
    }

    /// The lines of texts that are not complete yet; what comes of them later begins lines of its own.
    #[must_use]
    pub fn rest(&mut self) -> String {
        let mut out = String::new();
        self.close(&mut out, |_| true);
        out
    }

    fn put(&mut self, event: &Event, out: &mut String) {
        if event.kind.is_delta() {
            return self.join(event, out);
        }
        self.close(out, |open| open.is_of(event));
        let details = self.details(&event.kind);
        let place = (event.run, &*event.path, event.time_ms);
        self.write(place, (event.kind.name(), colour(&event.kind)), &details, out);
    }

    fn join(&mut self, event: &Event, out: &mut String) {
        let (name, text, part) = match &event.kind {
            EventKind::ToolCallStreamed { call_index, name, arguments, .. } => {
                (Some(name), arguments, (event.kind.name(), *call_index))
            }
            EventKind::TextDelta { text } | EventKind::ThinkingDelta { text } | EventKind::RefusalDelta { text } => {
                (None, text, (event.kind.name(), 0))
            }
            _ => return,
        };
        // A text ends where another kind of text begins; tool calls are written side by side.
        self.close(out, |open| open.is_of(event) && open.part.0 != part.0);
        let known = self.open.iter_mut().find(|open| open.is_of(event) && open.part == part);
        match known {
            Some(open) => open.add(text),
            None => {
                if self.open.len() >= OPEN {
                    let oldest = self.open.remove(0);
                    self.write_joined(&oldest, out);
                }
                let mut open = Joined {
                    run: event.run,
                    path: Arc::clone(&event.path),
                    part,
                    name: name.cloned(),
                    text: String::new(),
                    more: 0,
                    time_ms: event.time_ms,
                };
                open.add(text);
                self.open.push(open);
            }
        }
    }

    /// Writes the texts that are complete.
    fn close(&mut self, out: &mut String, complete: impl Fn(&Joined) -> bool) {
        let mut at = 0;
        while at < self.open.len() {
            if complete(&self.open[at]) {
                let joined = self.open.remove(at);
                self.write_joined(&joined, out);
            } else {
                at += 1;
            }
        }
    }

    fn write_joined(&self, joined: &Joined, out: &mut String) {
        let (text, more) = self.excerpt(&joined.text, joined.more);
        let name = joined.name.as_deref().unwrap_or_default();
        let gap = if name.is_empty() { "" } else { " " };
        let details = format!("{}{gap}\"{text}\"{more}", self.shown(name));
        self.write((joined.run, &joined.path, joined.time_ms), (joined.part.0, PIECE), &details, out);
    }

    fn shown(&self, text: &str) -> String {
        let (text, more) = self.excerpt(text, 0);
        text + &more
    }

    /// As much of the text as is shown, and what says how much is not.
    fn excerpt(&self, text: &str, more: usize) -> (String, String) {
        // More than is shown, so that a secret is not cut before it is masked.
        let (text, rest) = text.split_at(floor(text, KEPT));
        let masked = if self.redact { redact(text) } else { text.into() };
        let (shown, cut) = cut(&masked, SHOWN);
        let more = match cut + rest.chars().count() + more {
            0 => String::new(),
            more => format!("… (+{more} characters)"),
        };
        (shown.to_owned(), more)
    }

    fn write(&self, place: (RunId, &str, u64), kind: (&str, &str), details: &str, out: &mut String) {
        let ((run, path, time_ms), (kind, colour)) = (place, kind);
        let (dim, colour, reset) = if self.colours { ("\u{1b}[2m", colour, "\u{1b}[0m") } else { ("", "", "") };
        let run = run.to_string();
        let run = &run[run.len().saturating_sub(6)..];
        // Writing into a string cannot fail.
        let _ = write!(out, "{dim}{} {run}{reset} ", clock(time_ms));
        let depth = if path.is_empty() { 0 } else { path.split('/').count() };
        out.extend(std::iter::repeat_n("  ", depth.min(16)));
        if let Some(last) = path.rsplit('/').next().filter(|last| !last.is_empty()) {
            let label = self.shown(last);
            escape(&label, out);
            out.push_str(": ");
        }
        let _ = write!(out, "{colour}{kind}{reset}");
        if !details.is_empty() {
            out.push(' ');
            escape(details, out);
        }
        out.push('\n');
    }

    fn details(&self, kind: &EventKind) -> String {
        let shown = |text: &str| self.shown(text);
        match kind {
            EventKind::RunStarted { agent, model } => format!("{} on {}", shown(agent), shown(model)),
            EventKind::RunFinished { usage, cost, elapsed_ms } => {
                format!("in {}, {}{}", duration(*elapsed_ms), tokens(usage), price(*cost))
            }
            EventKind::RunFailed { error, message, elapsed_ms } => {
                format!("after {}, {error}: {}", duration(*elapsed_ms), shown(message))
            }
            EventKind::RunSuspended { pending, elapsed_ms } => {
                format!("after {}, {} to be decided", duration(*elapsed_ms), count(*pending as u64, "call"))
            }
            EventKind::ModelRequested { model, iteration, messages, tools, .. } => {
                let (messages, tools) = (count(*messages as u64, "message"), count(*tools as u64, "tool"));
                format!("{}, call {iteration}, {messages}, {tools}", shown(model))
            }
            EventKind::ModelRetried { attempt, wait_ms, reason } => {
                format!("attempt {attempt} in {}: {}", duration(*wait_ms), shown(reason))
            }
            EventKind::ModelFallback { from, to, reason } => {
                format!("{} to {}: {}", shown(from), shown(to), shown(reason))
            }
            EventKind::ModelFinished { finish, usage, tool_calls, elapsed_ms } => {
                let calls = count(*tool_calls as u64, "tool call");
                format!("{} in {}, {}, {calls}", shown(finish), duration(*elapsed_ms), tokens(usage))
            }
            EventKind::ServerToolUsed { name } => shown(name),
            EventKind::CacheHit { cache } => shown(cache),
            EventKind::PromptPrefixChanged { byte, owner } => format!("at byte {byte}, in {}", shown(owner)),
            EventKind::OutputRejected { attempt, message } => format!("for the {attempt}. time: {}", shown(message)),
            EventKind::BudgetReserved { tokens, cost } | EventKind::BudgetSpent { tokens, cost } => {
                format!("{}{}", count(*tokens, "token"), price(*cost))
            }
            EventKind::ApprovalRequested { name, arguments, .. } | EventKind::ToolStarted { name, arguments, .. } => {
                format!("{} {}", shown(name), shown(arguments))
            }
            EventKind::ApprovalResolved { name, approved, .. } => {
                format!("{} {}", shown(name), if *approved { "approved" } else { "denied" })
            }
            EventKind::NodeStarted { node, step } => format!("{} in super-step {step}", shown(node)),
            EventKind::NodeFinished { node, error, elapsed_ms, .. } => {
                let how = error.map_or("ok", Kind::as_str);
                format!("{} {how} in {}", shown(node), duration(*elapsed_ms))
            }
            EventKind::NodeRetried { node, attempt, wait_ms, reason } => {
                format!("{}, attempt {attempt} in {}: {}", shown(node), duration(*wait_ms), shown(reason))
            }
            EventKind::CheckpointSaved { step, source } => format!("{step} ({})", shown(source)),
            EventKind::StateWritten { channels, .. } => shown(&channels.join(", ")),
            EventKind::InterruptRaised { interrupt, .. } | EventKind::InterruptResumed { interrupt } => {
                shown(interrupt)
            }
            EventKind::ToolInvoked { name, ok, error, result, elapsed_ms, .. } => {
                let how = match error {
                    Some(error) => error.as_str(),
                    None if *ok => "ok",
                    None => "failed",
                };
                format!("{} {how} in {}: {}", shown(name), duration(*elapsed_ms), shown(result))
            }
            EventKind::HandedOff { from, to } => format!("{} to {}", shown(from), shown(to)),
            EventKind::HarnessStarted { harness, iteration: 0 } => shown(harness),
            EventKind::HarnessStarted { harness, iteration } => {
                format!("{} after iteration {iteration}", shown(harness))
            }
            EventKind::HarnessIteration { iteration, label, tokens, elapsed_ms, .. } => {
                let label = if label.is_empty() { String::new() } else { format!(" {}", shown(label)) };
                format!("{iteration}{label} in {}, {}", duration(*elapsed_ms), count(*tokens, "token"))
            }
            EventKind::HarnessFinished { iteration, reason, elapsed_ms, .. } => {
                let how = reason.as_deref().map_or_else(|| "done".into(), shown);
                format!("{how} after {} in {}", count(*iteration, "iteration"), duration(*elapsed_ms))
            }
            EventKind::Lagged { missed } => format!("{} not shown: too many at once", count(*missed, "event")),
            // Pieces are joined; a kind that is newer than this list is shown by its name.
            _ => String::new(),
        }
    }
}

impl Render for LineFormatter {
    fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        out.extend_from_slice(LineFormatter::event(self, event).as_bytes());
    }

    fn rest(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(LineFormatter::rest(self).as_bytes());
    }
}

impl fmt::Debug for LineFormatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineFormatter").field("open", &self.open.len()).finish_non_exhaustive()
    }
}

impl Joined {
    fn is_of(&self, event: &Event) -> bool {
        self.run == event.run && self.path == event.path
    }

    fn add(&mut self, text: &str) {
        // Once something was left out, nothing is added behind the gap.
        let room = if self.more == 0 { KEPT.saturating_sub(self.text.len()) } else { 0 };
        let end = floor(text, room);
        self.text.push_str(&text[..end]);
        self.more += text[end..].chars().count();
    }
}

/// The time of day in UTC.
fn clock(time_ms: u64) -> String {
    let (seconds, ms) = (time_ms / 1_000 % 86_400, time_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The colour of a piece of text.
const PIECE: &str = "\u{1b}[36m";

fn colour(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RunFailed { .. }
        | EventKind::ToolInvoked { ok: false, .. }
        | EventKind::NodeFinished { ok: false, .. } => "\u{1b}[31m",
        EventKind::ModelRetried { .. }
        | EventKind::ModelFallback { .. }
        | EventKind::OutputRejected { .. }
        | EventKind::RunSuspended { .. }
        | EventKind::NodeRetried { .. }
        | EventKind::InterruptRaised { .. }
        | EventKind::Lagged { .. } => "\u{1b}[33m",
        EventKind::RunStarted { .. }
        | EventKind::RunFinished { .. }
        | EventKind::HarnessStarted { .. }
        | EventKind::HarnessFinished { .. } => "\u{1b}[32m",
        _ => PIECE,
    }
}

fn tokens(usage: &Usage) -> String {
    format!("{} + {} tokens", usage.input_tokens, usage.output_tokens)
}

fn price(cost: Option<Money>) -> String {
    cost.map_or_else(String::new, |cost| format!(", {cost}"))
}
