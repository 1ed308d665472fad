//! Names of things in a store.

use std::fmt;
use std::sync::Arc;

use crate::StoreError;

/// The longest space and the longest name, in bytes.
const SPACE_MAX: usize = 64;
pub(crate) const NAME_MAX: usize = 512;

/// The name of a record, a log or a lease: a space such as `run` and a name in it. The three do not share names: a
/// record and a log may have the same key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    space: Arc<str>,
    name: Arc<str>,
}

impl Key {
    /// A key of these two parts.
    ///
    /// # Errors
    /// [`StoreError::BadKey`] for a space that is not 1 to 64 of `a-z`, `0-9`, `_`, `-`, or a name that is empty, longer than 512
    /// bytes or has control characters in it.
    ///
    /// ```
    /// use atomr_agents_state::Key;
    ///
    /// let key = Key::new("run", "01J0").unwrap();
    /// assert_eq!(key.to_string(), "run/01J0");
    /// assert!(Key::new("Run", "x").is_err() && Key::new("run", "").is_err());
    /// ```
    pub fn new(space: &str, name: &str) -> Result<Self, StoreError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        let bad = |why| Err(StoreError::BadKey { key: format!("{space}/{name}"), why });
        if space.is_empty() || space.len() > SPACE_MAX || !space.bytes().all(plain) {
            return bad("a space is 1 to 64 of a-z, 0-9, _ and -");
        }
        if name.is_empty() || name.len() > NAME_MAX {
            return bad("a name has 1 to 512 bytes");
        }
        if name.chars().any(char::is_control) {
            return bad("a name has no control characters");
        }
        Ok(Self { space: Arc::from(space), name: Arc::from(name) })
    }

    /// Where the keys of a space lie between whose names lies this one, which need be the name of nothing.
    pub(crate) fn bound(space: &str, name: &str) -> Self {
        Self { space: Arc::from(space), name: Arc::from(name) }
    }

    /// The space.
    #[must_use]
    pub fn space(&self) -> &str {
        &self.space
    }

    /// The name in it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.space, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
