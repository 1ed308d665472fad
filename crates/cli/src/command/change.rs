//! `runs fork`, `runs prune`, `runs remove`.

use std::collections::BTreeMap;
use std::sync::Arc;

use atomr_agents_core::Value;
use atomr_agents_state::{self as state, ForkAt, ForkOptions, RunLogError, Store, StoredDelta};
use serde_json::json;

use super::{Out, count};
use crate::CliError;
use crate::args::{Fork, Prune, Remove};

pub(crate) async fn fork(store: &Arc<dyn Store>, args: &Fork, out: &mut Out) -> Result<u8, CliError> {
    let at = match (args.at_step, args.at_seq) {
        (Some(step), _) => ForkAt::Step(step),
        (None, Some(seq)) => ForkAt::Seq(seq),
        (None, None) => ForkAt::End,
    };
    let mut blobs = Vec::new();
    let mut edits: BTreeMap<String, StoredDelta> = BTreeMap::new();
    for (channel, text) in &args.set {
        let value: Value = serde_json::from_str(text).map_err(|error| CliError::Argument {
            argument: "--set",
            message: format!("the value of {channel} is no JSON: {error}"),
        })?;
        edits.insert(channel.clone(), state::whole(&value, &mut blobs)?);
    }
    let labels = args.label.iter().cloned().collect();
    let options = ForkOptions { name: args.name.clone(), edits, blobs, labels };
    let name = state::fork(store, &args.run, at, &options).await?;
    if out.json {
        out.value(&json!({"run": name, "from": args.run}))?;
    } else {
        out.line(&name)?;
    }
    Ok(0)
}

pub(crate) async fn prune(store: &Arc<dyn Store>, args: &Prune, out: &mut Out) -> Result<u8, CliError> {
    if args.keep == 0 {
        let message = "at least one checkpoint stays; `runs remove` removes a run".to_owned();
        return Err(CliError::Argument { argument: "--keep", message });
    }
    if args.keep == 1 {
        state::compact(store, &args.run).await?;
    }
    let report = state::prune(store, &args.run, args.keep).await?;
    let swept = if args.sweep { Some(store.sweep(args.grace).await.map_err(RunLogError::from)?) } else { None };
    if out.json {
        let swept = swept.map(|swept| json!({"blobs": swept.blobs, "bytes": swept.bytes}));
        out.value(&json!({"run": args.run, "commits": report.commits, "kept_for": report.kept_for, "swept": swept}))?;
        return Ok(0);
    }
    out.line(&format!("{} forgotten", count(report.commits, "commit")))?;
    if !report.kept_for.is_empty() {
        out.line(&format!("more was kept for {}", report.kept_for.join(", ")))?;
    }
    if let Some(swept) = swept {
        out.line(&format!("{} swept, {}", count(swept.blobs, "blob"), count(swept.bytes, "byte")))?;
    }
    Ok(0)
}

pub(crate) async fn remove(store: &Arc<dyn Store>, args: &Remove, out: &mut Out) -> Result<u8, CliError> {
    state::remove(store, &args.run).await?;
    if out.json {
        out.value(&json!({"removed": args.run}))?;
    } else {
        out.line(&format!("{} removed", args.run))?;
    }
    Ok(0)
}
