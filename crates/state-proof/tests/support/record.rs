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
    pub(crate) fn live(&self, task: &Task) -> Vec<u8> {
        let mut life = Command::new(env!("CARGO_BIN_EXE_life"));
        life.arg(serde_json::to_string(task).unwrap()).stdout(Stdio::null());
        life.envs(self.variables()).env("ATOMR_RECORD_BOOT", &self.boot);
        assert!(life.status().unwrap().success());
        self.take()
    }

    /// What was recorded since this was asked last.
    pub(crate) fn take(&self) -> Vec<u8> {
        let record = std::fs::read(&self.record).unwrap_or_default();
        let _ = std::fs::remove_file(&self.record);
        record
    }
}
