//! The house rules, one file each.

mod dependencies;
mod floors;
mod lengths;
mod machine_paths;
mod manifests;
pub(crate) mod map;
mod module_docs;
mod owned_words;
mod unfinished;

use crate::report::Report;
use crate::workspace::Workspace;

/// Looks at a tree and says what breaks one rule.
pub(crate) type Rule = fn(&Workspace) -> Report;

/// Every rule over the files of the tree.
pub(crate) const ALL: &[Rule] = &[
    manifests::check,
    floors::check,
    owned_words::check,
    dependencies::check,
    module_docs::check,
    lengths::check,
    machine_paths::check,
    unfinished::check,
    map::check,
];

/// Whether a line carries an exception from `rule` with a reason: `tidy: allow(rule): because …`.
fn excused(line: &str, rule: &str) -> bool {
    line.split_once("tidy: allow(")
        .and_then(|(_, rest)| rest.strip_prefix(rule))
        .and_then(|rest| rest.strip_prefix("):"))
        .is_some_and(|reason| reason.trim().len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_names_its_rule_and_gives_a_reason() {
        assert!(excused("x // tidy: allow(unfinished): quoted in a test", "unfinished"));
        assert!(!excused("x // tidy: allow(unfinished):", "unfinished"));
        assert!(!excused("x // tidy: allow(unfinished): quoted in a test", "machine-paths"));
    }
}
