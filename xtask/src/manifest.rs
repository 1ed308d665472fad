//! One crate's `Cargo.toml`, reduced to what the rules ask about.

use std::collections::BTreeMap;
use std::fmt;

use toml::{Table, Value};

use crate::error::Error;

/// Which list of a manifest a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Build,
    Dev,
}

/// Where a crate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Floor {
    /// 0 (words) to 5 (doors).
    Number(u8),
    /// Outside the house: it builds or checks it.
    Beside,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "floor {number}"),
            Self::Beside => f.write_str("beside the floors"),
        }
    }
}

/// A dependency as the manifest states it.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package, whatever it is called here.
    pub(crate) package: String,
    /// The name that source files use for it.
    pub(crate) ident: String,
    pub(crate) kind: Kind,
}

/// What a manifest says.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// Relative to the root: `crates/core`, `xtask`.
    pub(crate) folder: String,
    pub(crate) package: String,
    pub(crate) description: Option<String>,
    /// As stated in `package.metadata.atomr.floor`; what is neither 0 to 5 nor "beside" is none.
    pub(crate) floor: Option<Floor>,
    pub(crate) lints_from_workspace: bool,
    pub(crate) dependencies: Vec<Dependency>,
    /// `package.metadata.atomr.linked`: dependencies that no source names, each with the reason why it is there.
    pub(crate) linked: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the manifest of the crate in `folder`.
    pub(crate) fn parse(folder: &str, text: &str) -> Result<Self, Error> {
        let path = || format!("{folder}/Cargo.toml");
        let table: Table = text.parse().map_err(|source| Error::Toml { path: path(), source: Box::new(source) })?;
        let package = table.get("package").and_then(Value::as_table);
        let package = package.ok_or_else(|| Error::MissingKey { path: path(), key: "package" })?;
        let name = package.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| Error::MissingKey { path: path(), key: "package.name" })?;
        let house = package.get("metadata").and_then(|metadata| metadata.get("atomr"));
        let description = package.get("description").and_then(Value::as_str);
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        let mut dependencies = Vec::new();
        collect(&table, &mut dependencies);
        for target in table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values) {
            if let Some(target) = target.as_table() {
                collect(target, &mut dependencies);
            }
        }
        let linked = house.and_then(|house| house.get("linked")).and_then(Value::as_table);
        Ok(Self {
            folder: folder.to_owned(),
            package: name.to_owned(),
            description: description.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned),
            floor: house.and_then(|house| house.get("floor")).and_then(floor),
            lints_from_workspace: lints.and_then(Value::as_bool) == Some(true),
            dependencies,
            linked: linked
                .into_iter()
                .flatten()
                .filter_map(|(name, reason)| Some((name.clone(), reason.as_str()?.to_owned())))
                .collect(),
        })
    }

    /// The path of the manifest.
    pub(crate) fn path(&self) -> String {
        format!("{}/Cargo.toml", self.folder)
    }

    /// The last part of the folder, which is the crate's name in the house.
    pub(crate) fn name(&self) -> &str {
        self.folder.rsplit('/').next().unwrap_or(&self.folder)
    }
}

fn floor(value: &Value) -> Option<Floor> {
    match value {
        Value::Integer(number) => u8::try_from(*number).ok().filter(|number| *number <= 5).map(Floor::Number),
        Value::String(word) if word == "beside" => Some(Floor::Beside),
        _ => None,
    }
}

fn collect(table: &Table, dependencies: &mut Vec<Dependency>) {
    let lists = [("dependencies", Kind::Normal), ("build-dependencies", Kind::Build), ("dev-dependencies", Kind::Dev)];
    for (key, kind) in lists {
        for (name, value) in table.get(key).and_then(Value::as_table).into_iter().flatten() {
            let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
            dependencies.push(Dependency { package: package.to_owned(), ident: name.replace('-', "_"), kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_dev_build_and_target_dependencies_are_seen() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nmy-http = { package = \"reqwest\", version = \"1\" }\n\
                    [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n[dev-dependencies]\nb.workspace = true\n\
                    [build-dependencies]\ncc = \"1\"\n";
        let manifest = Manifest::parse("crates/a", text).unwrap();
        let seen: Vec<_> =
            manifest.dependencies.iter().map(|d| (d.package.as_str(), d.ident.as_str(), d.kind)).collect();
        assert_eq!(
            seen,
            [
                ("reqwest", "my_http", Kind::Normal),
                ("cc", "cc", Kind::Build),
                ("b", "b", Kind::Dev),
                ("libc", "libc", Kind::Normal),
            ]
        );
    }

    #[test]
    fn a_floor_is_zero_to_five_or_beside() {
        let stated = |floor: &str| {
            let text = format!("[package]\nname = \"a\"\n[package.metadata.atomr]\nfloor = {floor}\n");
            Manifest::parse("crates/a", &text).unwrap().floor
        };
        assert_eq!(stated("0"), Some(Floor::Number(0)));
        assert_eq!(stated("5"), Some(Floor::Number(5)));
        assert_eq!(stated("\"beside\""), Some(Floor::Beside));
        for wrong in ["6", "-1", "\"3\"", "1.5"] {
            assert_eq!(stated(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_by_name() {
        let error = Manifest::parse("crates/a", "[package]\n").unwrap_err();
        assert_eq!(error.to_string(), "crates/a/Cargo.toml: no `package.name`");
        assert!(Manifest::parse("crates/a", "[").unwrap_err().to_string().starts_with("crates/a/Cargo.toml: "));
    }
}
