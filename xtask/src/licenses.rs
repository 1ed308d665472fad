//! Licences and sources of everything that is linked, checked against `deny.toml` without `cargo-deny`.
//!
//! `cargo-deny` does more where it is installed; this much runs everywhere, from what `cargo metadata` knows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::error::Error;
use crate::report::Report;
use crate::workspace::Workspace;

const POLICY: &str = "deny.toml";

/// What `deny.toml` lets in.
#[derive(Debug)]
pub(crate) struct Policy {
    licenses: BTreeSet<String>,
    banned: BTreeSet<String>,
}

/// A package of the dependency tree.
#[derive(Debug)]
pub(crate) struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// None for the crates of this repository.
    source: Option<String>,
}

impl Policy {
    /// Reads `licenses.allow` and `bans.deny`.
    pub(crate) fn from_deny_toml(ws: &Workspace) -> Result<Self, Error> {
        let missing = |key| Error::MissingKey { path: POLICY.to_owned(), key };
        let text = ws.text(POLICY).ok_or_else(|| missing("licenses"))?;
        let table: toml::Table =
            text.parse().map_err(|source| Error::Toml { path: POLICY.to_owned(), source: Box::new(source) })?;
        let list = |section: &str, key: &str| table.get(section)?.get(key)?.as_array();
        let licenses = list("licenses", "allow").ok_or_else(|| missing("licenses.allow"))?;
        let banned = list("bans", "deny").ok_or_else(|| missing("bans.deny"))?;
        let name = |value: &toml::Value| value.as_str().or_else(|| value.get("crate")?.as_str()).map(str::to_owned);
        Ok(Self {
            licenses: licenses.iter().filter_map(name).collect(),
            banned: banned.iter().filter_map(name).collect(),
        })
    }

    /// An SPDX expression: one side of each `OR` (or of the old `/`) must be allowed, both sides of each `AND`.
    fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<_> = spaced.split_whitespace().collect();
        let mut at = 0;
        let allowed = self.any_of(&words, &mut at);
        allowed && at == words.len()
    }

    fn any_of(&self, words: &[&str], at: &mut usize) -> bool {
        let mut allowed = self.all_of(words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            allowed |= self.all_of(words, at);
        }
        allowed
    }

    fn all_of(&self, words: &[&str], at: &mut usize) -> bool {
        let mut allowed = self.one(words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            allowed &= self.one(words, at);
        }
        allowed
    }

    fn one(&self, words: &[&str], at: &mut usize) -> bool {
        let Some(word) = words.get(*at) else { return false };
        *at += 1;
        if *word == "(" {
            let allowed = self.any_of(words, at);
            let closed = words.get(*at) == Some(&")");
            *at += usize::from(closed);
            return allowed && closed;
        }
        if words.get(*at) != Some(&"WITH") {
            return self.licenses.contains(*word);
        }
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at = (*at + 2).min(words.len());
        self.licenses.contains(*word) || self.licenses.contains(&format!("{word} WITH {exception}"))
    }
}

/// Everything in the lock file, with features as the workspace states them.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, Error> {
    const COMMAND: &str = "cargo metadata";
    let refused = |message: String| Error::Command { command: COMMAND, message };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let answer = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--quiet"])
        .current_dir(root)
        .output()
        .map_err(|error| refused(error.to_string()))?;
    if !answer.status.success() {
        return Err(refused(String::from_utf8_lossy(&answer.stderr).trim().to_owned()));
    }
    let metadata: Value = serde_json::from_slice(&answer.stdout)?;
    let text = |package: &Value, key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    let packages = metadata.get("packages").and_then(Value::as_array).into_iter().flatten();
    Ok(packages
        .map(|package| Package {
            name: text(package, "name").unwrap_or_default(),
            version: text(package, "version").unwrap_or_default(),
            license: text(package, "license"),
            source: text(package, "source"),
        })
        .collect())
}

pub(crate) fn check(policy: &Policy, packages: &[Package]) -> Report {
    let mut report = Report::new("licenses");
    for package in packages {
        report.looked += 1;
        let who = format!("{} {}", package.name, package.version);
        if policy.banned.contains(&package.name) {
            report.fail(POLICY, None, format!("{who} is banned"));
        }
        match package.license.as_deref() {
            Some(license) if policy.allows(license) => {}
            Some(license) => {
                report.fail(POLICY, None, format!("{who} is licensed under {license}, which is not allowed"));
            }
            None => report.fail(POLICY, None, format!("{who} states no licence")),
        }
        if package
            .source
            .as_deref()
            .is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index")
        {
            report.fail(POLICY, None, format!("{who} does not come from crates.io"));
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::fixture::workspace;

    fn policy() -> Policy {
        let text = "[licenses]\nallow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n\
                    [bans]\ndeny = [{ crate = \"openssl-sys\" }, \"native-tls\"]\n";
        Policy::from_deny_toml(&workspace(&[(POLICY, text)])).unwrap()
    }

    fn package(name: &str, license: Option<&str>, source: Option<&str>) -> Package {
        let (license, source) = (license.map(str::to_owned), source.map(str::to_owned));
        Package { name: name.to_owned(), version: "1.0.0".to_owned(), license, source }
    }

    #[test]
    fn expressions_are_read_as_spdx_means_them() {
        for (expression, allowed) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR GPL-3.0) AND Apache-2.0", true),
            ("GPL-3.0 OR MIT AND GPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(policy().allows(expression), allowed, "{expression}");
        }
    }

    #[test]
    fn a_strange_licence_source_or_banned_crate_fails() {
        let ours = package("a", Some("MIT"), None);
        assert!(check(&policy(), &[ours]).failures().is_empty());
        for (bad, word) in [
            (package("a", Some("GPL-3.0"), None), "not allowed"),
            (package("a", None, None), "no licence"),
            (package("a", Some("MIT"), Some("git+https://example.org/a")), "crates.io"),
            (package("openssl-sys", Some("MIT"), None), "banned"),
            (package("native-tls", Some("MIT"), None), "banned"),
        ] {
            let failures = check(&policy(), &[bad]).failures();
            assert!(failures.len() == 1 && failures[0].contains(word), "{word}: {failures:?}");
        }
    }

    #[test]
    fn without_a_policy_there_is_no_verdict() {
        assert!(Policy::from_deny_toml(&workspace(&[(POLICY, "[licenses]\nallow = []\n")])).is_err());
        assert!(Policy::from_deny_toml(&workspace(&[])).is_err());
    }
}
