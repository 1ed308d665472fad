//! What can go wrong with sets of tools.

use atomr_agents_core::Kind;
use semver::{Version, VersionReq};
use thiserror::Error;

use crate::ToolDefinitionError;

/// What can go wrong with sets of tools.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolSetError {
    /// The id cannot be used.
    #[error("{id:?} cannot be a tool set's id: use 1 to 128 of the characters A-Z a-z 0-9 _ - . /")]
    Id {
        /// The id.
        id: String,
    },
    /// The version is none.
    #[error("the version {text:?} of the tool set {id} is no semantic version such as 1.2.0: {message}")]
    Version {
        /// The set.
        id: String,
        /// What was given.
        text: String,
        /// What is wrong.
        message: String,
    },
    /// The range of versions is none.
    #[error("{text:?} is no range of versions of the tool set {id}, such as ^1.2: {message}")]
    Requirement {
        /// The set that is wanted.
        id: String,
        /// What was given.
        text: String,
        /// What is wrong.
        message: String,
    },
    /// One of the set's tools cannot be offered to a model.
    #[error("tool set {id}: {source}")]
    Tool {
        /// The set.
        id: String,
        /// What is wrong.
        source: ToolDefinitionError,
    },
    /// One dependency was named twice.
    #[error("tool set {id} names its dependency {dependency} twice")]
    DuplicateDependency {
        /// The set.
        id: String,
        /// The dependency.
        dependency: String,
    },
    /// The version was published before; a published version never changes.
    #[error("tool set {id} {version} is published already; publish another version")]
    AlreadyPublished {
        /// The set.
        id: String,
        /// The version that is there.
        version: Version,
    },
    /// Nothing of that id or version is published.
    #[error("no tool set {id} {requirement} is published{}; there is {}", by_whom(by), known(available))]
    Missing {
        /// The set.
        id: String,
        /// The versions that were wanted.
        requirement: VersionReq,
        /// The set that needs it; `None` where the caller asked for it.
        by: Option<String>,
        /// The versions of it that there are.
        available: Vec<Version>,
    },
    /// No version of a set suits everybody who needs it.
    #[error("no version of tool set {id} suits all: {}; there is {}", demands(wanted), known(available))]
    Conflict {
        /// The set.
        id: String,
        /// Who needs which versions; `None` is the caller.
        wanted: Vec<(Option<String>, VersionReq)>,
        /// The versions of it that there are.
        available: Vec<Version>,
    },
    /// Sets need each other in a circle.
    #[error("tool sets need each other in a circle: {}", path.join(" -> "))]
    Cycle {
        /// The ids and versions, the first one repeated at the end.
        path: Vec<String>,
    },
    /// Two sets have a tool of one name.
    #[error("the tool {name:?} is both in {first} and in {second}")]
    DuplicateTool {
        /// The tool.
        name: String,
        /// A set that has it.
        first: String,
        /// The other one.
        second: String,
    },
    /// The dependencies are too many or too entangled.
    #[error("the dependencies cannot be resolved within {limit} {what}; ask for narrower ranges of versions")]
    TooComplex {
        /// The limit that was reached.
        limit: usize,
        /// What was counted.
        what: &'static str,
    },
}

impl ToolSetError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Id { .. } | Self::Version { .. } | Self::Requirement { .. } => Kind::Config,
            Self::Tool { source, .. } => source.kind(),
            Self::DuplicateTool { .. } | Self::DuplicateDependency { .. } => Kind::ToolDefinition,
            Self::AlreadyPublished { .. } | Self::Conflict { .. } | Self::Cycle { .. } => Kind::Config,
            // Not `NotFound`, which is a provider's word.
            Self::Missing { .. } | Self::TooComplex { .. } => Kind::Config,
        }
    }

    /// Which of these it is, as one word in snake case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Id { .. } => "id",
            Self::Version { .. } => "version",
            Self::Requirement { .. } => "requirement",
            Self::Tool { .. } => "tool",
            Self::DuplicateDependency { .. } => "duplicate_dependency",
            Self::AlreadyPublished { .. } => "already_published",
            Self::Missing { .. } => "missing",
            Self::Conflict { .. } => "conflict",
            Self::Cycle { .. } => "cycle",
            Self::DuplicateTool { .. } => "duplicate_tool",
            Self::TooComplex { .. } => "too_complex",
        }
    }
}

fn by_whom(by: &Option<String>) -> String {
    by.as_ref().map_or_else(String::new, |by| format!(", which {by} needs"))
}

fn known(available: &[Version]) -> String {
    match available {
        [] => "none of that id".to_owned(),
        some => some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn demands(wanted: &[(Option<String>, VersionReq)]) -> String {
    let one = |(by, requirement): &(Option<String>, VersionReq)| match by {
        None => format!("{requirement} was asked for"),
        Some(by) => format!("{by} needs {requirement}"),
    };
    wanted.iter().map(one).collect::<Vec<_>>().join(", ")
}
