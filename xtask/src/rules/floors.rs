//! Arrows only go down: a crate may depend on what stands on its own floor or below, and never in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::{Dependency, Floor, Kind, Manifest};
use crate::report::Report;
use crate::workspace::Workspace;

/// The crate that tests on any floor but the lowest may use.
const TESTKIT: &str = "atomr-agents-testkit";

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("floors");
    let mut level: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for krate in ws.crates() {
        report.looked += 1;
        for dependency in &krate.dependencies {
            let Some(target) = ws.package(&dependency.package) else { continue };
            let (Some(from), Some(to)) = (krate.floor, target.floor) else { continue };
            if let Some(message) = broken(krate, from, dependency, to) {
                report.fail(&krate.path(), None, message);
            }
            // A crate that leans on itself in its tests turns its own features on for them.
            let tests_itself = dependency.package == krate.package;
            let is_test_kit = dependency.package == TESTKIT;
            if from == to && !(dependency.kind == Kind::Dev && (is_test_kit || tests_itself)) {
                level.entry(&krate.package).or_default().insert(&target.package);
            }
        }
    }
    for circle in circles(&level) {
        report.fail("", None, format!("a circle on one floor: {}", circle.join(" -> ")));
    }
    report
}

fn broken(krate: &Manifest, from: Floor, dependency: &Dependency, to: Floor) -> Option<String> {
    if from == Floor::Beside {
        return None;
    }
    let target = &dependency.package;
    if dependency.kind == Kind::Dev && target == TESTKIT {
        return (from == Floor::Number(0)).then(|| format!("floor 0 is tested without `{target}`"));
    }
    // `Beside` sorts after every number, so nobody may lean on it.
    (to > from).then(|| format!("`{}` ({from}) leans on `{target}` ({to}): arrows only go down", krate.package))
}

/// One circle for each crate that can reach itself, each circle once.
fn circles<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<Vec<&'a str>> {
    let mut found: BTreeMap<BTreeSet<&str>, Vec<&str>> = BTreeMap::new();
    for start in arrows.keys() {
        let mut seen = BTreeSet::new();
        let mut open = vec![vec![*start]];
        while let Some(path) = open.pop() {
            let last = path.last().copied().unwrap_or(start);
            for next in arrows.get(last).into_iter().flatten() {
                if next == start {
                    let mut circle = path.clone();
                    circle.push(start);
                    found.entry(path.iter().copied().collect()).or_insert(circle);
                } else if seen.insert(*next) {
                    open.push(path.iter().copied().chain([*next]).collect());
                }
            }
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::{manifest, workspace};

    fn failures(crates: &[(&str, &str, &str)]) -> Vec<String> {
        let files: Vec<_> = crates
            .iter()
            .map(|(name, floor, more)| (format!("crates/{name}/Cargo.toml"), manifest(name, floor, more)))
            .collect();
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        check(&workspace(&files)).failures()
    }

    const TO_CORE: &str = "[dependencies]\natomr-agents-core = {}\n";
    const TO_AGENT: &str = "[dependencies]\natomr-agents-agent = {}\n";

    #[test]
    fn down_and_level_are_fine() {
        assert!(failures(&[("core", "0", ""), ("tool", "1", TO_CORE), ("agent", "3", TO_CORE)]).is_empty());
        assert!(failures(&[("core", "1", ""), ("tool", "1", TO_CORE)]).is_empty());
    }

    #[test]
    fn up_fails_in_every_list_of_the_manifest() {
        for list in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            let more = TO_AGENT.replace("dependencies", list);
            let failures = failures(&[("tool", "1", &more), ("agent", "3", "")]);
            assert!(failures.len() == 1 && failures[0].contains("arrows only go down"), "{list}: {failures:?}");
        }
    }

    #[test]
    fn nobody_leans_on_what_stands_beside() {
        assert_eq!(failures(&[("core", "\"beside\"", ""), ("tool", "5", TO_CORE)]).len(), 1);
        assert!(failures(&[("tool", "\"beside\"", TO_AGENT), ("agent", "3", "")]).is_empty());
    }

    #[test]
    fn tests_reach_the_testkit_from_every_floor_but_the_lowest() {
        let dev = "[dev-dependencies]\natomr-agents-testkit = {}\n";
        assert!(failures(&[("tool", "1", dev), ("testkit", "4", "")]).is_empty());
        assert_eq!(failures(&[("core", "0", dev), ("testkit", "4", "")]).len(), 1);
        let normal = "[dependencies]\natomr-agents-testkit = {}\n";
        assert_eq!(failures(&[("tool", "1", normal), ("testkit", "4", "")]).len(), 1);
    }

    #[test]
    fn a_circle_on_one_floor_is_told_once() {
        let arrow = |to: &str| format!("[dev-dependencies]\natomr-agents-{to} = {{}}\n");
        let found = failures(&[("a", "1", &arrow("b")), ("b", "1", &arrow("c")), ("c", "1", &arrow("a"))]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("atomr-agents-a -> atomr-agents-b -> atomr-agents-c -> atomr-agents-a"), "{found:?}");
    }
}
