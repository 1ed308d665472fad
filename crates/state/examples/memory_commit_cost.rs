//! What a commit of a run costs in memory: a counter and a list that grows by one message, a checkpoint after each step.
//!
//! `cargo run --release -p atomr-agents-state --example memory_commit_cost`

use std::sync::Arc;
use std::time::Instant;

use atomr_agents_state::{
    Checkpoint, Due, Item, Journal, JournalOptions, MemoryStore, NewRun, RunReader, StoredDelta, StoredState,
};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for steps in [300u64, 1_000, 4_000] {
        let store = Arc::new(MemoryStore::new());
        let new = NewRun { name: "r".into(), kind: "workflow".into(), target: "w".into(), ..NewRun::default() };
        let journal = Journal::begin(store.clone(), new, JournalOptions::default(), &json!(null)).await?;
        let begun = Instant::now();
        for step in 0..steps {
            let message = json!({"role": "user", "content": "a message of a usual length, forty bytes or so"});
            let channels = [
                ("count".to_owned(), StoredDelta::Set(journal.body(&step)?)),
                ("messages".to_owned(), StoredDelta::Append(vec![journal.body(&message)?])),
            ];
            journal.stage(Item::Checkpoint(Checkpoint {
                step,
                source: "step".into(),
                channels: channels.into(),
                next: vec![Due { node: "step".into(), path: String::new(), input: None }],
                ..Checkpoint::default()
            }));
            journal.commit().await?;
        }
        let each = begun.elapsed() / u32::try_from(steps)?;
        let begun = Instant::now();
        let reader = RunReader::open(store, "r").await?;
        let state = StoredState::after(&reader.frames().await?)?.unwrap_or_default();
        let values = state.values(&reader).await?;
        assert_eq!(values["messages"].as_array().map(Vec::len), Some(usize::try_from(steps)?));
        #[allow(clippy::print_stdout, reason = "what it is for")]
        {
            println!("{steps} steps: {each:?} a commit; read again in {:?}", begun.elapsed());
        }
    }
    Ok(())
}
