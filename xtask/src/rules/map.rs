//! The map of the crates, written from their manifests.

use std::fmt::Write as _;

use crate::manifest::Floor;
use crate::report::Report;
use crate::workspace::Workspace;

/// Where the map lies.
pub(crate) const PATH: &str = "crates/README.md";

/// What each floor is for, from the top.
const FLOORS: &[(Floor, &str, &str)] = &[
    (Floor::Number(5), "5 doors", "where users come in"),
    (Floor::Number(4), "4 faces", "an engine shown to a model, a person or a test"),
    (Floor::Number(3), "3 engines", "loops that own time, tasks and cancellation"),
    (Floor::Number(2), "2 parts", "what plugs into a seam"),
    (Floor::Number(1), "1 seams", "one trait family, an in-memory implementation and a conformance suite"),
    (Floor::Number(0), "0 words", "nouns: no I/O, no runtime"),
    (Floor::Beside, "beside", "what builds and checks the house"),
];

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("map");
    report.looked = ws.crates().len();
    if ws.text(PATH) != Some(&render(ws)) {
        report.fail(PATH, None, "not what the manifests say: run `cargo xtask tidy --fix`");
    }
    report
}

/// The map that the manifests describe.
pub(crate) fn render(ws: &Workspace) -> String {
    let mut out = String::from(
        "# The crates\n\n<!-- Written from the manifests by `cargo xtask tidy --fix`: change those, not this. -->\n\n\
         Arrows only go down: a crate leans on its own floor or on a lower one, and never in a circle.\n",
    );
    for (floor, title, sentence) in FLOORS {
        let mut crates: Vec<_> = ws.crates().iter().filter(|krate| krate.floor == Some(*floor)).collect();
        if crates.is_empty() {
            continue;
        }
        crates.sort_by_key(|krate| krate.name());
        let _ = write!(out, "\n## {title}: {sentence}\n\n| crate | what it is |\n|---|---|\n");
        for krate in crates {
            let folder =
                krate.folder.strip_prefix("crates/").map_or_else(|| format!("../{}", krate.folder), str::to_owned);
            let description = krate.description.as_deref().unwrap_or_default().replace('|', "\\|");
            let _ = writeln!(out, "| [`{}`]({folder}) | {} |", krate.name(), description.replace('\n', " "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::{manifest, workspace};

    #[test]
    fn the_map_goes_down_the_floors_and_must_be_current() {
        let (core, agent) = (manifest("core", "0", ""), manifest("agent", "3", ""));
        let files = [("crates/core/Cargo.toml", core.as_str()), ("crates/agent/Cargo.toml", agent.as_str())];
        let bare = workspace(&files);
        assert_eq!(check(&bare).failures().len(), 1);
        let map = render(&bare);
        let at = |text: &str| map.find(text).unwrap();
        assert!(at("## 3 engines") < at("| [`agent`](agent) | Does agent. |"));
        assert!(at("(agent)") < at("## 0 words") && at("## 0 words") < at("[`core`](core)"));
        let with_map = |map: &str| workspace(&[files[0], files[1], (PATH, map)]);
        assert!(check(&with_map(&map)).failures().is_empty());
        assert_eq!(check(&with_map(&map.replace("Does core", "Did core"))).failures().len(), 1);
    }
}
