//! A long file is asking to be split along a noun.

use crate::report::Report;
use crate::workspace::{File, Workspace};

const WARN: usize = 400;
const FAIL: usize = 600;

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("lengths");
    for file in ws.files().iter().filter(|file| counts(file)) {
        report.looked += 1;
        let lines = product_lines(&file.text);
        let message = format!("{lines} lines: split it along a noun");
        if lines > FAIL {
            report.fail(&file.path, None, message);
        } else if lines > WARN {
            report.warn(&file.path, None, message);
        }
    }
    report
}

/// Tests, benchmarks and stubs are as long as they need to be.
fn counts(file: &File) -> bool {
    let source = file.is_rust() || file.path.ends_with(".py");
    let exempt = ["tests", "benches", "fuzz"];
    let name = file.path.rsplit('/').next().unwrap_or_default();
    source && name != "tests.rs" && !file.path.split('/').any(|part| exempt.contains(&part))
}

/// Lines before the test module that ends a file.
fn product_lines(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod "));
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;
    use crate::workspace::fixture::workspace;

    fn severities(path: &str, text: &str) -> Vec<Severity> {
        let report = check(&workspace(&[(path, text), ("crates/a/src/other.rs", "")]));
        report.outcome().iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn long_warns_and_longer_fails() {
        assert!(severities("crates/a/src/lib.rs", &"x\n".repeat(WARN)).is_empty());
        assert_eq!(severities("crates/a/src/lib.rs", &"x\n".repeat(WARN + 1)), [Severity::Warning]);
        assert_eq!(severities("python/a.py", &"x\n".repeat(FAIL + 1)), [Severity::Failure]);
    }

    #[test]
    fn tests_do_not_count() {
        assert!(severities("crates/a/tests/t.rs", &"x\n".repeat(FAIL + 1)).is_empty());
        let text = format!("x\n#[cfg(test)]\nmod tests {{\n{}}}", "x\n".repeat(FAIL));
        assert!(severities("crates/a/src/lib.rs", &text).is_empty());
    }
}
