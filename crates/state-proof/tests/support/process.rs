//! One life, and what it says.

use std::process::Stdio;
use std::time::Duration;

use atomr_agents_state::EffectKey;
use atomr_agents_state_proof::Task;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// Longer than any life takes on the slowest machine: one that hangs fails the test instead of standing still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that runs a task.
pub(crate) struct Life {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) told: Told,
}

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// So long after its birth.
    OfItsLife(Duration),
    /// So long after its first new effect.
    OfItsWork(Duration),
}

/// What a life said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The steps that its caller was told are done.
    pub(crate) acks: Vec<u64>,
    /// The effects of which its caller was told that they are done.
    pub(crate) told: Vec<String>,
    /// How long it took from having been loaded until it had something new to do.
    pub(crate) began: Option<Duration>,
    /// An effect of which nobody knows whether it happened.
    pub(crate) unknown: Option<EffectKey>,
    pub(crate) held: u64,
    pub(crate) fenced: u64,
    /// The kind and the text of the error that it ended with.
    pub(crate) failed: Option<(String, String)>,
    pub(crate) done: bool,
    pub(crate) killed: bool,
}

impl Life {
    pub(crate) fn begin(task: &Task) -> Self {
        Self::begin_in(task, &[])
    }

    /// One with these variables in its environment.
    pub(crate) fn begin_in(task: &Task, variables: &[(&'static str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_life"));
        command.arg(serde_json::to_string(task).unwrap()).stdout(Stdio::piped()).kill_on_drop(true);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, told: Told::default() }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Stops it. When this returns, none of its threads runs, or it has ended.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::STOP);
        let threads = format!("/proc/{}/task", self.child.id().unwrap());
        let stands = |thread: std::fs::DirEntry| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| !rest.trim_start().starts_with(['R', 'S', 'D']))
        };
        while std::fs::read_dir(&threads).is_ok_and(|all| !all.flatten().all(stands)) {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn wake(&self) {
        self.signal(Signal::CONT);
    }

    /// The next thing that it says; `None` when it has ended.
    pub(crate) async fn hear(&mut self) -> Option<()> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a life hangs").unwrap()?;
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "ack" => self.told.acks.push(rest.parse().unwrap()),
            "told" => self.told.told.push(rest.to_owned()),
            "began" => self.told.began = Some(Duration::from_micros(rest.parse().unwrap())),
            "unknown" => self.told.unknown = Some(rest.parse().unwrap()),
            "held" => self.told.held += 1,
            "fenced" => self.told.fenced += 1,
            "done" => self.told.done = true,
            "failed" => {
                let (kind, why) = rest.split_once(' ').unwrap();
                self.told.failed = Some((kind.to_owned(), why.to_owned()));
            }
            other => panic!("a life says {other:?}"),
        }
        Some(())
    }

    /// Hears everything until it ends.
    pub(crate) async fn end(mut self) -> Told {
        while self.hear().await.is_some() {}
        self.waited().await
    }

    /// Hears what it says, and kills it at that moment if it is still there.
    pub(crate) async fn end_at(mut self, moment: Moment) -> Told {
        let time = match moment {
            Moment::OfItsLife(time) => time,
            Moment::OfItsWork(time) => {
                while self.told.began.is_none() && self.hear().await.is_some() {}
                time
            }
        };
        let everything = async { while self.hear().await.is_some() {} };
        if tokio::time::timeout(time, everything).await.is_err() {
            self.child.start_kill().unwrap();
            while self.hear().await.is_some() {}
        }
        self.waited().await
    }

    async fn waited(mut self) -> Told {
        let status = self.child.wait().await.unwrap();
        self.told.killed = status.code().is_none();
        assert_eq!(self.told.killed || status.success(), self.told.failed.is_none(), "{status}: {:?}", self.told);
        self.told
    }
}
