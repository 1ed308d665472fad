//! What a run is allowed.

use std::fmt;
use std::sync::Arc;

use atomr_agents_core::{CallCtx, Value};

use crate::pattern::Pattern;
use crate::permission::is_name;
use crate::{PermissionError, PermissionSpec, ToolError};

/// The longest resource in an error's text, in characters.
const MAX_SHOWN: usize = 200;

/// What a run is allowed. It travels in the [`CallCtx`], and whatever is below can only narrow it.
///
/// A grant is written as a name (`fs.read`), a family of names (`fs.*`) or `*` for every name; behind a colon may stand a
/// pattern of the resources that it covers (`fs.read:/data/**`, `net:https://*.example.com/**`). In a pattern `*` stays
/// within one piece of a path or address, `**` does not. A resource that climbs (`..`) is covered by no pattern.
///
/// A context without grants grants nothing: a tool that needs a permission is refused in it.
///
/// ```
/// use atomr_agents_core::CallCtx;
/// use atomr_agents_tool::{Grants, PermissionSpec};
/// use serde_json::json;
///
/// let ctx = Grants::new(["fs.read:/data/**"])?.enter(&CallCtx::new());
/// let read = PermissionSpec::new(["fs.read:{path}"])?;
/// assert!(Grants::of(&ctx).missing(&read, &json!({"path": "/data/a"})).is_empty());
/// assert_eq!(Grants::of(&ctx).missing(&read, &json!({"path": "/etc/x"})), ["fs.read:/etc/x"]);
/// # Ok::<(), atomr_agents_tool::PermissionError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Grants {
    /// All of them must allow it; there is at least one.
    layers: Vec<Arc<[Grant]>>,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    name: Named,
    resources: Option<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    /// This name.
    Exactly(String),
    /// All names that begin so; with the dot. Empty for every name.
    Family(String),
}

/// What a context holds. Private, so that nothing but [`Grants::enter`] puts it there.
struct Held(Grants);

impl Grants {
    /// Nothing is allowed.
    #[must_use]
    pub fn none() -> Self {
        Self { layers: vec![Arc::new([])] }
    }

    /// Everything is allowed, except what must be granted by name ([`crate::Permission::explicit`]).
    #[must_use]
    pub fn all() -> Self {
        let all = Grant { name: Named::Family(String::new()), resources: None };
        Self { layers: vec![Arc::new([all])] }
    }

    /// These grants.
    ///
    /// # Errors
    /// [`PermissionError::Name`] and [`PermissionError::Pattern`].
    pub fn new<G: AsRef<str>>(grants: impl IntoIterator<Item = G>) -> Result<Self, PermissionError> {
        let grants: Result<Arc<[Grant]>, _> = grants.into_iter().map(|text| Grant::new(text.as_ref())).collect();
        Ok(Self { layers: vec![grants?] })
    }

    /// What the context is allowed; nothing where nobody granted anything.
    #[must_use]
    pub fn of(ctx: &CallCtx) -> Self {
        ctx.get::<Held>().map_or_else(Self::none, |held| held.0.clone())
    }

    /// What both allow.
    #[must_use]
    pub fn narrow(&self, further: &Self) -> Self {
        let mut layers = self.layers.clone();
        for layer in &further.layers {
            if !layers.contains(layer) {
                layers.push(Arc::clone(layer));
            }
        }
        Self { layers }
    }

    /// The context with these grants. One that holds some already is narrowed by them, never widened.
    #[must_use]
    pub fn enter(&self, ctx: &CallCtx) -> CallCtx {
        let grants = match ctx.get::<Held>() {
            Some(held) => held.0.narrow(self),
            None => self.clone(),
        };
        ctx.clone().with(Held(grants))
    }

    /// The permissions that a call with these arguments lacks, each with the resource that was asked for.
    #[must_use]
    pub fn missing(&self, spec: &PermissionSpec, arguments: &Value) -> Vec<String> {
        let mut missing = Vec::new();
        for permission in spec.iter() {
            for resource in permission.resources(arguments) {
                let resource = resource.as_deref();
                let covers = |grant: &Grant| grant.covers(permission.name(), permission.is_explicit(), resource);
                let granted = self.layers.iter().all(|layer| layer.iter().any(covers));
                if granted && permission.allows(resource) {
                    continue;
                }
                let text = match resource {
                    None => permission.name().to_owned(),
                    Some(resource) => format!("{}:{}", permission.name(), shown(resource)),
                };
                if !missing.contains(&text) {
                    missing.push(text);
                }
            }
        }
        missing
    }

    /// Refuses the call of a tool that lacks a permission.
    ///
    /// # Errors
    /// [`ToolError::Denied`] with the tool's name and what it lacks.
    pub fn check(&self, name: &str, spec: &PermissionSpec, arguments: &Value) -> Result<(), ToolError> {
        let missing = self.missing(spec, arguments);
        if missing.is_empty() { Ok(()) } else { Err(ToolError::Denied { name: name.to_owned(), missing }) }
    }

    /// The grants as they were written, one list for each time they were narrowed. A call must be covered in each.
    #[must_use]
    pub fn layers(&self) -> Vec<Vec<String>> {
        self.layers.iter().map(|layer| layer.iter().map(ToString::to_string).collect()).collect()
    }
}

impl Grant {
    fn new(text: &str) -> Result<Self, PermissionError> {
        let (name, resources) = match text.split_once(':') {
            None => (text, None),
            Some((name, pattern)) => (name, Some(pattern.parse()?)),
        };
        let name = match name.strip_suffix('*') {
            Some("") => Named::Family(String::new()),
            Some(family) if family.strip_suffix('.').is_some_and(is_name) => Named::Family(family.to_owned()),
            None if is_name(name) => Named::Exactly(name.to_owned()),
            _ => return Err(PermissionError::Name { text: text.to_owned() }),
        };
        Ok(Self { name, resources })
    }

    fn covers(&self, name: &str, explicit: bool, resource: Option<&str>) -> bool {
        let named = match &self.name {
            Named::Exactly(granted) => granted == name,
            Named::Family(family) => !explicit && name.starts_with(family.as_str()),
        };
        let within = |pattern: &Pattern| resource.is_some_and(|resource| pattern.matches(resource));
        named && self.resources.as_ref().is_none_or(within)
    }
}

/// The beginning of a resource: it may be anything that a model wrote.
fn shown(resource: &str) -> String {
    match resource.char_indices().nth(MAX_SHOWN) {
        None => resource.to_owned(),
        Some((end, _)) => format!("{}…", &resource[..end]),
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grants").field(&self.layers()).finish()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Named::Exactly(name) => f.write_str(name)?,
            Named::Family(family) => write!(f, "{family}*")?,
        }
        self.resources.as_ref().map_or(Ok(()), |pattern| write!(f, ":{pattern}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permission;
    use proptest::prelude::*;
    use serde_json::json;

    fn missing(grants: &[&str], needs: &[&str], arguments: &Value) -> Vec<String> {
        Grants::new(grants).unwrap().missing(&PermissionSpec::new(needs).unwrap(), arguments)
    }

    #[test]
    fn a_grant_covers_its_name_its_family_and_its_resources() {
        let path = json!({"path": "/data/x"});
        assert_eq!(missing(&[], &["fs.read"], &path), ["fs.read"]);
        assert!(missing(&["fs.read"], &["fs.read"], &path).is_empty());
        assert!(missing(&["fs.*"], &["fs.read", "fs.read.meta"], &path).is_empty());
        assert_eq!(missing(&["fs.*"], &["fs", "fsx.read"], &path), ["fs", "fsx.read"]);
        assert!(missing(&["*"], &["a", "b.c:{path}"], &path).is_empty());
        assert!(missing(&["fs.read:/data/*"], &["fs.read:{path}"], &path).is_empty());
        assert_eq!(missing(&["fs.read:/etc/*"], &["fs.read:{path}"], &path), ["fs.read:/data/x"]);
        // Without a resource it is not known to be covered.
        assert_eq!(missing(&["fs.read:**"], &["fs.read:{path}"], &json!({})), ["fs.read"]);
        assert_eq!(missing(&["fs.read:**"], &["fs.read"], &path), ["fs.read"]);
        let several = json!({"path": ["/data/x", "/etc/x"]});
        assert_eq!(missing(&["fs.read:/data/*"], &["fs.read:{path}"], &several), ["fs.read:/etc/x"]);
    }

    #[test]
    fn what_no_grant_can_be_is_refused() {
        for text in ["", "a b", "*.a", "a*", ".*", "a.*.b", "a.:x", "**"] {
            assert!(matches!(Grants::new([text]), Err(PermissionError::Name { .. })), "{text}");
        }
        assert!(matches!(Grants::new(["a:"]), Err(PermissionError::Pattern { .. })));
    }

    #[test]
    fn an_explicit_permission_wants_its_name_and_limits_hold_whatever_is_granted() {
        let spec = PermissionSpec::new(["fs.delete"]).unwrap().explicit();
        let none = json!({});
        assert_eq!(Grants::all().missing(&spec, &none), ["fs.delete"]);
        assert!(Grants::new(["fs.delete"]).unwrap().missing(&spec, &none).is_empty());
        let limited = Permission::new("fs.read:{path}").unwrap().allowing(["/data/**"]).unwrap();
        let spec = PermissionSpec::none().with(limited);
        assert!(Grants::all().missing(&spec, &json!({"path": "/data/a"})).is_empty());
        assert_eq!(Grants::all().missing(&spec, &json!({"path": "/etc/a"})), ["fs.read:/etc/a"]);
    }

    #[test]
    fn a_context_can_only_be_narrowed() {
        let spec = PermissionSpec::new(["fs.read"]).unwrap();
        let lacks = |ctx: &CallCtx| !Grants::of(ctx).missing(&spec, &json!({})).is_empty();
        assert!(lacks(&CallCtx::new()));
        let parent = Grants::new(["net"]).unwrap().enter(&CallCtx::new());
        // Neither a child nor a value put beside it gives more.
        let child = Grants::all().enter(&parent.child("sub").scoped()).with(Grants::all());
        assert!(lacks(&child));
        let parent = Grants::all().enter(&CallCtx::new());
        assert!(!lacks(&parent.child("sub")));
        assert!(lacks(&Grants::none().enter(&parent)) && !lacks(&parent));
        // The same grants again and again cost nothing.
        let deep = (0..50).fold(parent, |ctx, _| Grants::all().enter(&ctx));
        assert_eq!(Grants::of(&deep).layers(), [["*"]]);
    }

    #[test]
    fn a_long_resource_is_cut_in_the_text() {
        let long = json!({"path": "ä".repeat(5000)});
        let said = &missing(&[], &["fs:{path}"], &long)[0];
        assert!(said.ends_with('…') && said.chars().count() == "fs:".len() + MAX_SHOWN + 1);
    }

    proptest! {
        #[test]
        fn narrowed_grants_allow_what_both_allow(
            one in prop::collection::vec("(a|b|\\*|a\\.\\*)(:(x|\\*|\\*\\*|x/\\*))?", 0..3),
            two in prop::collection::vec("(a|b|\\*|a\\.\\*)(:(x|\\*|\\*\\*|x/\\*))?", 0..3),
            need in "(a|b|a\\.b)(:(x|x/y|\\{p\\}))?",
            value in "(x|x/y|\\.\\.)",
        ) {
            let (one, two) = (Grants::new(one).unwrap(), Grants::new(two).unwrap());
            let spec = PermissionSpec::new([need]).unwrap();
            let arguments = json!({"p": value});
            let allows = |grants: &Grants| grants.missing(&spec, &arguments).is_empty();
            prop_assert_eq!(allows(&one.narrow(&two)), allows(&one) && allows(&two));
            prop_assert_eq!(allows(&two.narrow(&one)), allows(&one) && allows(&two));
        }
    }
}
