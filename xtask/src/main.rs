//! `cargo xtask tidy [--fix]`: checks the house rules of this repository, and with `--fix` writes the crate map.
//!
//! A rule is a function from a [`workspace::Workspace`] (files held in memory) to a [`report::Report`]; it never reads
//! the disk itself, so its tests feed it a few lines that break it. A report also counts what the rule looked at: a
//! rule that saw nothing fails, because a guard that looks in the wrong place always says yes.

mod error;
mod licenses;
mod manifest;
mod report;
mod rules;
mod rust_text;
mod workspace;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use error::Error;
use report::{Report, Severity};
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask tidy [--fix]";

fn main() -> ExitCode {
    let mut text = String::new();
    let outcome = run(std::env::args().skip(1), &mut text);
    let written = std::io::stdout().write_all(text.as_bytes());
    match (outcome, written) {
        (Ok(true), Ok(())) => ExitCode::SUCCESS,
        (Err(error), _) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "xtask: {error}");
            ExitCode::from(2)
        }
        _ => ExitCode::FAILURE,
    }
}

/// Answers whether the tree is tidy; what there is to read goes to `out`.
fn run(mut args: impl Iterator<Item = String>, out: &mut String) -> Result<bool, Error> {
    if args.next().as_deref() != Some("tidy") {
        return Err(Error::Usage(USAGE));
    }
    let fix = match args.next().as_deref() {
        None => false,
        Some("--fix") => true,
        Some(_) => return Err(Error::Usage(USAGE)),
    };
    let root = root();
    let mut ws = Workspace::read(&root)?;
    if fix {
        let map = rules::map::render(&ws);
        if ws.text(rules::map::PATH) != Some(&map) {
            let path = root.join(rules::map::PATH);
            std::fs::write(&path, map).map_err(|source| Error::Io { path, source })?;
            let _ = writeln!(out, "wrote {}", rules::map::PATH);
            ws = Workspace::read(&root)?;
        }
    }
    let mut reports: Vec<Report> = rules::ALL.iter().map(|rule| rule(&ws)).collect();
    reports.push(licenses::check(&licenses::Policy::from_deny_toml(&ws)?, &licenses::packages(&root)?));
    Ok(render(&reports, &ws, out))
}

/// Writes the findings and one closing line; true when nothing failed.
fn render(reports: &[Report], ws: &Workspace, out: &mut String) -> bool {
    let (mut failures, mut warnings) = (0, 0);
    for report in reports {
        for finding in report.outcome() {
            match finding.severity {
                Severity::Failure => failures += 1,
                Severity::Warning => warnings += 1,
            }
            let _ = writeln!(out, "{finding}");
        }
    }
    let _ = writeln!(
        out,
        "tidy: {} rules over {} crates and {} files: {failures} failures, {warnings} warnings",
        reports.len(),
        ws.crates().len(),
        ws.files().len()
    );
    failures == 0
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_command_is_refused() {
        for args in [vec![], vec!["dance"], vec!["tidy", "--hard"]] {
            let refused = run(args.into_iter().map(String::from), &mut String::new());
            assert!(matches!(refused, Err(Error::Usage(_))));
        }
    }

    #[test]
    fn a_rule_that_saw_nothing_fails() {
        let ws = Workspace::from_files([]).unwrap();
        let mut out = String::new();
        assert!(!render(&[Report::new("blind")], &ws, &mut out));
        assert!(out.contains("blind: looked at nothing"), "{out}");
    }

    #[test]
    fn every_rule_fails_on_an_empty_tree() {
        let ws = Workspace::from_files([]).unwrap();
        for rule in rules::ALL {
            let report = rule(&ws);
            assert!(report.outcome().iter().any(|f| f.severity == Severity::Failure), "{} is content", report.rule);
        }
    }

    #[test]
    fn this_tree_is_read_with_its_crates_and_files() {
        let ws = Workspace::read(&root()).unwrap();
        assert!(ws.crates().iter().any(|c| c.package == "xtask"));
        assert!(ws.text("xtask/src/main.rs").is_some_and(|t| t.contains("fn root()")));
        assert!(ws.files().iter().all(|f| !f.path.starts_with(".git/") && !f.path.starts_with(".venv")));
    }
}
