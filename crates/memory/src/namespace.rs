//! Whose memory it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::MemoryError;

/// The most parts, and the most bytes that a namespace and a key may have together once they are written.
const MAX_PARTS: usize = 16;
const MAX_BYTES: usize = 500;

/// Whose memory it is: parts from the general to the particular, such as `("users", "ada", "facts")`. A namespace lies
/// below another one if it begins with its parts. The one without parts is above all; nothing is kept in it.
///
/// ```
/// use atomr_agents_memory::Namespace;
///
/// let ada = Namespace::new(["users", "ada"])?;
/// assert!(ada.is_below(&Namespace::new(["users"])?) && !ada.is_below(&Namespace::new(["users", "ad"])?));
/// assert_eq!(ada.to_string(), "users/ada");
/// assert!(Namespace::new(["users", ""]).is_err());
/// # Ok::<(), atomr_agents_memory::MemoryError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Namespace(Vec<String>);

impl Namespace {
    /// A namespace of these parts.
    ///
    /// # Errors
    /// [`MemoryError::Name`] for a part that is empty or has control characters, for more than 16 parts, and for parts of more
    /// than about 500 bytes together.
    pub fn new<S: Into<String>>(parts: impl IntoIterator<Item = S>) -> Result<Self, MemoryError> {
        let parts: Vec<String> = parts.into_iter().map(Into::into).collect();
        if parts.len() > MAX_PARTS {
            return Err(MemoryError::name(
                "namespace",
                format!("has {} parts, at most {MAX_PARTS} are taken", parts.len()),
            ));
        }
        for part in &parts {
            check("namespace", part)?;
        }
        let namespace = Self(parts);
        namespace.path()?;
        Ok(namespace)
    }

    /// The one above all.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// The parts.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// Whether it is this one or lies below it.
    #[must_use]
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// This one and the other's parts behind it.
    ///
    /// # Errors
    /// As [`Namespace::new`].
    pub fn join(&self, other: &Self) -> Result<Self, MemoryError> {
        Self::new(self.0.iter().chain(&other.0).cloned())
    }

    /// What the names of all that lies in it and below it begin with: each part and `/`, where `/` and `%` in a part are
    /// written as `%2F` and `%25`.
    ///
    /// # Errors
    /// [`MemoryError::Name`] where it is too long.
    pub fn path(&self) -> Result<String, MemoryError> {
        let mut path = String::new();
        for part in &self.0 {
            escape(part, &mut path);
            path.push('/');
        }
        if path.len() > MAX_BYTES {
            return Err(MemoryError::name("namespace", format!("is longer than {MAX_BYTES} bytes")));
        }
        Ok(path)
    }

    /// What the names of its own items begin with. No part is empty, so nothing below it begins so.
    pub(crate) fn own(&self) -> Result<String, MemoryError> {
        if self.0.is_empty() {
            return Err(MemoryError::name("namespace", "has no parts; nothing is kept above all".into()));
        }
        Ok(self.path()? + "/")
    }

    /// The name of the item of this key: the namespace's [`path`](Self::path), `/` and the key. Items stand in the order of
    /// these names, compared by their bytes.
    ///
    /// # Errors
    /// [`MemoryError::Name`] for the namespace above all, and for a key that is empty, too long or has control characters.
    pub fn place(&self, key: &str) -> Result<String, MemoryError> {
        check("key", key)?;
        let mut place = self.own()?;
        escape(key, &mut place);
        if place.len() > MAX_BYTES {
            return Err(MemoryError::name(
                "key",
                format!("is longer than {MAX_BYTES} bytes with its namespace {self}"),
            ));
        }
        Ok(place)
    }

    /// The namespace and the key of such a name.
    #[must_use]
    pub fn of_place(place: &str) -> Option<(Self, String)> {
        let (path, key) = place.split_once("//")?;
        Some((Self(path.split('/').map(unescape).collect()), unescape(key)))
    }
}

fn check(what: &'static str, part: &str) -> Result<(), MemoryError> {
    if part.is_empty() {
        return Err(MemoryError::name(what, "has an empty part".into()));
    }
    if part.chars().any(char::is_control) {
        return Err(MemoryError::name(what, format!("has control characters: {part:?}")));
    }
    Ok(())
}

/// With the two signs that mean something in a name written in another way.
fn escape(part: &str, into: &mut String) {
    for letter in part.chars() {
        match letter {
            '/' => into.push_str("%2F"),
            '%' => into.push_str("%25"),
            other => into.push(other),
        }
    }
}

fn unescape(part: &str) -> String {
    part.replace("%2F", "/").replace("%25", "%")
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

impl TryFrom<Vec<String>> for Namespace {
    type Error = MemoryError;

    fn try_from(parts: Vec<String>) -> Result<Self, MemoryError> {
        Self::new(parts)
    }
}

impl From<Namespace> for Vec<String> {
    fn from(namespace: Namespace) -> Self {
        namespace.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_cannot_be_written_is_refused_and_named() {
        let refused = |parts: &[&str]| Namespace::new(parts.iter().copied()).unwrap_err().to_string();
        assert_eq!(refused(&["a", ""]), "the namespace has an empty part");
        assert!(refused(&["a\n"]).contains("control characters"));
        assert!(refused(&["x"; 17]).contains("17 parts"));
        assert!(refused(&[&"x".repeat(501)]).contains("longer than 500 bytes"));
        let namespace = Namespace::new(["a"]).unwrap();
        assert!(namespace.place("").unwrap_err().to_string().contains("the key has an empty part"));
        assert!(namespace.place(&"x".repeat(500)).unwrap_err().to_string().contains("the key is longer"));
        assert!(Namespace::root().place("k").unwrap_err().to_string().contains("nothing is kept above all"));
    }

    proptest! {
        #[test]
        fn names_are_read_as_they_were_written_and_lie_where_they_belong(
            parts in prop::collection::vec("[a/%é25F.-]{1,8}", 1..4),
            other in prop::collection::vec("[a/%é25F.-]{1,8}", 1..4),
            key in "[a/%é25F]{1,8}",
        ) {
            let (one, other) = (Namespace::new(parts).unwrap(), Namespace::new(other).unwrap());
            let place = one.place(&key).unwrap();
            prop_assert_eq!(Namespace::of_place(&place), Some((one.clone(), key)));
            prop_assert_eq!(place.starts_with(&other.own().unwrap()), one == other);
            prop_assert_eq!(place.starts_with(&other.path().unwrap()), one.is_below(&other));
        }
    }
}
