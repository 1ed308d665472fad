//! What a super-step with a checkpoint costs in each store, beside a bare loop of inserts with the same library and the same
//! settings; what a fan-out to a hundred steps costs; and how long it takes to go on with a run of a thousand steps. The
//! last line is JSON.
//!
//! `cargo run --release -p atomr-agents-state-proof --example step_cost [PLACE…]`, with places of `memory`, `sqlite normal`,
//! `sqlite full`, `postgres`, `resume`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement that fails has nothing to say")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use atomr_agents_core::Value;
use atomr_agents_state::{AppendList, Durability, LastWriteWins, MemoryStore, StateSchema, Store};
use atomr_agents_state_postgres::{PostgresOptions, PostgresStore};
use atomr_agents_state_sqlite::{SqliteOptions, SqliteStore};
use atomr_agents_testkit::postgres;
use atomr_agents_workflow::{
    Command, END, Graph, NodeCall, Router, RunOptions, RunnerOptions, START, StatefulRunner, Target, Update,
    dispatch_fan_out,
};
use rusqlite::Connection;
use serde_json::json;

const SHORT: u64 = 300;
const LONG: u64 = 1_000;
const ROUNDS: usize = 7;
const WIDTH: u64 = 100;

type Figures = BTreeMap<String, BTreeMap<&'static str, f64>>;

fn message(number: u64) -> Value {
    json!({"role": "assistant", "content": format!("message {number} of a conversation that goes on")})
}

fn schema() -> StateSchema {
    let schema = StateSchema::builder().add_with_default("count", LastWriteWins, json!(0));
    schema.add("messages", AppendList).build().unwrap()
}

/// A loop of `steps` steps; `began` is told when each begins.
fn looping(steps: u64, began: impl Fn() + Send + Sync + 'static) -> Graph {
    let step = move |call: NodeCall| {
        began();
        async move {
            let count: u64 = call.state.get("count")?;
            Ok(Update::new().write("count", count + 1).write("messages", json!([message(count)])))
        }
    };
    let again = Router::new(move |state| match state.get::<u64>("count") {
        Ok(count) if count < steps => vec![Target::to("step")],
        _ => vec![Target::end()],
    });
    let graph = Graph::builder("loop", schema()).node("step", step).edge(START, "step");
    graph.branch("step", again, ["step", END]).build().unwrap()
}

fn fan() -> Graph {
    let work = |call: NodeCall| async move {
        tokio::task::yield_now().await;
        Ok(Update::new().write("messages", json!([call.input.as_deref()])))
    };
    let join = |_: NodeCall| async { Ok(Update::new().write("count", 1)) };
    let graph = Graph::builder("fan", schema()).node("work", work).node("join", join);
    let sends = Router::new(|_| dispatch_fan_out("work", (0..WIDTH).map(Value::from)));
    graph.branch(START, sends, ["work"]).edge("work", "join").build().unwrap()
}

/// Where checkpoints go.
struct Place {
    name: &'static str,
    store: Arc<dyn Store>,
    durability: Durability,
    bare: Bare,
}

/// The floor: what is new in a step is inserted, and nothing else.
enum Bare {
    None,
    Sqlite(Mutex<Connection>),
    Postgres(tokio_postgres::Client, tokio_postgres::Statement),
}

impl Place {
    fn runner(&self, graph: Graph) -> StatefulRunner {
        let options = RunnerOptions { durability: self.durability, ..RunnerOptions::default() };
        StatefulRunner::with_store(graph, Arc::clone(&self.store), options)
    }

    async fn ours(&self, steps: u64) -> Duration {
        let runner = self.runner(looping(steps, || {}));
        let began = Instant::now();
        let outcome = runner.run(json!({}), RunOptions::default()).await.unwrap();
        let took = began.elapsed();
        assert_eq!(outcome.state.get::<Vec<Value>>("messages").unwrap().len() as u64, steps);
        took
    }

    async fn bare(&self, run: &str, steps: u64) -> Option<Duration> {
        let bodies = (0..steps).map(|at| json!({"step": at, "count": at + 1, "messages": [message(at)]}).to_string());
        let began = Instant::now();
        match &self.bare {
            Bare::None => return None,
            Bare::Sqlite(connection) => {
                let connection = connection.lock().unwrap();
                let mut insert = connection.prepare("INSERT INTO steps VALUES (?, ?, ?)").unwrap();
                for (at, body) in (0i64..).zip(bodies) {
                    insert.execute((run, at, body)).unwrap();
                }
            }
            Bare::Postgres(client, insert) => {
                for (at, body) in (0i64..).zip(bodies) {
                    client.execute(insert, &[&run, &at, &body]).await.unwrap();
                }
            }
        }
        Some(began.elapsed())
    }

    async fn steps(&self, figures: &mut Figures) {
        let (mut ours, mut bare) = (BTreeMap::new(), BTreeMap::new());
        for (steps, us, best) in [(SHORT, "us", "us_best"), (LONG, "us_long", "us_long_best")] {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for round in 0..=ROUNDS {
                let each = |took: Duration| took.as_secs_f64() * 1e6 / steps as f64;
                let floor = self.bare(&format!("{steps}-{round}"), steps).await.map(each);
                let own = each(self.ours(steps).await);
                // The first round warms up.
                if round > 0 {
                    one.push(own);
                    other.extend(floor);
                }
            }
            for (row, mut times) in [(&mut ours, one), (&mut bare, other)] {
                times.sort_by(f64::total_cmp);
                if let Some(median) = times.get(times.len() / 2) {
                    row.insert(us, *median);
                    row.insert(best, times[0]);
                }
            }
        }
        figures.insert(format!("{}: ours, Rust steps", self.name), ours);
        if !bare.is_empty() {
            figures.insert(format!("{}: bare, Rust", self.name), bare);
        }
    }

    async fn fan_out(&self, figures: &mut Figures) {
        let runner = self.runner(fan());
        let mut times = Vec::new();
        for _ in 0..=ROUNDS * 3 {
            let began = Instant::now();
            let outcome = runner.run(json!({}), RunOptions::default()).await.unwrap();
            times.push(began.elapsed().as_secs_f64() * 1e3);
            assert_eq!(outcome.state.get::<Vec<Value>>("messages").unwrap().len() as u64, WIDTH);
        }
        times.sort_by(f64::total_cmp);
        let figure = [("ms", times[times.len() / 2]), ("ms_best", times[0])].into();
        figures.insert(format!("{}: fan-out, Rust steps", self.name), figure);
    }
}

/// From opening the file to the first line of the next step.
async fn resume(figures: &mut Figures) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let began = Arc::new(Mutex::new(None));
    let told = Arc::clone(&began);
    let graph = looping(LONG * 2, move || _ = told.lock().unwrap().get_or_insert_with(Instant::now));
    let steps = |steps| RunOptions { max_steps: Some(steps), ..RunOptions::named("run") };
    let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
    let runner = StatefulRunner::with_store(graph.clone(), store, RunnerOptions::default());
    runner.run(json!({}), steps(LONG)).await.unwrap_err();
    drop(runner);
    let mut times = Vec::new();
    for _ in 0..=ROUNDS * 3 {
        *began.lock().unwrap() = None;
        let opening = Instant::now();
        let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
        let runner = StatefulRunner::with_store(graph.clone(), store, RunnerOptions::default());
        runner.resume("run", [Command::Continue], steps(1)).await.unwrap_err();
        times.push(began.lock().unwrap().unwrap().duration_since(opening).as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    figures.insert("resume, SQLite".to_owned(), [("ms", times[times.len() / 2]), ("ms_best", times[0])].into());
}

fn sqlite(name: &'static str, folder: &std::path::Path, synchronous: &str, durability: Durability) -> Place {
    let bare = Connection::open(folder.join(format!("{synchronous}-bare.db"))).unwrap();
    bare.pragma_update(None, "journal_mode", "WAL").unwrap();
    bare.pragma_update(None, "synchronous", synchronous).unwrap();
    bare.execute_batch("CREATE TABLE steps (run TEXT, at INTEGER, body TEXT, PRIMARY KEY (run, at))").unwrap();
    let path = folder.join(format!("{synchronous}-ours.db"));
    let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
    Place { name, store, durability, bare: Bare::Sqlite(Mutex::new(bare)) }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // As in a server: a task of the runtime, not its main thread.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(measure());
    tasks.join_next().await.unwrap().unwrap();
}

async fn measure() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|each| each == name);
    let folder = tempfile::tempdir().unwrap();
    let server = postgres::server().ok();
    let mut tasks = tokio::task::JoinSet::new();
    let mut places = Vec::new();
    if wants("memory") {
        let store = Arc::new(MemoryStore::new());
        places.push(Place { name: "memory", store, durability: Durability::Full, bare: Bare::None });
    }
    if wants("sqlite normal") {
        places.push(sqlite("sqlite normal", folder.path(), "NORMAL", Durability::Relaxed));
    }
    if wants("sqlite full") {
        places.push(sqlite("sqlite full", folder.path(), "FULL", Durability::Full));
    }
    let schema = format!("bench_{:016x}", rand::random::<u64>());
    if let Some(server) = server.as_ref().filter(|_| wants("postgres")) {
        let (client, connection) = tokio_postgres::connect(server.dsn(), tokio_postgres::NoTls).await.unwrap();
        tasks.spawn(connection);
        // As the bare loop: there is no pooler.
        let options = PostgresOptions { schema: schema.clone(), prepare: true, ..PostgresOptions::default() };
        let store = Arc::new(PostgresStore::connect(server.dsn(), options).await.unwrap());
        let table = format!("CREATE TABLE {schema}.steps (run TEXT, at BIGINT, body TEXT, PRIMARY KEY (run, at))");
        client.batch_execute(&table).await.unwrap();
        let insert = client.prepare(&format!("INSERT INTO {schema}.steps VALUES ($1, $2, $3)")).await.unwrap();
        places.push(Place {
            name: "postgres",
            store,
            durability: Durability::Full,
            bare: Bare::Postgres(client, insert),
        });
    }
    let mut figures = Figures::new();
    for place in &places {
        place.steps(&mut figures).await;
        place.fan_out(&mut figures).await;
    }
    if wants("resume") {
        resume(&mut figures).await;
    }
    for place in places {
        if let Bare::Postgres(client, _) = place.bare {
            client.batch_execute(&format!("DROP SCHEMA {schema} CASCADE")).await.unwrap();
        }
    }
    println!("{}", serde_json::to_string(&figures).unwrap());
}
