//! Where sets of tools are published.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use semver::{Version, VersionReq};

use crate::resolve::{exactly, resolve};
use crate::toolset::parse_version;
use crate::{Dependency, Resolution, ToolSet, ToolSetError};

/// The published sets: by id, then by version.
pub(crate) type Index = BTreeMap<String, BTreeMap<Version, Arc<ToolSet>>>;

/// Where sets of tools are published, in memory and shared by whoever holds it. A published version never changes and
/// never goes away.
#[derive(Default)]
pub struct ToolSetRegistry {
    index: RwLock<Index>,
}

impl ToolSetRegistry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a set. What it needs may be published later.
    ///
    /// # Errors
    /// [`ToolSetError::AlreadyPublished`] for a version that is there; what follows a `+` makes no other version.
    pub fn publish(&self, set: ToolSet) -> Result<Arc<ToolSet>, ToolSetError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let versions = index.entry(set.id().to_owned()).or_default();
        if let Some(there) = versions.keys().find(|there| there.cmp_precedence(set.version()).is_eq()) {
            return Err(ToolSetError::AlreadyPublished { id: set.id().to_owned(), version: there.clone() });
        }
        let set = Arc::new(set);
        versions.insert(set.version().clone(), Arc::clone(&set));
        Ok(set)
    }

    /// The set of exactly this version.
    ///
    /// # Errors
    /// [`ToolSetError::Version`] and [`ToolSetError::Missing`], which lists the versions there are.
    pub fn get(&self, id: &str, version: &str) -> Result<Arc<ToolSet>, ToolSetError> {
        let wanted = parse_version(id, version)?;
        let index = self.read();
        let versions = index.get(id);
        let found = versions.and_then(|all| all.values().find(|set| set.version().cmp_precedence(&wanted).is_eq()));
        found.cloned().ok_or_else(|| ToolSetError::Missing {
            id: id.to_owned(),
            requirement: exactly(&wanted),
            by: None,
            available: versions.map_or_else(Vec::new, |all| all.keys().cloned().collect()),
        })
    }

    /// The newest version of a set; a pre-release only where there is nothing else.
    ///
    /// # Errors
    /// [`ToolSetError::Missing`].
    pub fn latest(&self, id: &str) -> Result<Arc<ToolSet>, ToolSetError> {
        let index = self.read();
        let newest = index.get(id).and_then(|versions| {
            let released = versions.values().rev().find(|set| set.version().pre.is_empty());
            released.or_else(|| versions.values().next_back())
        });
        newest.cloned().ok_or_else(|| ToolSetError::Missing {
            id: id.to_owned(),
            requirement: VersionReq::STAR,
            by: None,
            available: Vec::new(),
        })
    }

    /// Every id with its versions, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<(String, Vec<Version>)> {
        self.read().iter().map(|(id, versions)| (id.clone(), versions.keys().cloned().collect())).collect()
    }

    /// These sets and all that they need, one version of each, the newest that suit everybody.
    ///
    /// # Errors
    /// [`ToolSetError::Missing`], [`ToolSetError::Conflict`], [`ToolSetError::Cycle`], [`ToolSetError::DuplicateTool`]:
    /// what stands against the newest versions, when older ones do not help either; [`ToolSetError::TooComplex`].
    pub fn resolve(&self, wanted: &[Dependency]) -> Result<Resolution, ToolSetError> {
        resolve(&self.read(), wanted)
    }
}

impl fmt::Debug for ToolSetRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToolSetRegistry").field(&self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(registry: &ToolSetRegistry, id: &str, version: &str) -> Result<Arc<ToolSet>, ToolSetError> {
        registry.publish(ToolSet::builder(id, version).build().unwrap())
    }

    #[test]
    fn a_published_version_is_not_overwritten() {
        let registry = ToolSetRegistry::new();
        let first = publish(&registry, "web", "1.0.0").unwrap();
        for again in ["1.0.0", "1.0.0+other"] {
            let said = publish(&registry, "web", again).unwrap_err();
            let version = Version::new(1, 0, 0);
            assert_eq!(said, ToolSetError::AlreadyPublished { id: "web".into(), version });
        }
        assert!(Arc::ptr_eq(&registry.get("web", "1.0.0").unwrap(), &first));
        publish(&registry, "web", "1.0.0-rc.1").unwrap();
    }

    #[test]
    fn the_latest_is_the_highest_release() {
        let registry = ToolSetRegistry::new();
        assert!(matches!(registry.latest("web"), Err(ToolSetError::Missing { .. })));
        for version in ["1.9.0", "1.10.0", "2.0.0-rc.1"] {
            publish(&registry, "web", version).unwrap();
        }
        publish(&registry, "new", "0.1.0-a").unwrap();
        publish(&registry, "new", "0.1.0-b").unwrap();
        assert_eq!(registry.latest("web").unwrap().version().to_string(), "1.10.0");
        assert_eq!(registry.latest("new").unwrap().version().to_string(), "0.1.0-b");
        let listed: Vec<String> =
            registry.list().iter().map(|(id, versions)| format!("{id} {}", versions.len())).collect();
        assert_eq!(listed, ["new 2", "web 3"]);
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let registry = ToolSetRegistry::new();
        publish(&registry, "web", "1.0.0").unwrap();
        let said = registry.get("web", "1.1.0-a").unwrap_err().to_string();
        assert_eq!(said, "no tool set web =1.1.0-a is published; there is 1.0.0");
        let said = registry.get("wed", "1.0.0").unwrap_err().to_string();
        assert_eq!(said, "no tool set wed =1.0.0 is published; there is none of that id");
        assert!(matches!(registry.get("web", "1"), Err(ToolSetError::Version { .. })));
    }
}
