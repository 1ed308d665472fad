//! The server goes away under a run: its connections are dropped, or all its processes are killed and started anew. The caller
//! hears nothing of it, nothing is lost, and nothing that must not happen twice does. Where the disk is the fault, see `medium.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // helpers of tests fail as tests do, and say what they did

mod support;

use std::time::Duration;

use atomr_agents_state_proof::{PARALLEL, Work};
use atomr_agents_testkit::postgres::Cluster;
use support::{Home, Life, Told, Trace};

const STEPS: u64 = 60;

/// A run to its end, which takes a look at each piece of news at what happens to the server.
async fn lived(run: &mut Trace<'_>, home: &Home, mut each: impl AsyncFnMut(u64)) -> Told {
    let mut task = run.task.clone();
    task.place = home.named(&task.run);
    let mut life = Life::begin(&task);
    let mut heard = 0;
    while life.hear().await.is_some() {
        heard += 1;
        each(heard).await;
    }
    let told = life.end().await;
    run.done = told.done;
    told
}

async fn dropped(work: Work) {
    let Some(home) = Home::postgres() else { return };
    let mut run = Trace::of(&home, home.task("dropped", work));
    let mut killed = 0;
    let told = lived(&mut run, &home, async |heard| {
        if heard % 3 == 0 {
            killed += home.drop_connections("dropped").await;
        }
    })
    .await;
    assert!(told.done && told.failed.is_none(), "{told:?}");
    run.check().await;
    println!("{killed} connections dropped");
    assert!(killed > 0);
    home.close().await;
}

#[tokio::test]
async fn a_graph_whose_connections_are_dropped_goes_on() {
    dropped(Work::Graph { steps: STEPS, once_every: 5 }).await;
}

#[tokio::test]
async fn an_agent_whose_connections_are_dropped_goes_on() {
    dropped(Work::Agent { rounds: usize::try_from(STEPS).unwrap() / PARALLEL }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_whose_server_is_killed_waits_for_it_and_goes_on() {
    let mut cluster = match Cluster::start(&[]) {
        Ok(cluster) => Some(cluster),
        Err(reason) => return println!("skipped: {reason}"),
    };
    let home = Home::at(cluster.as_ref().unwrap().dsn());
    let mut run = Trace::of(&home, home.task("killed", Work::Graph { steps: STEPS, once_every: 5 }));
    let told = lived(&mut run, &home, async |heard| {
        if heard == 12 {
            let mut own = cluster.take().unwrap();
            cluster = tokio::task::spawn_blocking(move || {
                own.kill();
                std::thread::sleep(Duration::from_millis(100));
                own.restart().unwrap();
                Some(own)
            })
            .await
            .unwrap();
        }
    })
    .await;
    assert!(told.done && told.failed.is_none(), "{told:?}");
    run.check().await;
    home.close().await;
}
