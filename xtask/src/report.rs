//! What a rule found, and proof that it looked.

use std::fmt;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Worth a look; does not fail the check.
    Warning,
    /// Fails the check.
    Failure,
}

/// One place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) rule: &'static str,
    pub(crate) path: String,
    pub(crate) line: Option<usize>,
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Failure => "error",
        };
        match self.line {
            Some(line) => write!(f, "{word}: {}:{line}: ", self.path)?,
            None if self.path.is_empty() => write!(f, "{word}: ")?,
            None => write!(f, "{word}: {}: ", self.path)?,
        }
        write!(f, "{}: {}", self.rule, self.message)
    }
}

/// The outcome of one rule.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rule: &'static str,
    /// How many things the rule looked at.
    pub(crate) looked: usize,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(rule: &'static str) -> Self {
        Self { rule, looked: 0, findings: Vec::new() }
    }

    pub(crate) fn fail(&mut self, path: &str, line: Option<usize>, message: impl Into<String>) {
        self.push(Severity::Failure, path, line, message.into());
    }

    pub(crate) fn warn(&mut self, path: &str, line: Option<usize>, message: impl Into<String>) {
        self.push(Severity::Warning, path, line, message.into());
    }

    /// The findings; one more where the rule looked at nothing at all.
    pub(crate) fn outcome(&self) -> Vec<Finding> {
        let mut findings = self.findings.clone();
        if self.looked == 0 {
            findings.push(Finding {
                severity: Severity::Failure,
                rule: self.rule,
                path: String::new(),
                line: None,
                message: "looked at nothing, so it proves nothing".to_owned(),
            });
        }
        findings
    }

    fn push(&mut self, severity: Severity, path: &str, line: Option<usize>, message: String) {
        self.findings.push(Finding { severity, rule: self.rule, path: path.to_owned(), line, message });
    }

    /// The messages of the failures, for tests.
    #[cfg(test)]
    pub(crate) fn failures(&self) -> Vec<String> {
        assert!(self.looked > 0, "{} looked at nothing", self.rule);
        self.findings.iter().filter(|f| f.severity == Severity::Failure).map(ToString::to_string).collect()
    }
}
