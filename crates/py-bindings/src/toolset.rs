//! `_native.tool`, continued: sets of tools and their registry. `python/atomr_agents/_toolsets.py` is their face.

use std::sync::Arc;

use atomr_agents_tool::{Dependency, Resolution, ToolSet, ToolSetError, ToolSetRegistry};
use pyo3::prelude::*;

use crate::errors::from_toolset;
use crate::permission::permissions_of;
use crate::tool::NativeTool;

pub(crate) fn fill(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<NativeToolSet>()?;
    module.add_class::<NativeToolSetRegistry>()
}

#[pyclass(frozen, module = "atomr_agents._native.tool")]
pub(crate) struct NativeToolSet(Arc<ToolSet>);

#[pymethods]
impl NativeToolSet {
    #[new]
    #[pyo3(signature = (id, version, tools, dependencies, permissions))]
    fn new(
        id: &str,
        version: &str,
        tools: Vec<PyRef<'_, NativeTool>>,
        dependencies: Vec<(String, String)>,
        permissions: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut builder = ToolSet::builder(id, version);
        for tool in tools {
            builder = builder.checked(Arc::clone(&tool.checked));
        }
        for (id, requirement) in &dependencies {
            builder = builder.depends_on(id, requirement);
        }
        if let Some(permissions) = permissions {
            builder = builder.permissions(&permissions_of(permissions)?);
        }
        builder.build().map(|set| Self(Arc::new(set))).map_err(from_toolset)
    }

    #[staticmethod]
    fn together(sets: Vec<PyRef<'_, Self>>) -> PyResult<()> {
        let sets: Vec<_> = sets.iter().map(|set| Arc::clone(&set.0)).collect();
        Resolution::of(&sets).map(drop).map_err(from_toolset)
    }

    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    #[getter]
    fn version(&self) -> String {
        self.0.version().to_string()
    }

    /// The tools, each with the set's permissions, in order.
    #[getter]
    fn tools(&self) -> Vec<NativeTool> {
        self.0.toolbox().tools().iter().map(|tool| NativeTool::of(Arc::clone(tool))).collect()
    }
}

#[pyclass(frozen, module = "atomr_agents._native.tool")]
pub(crate) struct NativeToolSetRegistry(ToolSetRegistry);

/// Which set it is.
fn key(set: &ToolSet) -> (String, String) {
    (set.id().to_owned(), set.version().to_string())
}

#[pymethods]
impl NativeToolSetRegistry {
    #[new]
    fn new() -> Self {
        Self(ToolSetRegistry::new())
    }

    fn publish(&self, set: &NativeToolSet) -> PyResult<()> {
        self.0.publish((*set.0).clone()).map(drop).map_err(from_toolset)
    }

    fn get(&self, id: &str, version: &str) -> PyResult<(String, String)> {
        self.0.get(id, version).map(|set| key(&set)).map_err(from_toolset)
    }

    fn latest(&self, id: &str) -> PyResult<(String, String)> {
        self.0.latest(id).map(|set| key(&set)).map_err(from_toolset)
    }

    fn listed(&self) -> Vec<(String, Vec<String>)> {
        let texts = |versions: Vec<_>| versions.iter().map(ToString::to_string).collect();
        self.0
            .list()
            .into_iter()
            .map(|(id, versions): (_, Vec<atomr_agents_tool::Version>)| (id, texts(versions)))
            .collect()
    }

    fn resolve(&self, py: Python<'_>, wanted: Vec<(String, String)>) -> PyResult<Vec<(String, String)>> {
        let found = py.detach(|| {
            let wanted: Result<Vec<_>, ToolSetError> =
                wanted.iter().map(|(id, requirement)| Dependency::new(id, requirement)).collect();
            self.0.resolve(&wanted?)
        });
        found.map(|found| found.sets().iter().map(|set| key(set)).collect()).map_err(from_toolset)
    }
}
