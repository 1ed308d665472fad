//! The name of a schema.

use std::fmt;

use atomr_agents_state::StoreError;

/// The longest name of a schema. PostgreSQL cuts names at 63 bytes.
const NAME_MAX: usize = 63;

/// The name of a schema that was looked at; the one text that is written into statements.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema(String);

impl Schema {
    /// Looks at a name.
    ///
    /// # Errors
    /// [`StoreError::Config`] where it is not 1 to 63 of `a-z`, `0-9` and `_`, or begins with a digit or `pg_`.
    pub fn new(name: &str) -> Result<Self, StoreError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.bytes().next().is_some_and(|byte| plain(byte) && !byte.is_ascii_digit());
        if !begins || name.len() > NAME_MAX || !name.bytes().all(plain) || name.starts_with("pg_") {
            let message = format!("{name:?} is not 1 to 63 of a-z, 0-9 and _, beginning with neither a digit nor pg_");
            return Err(StoreError::Config { setting: "schema", message });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// `sql` with this schema in the place of `SCHEMA`.
    #[must_use]
    pub fn of(&self, sql: &str) -> String {
        sql.replace("SCHEMA", &format!("\"{}\"", self.0))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_a_plain_name() {
        for good in ["atomr", "_a", "a1", "select", &"a".repeat(63)] {
            assert_eq!(Schema::new(good).unwrap().of("SCHEMA.t"), format!("\"{good}\".t"));
        }
        for bad in ["", "1a", "A", "a-b", "a b", "a\"b", "a;b", "pg_x", "ä", "a\0", &"a".repeat(64)] {
            assert!(matches!(Schema::new(bad), Err(StoreError::Config { setting: "schema", .. })), "{bad}");
        }
    }
}
