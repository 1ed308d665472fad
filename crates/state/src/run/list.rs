//! The runs of a store.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::record::SPACE;
use crate::{RunLogError, RunRecord, RunStatus, Scan, Store};

/// Which runs to list.
///
/// ```
/// use atomr_agents_state::{RunFilter, RunStatus};
///
/// let filter = RunFilter { status: vec![RunStatus::Failed], limit: 10, ..RunFilter::default() };
/// assert!(filter.kind.is_none() && filter.after.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFilter {
    /// Only these; empty for all.
    pub status: Vec<RunStatus>,
    /// Only what runs as this: `agent`, `workflow`, `harness`.
    pub kind: Option<String>,
    /// Only those of this agent, graph or harness.
    pub target: Option<String>,
    /// Only those that have all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Only those that come after this place: the next page.
    pub after: Option<RunPlace>,
    /// At most so many. 100 unless told.
    pub limit: usize,
}

impl Default for RunFilter {
    fn default() -> Self {
        let labels = BTreeMap::new();
        Self { status: Vec::new(), kind: None, target: None, labels, after: None, limit: 100 }
    }
}

impl RunFilter {
    fn takes(&self, record: &RunRecord) -> bool {
        let labelled = |(name, value)| record.labels.get(name) == Some(value);
        (self.status.is_empty() || self.status.contains(&record.status))
            && self.kind.as_ref().is_none_or(|kind| *kind == record.kind)
            && self.target.as_ref().is_none_or(|target| *target == record.target)
            && self.labels.iter().all(labelled)
            && self.after.as_ref().is_none_or(|after| RunPlace::of(record) < *after)
    }
}

/// Where a run stands in the list: those that were begun later come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunPlace {
    /// When it was begun, in milliseconds since the Unix epoch.
    pub begun_ms: u64,
    /// Its name.
    pub name: String,
}

impl RunPlace {
    /// The place of a run.
    #[must_use]
    pub fn of(record: &RunRecord) -> Self {
        Self { begun_ms: record.begun_ms, name: record.name.clone() }
    }
}

/// Some of the runs of a store.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// Those that were asked for, the newest first.
    pub runs: Vec<RunRecord>,
    /// Runs of which not even the record can be read, whatever was asked for, and why.
    pub unreadable: Vec<(String, RunLogError)>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<RunPlace>,
}

/// Lists runs, the newest first. Every record is read and a page's worth of them is held: the store keeps runs in the order of
/// their names.
///
/// # Errors
/// When the store fails. A record that is damaged is no error but part of the answer.
///
/// ```
/// use std::sync::Arc;
/// use atomr_agents_state::{Journal, JournalOptions, MemoryStore, NewRun, RunFilter, Store, list_runs};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
/// let new = NewRun { name: "r1".into(), kind: "workflow".into(), target: "demo".into(), ..NewRun::default() };
/// let _journal = Journal::begin(store.clone(), new, JournalOptions::default(), &()).await?;
/// let page = list_runs(&*store, &RunFilter::default()).await?;
/// assert_eq!(page.runs[0].name, "r1");
/// # Ok(()) }
/// ```
pub async fn list_runs(store: &dyn Store, filter: &RunFilter) -> Result<RunPage, RunLogError> {
    let mut page = RunPage::default();
    // The oldest on top, to be given up first. One more than asked for tells whether there is more.
    let mut newest: BinaryHeap<Reverse<Kept>> = BinaryHeap::new();
    let mut scan = Scan::of(SPACE);
    loop {
        let found = store.scan(&scan).await?;
        let full = found.len() == scan.limit;
        if let Some((last, _)) = found.last() {
            scan = scan.after(last.name());
        }
        for (key, stored) in found {
            match RunRecord::decode(key.name(), &stored.value) {
                Ok(record) if filter.takes(&record) => {
                    newest.push(Reverse(Kept(RunPlace::of(&record), Box::new(record))));
                    if newest.len() > filter.limit.saturating_add(1) {
                        newest.pop();
                    }
                }
                Ok(_) => {}
                Err(error) => page.unreadable.push((key.name().to_owned(), error)),
            }
        }
        if !full {
            break;
        }
    }
    // Sorted by what is reversed: the newest comes first.
    page.runs = newest.into_sorted_vec().into_iter().map(|Reverse(Kept(_, record))| *record).collect();
    if page.runs.len() > filter.limit {
        page.runs.truncate(filter.limit);
        page.next = page.runs.last().map(RunPlace::of);
    }
    Ok(page)
}

/// A record in the order of its place.
struct Kept(RunPlace, Box<RunRecord>);

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{Batch, Expect, Key, MemoryStore};
    use serde_json::json;

    async fn store() -> MemoryStore {
        let store = MemoryStore::new();
        for at in 0..25u64 {
            let name = format!("run-{}", at * 7 % 25);
            let status = if at % 5 == 0 { "failed" } else { "finished" };
            let record = json!({
                "format": 1, "name": name, "id": atomr_agents_core::RunId::new(), "kind": "workflow",
                "target": if at % 2 == 0 { "even" } else { "odd" }, "status": status, "turns": 1, "begun_ms": at,
                "updated_ms": at, "labels": {"at": at.to_string()},
            });
            let key = Key::new(SPACE, &name).unwrap();
            store.commit(Batch::new().put(&key, record.to_string(), Expect::Any)).await.unwrap();
        }
        store
    }

    fn begun(page: &RunPage) -> Vec<u64> {
        page.runs.iter().map(|run| run.begun_ms).collect()
    }

    #[tokio::test]
    async fn the_newest_run_comes_first_and_pages_join_without_gap_or_overlap() {
        let store = store().await;
        let mut filter = RunFilter { limit: 10, ..RunFilter::default() };
        let mut all = Vec::new();
        loop {
            let page = list_runs(&store, &filter).await.unwrap();
            all.extend(begun(&page));
            filter.after = page.next;
            if filter.after.is_none() {
                break;
            }
        }
        assert_eq!(all, (0..25).rev().collect::<Vec<_>>());
        let exact = list_runs(&store, &RunFilter { limit: 25, ..RunFilter::default() }).await.unwrap();
        assert!(exact.runs.len() == 25 && exact.next.is_none());
    }

    #[tokio::test]
    async fn filters_are_joined() {
        let store = store().await;
        let failed = RunFilter { status: vec![RunStatus::Failed], ..RunFilter::default() };
        assert_eq!(begun(&list_runs(&store, &failed).await.unwrap()), [20, 15, 10, 5, 0]);
        let odd = RunFilter { target: Some("odd".to_owned()), ..failed };
        assert_eq!(begun(&list_runs(&store, &odd).await.unwrap()), [15, 5]);
        let labelled = RunFilter { labels: [("at".to_owned(), "5".to_owned())].into(), ..odd };
        assert_eq!(begun(&list_runs(&store, &labelled).await.unwrap()), [5]);
        let agents = RunFilter { kind: Some("agent".to_owned()), ..RunFilter::default() };
        assert!(list_runs(&store, &agents).await.unwrap().runs.is_empty());
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_is_named_and_hides_no_other() {
        let store = store().await;
        let key = Key::new(SPACE, "broken").unwrap();
        store.commit(Batch::new().put(&key, "{", Expect::Any)).await.unwrap();
        let page = list_runs(&store, &RunFilter { limit: 100, ..RunFilter::default() }).await.unwrap();
        assert_eq!(page.runs.len(), 25);
        assert_eq!(page.unreadable.len(), 1);
        assert_eq!(page.unreadable[0].0, "broken");
    }
}
