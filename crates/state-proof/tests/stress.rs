//! Four processes that write one file, for a while: each runs one run after the other, some are killed, finished runs are
//! removed, and somebody reads, sweeps and copies the file meanwhile. `ATOMR_STRESS_SECONDS` says how long a while.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use atomr_agents_state::{Store, remove};
use atomr_agents_state_proof::Work;
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Home, Moment, Trace, setting};

const PROCESSES: u64 = 4;

/// Every which run is removed when it has ended; the file grows by the others.
const REMOVED: u64 = 2;

#[derive(Debug, Default)]
struct Sum {
    runs: u64,
    lives: u64,
    kills: u64,
}

/// One run after the other, each over as many lives as it takes.
async fn writes(home: &Home, process: u64, until: Instant) -> Sum {
    let (mut sum, mut moments) = (Sum::default(), StdRng::seed_from_u64(process));
    while sum.runs == 0 || Instant::now() < until {
        let name = format!("process-{process}-{}", sum.runs);
        let work = match sum.runs % 4 {
            3 => Work::Agent { rounds: 5 },
            _ => Work::Graph { steps: 40, once_every: 5 },
        };
        let mut run = Trace::of(home, home.task(&name, work));
        while !run.done {
            let kill = moments
                .random_ratio(1, 3)
                .then(|| Moment::OfItsWork(Duration::from_millis(200).mul_f64(moments.random_range(0.0..1.0))));
            run.live(kill).await;
        }
        run.check().await;
        sum = Sum { runs: sum.runs + 1, lives: sum.lives + run.lives, kills: sum.kills + run.kills };
        std::fs::remove_file(&run.task.ledger).unwrap();
        if sum.runs % REMOVED == 0 {
            remove(home.store().await, &name).await.unwrap();
        }
    }
    sum
}

/// Reads everything, sweeps what nothing refers to, and copies the file, over and over; gives how often.
async fn keeps(home: &Home, until: Instant) -> u64 {
    let store = SqliteStore::open(home.folder().join("runs.db"), SqliteOptions::default()).unwrap();
    let mut times = 0;
    loop {
        assert_eq!(store.verify().await.unwrap(), []);
        store.sweep(Duration::from_secs(60)).await.unwrap();
        let copy = home.folder().join(format!("copy-{times}.db"));
        store.backup(&copy).await.unwrap();
        assert_eq!(integrity(&copy), "ok");
        std::fs::remove_file(&copy).unwrap();
        times += 1;
        if Instant::now() >= until {
            return times;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What SQLite itself says of a file.
fn integrity(path: &Path) -> String {
    let file = rusqlite::Connection::open(path).unwrap();
    file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_processes_write_one_file_for_a_while_and_it_is_whole() {
    let home = Home::sqlite();
    home.store().await;
    let until = Instant::now() + Duration::from_secs(setting("ATOMR_STRESS_SECONDS", 5));
    let writers = futures_util::future::join_all((0..PROCESSES).map(|process| writes(&home, process, until)));
    let (sums, times) = tokio::join!(writers, keeps(&home, until));
    let all = sums.iter().fold(Sum::default(), |all, sum| Sum {
        runs: all.runs + sum.runs,
        lives: all.lives + sum.lives,
        kills: all.kills + sum.kills,
    });
    let path = home.folder().join("runs.db");
    let megabytes = std::fs::metadata(&path).unwrap().len() >> 20;
    println!("{all:?} of {PROCESSES} processes at a time; read whole, swept and copied {times} times; {megabytes} MiB");
    assert_eq!(integrity(&path), "ok");
    home.close().await;
}
