//! Every file of a crate says in its first lines what it is.

use crate::report::Report;
use crate::workspace::Workspace;

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("module-docs");
    for krate in ws.crates() {
        // The tests of a module speak for themselves.
        for file in ws.sources(krate, &["src"]).filter(|file| !file.path.ends_with("/tests.rs")) {
            report.looked += 1;
            let first = file.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
            let says = first.and_then(|line| line.strip_prefix("//!")).is_some_and(|doc| !doc.trim().is_empty());
            if !says {
                report.fail(&file.path, Some(1), "does not start with `//!` and what this file is");
            }
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::{manifest, workspace};

    #[test]
    fn a_file_without_a_first_sentence_fails() {
        let manifest = manifest("tool", "1", "");
        let failures = |text| {
            let files = [("crates/tool/Cargo.toml", manifest.as_str()), ("crates/tool/src/a/mod.rs", text)];
            check(&workspace(&files)).failures()
        };
        assert!(failures("//! Tools.\nuse a;").is_empty());
        assert!(failures("#![allow(x)]\n\n//! Tools.\n").is_empty());
        for text in ["use a;\n//! Tools.", "//!\nuse a;", "// Tools.\n", ""] {
            assert_eq!(failures(text).len(), 1, "{text}");
        }
    }
}
