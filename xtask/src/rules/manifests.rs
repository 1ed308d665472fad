//! What every manifest says: its name, its floor, a description, and the lints of the workspace.

use crate::report::Report;
use crate::workspace::Workspace;

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new("manifests");
    for krate in ws.crates() {
        report.looked += 1;
        let path = krate.path();
        if krate.description.is_none() {
            report.fail(&path, None, "no description: one sentence that says what the crate is");
        }
        if krate.floor.is_none() {
            report.fail(&path, None, "no floor: `[package.metadata.atomr] floor = 0` to `5`, or \"beside\"");
        }
        if !krate.lints_from_workspace {
            report.fail(&path, None, "no `[lints] workspace = true`");
        }
        let expected = match krate.folder.as_str() {
            "xtask" => "xtask".to_owned(),
            "crates/umbrella" => "atomr-agents".to_owned(),
            _ => format!("atomr-agents-{}", krate.name()),
        };
        if krate.package != expected {
            report.fail(&path, None, format!("the package of this folder is called `{expected}`"));
        }
        if !krate.linked.is_empty() {
            for name in krate.linked.keys() {
                if !krate.dependencies.iter().any(|dependency| dependency.package == *name) {
                    report.fail(&path, None, format!("`linked` names `{name}`, which is no dependency"));
                }
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
    fn a_full_manifest_passes() {
        let ws = workspace(&[("crates/tool/Cargo.toml", &manifest("tool", "1", ""))]);
        assert!(check(&ws).failures().is_empty());
    }

    #[test]
    fn each_missing_line_is_named() {
        for (break_it, by, word) in [
            ("description = \"Does tool.\"", "description = \" \"", "no description"),
            ("floor = 1", "floor = 9", "no floor"),
            ("[lints]\nworkspace = true", "", "no `[lints]"),
            ("atomr-agents-tool", "tool", "called `atomr-agents-tool`"),
            ("[lints]", "[package.metadata.atomr.linked]\nring = \"why\"\n[lints]", "no dependency"),
        ] {
            let text = manifest("tool", "1", "").replace(break_it, by);
            let failures = check(&workspace(&[("crates/tool/Cargo.toml", &text)])).failures();
            assert!(failures.len() == 1 && failures[0].contains(word), "{word}: {failures:?}");
        }
    }
}
