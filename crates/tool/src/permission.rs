//! What a tool needs to be allowed.

use std::fmt;
use std::str::FromStr;

use atomr_agents_core::{Kind, Value};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::pattern::Pattern;

/// Why a permission or a grant cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermissionError {
    /// It has no proper name.
    #[error(
        "{text:?} is no permission: use words of A-Z a-z 0-9 _ - joined by dots, up to 128 characters; \
         only a grant may be * or end with .*"
    )]
    Name {
        /// What was given.
        text: String,
    },
    /// A pattern of resources cannot be used.
    #[error("{text:?} is no pattern of resources: {message}")]
    Pattern {
        /// What was given.
        text: String,
        /// What is wrong.
        message: String,
    },
    /// The resource of a permission cannot be used.
    #[error("the resource of {text:?} cannot be used: {message}")]
    Resource {
        /// What was given.
        text: String,
        /// What is wrong.
        message: String,
    },
}

impl PermissionError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Config
    }
}

/// One thing that a tool needs to be allowed: a name, and perhaps the resource that the call touches.
///
/// Written `fs.read` or `fs.read:{path}`. In braces stands the argument that names the resource; text around it is taken
/// as it is (`net:https://api.example.com/{page}`). A list of texts names several resources, each of which must be granted.
/// An argument that was left out, or that is no text, number or flag, leaves the resource open: then only a grant
/// without a pattern covers the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Permission {
    name: String,
    resource: Option<Template>,
    /// The tool's own limits: each group must have a pattern that covers the resource.
    allow: Vec<Vec<Pattern>>,
    explicit: bool,
}

/// The text of a resource with the argument that stands in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Template {
    before: String,
    argument: Option<String>,
    after: String,
}

/// How a permission is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    permission: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<Vec<String>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    explicit: bool,
}

/// Whether a text can be the name of a permission.
pub(crate) fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    text.len() <= 128 && text.split('.').all(|word| !word.is_empty() && word.bytes().all(good))
}

impl Permission {
    /// The permission that is written so.
    ///
    /// # Errors
    /// [`PermissionError::Name`] and [`PermissionError::Resource`].
    pub fn new(text: &str) -> Result<Self, PermissionError> {
        let (name, resource) = match text.split_once(':') {
            None => (text, None),
            Some((name, resource)) => (name, Some(resource)),
        };
        if !is_name(name) {
            return Err(PermissionError::Name { text: text.to_owned() });
        }
        let resource = resource.map(|resource| Template::new(text, resource)).transpose()?;
        Ok(Self { name: name.to_owned(), resource, allow: Vec::new(), explicit: false })
    }

    /// The same, limited to resources that one of these patterns covers, whatever is granted. Several limits hold
    /// together.
    ///
    /// # Errors
    /// [`PermissionError::Pattern`], and [`PermissionError::Resource`] for a permission without a resource.
    pub fn allowing<P: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = P>) -> Result<Self, PermissionError> {
        if self.resource.is_none() {
            let message = "there is none to limit; name the argument, as in fs.read:{path}".to_owned();
            return Err(PermissionError::Resource { text: self.to_string(), message });
        }
        let patterns: Result<Vec<_>, _> = patterns.into_iter().map(|text| text.as_ref().parse()).collect();
        self.allow.push(patterns?);
        Ok(self)
    }

    /// The same, but a grant must name it word for word: one with a `*` in its name does not count.
    #[must_use]
    pub fn explicit(mut self) -> Self {
        self.explicit = true;
        self
    }

    /// Its name, without the resource.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The argument that names the resource.
    #[must_use]
    pub fn argument(&self) -> Option<&str> {
        self.resource.as_ref()?.argument.as_deref()
    }

    /// Whether a grant must name it word for word.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        self.explicit
    }

    /// The tool's own limits, as they were written.
    #[must_use]
    pub fn limits(&self) -> Vec<Vec<String>> {
        self.allow.iter().map(|group| group.iter().map(ToString::to_string).collect()).collect()
    }

    /// What a call with these arguments touches; `None` where that is open.
    pub(crate) fn resources(&self, arguments: &Value) -> Vec<Option<String>> {
        let Some(template) = &self.resource else { return vec![None] };
        let Some(argument) = &template.argument else { return vec![Some(template.before.clone())] };
        match arguments.get(argument) {
            Some(Value::Array(values)) if !values.is_empty() => {
                values.iter().map(|value| template.filled(value)).collect()
            }
            Some(value) => vec![template.filled(value)],
            None => vec![None],
        }
    }

    /// Whether the tool's own limits let this resource pass.
    pub(crate) fn allows(&self, resource: Option<&str>) -> bool {
        let within = |group: &Vec<Pattern>| {
            resource.is_some_and(|resource| group.iter().any(|pattern| pattern.matches(resource)))
        };
        self.allow.iter().all(within)
    }
}

impl Template {
    fn new(permission: &str, text: &str) -> Result<Self, PermissionError> {
        let invalid =
            |message: &str| Err(PermissionError::Resource { text: permission.to_owned(), message: message.to_owned() });
        if text.is_empty() {
            return invalid("it is empty");
        }
        if text.contains('*') {
            return invalid("a tool says what it touches; patterns belong into the grant or the limits");
        }
        let (before, argument, after) = match text.split_once('{') {
            None => (text, None, ""),
            Some((before, rest)) => match rest.split_once('}') {
                Some((argument, after)) => (before, Some(argument.to_owned()), after),
                None => return invalid("a brace is not closed"),
            },
        };
        if argument.as_deref() == Some("") || [before, after].iter().any(|text| text.contains(['{', '}'])) {
            return invalid("it takes one argument in braces, as in fs.read:{path}");
        }
        Ok(Self { before: before.to_owned(), argument, after: after.to_owned() })
    }

    fn filled(&self, value: &Value) -> Option<String> {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return None,
        };
        Some(format!("{}{value}{}", self.before, self.after))
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        let Some(Template { before, argument, after }) = &self.resource else { return Ok(()) };
        match argument {
            None => write!(f, ":{before}"),
            Some(argument) => write!(f, ":{before}{{{argument}}}{after}"),
        }
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<Written> for Permission {
    type Error = PermissionError;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let mut permission = Self::new(&written.permission)?;
        for group in written.allow {
            permission = permission.allowing(group)?;
        }
        permission.explicit = written.explicit;
        Ok(permission)
    }
}

impl From<Permission> for Written {
    fn from(permission: Permission) -> Self {
        Self { permission: permission.to_string(), allow: permission.limits(), explicit: permission.explicit }
    }
}

/// All that a tool needs to be allowed. A call is run only when each of its permissions is granted
/// ([`crate::Grants`]); an empty list asks for nothing.
///
/// ```
/// use atomr_agents_tool::{Permission, PermissionSpec};
///
/// let spec = PermissionSpec::new(["net.fetch:{url}"])?.with(Permission::new("fs.read:{path}")?.allowing(["/data/**"])?);
/// assert_eq!(spec.to_string(), "net.fetch:{url}, fs.read:{path}");
/// # Ok::<(), atomr_agents_tool::PermissionError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PermissionSpec(Vec<Permission>);

impl PermissionSpec {
    /// Nothing is needed.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The permissions that are written so.
    ///
    /// # Errors
    /// As [`Permission::new`].
    pub fn new<P: AsRef<str>>(permissions: impl IntoIterator<Item = P>) -> Result<Self, PermissionError> {
        let permissions: Result<Vec<_>, _> =
            permissions.into_iter().map(|text| Permission::new(text.as_ref())).collect();
        Ok(permissions?.into_iter().fold(Self::none(), Self::with))
    }

    /// The same and this permission. One that is there already takes over the limits of both and is explicit when
    /// one of them is.
    #[must_use]
    pub fn with(mut self, permission: Permission) -> Self {
        let same = |held: &&mut Permission| held.name == permission.name && held.resource == permission.resource;
        match self.0.iter_mut().find(same) {
            None => self.0.push(permission),
            Some(held) => {
                held.explicit |= permission.explicit;
                for group in permission.allow {
                    if !held.allow.contains(&group) {
                        held.allow.push(group);
                    }
                }
            }
        }
        self
    }

    /// What both need.
    #[must_use]
    pub fn and(self, other: &Self) -> Self {
        other.iter().cloned().fold(self, Self::with)
    }

    /// The same, each of them explicit.
    #[must_use]
    pub fn explicit(self) -> Self {
        Self(self.0.into_iter().map(Permission::explicit).collect())
    }

    /// The permissions, in the order in which they were named.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }

    /// Whether nothing is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for PermissionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, permission) in self.0.iter().enumerate() {
            write!(f, "{}{permission}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in ["", "a b", "a..b", ".a", "*", "fs.*", "ä", ":x"] {
            assert!(matches!(Permission::new(text), Err(PermissionError::Name { .. })), "{text}");
        }
        for text in ["fs:", "fs:{path", "fs:{}", "fs:{a}{b}", "fs:a}", "fs:/data/*"] {
            assert!(matches!(Permission::new(text), Err(PermissionError::Resource { .. })), "{text}");
        }
        let said = Permission::new("fs").unwrap().allowing(["/a"]).unwrap_err().to_string();
        assert!(said.contains("name the argument"), "{said}");
    }

    #[test]
    fn the_resource_is_that_of_the_call_and_open_where_it_is_unknown() {
        let of = |text: &str, arguments: Value| Permission::new(text).unwrap().resources(&arguments);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of("fs.read:{path}", json!({"path": "/a"})), [some("/a")]);
        assert_eq!(of("fs.read:{path}", json!({"path": ["/a", "/b"]})), [some("/a"), some("/b")]);
        assert_eq!(of("net:https://x/{n}.json", json!({"n": 3})), [some("https://x/3.json")]);
        assert_eq!(of("db:orders", json!({})), [some("orders")]);
        for open in [json!({}), json!({"path": null}), json!({"path": []}), json!({"path": {"a": 1}})] {
            assert_eq!(of("fs.read:{path}", open), [None]);
        }
        assert_eq!(of("fs.read", json!({"path": "/a"})), [None]);
    }

    #[test]
    fn two_specs_together_are_as_strict_as_both() {
        let limited = |pattern: &str| Permission::new("fs:{path}").unwrap().allowing([pattern]).unwrap();
        let both = PermissionSpec::none()
            .with(limited("/data/**"))
            .and(&PermissionSpec::none().with(limited("/data/a/**").explicit()));
        let permission = both.iter().next().unwrap();
        assert!(permission.is_explicit() && both.iter().count() == 1);
        assert!(permission.allows(Some("/data/a/x")));
        assert!(!permission.allows(Some("/data/b/x")) && !permission.allows(None));
    }

    #[test]
    fn a_spec_survives_json() {
        let permission = Permission::new("fs:{path}").unwrap().allowing(["/data/**"]).unwrap().explicit();
        let spec = PermissionSpec::new(["net"]).unwrap().with(permission);
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(
            json,
            json!([{"permission": "net"}, {"permission": "fs:{path}", "allow": [["/data/**"]], "explicit": true}])
        );
        assert_eq!(serde_json::from_value::<PermissionSpec>(json).unwrap(), spec);
        assert!(serde_json::from_value::<PermissionSpec>(json!([{"permission": "a b"}])).is_err());
    }
}
