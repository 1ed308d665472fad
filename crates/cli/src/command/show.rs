//! `runs show`.

use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_observability::redact;
use atomr_agents_state::{
    End, Intent, Item, Placed, RunReader, RunRecord, Store, StoredChannel, StoredState, open_effects,
};
use serde_json::json;

use super::{Out, count};
use crate::args::Show;
use crate::time::utc;
use crate::{CliError, escape};

/// How much of an output is shown to people.
const OUTPUT: usize = 2_000;

pub(crate) async fn show(store: &Arc<dyn Store>, args: &Show, out: &mut Out) -> Result<u8, CliError> {
    let reader = RunReader::open(Arc::clone(store), &args.run).await?;
    let frames = reader.frames().await?;
    let told = Told::of(&reader, &frames, args.values).await?;
    if out.json {
        out.value(&told.json(reader.record())?)?;
        return Ok(0);
    }
    told.write(reader.record(), out)?;
    Ok(0)
}

/// What there is to tell of a run.
struct Told {
    commits: u64,
    events: u64,
    effects: u64,
    open: Vec<Intent>,
    state: Option<(StoredState, Option<Value>)>,
    end: Option<End>,
    output: Option<Value>,
}

impl Told {
    async fn of(reader: &RunReader, frames: &[Placed], values: bool) -> Result<Self, CliError> {
        let (mut events, mut effects, mut end) = (0, 0, None);
        for item in frames.iter().flat_map(|placed| &placed.frame.items) {
            match item {
                Item::Event(_) => events += 1,
                Item::Intent(_) => effects += 1,
                Item::Begin(_) => end = None,
                Item::End(told) => end = Some(told.clone()),
                _ => {}
            }
        }
        let output = match end.as_ref().and_then(|end| end.output.as_ref()) {
            Some(body) => reader.values(&[body]).await?.pop(),
            None => None,
        };
        let state = match StoredState::after(frames)? {
            Some(state) if values => {
                let values = state.values(reader).await?;
                Some((state, Some(serde_json::to_value(values)?)))
            }
            state => state.map(|state| (state, None)),
        };
        let open = open_effects(frames);
        Ok(Self { commits: frames.len() as u64, events, effects, open, state, end, output })
    }

    fn json(&self, record: &RunRecord) -> Result<Value, CliError> {
        let mut all = serde_json::to_value(record)?;
        let open: Vec<Value> =
            self.open.iter().map(|intent| json!({"key": intent.key, "calls": intent.subject})).collect();
        let more = json!({
            "commits": self.commits, "events": self.events, "effects": self.effects, "open_effects": open,
            "output": self.output, "error": self.end.as_ref().and_then(|end| end.error.as_ref()),
            "checkpoint": self.state.as_ref().map(|(state, values)| json!({
                "step": state.step, "time_ms": state.time_ms, "source": state.source, "channels": shapes(state),
                "next": state.next.iter().map(|due| &due.node).collect::<Vec<_>>(), "values": values,
            })),
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
        Ok(all)
    }

    fn write(&self, record: &RunRecord, out: &mut Out) -> Result<(), CliError> {
        let mut lines = vec![
            ("run", record.name.clone()),
            ("id", record.id.to_string()),
            ("kind", record.kind.clone()),
            ("target", record.target.clone()),
            ("version", record.version.clone()),
            ("status", record.status.to_string()),
            ("turns", record.turns.to_string()),
            ("begun", format!("{} UTC", utc(record.begun_ms))),
            ("changed", format!("{} UTC", utc(record.updated_ms))),
        ];
        if let Some(parent) = &record.parent {
            lines.push(("forked", format!("from {} at position {}", parent.run, parent.at)));
        }
        if let Some(pruned) = &record.pruned {
            lines.push(("pruned", format!("before position {}", pruned.at)));
        }
        lines.extend(record.labels.iter().map(|(name, value)| ("label", format!("{name}={value}"))));
        let (commits, events) = (count(self.commits, "commit"), count(self.events, "event"));
        lines.push(("log", format!("{commits}, {events}, {}", count(self.effects, "effect"))));
        let open = |intent: &Intent| format!("{} ({}) was begun and has no outcome", intent.key, intent.subject);
        lines.extend(self.open.iter().map(|intent| ("open", open(intent))));
        if let Some((state, values)) = &self.state {
            let next: Vec<&str> = state.next.iter().map(|due| due.node.as_str()).collect();
            let next = if next.is_empty() { "nothing".to_owned() } else { next.join(", ") };
            lines.push(("step", format!("{} ({}), next: {next}", state.step, state.source)));
            for (name, shape) in shapes(state).as_object().into_iter().flatten() {
                let value = values.as_ref().map(|values| redact(&values[name].to_string()).into_owned());
                let text = value.unwrap_or_else(|| shape.as_str().unwrap_or_default().to_owned());
                lines.push(("channel", format!("{name}: {text}")));
            }
        }
        if let Some(output) = &self.output {
            let text = output.as_str().map_or_else(|| output.to_string(), str::to_owned);
            lines.push(("output", escape::cut(&redact(&text), OUTPUT).into_owned()));
        }
        if let Some(error) = self.end.as_ref().and_then(|end| end.error.as_ref()) {
            lines.push(("error", format!("{}: {}", error.kind.as_str(), redact(&error.message))));
        }
        for (name, value) in lines.into_iter().filter(|(_, value)| !value.is_empty()) {
            out.line(&format!("{name:<8} {value}"))?;
        }
        Ok(())
    }
}

/// What each channel is, without its values.
fn shapes(state: &StoredState) -> Value {
    let shape = |channel: &StoredChannel| match channel {
        StoredChannel::Single(_) => "one value".to_owned(),
        StoredChannel::List(items) => format!("list of {}", items.len()),
        StoredChannel::Map(items) => format!("map of {}", items.len()),
    };
    state.channels.iter().map(|(name, channel)| (name.clone(), Value::from(shape(channel)))).collect()
}
