//! Somebody else in this process who has the file open.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests, too")]

mod support;

use std::fs::File;
use std::sync::Mutex;

use atomr_agents_state::{Batch, Durability, Store};
use atomr_agents_state_sqlite::on_warning;
use bytes::Bytes;

use crate::support::{key, open};

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn told() -> Vec<String> {
    TOLD.lock().unwrap().clone()
}

#[tokio::test]
async fn who_opens_the_file_outside_of_its_store_is_noticed_and_told_once() {
    on_warning(|message| TOLD.lock().unwrap().push(message.to_owned()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let (one, other) = (open(&path), open(&path));
    let log = key("log", "one");
    let write = async |times: u32| {
        for _ in 0..times {
            let batch = Batch::new().durability(Durability::Relaxed).append(&log, None, Bytes::from_static(b"x"));
            one.commit(batch).await.unwrap();
            // Readers come and go beside it.
            other.end(&log).await.unwrap();
        }
    };
    write(200).await;
    assert_eq!(told(), Vec::<String>::new());
    let file = File::open(&path).unwrap();
    write(200).await;
    let messages = told();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].contains("x.db is also open in this process outside of its store (1 descriptors)"),
        "{messages:?}"
    );
    // One that is opened while somebody has it says so, too.
    let _late = open(&path);
    assert_eq!(told().len(), 2);
    drop(file);
}
