//! What every store has to do alike. A back end calls [`store`] from a test, with a closure that makes an empty store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a conformance check fails by panicking")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use atomr_agents_core::Kind;
use bytes::Bytes;

use crate::{Batch, BlobId, Change, Entry, Expect, Key, NewEntry, Scan, Store, StoreError};

const LONG: Duration = Duration::from_secs(60);

/// Runs every check, each on a store of its own.
///
/// # Panics
/// When the store breaks a rule of the seam; the message says which.
pub async fn store<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Arc<dyn Store>>,
{
    records(&*make().await).await;
    scans(&*make().await).await;
    logs(&*make().await).await;
    batches(&*make().await).await;
    blobs(&*make().await).await;
    leases(&*make().await).await;
    claims(&*make().await).await;
    writers(make().await).await;
    dropped(make().await).await;
}

fn key(space: &str, name: &str) -> Key {
    Key::new(space, name).unwrap()
}

fn kind<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Kind {
    result.unwrap_err().kind()
}

async fn records(store: &dyn Store) {
    let at = key("run", "é/1");
    assert_eq!(store.get(&at).await.unwrap(), None, "nothing is there at first");
    store.commit(Batch::new().put(&at, "one", Expect::Absent)).await.unwrap();
    assert_eq!(kind(store.commit(Batch::new().put(&at, "x", Expect::Absent)).await), Kind::Conflict);
    assert_eq!(kind(store.commit(Batch::new().put(&at, "x", Expect::Version(2))).await), Kind::Conflict);
    store.commit(Batch::new().put(&at, "two", Expect::Version(1))).await.unwrap();
    let record = store.get(&at).await.unwrap().unwrap();
    assert_eq!((record.version, &record.value[..]), (2, &b"two"[..]), "a change counts the version up");
    assert_eq!(kind(store.commit(Batch::new().delete(&at, Expect::Version(1))).await), Kind::Conflict);
    store.commit(Batch::new().delete(&at, Expect::Version(2))).await.unwrap();
    assert_eq!(store.get(&at).await.unwrap(), None);
    store.commit(Batch::new().delete(&at, Expect::Any)).await.unwrap();
    store.commit(Batch::new().put(&at, Bytes::new(), Expect::Any)).await.unwrap();
    let record = store.get(&at).await.unwrap().unwrap();
    assert_eq!((record.version, record.value.len()), (1, 0), "a record that was deleted begins anew, and may be empty");
    let any: Vec<u8> = (0..=255).collect();
    store.commit(Batch::new().put(&at, any.clone(), Expect::Any)).await.unwrap();
    assert_eq!(&store.get(&at).await.unwrap().unwrap().value[..], any, "any byte can be stored");
}

async fn scans(store: &dyn Store) {
    let mut batch = Batch::new();
    for name in ["b", "a", "c1", "c2", "c%", "C", "ä"] {
        batch = batch.put(&key("s", name), name.to_owned(), Expect::Any);
    }
    store.commit(batch.put(&key("s2", "z"), "z", Expect::Any)).await.unwrap();
    let names = |scan: Scan| async move {
        let found = store.scan(&scan).await.unwrap();
        found
            .into_iter()
            .map(|(key, record)| {
                assert_eq!(key.name().as_bytes(), &record.value[..]);
                key.name().to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(names(Scan::of("s")).await, ["C", "a", "b", "c%", "c1", "c2", "ä"], "in the byte order of names");
    assert_eq!(names(Scan::of("s").reversed().limit(2)).await, ["ä", "c2"]);
    assert_eq!(names(Scan::of("s").prefix("c")).await, ["c%", "c1", "c2"]);
    assert_eq!(names(Scan::of("s").prefix("c%")).await, ["c%"], "a prefix is no pattern");
    assert_eq!(names(Scan::of("s").prefix("c").after("c1").limit(5)).await, ["c2"]);
    assert_eq!(names(Scan::of("s").prefix("c").after("c1").reversed()).await, ["c%"]);
    assert!(names(Scan::of("none")).await.is_empty());
    assert!(names(Scan::of("s").limit(0)).await.is_empty());
}

async fn logs(store: &dyn Store) {
    let log = key("log", "1");
    assert_eq!(store.end(&log).await.unwrap(), 0);
    assert!(store.read(&log, 0, 10).await.unwrap().is_empty());
    for at in 0..5u64 {
        store.commit(Batch::new().append(&log, Some(at), Bytes::from(at.to_string()))).await.unwrap();
    }
    assert_eq!(kind(store.commit(Batch::new().append(&log, Some(4), Bytes::from("x"))).await), Kind::Conflict);
    assert_eq!(kind(store.commit(Batch::new().append(&log, Some(6), Bytes::from("x"))).await), Kind::Conflict);
    let positions = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.at).collect::<Vec<_>>();
    let read = store.read(&log, 1, 2).await.unwrap();
    assert_eq!(&read[0].body[..], b"1");
    assert_eq!(positions(read), [1, 2]);
    store.commit(Batch::new().with(Change::Cut { stream: log.clone(), before: 3 })).await.unwrap();
    assert_eq!(positions(store.read(&log, 0, 10).await.unwrap()), [3, 4], "positions stay what they are");
    store.commit(Batch::new().with(Change::Cut { stream: log.clone(), before: 99 })).await.unwrap();
    assert_eq!(store.end(&log).await.unwrap(), 5, "cutting everything does not change where the next entry goes");
    store.commit(Batch::new().append(&log, None, Bytes::from("5"))).await.unwrap();
    assert_eq!(positions(store.read(&log, 0, 10).await.unwrap()), [5]);
    let two = vec![NewEntry::from(Bytes::from("a")), NewEntry::from(Bytes::from("b"))];
    let both = Change::Append { stream: log.clone(), at: Some(6), entries: two };
    store.commit(Batch::new().with(both)).await.unwrap();
    assert_eq!(store.end(&log).await.unwrap(), 8);
    store.commit(Batch::new().with(Change::Drop { stream: log.clone() })).await.unwrap();
    assert_eq!(store.end(&log).await.unwrap(), 0);
    assert!(store.read(&log, 0, 10).await.unwrap().is_empty());
}

async fn batches(store: &dyn Store) {
    let (one, two, log) = (key("r", "1"), key("r", "2"), key("r", "1"));
    let batch = Batch::new().put(&one, "1", Expect::Absent).append(&log, Some(0), Bytes::from("e")).blob("body");
    store.commit(batch).await.unwrap();
    let broken = Batch::new().put(&two, "2", Expect::Absent).append(&log, Some(1), Bytes::from("e")).blob("other").put(
        &one,
        "x",
        Expect::Version(9),
    );
    assert_eq!(kind(store.commit(broken).await), Kind::Conflict);
    assert_eq!(store.get(&two).await.unwrap(), None, "a batch happens whole or not at all");
    assert_eq!(store.end(&log).await.unwrap(), 1);
    assert_eq!(store.blobs(&[BlobId::of(b"other")]).await.unwrap(), [None]);
    let chained = Batch::new()
        .put(&one, "x", Expect::Version(1))
        .put(&one, "y", Expect::Version(2))
        .delete(&one, Expect::Version(3))
        .put(&one, "z", Expect::Absent)
        .with(Change::Drop { stream: log.clone() })
        .append(&log, Some(0), Bytes::from("new"));
    store.commit(chained).await.unwrap();
    let record = store.get(&one).await.unwrap().unwrap();
    assert_eq!((record.version, &record.value[..]), (1, &b"z"[..]), "changes see those before them");
    assert_eq!(&store.read(&log, 0, 9).await.unwrap()[0].body[..], b"new");
    store.commit(Batch::new()).await.unwrap();
}

async fn blobs(store: &dyn Store) {
    let (kept, logged, loose) = (BlobId::of(b"kept"), BlobId::of(b"logged"), BlobId::of(b"loose"));
    let log = key("l", "1");
    let record = Change::Put {
        key: key("r", "1"),
        value: Bytes::from("v"),
        refs: vec![kept],
        due_ms: None,
        expect: Expect::Any,
    };
    let entry = NewEntry { body: Bytes::from("e"), refs: vec![logged, kept] };
    let batch =
        Batch::new().blob("kept").blob("logged").blob("loose").blob("kept").with(record).append(&log, None, entry);
    store.commit(batch).await.unwrap();
    let missing = BlobId::of(b"missing");
    let found = store.blobs(&[loose, missing, kept, loose]).await.unwrap();
    assert_eq!(
        found,
        [Some("loose".into()), None, Some("kept".into()), Some("loose".into())],
        "in the order asked for"
    );
    assert_eq!(store.read(&log, 0, 1).await.unwrap()[0].refs, [logged, kept]);
    assert_eq!(store.get(&key("r", "1")).await.unwrap().unwrap().refs, [kept]);
    assert_eq!(store.sweep(LONG).await.unwrap().blobs, 0, "what was written just now is kept, named or not");
    let swept = store.sweep(Duration::ZERO).await.unwrap();
    assert_eq!((swept.blobs, swept.bytes), (1, 5));
    assert_eq!(store.blobs(&[loose, kept]).await.unwrap(), [None, Some("kept".into())]);
    let texts = ["c", "a", "e", "b", "d", "f"];
    let batch = texts.iter().fold(Batch::new(), |batch, text| batch.blob(*text));
    let refs: Vec<BlobId> = texts.iter().map(|text| BlobId::of(text.as_bytes())).collect();
    let entry = NewEntry { body: Bytes::from("e"), refs: refs.clone() };
    store.commit(batch.append(&log, None, entry)).await.unwrap();
    assert_eq!(store.read(&log, 1, 1).await.unwrap()[0].refs, refs, "in the order in which they were given");
    store.commit(Batch::new().with(Change::Cut { stream: log, before: 1 })).await.unwrap();
    assert_eq!(store.sweep(Duration::ZERO).await.unwrap().blobs, 1, "an entry that was cut names nothing any more");
    assert_eq!(store.blobs(&[logged, kept]).await.unwrap(), [None, Some("kept".into())]);
    let big = Bytes::from(vec![7u8; 3 << 20]);
    store.commit(Batch::new().blob(big.clone())).await.unwrap();
    assert_eq!(store.blobs(&[BlobId::of(&big)]).await.unwrap(), [Some(big)]);
}

async fn leases(store: &dyn Store) {
    let (run, log) = (key("run", "1"), key("run", "1"));
    let first = store.acquire(&run, "a", LONG).await.unwrap();
    match store.acquire(&run, "b", LONG).await.unwrap_err() {
        StoreError::Held { owner, left_ms, .. } => assert!(owner == "a" && left_ms > 0 && left_ms <= 60_000),
        other => panic!("{other}"),
    }
    let write =
        |lease: &crate::Lease| store.commit(Batch::new().fenced(lease.fence()).append(&log, None, Bytes::from("e")));
    write(&first).await.unwrap();
    let again = store.acquire(&run, "a", LONG).await.unwrap();
    assert!(again.token > first.token, "an owner that begins anew fences what it did before");
    assert_eq!(kind(write(&first).await), Kind::Fenced);
    let short = store.renew(&again, Duration::ZERO).await.unwrap();
    write(&short).await.unwrap();
    let now = store.now_ms().await.unwrap();
    assert!(short.until_ms <= now && again.until_ms > now, "on the store's clock");
    let renewed = store.renew(&short, Duration::from_millis(1)).await.unwrap();
    while store.now_ms().await.unwrap() <= renewed.until_ms {
        tokio::task::yield_now().await;
    }
    let other = store.acquire(&run, "b", LONG).await.unwrap();
    assert!(other.token > renewed.token);
    assert_eq!(kind(write(&renewed).await), Kind::Fenced, "who lost the lease writes nothing");
    assert_eq!(kind(store.renew(&renewed, LONG).await), Kind::Fenced);
    store.release(&renewed).await.unwrap();
    assert_eq!(kind(store.acquire(&run, "a", LONG).await), Kind::Locked, "letting a lost lease go changes nothing");
    write(&other).await.unwrap();
    store.release(&other).await.unwrap();
    assert_eq!(kind(write(&other).await), Kind::Fenced, "who let it go writes nothing more");
    let third = store.acquire(&run, "a", LONG).await.unwrap();
    assert!(third.token > other.token, "tokens only grow, also past a release");
    assert_eq!(store.end(&log).await.unwrap(), 3);
    let never = crate::Fence { key: key("run", "never"), token: 1 };
    assert_eq!(kind(store.commit(Batch::new().fenced(never).blob("x")).await), Kind::Fenced);
}

async fn claims(store: &dyn Store) {
    let now = store.now_ms().await.unwrap();
    let due = |name: &str, due_ms| Change::Put {
        key: key("job", name),
        value: Bytes::from("v"),
        refs: Vec::new(),
        due_ms,
        expect: Expect::Any,
    };
    let batch = Batch::new()
        .with(due("late", Some(now - 50)))
        .with(due("later", Some(now - 100)))
        .with(due("future", Some(now + 100_000)))
        .with(due("never", None))
        .with(due("held", Some(now - 200)));
    store.commit(batch).await.unwrap();
    let held = store.acquire(&key("job", "held"), "x", LONG).await.unwrap();
    let names = |claimed: &[(Key, crate::Record, crate::Lease)]| {
        claimed.iter().map(|(key, ..)| key.name().to_owned()).collect::<Vec<_>>()
    };
    let first = store.claim("job", "w1", LONG, 1).await.unwrap();
    assert_eq!(names(&first), ["later"], "what waited longest comes first");
    assert_eq!(first[0].2.owner, "w1");
    assert_eq!(first[0].2.key, key("job", "later"));
    let second = store.claim("job", "w2", LONG, 9).await.unwrap();
    assert_eq!(names(&second), ["late"]);
    assert!(
        store.claim("job", "w1", LONG, 9).await.unwrap().is_empty(),
        "what is held is not due for its holder either"
    );
    let done = Batch::new().fenced(first[0].2.fence()).with(due("later", None));
    store.commit(done).await.unwrap();
    store.release(&first[0].2).await.unwrap();
    store.release(&held).await.unwrap();
    let third = store.claim("job", "w3", LONG, 9).await.unwrap();
    assert_eq!(names(&third), ["held"], "what is done is not due any more");
    assert!(third[0].2.token > held.token);
    assert!(store.claim("other", "w", LONG, 9).await.unwrap().is_empty());
}

/// Many writers at once on one log and one record: nothing is lost, nothing doubled.
async fn writers(store: Arc<dyn Store>) {
    let (log, counter) = (key("log", "w"), key("r", "count"));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (store, log, counter) = (Arc::clone(&store), log.clone(), counter.clone());
        tasks.spawn(async move {
            for turn in 0..10 {
                loop {
                    let record = store.get(&counter).await.unwrap();
                    let expect = record.as_ref().map_or(Expect::Absent, |record| Expect::Version(record.version));
                    let entry = Bytes::from(format!("{writer}.{turn}"));
                    match store.commit(Batch::new().put(&counter, "n", expect).append(&log, None, entry)).await {
                        Ok(()) => break,
                        Err(error) => assert_eq!(error.kind(), Kind::Conflict, "{error}"),
                    }
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let entries = store.read(&log, 0, 1_000).await.unwrap();
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.at == at as u64));
    let mut bodies: Vec<_> = entries.iter().map(|entry| entry.body.clone()).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 80);
    assert_eq!(store.get(&counter).await.unwrap().unwrap().version, 80);
}

/// Futures that are dropped at any await leave whole batches and a store that goes on.
async fn dropped(store: Arc<dyn Store>) {
    let (log, mirror) = (key("log", "d"), key("log", "mirror"));
    for round in 0..60u32 {
        let entry = Bytes::from(round.to_string());
        let batch = Batch::new().append(&log, None, entry.clone()).append(&mirror, None, entry);
        let mut commit = std::pin::pin!(store.commit(batch));
        for _ in 0..round % 6 {
            if futures_poll(commit.as_mut()).await.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    store
        .commit(Batch::new().append(&log, None, Bytes::from("end")).append(&mirror, None, Bytes::from("end")))
        .await
        .unwrap();
    let left = store.read(&log, 0, 1_000).await.unwrap();
    let right = store.read(&mirror, 0, 1_000).await.unwrap();
    assert_eq!(left, right, "a batch whose caller went away happened whole or not at all");
    assert_eq!(&left.last().unwrap().body[..], b"end");
}

/// Polls once.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut future).poll(cx) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
