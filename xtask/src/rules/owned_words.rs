//! Some crates may only be named by their owner, so that a thing is done in one way: see [`OWNED`].

use super::excused;
use crate::report::Report;
use crate::rust_text::{code_only, find_word};
use crate::workspace::Workspace;

struct Owned {
    /// Packages, as manifests spell them.
    packages: &'static [&'static str],
    /// Folders under `crates/`; `*` stands for any text.
    owners: &'static [&'static str],
}

const OWNED: &[Owned] = &[
    Owned {
        packages: &["pyo3", "pyo3-async-runtimes", "pyo3-build-config", "pyo3-ffi", "pythonize", "numpy"],
        owners: &["py-bridge", "py-bindings"],
    },
    Owned { packages: &["axum", "axum-core", "axum-extra", "tower-http"], owners: &["web-kit", "*-web"] },
    Owned { packages: &["reqwest", "tungstenite", "tokio-tungstenite"], owners: &["http", "*-remote-core"] },
    Owned {
        packages: &["rusqlite", "sqlx", "tokio-postgres", "deadpool-postgres", "postgres"],
        owners: &["postgres", "state-*", "store-*", "memory-postgres"],
    },
    Owned { packages: &["redis"], owners: &["state-*", "store-*", "cache-redis"] },
    Owned { packages: &["ort", "tokenizers"], owners: &["embed-onnx"] },
];

/// A task that nobody owns outlives the run that started it.
const SPAWN: &[&str] = &["tokio::spawn", "tokio::task::spawn", "task::spawn"];
const SPAWN_OWNER: &str = "crates/py-bridge/src/runtime.rs";

/// Where unsafe code may be: the inner loops of vectors, and files as memory. Each says why in its first lines.
const UNSAFE: &[&str] = &["crates/embed/src/kernels.rs", "crates/embed/src/index/mapped.rs"];

pub(crate) fn check(ws: &Workspace) -> Report {
    const RULE: &str = "owned-words";
    let mut report = Report::new(RULE);
    for krate in ws.crates() {
        let foreign: Vec<_> = OWNED.iter().filter(|owned| !owned.owners.iter().any(|o| is(krate.name(), o))).collect();
        for owned in &foreign {
            for dependency in krate.dependencies.iter().filter(|d| owned.packages.contains(&d.package.as_str())) {
                let owners = owned.owners.join(", ");
                report.fail(&krate.path(), None, format!("`{}` belongs to {owners}", dependency.package));
            }
        }
        for file in ws.sources(krate, &["src", "tests", "benches", "examples", ""]) {
            report.looked += 1;
            let code = code_only(&file.text);
            for (number, (line, original)) in code.lines().zip(file.text.lines()).enumerate() {
                if excused(original, RULE) {
                    continue;
                }
                for owned in &foreign {
                    for package in owned.packages {
                        let word = package.replace('-', "_");
                        if names(line, &word) {
                            let owners = owned.owners.join(", ");
                            report.fail(&file.path, Some(number + 1), format!("`{word}` belongs to {owners}"));
                        }
                    }
                }
                let spawns = SPAWN.iter().any(|call| find_word(line, call).is_some());
                if find_word(line, "unsafe_code").is_some() && !UNSAFE.contains(&file.path.as_str()) {
                    let message = format!("unsafe code belongs to {}", UNSAFE.join(", "));
                    report.fail(&file.path, Some(number + 1), message);
                }
                if spawns && file.path != SPAWN_OWNER {
                    let message = "a bare spawn: tasks live in a JoinSet owned by an engine and die with its future";
                    report.fail(&file.path, Some(number + 1), message);
                }
            }
        }
    }
    report
}

/// Whether the line uses the crate: as a path (`pyo3::`) or in an import.
fn names(line: &str, word: &str) -> bool {
    let Some(at) = find_word(line, word) else { return false };
    let (before, after) = (line[..at].trim_end(), line[at + word.len()..].trim_start());
    after.starts_with("::") && !before.ends_with("::") || before.ends_with("use") || before.ends_with("extern crate")
}

fn is(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::{manifest, workspace};

    fn failures(name: &str, more: &str, source: &str) -> Vec<String> {
        let path = format!("crates/{name}");
        check(&workspace(&[
            (&format!("{path}/Cargo.toml"), &manifest(name, "1", more)),
            (&format!("{path}/src/lib.rs"), source),
        ]))
        .failures()
    }

    #[test]
    fn a_strangers_manifest_fails_and_the_owners_passes() {
        for (package, stranger, owner) in [
            ("pyo3", "agent", "py-bridge"),
            ("axum", "testkit", "sandbox-harness-web"),
            ("reqwest", "provider-openai", "stt-remote-core"),
            ("tokio-postgres", "state", "state-postgres"),
        ] {
            let more = format!("[dependencies]\n{package} = \"1\"\n");
            assert_eq!(failures(stranger, &more, "fn f() {}").len(), 1, "{package} in {stranger}");
            assert!(failures(owner, &more, "fn f() {}").is_empty(), "{package} in {owner}");
        }
    }

    #[test]
    fn a_strangers_source_fails_with_its_line() {
        let found = failures("agent", "", "//! x\nuse pyo3::prelude::*;\nlet c = tokio_tungstenite::connect();\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("lib.rs:2") && found[1].contains("lib.rs:3"), "{found:?}");
    }

    #[test]
    fn words_in_comments_strings_and_other_paths_are_no_use() {
        let text = "// pyo3::x\nlet a = \"axum::Router\"; let redis = 1; crate::redis::open(); numpy_like::f();";
        assert!(failures("agent", "", text).is_empty());
    }

    #[test]
    fn a_bare_spawn_fails_everywhere_but_in_the_runtime_of_the_bridge() {
        assert_eq!(failures("agent", "", "tokio::spawn(f());").len(), 1);
        assert_eq!(failures("agent", "", "use tokio::task; task::spawn(f());").len(), 1);
        assert!(failures("agent", "", "set.spawn(f()); tokio::task::spawn_blocking(g);").is_empty());
        let bridge = manifest("py-bridge", "1", "");
        let ws = workspace(&[
            ("crates/py-bridge/Cargo.toml", &bridge),
            (SPAWN_OWNER, "tokio::spawn(f());"),
            ("crates/py-bridge/src/lib.rs", "tokio::spawn(f());"),
        ]);
        let found = check(&ws).failures();
        assert!(found.len() == 1 && found[0].contains("src/lib.rs"), "{found:?}");
    }

    #[test]
    fn unsafe_code_fails_everywhere_but_where_it_was_looked_at() {
        assert_eq!(failures("agent", "", "#![allow(unsafe_code)]").len(), 1);
        let embed = manifest("embed", "1", "");
        let owner = (UNSAFE[0], "#![allow(unsafe_code)]");
        assert!(check(&workspace(&[("crates/embed/Cargo.toml", &embed), owner])).failures().is_empty());
    }
}
