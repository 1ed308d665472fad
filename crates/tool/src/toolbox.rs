//! The tools that a model is offered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use atomr_agents_core::{ToolSpec, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{GuardedTool, PermissionSpec, Tool, ToolDefinitionError, ToolError};

/// The tools that a model is offered: in order, each under a name of its own.
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: Vec<Arc<CheckedTool>>,
    /// Where each stands, if there are many: a few are found as quickly by looking at each, and an agent holds less.
    by_name: Option<HashMap<String, usize>>,
}

/// How many tools are found by looking at each.
const FEW: usize = 16;

/// A tool together with the validator of its schema, which is compiled at the first call and shared by all agents
/// that hold the tool.
pub struct CheckedTool {
    tool: Arc<dyn Tool>,
    /// Places for calls, where there is a limit.
    places: Option<Arc<Semaphore>>,
    validator: Arc<OnceLock<Result<jsonschema::Validator, String>>>,
}

impl CheckedTool {
    /// Takes a tool whose name and schema providers accept.
    ///
    /// # Errors
    /// [`ToolDefinitionError::Name`], [`ToolDefinitionError::Schema`] or [`ToolDefinitionError::Permission`].
    pub fn new(tool: Arc<dyn Tool>) -> Result<Self, ToolDefinitionError> {
        let spec = tool.spec();
        let name = &spec.name;
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) {
            return Err(ToolDefinitionError::Name { name: name.clone() });
        }
        if spec.parameters.get("type") != Some(&Value::from("object")) {
            let message = "its \"type\" must be \"object\"".into();
            return Err(ToolDefinitionError::Schema { name: name.clone(), message });
        }
        for permission in tool.meta().permissions.iter() {
            // A misspelt argument would leave the resource open, and with it the reason of every refusal.
            let known = |argument| spec.parameters.get("properties").is_some_and(|all| all.get(argument).is_some());
            if permission.argument().is_some_and(|argument| !known(argument)) {
                let permission = permission.to_string();
                return Err(ToolDefinitionError::Permission { name: name.clone(), permission });
            }
        }
        let limit = tool.options().max_concurrency as usize;
        let places = (limit > 0).then(|| Arc::new(Semaphore::new(limit)));
        Ok(Self { tool, places, validator: Arc::default() })
    }

    /// The same tool, needing these permissions besides its own. Everything else is shared with it, the places of
    /// [`crate::ToolOptions::max_concurrency`] too.
    ///
    /// # Errors
    /// [`ToolDefinitionError::Permission`] for a permission that names an argument that the tool does not have.
    pub fn guarded(&self, permissions: &PermissionSpec) -> Result<Self, ToolDefinitionError> {
        let guarded = Self::new(Arc::new(GuardedTool::new(Arc::clone(&self.tool), permissions)))?;
        Ok(Self { places: self.places.clone(), validator: Arc::clone(&self.validator), ..guarded })
    }

    /// Compiles the schema now instead of at the first call.
    ///
    /// # Errors
    /// [`ToolDefinitionError::Schema`].
    pub fn compile(&self) -> Result<(), ToolDefinitionError> {
        self.validator()
            .map(|_| ())
            .map_err(|message| ToolDefinitionError::Schema { name: self.tool.spec().name.clone(), message })
    }

    /// The tool.
    #[must_use]
    pub fn tool(&self) -> &Arc<dyn Tool> {
        &self.tool
    }

    /// Waits for a place among the calls of the tool that run at once.
    pub(crate) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.places.as_ref()?.acquire().await.ok()
    }

    /// Checks arguments against the schema.
    ///
    /// # Errors
    /// [`ToolError::InvalidArguments`] naming each fault and its place (at most four), or [`ToolError::Failed`] if
    /// the schema itself cannot be used.
    pub fn check(&self, arguments: &Value) -> Result<(), ToolError> {
        let name = &self.tool.spec().name;
        let validator = self
            .validator()
            .map_err(|message| ToolError::failed(format!("the schema of {name} cannot be used: {message}")))?;
        if validator.is_valid(arguments) {
            return Ok(());
        }
        let faults: Vec<String> = validator
            .iter_errors(arguments)
            .take(4)
            .map(|fault| {
                let place = fault.instance_path().to_string();
                if place.is_empty() { fault.to_string() } else { format!("{place}: {fault}") }
            })
            .collect();
        Err(ToolError::InvalidArguments { name: name.clone(), message: faults.join("; ") })
    }

    fn validator(&self) -> Result<&jsonschema::Validator, String> {
        self.validator
            .get_or_init(|| jsonschema::validator_for(&self.tool.spec().parameters).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(Clone::clone)
    }
}

impl Toolbox {
    /// Collects tools.
    ///
    /// # Errors
    /// A [`ToolDefinitionError`] for a name or schema that cannot be used and for a name used twice.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Result<Self, ToolDefinitionError> {
        let checked: Result<Vec<_>, _> = tools.into_iter().map(|tool| CheckedTool::new(tool).map(Arc::new)).collect();
        Self::from_checked(checked?)
    }

    /// Collects tools that were checked before.
    ///
    /// # Errors
    /// [`ToolDefinitionError::DuplicateName`].
    pub fn from_checked(tools: Vec<Arc<CheckedTool>>) -> Result<Self, ToolDefinitionError> {
        let few = tools.len() <= FEW;
        let mut by_name = HashMap::with_capacity(if few { 0 } else { tools.len() });
        for (index, tool) in tools.iter().enumerate() {
            let name = &tool.tool.spec().name;
            let twice = if few {
                tools[..index].iter().any(|before| before.tool.spec().name == *name)
            } else {
                by_name.insert(name.clone(), index).is_some()
            };
            if twice {
                return Err(ToolDefinitionError::DuplicateName { name: name.clone() });
            }
        }
        Ok(Self { tools, by_name: (!few).then_some(by_name) })
    }

    /// The tool of that name.
    ///
    /// # Errors
    /// [`ToolError::Unknown`], which lists the names there are.
    pub fn find(&self, name: &str) -> Result<&Arc<CheckedTool>, ToolError> {
        let found = match &self.by_name {
            Some(by_name) => by_name.get(name).and_then(|&index| self.tools.get(index)),
            None => self.tools.iter().find(|tool| tool.tool.spec().name == name),
        };
        match found {
            Some(tool) => Ok(tool),
            None => {
                let known: Vec<&str> = self.tools.iter().map(|tool| tool.tool.spec().name.as_str()).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                Err(ToolError::Unknown { name: name.to_owned(), known })
            }
        }
    }

    /// What the model is told, in order.
    #[must_use]
    pub fn specs(&self) -> Vec<Arc<ToolSpec>> {
        self.tools.iter().map(|tool| Arc::clone(tool.tool.spec())).collect()
    }

    /// The tools, in order.
    #[must_use]
    pub fn tools(&self) -> &[Arc<CheckedTool>] {
        &self.tools
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tools.iter().map(|tool| &tool.tool.spec().name)).finish()
    }
}

impl fmt::Debug for CheckedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckedTool({})", self.tool.spec().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FnTool;
    use serde_json::json;

    fn tool(name: &str, parameters: Value) -> Arc<dyn Tool> {
        Arc::new(FnTool::new(name, "", parameters, |arguments, _ctx| async move { Ok(arguments) }))
    }

    #[test]
    fn refuses_bad_names_schemas_and_duplicates_by_name() {
        let object = || json!({"type": "object"});
        let name = |tools: Vec<Arc<dyn Tool>>| Toolbox::new(tools).unwrap_err().to_string();
        assert!(name(vec![tool("a b", object())]).contains("\"a b\""));
        assert!(name(vec![tool(&"x".repeat(65), object())]).contains("1 to 64"));
        assert!(name(vec![tool("a", json!({}))]).contains("parameters of a"));
        assert!(name(vec![tool("a", object()), tool("a", object())]).contains("two tools are named \"a\""));
        let many = || (0..40).map(|n| tool(&format!("t{n}"), object()));
        assert!(name(many().chain([tool("t7", object())]).collect()).contains("two tools are named \"t7\""));
        let broken = CheckedTool::new(tool("a", json!({"type": "object", "properties": {"x": {"type": "nope"}}})));
        assert!(broken.unwrap().compile().is_err());
    }

    #[test]
    fn each_tool_is_found_by_its_name_among_few_and_among_many() {
        for count in [0, 1, FEW, FEW + 1, 100] {
            let tools = (0..count).map(|n| tool(&format!("t{n}"), json!({"type": "object"})));
            let toolbox = Toolbox::new(tools).unwrap();
            for n in 0..count {
                assert_eq!(toolbox.find(&format!("t{n}")).unwrap().tool().spec().name, format!("t{n}"));
            }
            assert!(toolbox.find("t100").is_err());
        }
    }

    #[test]
    fn checks_arguments_and_says_where_they_are_wrong() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let toolbox = Toolbox::new([tool("weather", schema)]).unwrap();
        let weather = toolbox.find("weather").unwrap();
        weather.check(&json!({"city": "Oslo"})).unwrap();
        let said = weather.check(&json!({"city": 3})).unwrap_err().to_string();
        assert!(said.contains("/city") && said.contains("weather"), "{said}");
        let said = toolbox.find("wether").unwrap_err().to_string();
        assert!(said.contains("the tools are: weather"), "{said}");
    }
}
