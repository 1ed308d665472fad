//! What is known of a tool besides what the model is told.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use atomr_agents_core::{EffectClass, ToolSpec, Value};
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::{PermissionSpec, Tool};

/// What is known of a tool besides what the model is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolMeta {
    /// The version of its behaviour; `0.0.0` where none was said.
    #[serde(default = "unversioned")]
    pub version: Version,
    /// What happens to the world when a call is made twice. Where nothing was said, `idempotent`: in a run that is kept,
    /// a call that a crash interrupted is made again with the same [`crate::IdempotencyKey`].
    #[serde(default, skip_serializing_if = "is_idempotent")]
    pub effect: EffectClass,
    /// What a call needs to be allowed. Checked before each call by [`crate::execute`].
    #[serde(default, skip_serializing_if = "PermissionSpec::is_empty")]
    pub permissions: PermissionSpec,
    /// Words to find and group it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Anything else that its users want to know. Nothing here changes how it runs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

const fn unversioned() -> Version {
    Version::new(0, 0, 0)
}

fn is_idempotent(effect: &EffectClass) -> bool {
    *effect == EffectClass::Idempotent
}

static NOTHING: LazyLock<ToolMeta> = LazyLock::new(ToolMeta::nothing);

impl ToolMeta {
    /// No version, no permissions, no tags.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            version: unversioned(),
            effect: EffectClass::Idempotent,
            permissions: PermissionSpec::none(),
            tags: BTreeSet::new(),
            metadata: Map::new(),
        }
    }

    /// The one that every tool has that says nothing.
    #[must_use]
    pub fn shared_nothing() -> &'static Self {
        &NOTHING
    }
}

impl Default for ToolMeta {
    fn default() -> Self {
        Self::nothing()
    }
}

/// Everything that is known of a tool, in one value that can be written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolDescriptor {
    /// The name the model calls it by.
    pub name: String,
    /// What it does and when to use it.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments.
    pub schema: Value,
    /// Whether the provider shall force the arguments to match, where it can.
    #[serde(default)]
    pub strict: bool,
    /// Version, permissions, tags and the like.
    #[serde(flatten)]
    pub meta: ToolMeta,
}

impl ToolDescriptor {
    /// A tool of that name, description and JSON Schema of its arguments.
    #[must_use]
    pub fn new(name: impl Into<String>, description: impl Into<String>, schema: Value) -> Self {
        let (name, description) = (name.into(), description.into());
        Self { name, description, schema, strict: false, meta: ToolMeta::nothing() }
    }

    /// What is known of this tool.
    #[must_use]
    pub fn of(tool: &dyn Tool) -> Self {
        let ToolSpec { name, description, parameters, strict } = (**tool.spec()).clone();
        Self { name, description, schema: parameters, strict, meta: tool.meta().clone() }
    }

    /// The same with this version.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.meta.version = version;
        self
    }

    /// The same with this effect.
    #[must_use]
    pub fn with_effect(mut self, effect: EffectClass) -> Self {
        self.meta.effect = effect;
        self
    }

    /// The same, needing these permissions too.
    #[must_use]
    pub fn with_permissions(mut self, permissions: &PermissionSpec) -> Self {
        self.meta.permissions = self.meta.permissions.and(permissions);
        self
    }

    /// The same with these tags too.
    #[must_use]
    pub fn with_tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.meta.tags.extend(tags.into_iter().map(Into::into));
        self
    }

    /// What the model is told.
    #[must_use]
    pub fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: self.schema.clone(),
            strict: self.strict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_descriptor_survives_json_and_says_no_more_than_there_is() {
        let plain = ToolDescriptor::new("t", "", json!({"type": "object"}));
        let bare =
            json!({"name": "t", "description": "", "schema": {"type": "object"}, "strict": false, "version": "0.0.0"});
        assert_eq!(serde_json::to_value(&plain).unwrap(), bare);
        let full = plain
            .with_version(Version::new(1, 2, 0))
            .with_permissions(&PermissionSpec::new(["net"]).unwrap())
            .with_tags(["b", "a"]);
        let json = serde_json::to_value(&full).unwrap();
        assert_eq!(json["tags"], json!(["a", "b"]));
        assert_eq!(serde_json::from_value::<ToolDescriptor>(json).unwrap(), full);
    }
}
