//! A process whose calls on the files of a folder are recorded, and may fail.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use atomr_agents_state_proof::Task;

/// Records what a process does to the files of a folder (`record.c`).
pub(crate) struct Recorder {
    library: PathBuf,
    folder: PathBuf,
    record: PathBuf,
    boot: PathBuf,
}

impl Recorder {
    /// Compiles it into the folder `outside`; `None` where there is no C compiler, and says so.
    pub(crate) fn new(folder: &Path, outside: &Path) -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/record.c");
        let [library, record, boot] = ["record.so", "record", "boot"].map(|name| outside.join(name));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).args(["-ldl", "-lpthread"]);
        match compiler.status() {
            Ok(status) => assert!(status.success(), "record.c does not compile"),
            Err(error) => {
                println!("skipped: there is no C compiler: {error}");
                return None;
            }
        }
        std::fs::write(&boot, "another start of the machine").unwrap();
        Some(Self { library, folder: folder.canonicalize().unwrap(), record, boot })
    }

    /// What must be in the environment of the process.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(&self.library)),
            ("ATOMR_RECORD", text(&self.record)),
            ("ATOMR_RECORD_FOLDER", text(&self.folder)),
        ]
    }

    /// A life of another start of the machine, to its end; gives the record.
    pub(crate) fn live(&self, task: &Task) -> Vec<Op> {
        let mut life = Command::new(env!("CARGO_BIN_EXE_life"));
        life.arg(serde_json::to_string(task).unwrap()).stdout(Stdio::null());
        life.envs(self.variables()).env("ATOMR_RECORD_BOOT", &self.boot);
        assert!(life.status().unwrap().success());
        self.take()
    }

    /// What was recorded since this was asked last.
    pub(crate) fn take(&self) -> Vec<Op> {
        let record = std::fs::read(&self.record).unwrap_or_default();
        let _ = std::fs::remove_file(&self.record);
        read(&record)
    }
}

/// Something that a process did to the files of a folder, or said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Made(String),
    Removed(String),
    Written { name: String, at: usize, bytes: Vec<u8> },
    Cut { name: String, to: usize },
    Flushed(String),
    FolderFlushed,
    Said(String),
}

/// Reads what `record.c` wrote.
fn read(mut record: &[u8]) -> Vec<Op> {
    let mut ops = Vec::new();
    while let Some(end) = record.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&record[..end]).unwrap();
        let mut parts = line.splitn(4, ' ');
        let (what, first) = (parts.next().unwrap(), parts.next().unwrap().parse::<usize>().unwrap());
        let (second, name) = (parts.next().unwrap().parse::<usize>().unwrap(), parts.next().unwrap().to_owned());
        let after = &record[end + 1..];
        let (bytes, rest) = after.split_at(if matches!(what, "W" | "M") { second } else { 0 });
        record = rest;
        ops.push(match what {
            "C" => Op::Made(name),
            "U" => Op::Removed(name),
            "W" => Op::Written { name, at: first, bytes: bytes.to_vec() },
            "T" => Op::Cut { name, to: first },
            "S" => Op::Flushed(name),
            "D" => Op::FolderFlushed,
            "M" => Op::Said(String::from_utf8(bytes.to_vec()).unwrap()),
            other => panic!("an unknown note {other:?}"),
        });
    }
    assert!(record.is_empty(), "the record was cut");
    ops
}
