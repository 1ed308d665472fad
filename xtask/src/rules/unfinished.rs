//! Nothing lands half done: no placeholder macros, no notes to come back.

use super::excused;
use crate::report::Report;
use crate::rust_text::{code_only, find_word};
use crate::workspace::{File, Workspace};

const RULE: &str = "unfinished";
/// Split, so that this file keeps its own rule.
const NOTES: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
const MACROS: &[&str] = &["todo", "unimplemented"];
const TEXT: &[&str] = &[".rs", ".py", ".pyi", ".toml", ".md", ".sh", "Makefile", ".ci/run"];

pub(crate) fn check(ws: &Workspace) -> Report {
    let mut report = Report::new(RULE);
    for file in ws.files().iter().filter(|file| TEXT.iter().any(|end| file.path.ends_with(end))) {
        report.looked += 1;
        for (number, line) in file.text.lines().enumerate() {
            for note in NOTES.iter().filter(|note| find_word(line, note).is_some() && !excused(line, RULE)) {
                report.fail(
                    &file.path,
                    Some(number + 1),
                    format!("`{note}`: do it, or file it and say what holds today"),
                );
            }
        }
        if file.is_rust() {
            placeholders(file, &mut report);
        }
    }
    report
}

fn placeholders(file: &File, report: &mut Report) {
    for (number, line) in code_only(&file.text).lines().enumerate() {
        for name in MACROS {
            let called = find_word(line, name).is_some_and(|at| line[at + name.len()..].trim_start().starts_with('!'));
            if called {
                report.fail(&file.path, Some(number + 1), format!("`{name}!`: code that panics when it is reached"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::workspace;

    #[test]
    fn notes_and_placeholders_fail() {
        for note in NOTES {
            assert_eq!(check(&workspace(&[("a.py", &format!("x  # {note}: later"))])).failures().len(), 1, "{note}");
        }
        for name in MACROS {
            let found =
                check(&workspace(&[("crates/a/src/lib.rs", &format!("fn f() {{\n    {name}!()\n}}"))])).failures();
            assert!(found.len() == 1 && found[0].contains("lib.rs:2"), "{name}: {found:?}");
        }
    }

    #[test]
    fn other_words_pass() {
        let text = format!("// a todo! in words; TodoList, {0}S\nfn todo() {{ \"unimplemented!\" }}", NOTES[1]);
        assert!(check(&workspace(&[("crates/a/src/lib.rs", &text)])).failures().is_empty());

        let ws = workspace(&[("a.json", NOTES[0]), ("b.md", "nothing")]);
        assert!(check(&ws).failures().is_empty());
    }
}
