//! Beginning a run and going on with one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use atomr_agents_core::RunId;
use serde::Serialize;

use super::frame::Chain;
use super::heartbeat::Heartbeat;
use super::journal::{Inner, lock};
use super::owner::acquire;
use super::pen::Pen;
use super::reader::{Loaded, RunReader};
use super::record::{RECORD_FORMAT, run_key};
use crate::{
    EffectKey, Item, Journal, JournalOptions, Lease, NewRun, Recorded, RunLogError, RunRecord, RunStatus, Store,
    StoreError,
};

impl Journal {
    /// Begins a run with its first turn. When this returns, the run exists and can be resumed.
    ///
    /// # Errors
    /// [`RunLogError::Exists`] when there is a run of that name, also one that somebody writes just now; and when the store
    /// fails.
    pub async fn begin<T: Serialize + ?Sized>(
        store: Arc<dyn Store>,
        new: NewRun,
        options: JournalOptions,
        input: &T,
    ) -> Result<Self, RunLogError> {
        let journal = Self::create(store, new, RunId::new(), options).await?;
        journal.begin_turn(input).await?;
        Ok(journal)
    }

    /// Takes the lease of a run that is yet to begin, under the id `id` in events. Nothing is written before its first turn
    /// begins ([`Journal::begin_turn_as`]); what is staged until then is written with it.
    ///
    /// # Errors
    /// [`RunLogError::Exists`] while somebody writes a run of that name; one that nobody writes just now is found when the
    /// first turn begins. And when the store fails.
    pub async fn create(
        store: Arc<dyn Store>,
        new: NewRun,
        id: RunId,
        options: JournalOptions,
    ) -> Result<Self, RunLogError> {
        let name = if new.name.is_empty() { id.to_string() } else { new.name };
        let key = run_key(&name)?;
        let lease = match acquire(&*store, &key, &options.owner, options.lease).await {
            Err(StoreError::Held { .. }) => return Err(RunLogError::Exists { run: name, status: RunStatus::Running }),
            other => other?,
        };
        // The store's clock, without asking it again.
        let now = lease.until_ms.saturating_sub(u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX));
        let record = RunRecord {
            format: RECORD_FORMAT,
            name,
            id,
            kind: new.kind,
            target: new.target,
            version: new.version,
            status: RunStatus::Running,
            turns: 0,
            begun_ms: now,
            updated_ms: now,
            parent: None,
            pruned: None,
            labels: new.labels,
        };
        let loaded = Loaded { frames: Vec::new(), end: 0, chain: Chain::start(&record.name) };
        let journal = Self::over(store, record, options, lease, loaded);
        journal.0.pen.expect_new();
        Ok(journal)
    }

    /// What to say when the first commit finds that the run is there: how that one is doing.
    pub(super) async fn taken(&self, run: String, status: RunStatus) -> Result<RunLogError, RunLogError> {
        self.release().await?;
        let stored = self.0.store.get(&run_key(&run)?).await?;
        let record = stored.map(|stored| RunRecord::decode(&run, &stored.value)).transpose()?;
        Ok(RunLogError::Exists { status: record.map_or(status, |record| record.status), run })
    }

    /// Goes on with a run: takes its lease and reads what was done.
    ///
    /// # Errors
    /// [`RunLogError::NoSuchRun`]; [`StoreError::Held`] while somebody else writes it; [`RunLogError::Corrupt`] when what is needed
    /// to go on is damaged; and when the store fails.
    pub async fn resume(store: Arc<dyn Store>, name: &str, options: JournalOptions) -> Result<Self, RunLogError> {
        let key = run_key(name)?;
        if store.get(&key).await?.is_none() {
            return Err(RunLogError::NoSuchRun { run: name.to_owned() });
        }
        let lease = acquire(&*store, &key, &options.owner, options.lease).await?;
        // Only now, as the one before may have written until its lease was taken.
        let read = async {
            let reader = RunReader::open(Arc::clone(&store), name).await?;
            let base = reader.base().await?;
            let loaded = reader.load(base).await?;
            Ok::<_, RunLogError>((reader, loaded))
        };
        match read.await {
            Ok((reader, loaded)) => {
                let turn = reader.turn_of(&loaded.frames);
                let journal = Self::over(store, reader.record().clone(), options, lease, loaded);
                *lock(&journal.0.turn) = turn;
                Ok(journal)
            }
            Err(error) => {
                // It is the error that matters; a lease that is not released runs out.
                let _ = store.release(&lease).await;
                Err(error)
            }
        }
    }

    fn over(store: Arc<dyn Store>, record: RunRecord, options: JournalOptions, lease: Lease, loaded: Loaded) -> Self {
        let mut recorded: HashMap<EffectKey, Recorded> = HashMap::new();
        let mut next_seq = 0;
        for placed in &loaded.frames {
            next_seq = next_seq.max(placed.frame.next_seq);
            for item in &placed.frame.items {
                match item {
                    Item::Intent(intent) => {
                        recorded.entry(intent.key.clone()).or_default().begin(intent);
                    }
                    Item::Outcome(outcome) => {
                        recorded.entry(outcome.key.clone()).or_default().outcome = Some(outcome.clone());
                    }
                    _ => {}
                }
            }
        }
        let heartbeat = Heartbeat::start(Arc::clone(&store), lease.clone(), options.lease);
        Self(Arc::new(Inner {
            pen: Pen::new(&lease, loaded.end, loaded.chain, next_seq),
            store,
            options,
            name: record.name.clone(),
            turn: Mutex::new((record.turns, record.id)),
            record: Mutex::new(record),
            recorded: Mutex::new(recorded),
            loaded: loaded.frames,
            heartbeat,
            fault: OnceLock::new(),
            runtime: tokio::runtime::Handle::current(),
        }))
    }
}
