//! A named, versioned set of tools.

use std::fmt;
use std::sync::Arc;

use semver::{Version, VersionReq};

use crate::{CheckedTool, PermissionSpec, Tool, ToolSetError, Toolbox};

/// A named, versioned set of tools, and the other sets that it needs.
///
/// ```
/// use atomr_agents_tool::{FnTool, ToolSet};
/// use serde_json::json;
/// use std::sync::Arc;
///
/// let now = FnTool::new("now", "The time.", json!({"type": "object"}), |_, _| async { Ok(json!("noon")) });
/// let clocks = ToolSet::builder("clocks", "1.2.0").tool(Arc::new(now)).depends_on("units", "^2").build()?;
/// assert_eq!(clocks.to_string(), "clocks 1.2.0");
/// # Ok::<(), atomr_agents_tool::ToolSetError>(())
/// ```
#[derive(Clone)]
pub struct ToolSet {
    id: String,
    version: Version,
    description: String,
    author: Option<String>,
    toolbox: Toolbox,
    dependencies: Vec<Dependency>,
    permissions: PermissionSpec,
}

/// A set that is needed, in one of a range of versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The set's id.
    pub id: String,
    /// The versions that will do.
    pub requirement: VersionReq,
}

impl Dependency {
    /// The set `id` in a version within `requirement` (`^1.2`, `>=1, <3`, `*`).
    ///
    /// # Errors
    /// [`ToolSetError::Id`] and [`ToolSetError::Requirement`].
    pub fn new(id: &str, requirement: &str) -> Result<Self, ToolSetError> {
        check_id(id)?;
        let requirement = VersionReq::parse(requirement).map_err(|error| ToolSetError::Requirement {
            id: id.to_owned(),
            text: requirement.to_owned(),
            message: error.to_string(),
        })?;
        Ok(Self { id: id.to_owned(), requirement })
    }
}

fn check_id(id: &str) -> Result<(), ToolSetError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    match !id.is_empty() && id.len() <= 128 && id.bytes().all(good) {
        true => Ok(()),
        false => Err(ToolSetError::Id { id: id.to_owned() }),
    }
}

/// Reads the version of the set `id`.
pub(crate) fn parse_version(id: &str, text: &str) -> Result<Version, ToolSetError> {
    Version::parse(text).map_err(|error| ToolSetError::Version {
        id: id.to_owned(),
        text: text.to_owned(),
        message: error.to_string(),
    })
}

impl ToolSet {
    /// Begins a set. The version is a semantic one, such as `1.2.0`.
    #[must_use]
    pub fn builder(id: &str, version: &str) -> ToolSetBuilder {
        ToolSetBuilder {
            id: id.to_owned(),
            version: version.to_owned(),
            description: String::new(),
            author: None,
            tools: Vec::new(),
            dependencies: Vec::new(),
            permissions: PermissionSpec::none(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Who made it.
    #[must_use]
    pub fn author(&self) -> Option<&str> {
        self.author.as_deref()
    }

    /// Its tools, in order; those of its dependencies are not among them. Each needs the set's permissions.
    #[must_use]
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// The sets that it needs, in the order in which they were named.
    #[must_use]
    pub fn dependencies(&self) -> &[Dependency] {
        &self.dependencies
    }

    /// What each of its tools needs to be allowed, besides what the tool says itself.
    #[must_use]
    pub fn permissions(&self) -> &PermissionSpec {
        &self.permissions
    }
}

impl fmt::Display for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.version)
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolSet({self}: {:?})", self.toolbox)
    }
}

/// Collects what a [`ToolSet`] is made of. What is wrong is told by [`ToolSetBuilder::build`].
pub struct ToolSetBuilder {
    id: String,
    version: String,
    description: String,
    author: Option<String>,
    tools: Vec<Member>,
    dependencies: Vec<(String, String)>,
    permissions: PermissionSpec,
}

enum Member {
    Tool(Arc<dyn Tool>),
    Checked(Arc<CheckedTool>),
}

impl ToolSetBuilder {
    /// Says what the set is for.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Says who made it.
    #[must_use]
    pub fn author(mut self, author: impl Into<String>) -> Self {
        self.author = Some(author.into());
        self
    }

    /// Adds a tool.
    #[must_use]
    pub fn tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(Member::Tool(tool));
        self
    }

    /// Adds a tool that was checked before.
    #[must_use]
    pub fn checked(mut self, tool: Arc<CheckedTool>) -> Self {
        self.tools.push(Member::Checked(tool));
        self
    }

    /// Needs another set in a version within `requirement`, such as `^1.2`.
    #[must_use]
    pub fn depends_on(mut self, id: &str, requirement: &str) -> Self {
        self.dependencies.push((id.to_owned(), requirement.to_owned()));
        self
    }

    /// Makes each of the tools need these permissions, besides its own. A permission that names an argument fits only
    /// where every tool has it.
    #[must_use]
    pub fn permissions(mut self, permissions: &PermissionSpec) -> Self {
        self.permissions = self.permissions.and(permissions);
        self
    }

    /// The set.
    ///
    /// # Errors
    /// [`ToolSetError::Id`], [`ToolSetError::Version`], [`ToolSetError::Requirement`], [`ToolSetError::Tool`] (two tools
    /// of one name, too), [`ToolSetError::DuplicateDependency`], and [`ToolSetError::Cycle`] for a set that needs itself.
    pub fn build(self) -> Result<ToolSet, ToolSetError> {
        let Self { id, version, description, author, tools, dependencies, permissions } = self;
        check_id(&id)?;
        let version = parse_version(&id, &version)?;
        let dependencies = dependencies_of(&id, dependencies)?;
        let check = |member| {
            let tool = match member {
                Member::Checked(tool) => tool,
                Member::Tool(tool) => Arc::new(CheckedTool::new(tool)?),
            };
            if permissions.is_empty() { Ok(tool) } else { tool.guarded(&permissions).map(Arc::new) }
        };
        let checked: Result<Vec<_>, _> = tools.into_iter().map(check).collect();
        match checked.and_then(Toolbox::from_checked) {
            Err(source) => Err(ToolSetError::Tool { id, source }),
            Ok(toolbox) => Ok(ToolSet { id, version, description, author, toolbox, dependencies, permissions }),
        }
    }
}

fn dependencies_of(id: &str, named: Vec<(String, String)>) -> Result<Vec<Dependency>, ToolSetError> {
    let mut dependencies: Vec<Dependency> = Vec::with_capacity(named.len());
    for (other, requirement) in named {
        if other == id {
            return Err(ToolSetError::Cycle { path: vec![other, id.to_owned()] });
        }
        if dependencies.iter().any(|have| have.id == other) {
            return Err(ToolSetError::DuplicateDependency { id: id.to_owned(), dependency: other });
        }
        dependencies.push(Dependency::new(&other, &requirement)?);
    }
    Ok(dependencies)
}

impl fmt::Debug for ToolSetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolSetBuilder({} {}: {} tools)", self.id, self.version, self.tools.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FnTool, Grants, ToolDefinitionError, ToolError, ToolOptions, execute};
    use atomr_agents_core::{CallCtx, Kind, ToolCall};
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    fn tool(name: &str) -> Arc<dyn Tool> {
        Arc::new(FnTool::new(name, "", json!({"type": "object"}), |_, _| async { Ok(json!("ran")) }))
    }

    #[test]
    fn what_cannot_be_built_is_named() {
        let build = |builder: ToolSetBuilder| builder.build().unwrap_err();
        let set = || ToolSet::builder("files", "1.0.0");
        let said = build(set().tool(tool("a")).tool(tool("b")).tool(tool("a")));
        let source = ToolDefinitionError::DuplicateName { name: "a".into() };
        assert_eq!(said, ToolSetError::Tool { id: "files".into(), source });
        assert_eq!(said.kind(), Kind::ToolDefinition);
        assert!(matches!(build(ToolSet::builder("a b", "1.0.0")), ToolSetError::Id { .. }));
        assert!(matches!(build(ToolSet::builder("", "1.0.0")), ToolSetError::Id { .. }));
        let said = build(ToolSet::builder("files", "1.0")).to_string();
        assert!(said.contains("\"1.0\"") && said.contains("files"), "{said}");
        assert!(matches!(build(set().depends_on("web", "one")), ToolSetError::Requirement { .. }));
        let twice = set().depends_on("web", "1").depends_on("web", "2");
        assert!(matches!(build(twice), ToolSetError::DuplicateDependency { .. }));
        assert!(matches!(build(set().depends_on("files", "*")), ToolSetError::Cycle { .. }));
        let permissions = PermissionSpec::new(["fs:{path}"]).unwrap();
        let said = build(set().tool(tool("a")).permissions(&permissions)).to_string();
        assert!(said.contains("fs:{path} of a names an argument"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_guarded_tool_shares_the_places_of_the_tool_itself() {
        let running = Arc::new(AtomicU32::new(0));
        let (most, now) = (Arc::new(AtomicU32::new(0)), Arc::clone(&running));
        let seen = Arc::clone(&most);
        let body = move |_, _| {
            let (now, seen) = (Arc::clone(&now), Arc::clone(&seen));
            async move {
                seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(json!("done"))
            }
        };
        let options = ToolOptions { max_concurrency: 1, ..ToolOptions::default() };
        let one = FnTool::new("a", "", json!({"type": "object"}), body).with_options(options);
        let free = Arc::new(CheckedTool::new(Arc::new(one)).unwrap());
        let fs = PermissionSpec::new(["fs"]).unwrap();
        let set = ToolSet::builder("files", "1.0.0").checked(Arc::clone(&free)).permissions(&fs).build().unwrap();
        let alone = Toolbox::from_checked(vec![free]).unwrap();
        let ctx = Grants::new(["fs"]).unwrap().enter(&CallCtx::new());
        let call = ToolCall::new("c", "a", "{}");
        let (first, second) = tokio::join!(execute(set.toolbox(), &call, &ctx), execute(&alone, &call, &ctx));
        assert!(first.result.is_ok() && second.result.is_ok());
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn each_tool_of_a_set_needs_the_permissions_of_the_set() {
        let checked = Arc::new(CheckedTool::new(tool("b")).unwrap());
        let builder = ToolSet::builder("files", "1.0.0").tool(tool("a")).checked(checked);
        let set = builder.permissions(&PermissionSpec::new(["fs"]).unwrap()).build().unwrap();
        let granted = Grants::new(["fs"]).unwrap().enter(&CallCtx::new());
        for name in ["a", "b"] {
            let call = ToolCall::new("c", name, "{}");
            let denied = execute(set.toolbox(), &call, &CallCtx::new()).await.result.unwrap_err();
            assert!(matches!(denied, ToolError::Denied { .. }));
            execute(set.toolbox(), &call, &granted).await.result.unwrap();
        }
    }
}
