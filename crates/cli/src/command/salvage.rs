//! `runs salvage`.

use atomr_agents_state::{RunReader, copy_run, verify_run};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Out, count};
use crate::args::Salvage;
use crate::open::unlock;
use crate::{CliError, Opened, StorePlace, open};

pub(crate) async fn salvage(opened: &Opened, args: &Salvage, out: &mut Out) -> Result<u8, CliError> {
    let place: StorePlace = args.to.parse()?;
    if place == StorePlace::Memory || args.to == args.common.store {
        let message = "what is saved needs another place that stays".to_owned();
        return Err(CliError::Argument { argument: "--to", message });
    }
    let mut to = open(&place).await?;
    if let Some(file) = &args.common.key_file {
        to = unlock(to, file).await?;
    }
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut left = 0;
    for run in super::verify::all(opened).await? {
        let found = verify_run(&opened.store, &run).await?;
        if !found.is_whole() {
            left += 1;
            let why = found.damage.first().map_or_else(String::new, |each| each.message.clone());
            tell(out, &run, false, &why)?;
            continue;
        }
        // What it was forked from is copied before it.
        let reader = RunReader::open(Arc::clone(&opened.store), &run).await?;
        let lineage: Vec<String> = reader.ancestors().map(str::to_owned).chain([run.clone()]).collect();
        for name in lineage {
            if done.insert(name.clone()) {
                copy_run(&opened.store, &to.store, &name).await?;
                tell(out, &name, true, "")?;
            }
        }
    }
    if !out.json {
        out.line(&format!("{} copied, {left} left", count(done.len() as u64, "run")))?;
    }
    Ok(if left == 0 { 0 } else { 3 })
}

fn tell(out: &mut Out, run: &str, copied: bool, why: &str) -> Result<(), CliError> {
    if out.json {
        let why = (!why.is_empty()).then_some(why);
        return out.value(&json!({"run": run, "copied": copied, "why": why}));
    }
    out.line(&if copied { format!("copied  {run}") } else { format!("LEFT    {run}: {why}") })
}
