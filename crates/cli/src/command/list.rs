//! `runs list`.

use std::sync::Arc;

use atomr_agents_state::{RunFilter, RunPlace, RunReader, RunRecord, Store, list_runs};
use serde_json::json;

use super::Out;
use crate::args::List;
use crate::table::Table;
use crate::time::utc;
use crate::{CliError, escape};

pub(crate) async fn list(store: &Arc<dyn Store>, args: &List, out: &mut Out) -> Result<u8, CliError> {
    let after = match &args.after {
        Some(run) => Some(RunPlace::of(RunReader::open(Arc::clone(store), run).await?.record())),
        None => None,
    };
    let filter = RunFilter {
        status: args.status.clone(),
        kind: args.kind.clone(),
        target: args.target.clone(),
        labels: args.label.iter().cloned().collect(),
        after,
        limit: args.limit,
    };
    let page = list_runs(&**store, &filter).await?;
    if out.json {
        for run in &page.runs {
            out.value(&serde_json::to_value(run)?)?;
        }
        for (name, error) in &page.unreadable {
            out.value(&json!({"name": name, "unreadable": error.to_string()}))?;
        }
        return Ok(0);
    }
    let mut table =
        Table::new(&["RUN", "KIND", "TARGET", "STATUS", ">TURNS", "BEGUN (UTC)", "CHANGED (UTC)", "LABELS"]);
    for run in &page.runs {
        let RunRecord { name, kind, target, status, turns, begun_ms, updated_ms, labels, .. } = run;
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let labels = labels.join(" ");
        let (begun, changed, turns) = (utc(*begun_ms), utc(*updated_ms), turns.to_string());
        table.row([name, kind, target, status.as_str(), &turns, &begun, &changed, &escape::cut(&labels, 60)]);
    }
    if table.is_empty() {
        out.line("no runs")?;
    } else {
        table.write(&mut out.to)?;
    }
    for (name, error) in &page.unreadable {
        out.line(&format!("{name} cannot be read: {error}"))?;
    }
    if let Some(next) = &page.next {
        out.line(&format!("there are more: --after {}", next.name))?;
    }
    Ok(0)
}
