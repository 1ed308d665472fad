//! `runs events`.

use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::{Event, Value};
use atomr_agents_observability::{redact, redact_event};
use atomr_agents_state::{EventTail, RunReader, RunStatus, Store};

use super::Out;
use crate::args::Events;
use crate::time::utc;
use crate::{CliError, escape};

/// How often a run that is followed is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How much of what an event says is shown to people.
const DETAIL: usize = 120;

pub(crate) async fn events(store: &Arc<dyn Store>, args: &Events, out: &mut Out) -> Result<u8, CliError> {
    let mut tail = EventTail::open(Arc::clone(store), &args.run, args.from_seq).await?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    let give_up = tokio::time::Instant::now() + args.deadline;
    loop {
        // Asked before the events are read, so that none of a run that ends just now is missed.
        let over = !args.follow || !goes_on(store, &args.run).await?;
        loop {
            let page = tail.next_page().await?;
            if page.is_empty() {
                break;
            }
            for event in page.iter().take(left) {
                write(event, out)?;
            }
            left = left.saturating_sub(page.len());
        }
        out.to.flush()?;
        if over || left == 0 {
            return Ok(0);
        }
        if tokio::time::Instant::now() >= give_up {
            let message = format!("the run went on for longer than {} s", args.deadline.as_secs_f64());
            return Err(CliError::Argument { argument: "--deadline", message });
        }
        tokio::time::sleep(LOOK.min(args.deadline)).await;
    }
}

async fn goes_on(store: &Arc<dyn Store>, run: &str) -> Result<bool, CliError> {
    let reader = RunReader::open(Arc::clone(store), run).await?;
    Ok(reader.record().status == RunStatus::Running)
}

fn write(event: &Event, out: &mut Out) -> Result<(), CliError> {
    let event = redact_event(event);
    if out.json {
        return out.value(&serde_json::to_value(&*event)?);
    }
    let mut detail = String::new();
    if let Value::Object(fields) = serde_json::to_value(&event.kind)? {
        let own = fields.iter().filter(|(name, value)| *name != "kind" && *name != "type" && !value.is_null());
        for (name, value) in own {
            let text = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
            detail.push_str(&format!(" {name}={text}"));
        }
    }
    let (seq, time, kind, path) = (event.seq, utc(event.time_ms), event.kind.name(), &event.path);
    let text = redact(detail.trim_start());
    let text = escape::cut(&text, DETAIL);
    out.line(format!("{seq:>6}  {time}  {path:<16}  {kind:<20}  {text}").trim_end())
}
