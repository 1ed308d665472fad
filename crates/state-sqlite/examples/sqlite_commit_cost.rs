//! What a commit of one small entry costs, beside a bare insert loop with the same settings in the same run.
//!
//! `cargo run --release -p atomr-agents-state-sqlite --example sqlite_commit_cost -- [commits]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that says what it found")]

use std::path::Path;
use std::time::{Duration, Instant};

use atomr_agents_state::{Batch, Durability, Key, Store};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use rusqlite::Connection;

const ROUNDS: usize = 10;
const BODY: usize = 300;

fn bare(folder: &Path, level: &str, page: u32) -> Connection {
    let conn = Connection::open(folder.join(format!("bare-{level}-{page}.db"))).unwrap();
    let setup = format!(
        "PRAGMA page_size = {page}; PRAGMA journal_mode = wal; PRAGMA synchronous = {level}; PRAGMA mmap_size = 0;
         CREATE TABLE entries (id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    );
    conn.execute_batch(&setup).unwrap();
    conn
}

#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add(&mut self, begun: Instant) {
        self.0.push(begun.elapsed().as_secs_f64() * 1e6);
    }

    fn told(&mut self, name: &str) -> f64 {
        self.0.sort_by(f64::total_cmp);
        let mean = self.0.iter().sum::<f64>() / self.0.len() as f64;
        let at = |part: f64| self.0[(part * (self.0.len() - 1) as f64) as usize];
        println!("{name:<34} mean {mean:7.1}  p50 {:7.1}  p99 {:7.1} µs", at(0.5), at(0.99));
        mean
    }
}

async fn one(durability: Durability, commits: usize) {
    let level = if durability == Durability::Full { "FULL" } else { "NORMAL" };
    let folder = tempfile::tempdir_in(".").unwrap();
    let (small, usual) = (bare(folder.path(), level, 2_048), bare(folder.path(), level, 4_096));
    let store = SqliteStore::open(folder.path().join("store.db"), SqliteOptions::default()).unwrap();
    let log = Key::new("run", "01890a5d-ac96-774b-bcce-b302099a8057").unwrap();
    let lease = store.acquire(&log, "me", Duration::from_secs(600)).await.unwrap();
    let body = Bytes::from(vec![7; BODY]);
    let (mut bares, mut usuals, mut stores) = (Times::default(), Times::default(), Times::default());
    let mut at = 0;
    // By turns, so that what else the machine does meets all of them.
    for _ in 0..ROUNDS {
        for (conn, times) in [(&small, &mut bares), (&usual, &mut usuals)] {
            for _ in 0..commits / ROUNDS {
                let begun = Instant::now();
                conn.prepare_cached("INSERT INTO entries (body) VALUES (?1)").unwrap().execute([&body[..]]).unwrap();
                times.add(begun);
            }
        }
        for _ in 0..commits / ROUNDS {
            let begun = Instant::now();
            let batch = Batch::new().fenced(lease.fence()).durability(durability).append(&log, Some(at), body.clone());
            store.commit(batch).await.unwrap();
            stores.add(begun);
            at += 1;
        }
    }
    let bare = bares.told(&format!("{level} bare loop, pages of 2 KiB"));
    let usual = usuals.told(&format!("{level} bare loop, pages of 4 KiB"));
    let store = stores.told(&format!("{level} store"));
    println!("{level} store / bare: {:.2} (2 KiB), {:.2} (4 KiB)\n", store / bare, store / usual);
}

#[tokio::main]
async fn main() {
    let commits = std::env::args().nth(1).map_or(20_000, |text| text.parse().unwrap());
    // As in a server: a task of the runtime, not its main thread.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        one(Durability::Relaxed, commits).await;
        one(Durability::Full, commits / 10).await;
    });
    tasks.join_next().await.unwrap().unwrap();
}
