//! No file names a folder of the machine it was written on.

use super::excused;
use crate::report::Report;
use crate::workspace::Workspace;

const RULE: &str = "machine-paths";
/// Joined at run time, so that this file keeps its own rule.
const FOLDERS: &[&str] = &["work", "root", "home", "tmp", "farm"];

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new(RULE);
    // What a provider sent is kept as it came.
    for file in ws.files().iter().filter(|file| !file.path.split('/').any(|part| part == "recordings")) {
        report.looked += 1;
        for (number, line) in file.text.lines().enumerate() {
            if let Some(folder) = machine_path(line).filter(|_| !excused(line, RULE)) {
                report.fail(&file.path, Some(number + 1), format!("a path of one machine: /{folder}/…"));
            }
        }
    }
    report
}

fn machine_path(line: &str) -> Option<&'static str> {
    FOLDERS.iter().copied().find(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            // Inside a longer path or an address the same letters mean something else.
            let before = line[..at].chars().next_back();
            let after = line[at + path.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric() || "_-./)}>]*~".contains(c))
                && after.is_some_and(|c| c.is_alphanumeric() || "_.{$<*".contains(c))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::workspace;

    #[test]
    fn absolute_paths_of_a_machine_fail() {
        for folder in FOLDERS {
            for line in [format!("open('/{folder}/x')"), format!("/{folder}/{{name}}"), format!("a=/{folder}/.b")] {
                let found = check(&workspace(&[("docs/a.md", &format!("\n{line}\n"))])).failures();
                assert!(found.len() == 1 && found[0].contains("docs/a.md:2"), "{line}: {found:?}");
            }
        }
    }

    #[test]
    fn other_paths_and_recordings_pass() {
        let line = format!("/{}/x", FOLDERS[0]);
        let ws = workspace(&[
            ("a.md", &format!("$HOME{line} ../{0}/x https://example.org{line} ./src{line} the / {0} /", FOLDERS[0])),
            ("b.md", &format!("{line} <!-- tidy: allow(machine-paths): inside the container -->")),
            ("crates/testkit/recordings/a.json", &line),
        ]);
        let report = check(&ws);
        assert!(report.failures().is_empty(), "{:?}", report.failures());
        assert_eq!(report.looked, 2);
    }
}
