//! The requests as they are kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atomr_agents::core::Value;

/// Set, it makes the tests write what they otherwise compare with.
const WRITE: &str = "ATOMR_WRITE_PORTABLE";

pub(crate) fn writes() -> bool {
    std::env::var_os(WRITE).is_some_and(|value| value == "1")
}

/// What to do about a difference.
pub(crate) fn hint() -> String {
    format!("if that is meant, run the test with {WRITE}=1 and look at what git says")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/portable")
}

/// Compares a request with the one that is kept under this name, or keeps it.
pub(crate) fn compare(name: &str, body: &Value) -> Result<(), String> {
    let path = folder().join(format!("{name}.json"));
    let text = format!("{}\n", serde_json::to_string_pretty(&sorted(body)).unwrap());
    if writes() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        return Ok(());
    }
    match std::fs::read_to_string(&path) {
        Ok(kept) if kept == text => Ok(()),
        Ok(kept) => {
            let lines = kept.lines().zip(text.lines()).position(|(one, other)| one != other);
            Err(format!("{name}: not what is kept, from line {}; {}", lines.unwrap_or(0) + 1, hint()))
        }
        Err(error) => Err(format!("{name}: {error}; {}", hint())),
    }
}

/// A file that no test compares with would stay for ever.
pub(crate) fn nothing_else_is_there(names: &[String]) {
    let mut other = Vec::new();
    for scene in std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&scene).unwrap().map(|entry| entry.unwrap().path()) {
            let within = file.strip_prefix(folder()).unwrap().with_extension("");
            let name = within.to_string_lossy().replace('\\', "/");
            if !names.contains(&name) {
                other.push(name);
            }
        }
    }
    assert!(other.is_empty(), "nothing makes {other:?}");
}

/// The same value with its fields in the order of the alphabet.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let ordered: BTreeMap<_, _> = fields.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            ordered.into_iter().collect()
        }
        other => other.clone(),
    }
}
