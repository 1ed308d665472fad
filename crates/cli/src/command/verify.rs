//! `runs verify`.

use atomr_agents_state::{RunFilter, list_runs, verify_run};
use serde_json::json;

use super::{Out, count};
use crate::args::Verify;
use crate::{CliError, Opened};

pub(crate) async fn verify(opened: &Opened, args: &Verify, out: &mut Out) -> Result<u8, CliError> {
    let mut damaged = 0;
    if args.runs.is_empty() {
        damaged += medium(opened, out).await?;
    }
    let names = if args.runs.is_empty() { all(opened).await? } else { args.runs.clone() };
    let (mut whole, mut broken) = (0u64, 0u64);
    for run in &names {
        let found = verify_run(&opened.store, run).await?;
        if found.is_whole() {
            whole += 1;
        } else {
            broken += 1;
        }
        damaged += found.damage.len() as u64;
        if out.json {
            let damage = found.damage.iter();
            let damage: Vec<_> =
                damage.map(|each| json!({"run": each.run, "at": each.at, "message": each.message})).collect();
            out.value(&json!({
                "run": run, "whole": found.is_whole(), "commits": found.commits, "blobs": found.blobs,
                "checkpoints": found.checkpoints, "damage": damage,
            }))?;
            continue;
        }
        if found.is_whole() {
            let (commits, blobs) = (count(found.commits, "commit"), count(found.blobs, "blob"));
            out.line(&format!("whole    {run}: {commits}, {}, {blobs}", count(found.checkpoints, "checkpoint")))?;
        }
        for each in &found.damage {
            let place = each.at.map_or_else(|| "its record".to_owned(), |at| format!("position {at}"));
            let of = if each.run == *run { String::new() } else { format!(" (of {})", each.run) };
            out.line(&format!("DAMAGED  {run}: {place}{of}: {}", each.message))?;
        }
    }
    if !out.json {
        out.line(&format!("{} whole, {broken} damaged", count(whole, "run")))?;
    }
    Ok(if damaged == 0 { 0 } else { 3 })
}

/// The store does not even open.
pub(crate) fn unreadable(subject: &str, message: &str, out: &mut Out) -> Result<u8, CliError> {
    if out.json {
        out.value(&json!({"store": subject, "damage": message}))?;
    } else {
        out.line(&format!("DAMAGED  {subject}: {message}"))?;
    }
    Ok(3)
}

/// What the database itself finds.
async fn medium(opened: &Opened, out: &mut Out) -> Result<u64, CliError> {
    let Some(sqlite) = &opened.sqlite else { return Ok(0) };
    let found = sqlite.verify().await?;
    for each in &found {
        unreadable(&each.subject, &each.message, out)?;
    }
    Ok(found.len() as u64)
}

/// The names of all runs, the newest first, and then those whose records cannot be read.
pub(super) async fn all(opened: &Opened) -> Result<Vec<String>, CliError> {
    let mut filter = RunFilter { limit: 1_000, ..RunFilter::default() };
    let mut names = Vec::new();
    loop {
        let page = list_runs(&*opened.store, &filter).await?;
        names.extend(page.runs.into_iter().map(|run| run.name));
        filter.after = page.next;
        if filter.after.is_none() {
            names.extend(page.unreadable.into_iter().map(|(name, _)| name));
            return Ok(names);
        }
    }
}
