//! Where a store is.

use std::path::PathBuf;
use std::str::FromStr;

/// Where a store is, as text says it: `sqlite:PATH` or just a path, `postgres://…` or `postgresql://…`, `memory:`.
///
/// ```
/// use atomr_agents_cli::StorePlace;
///
/// assert_eq!("sqlite:runs.db".parse(), Ok(StorePlace::Sqlite("runs.db".into())));
/// assert_eq!("sqlite:///data/runs.db".parse(), Ok(StorePlace::Sqlite("/data/runs.db".into())));
/// assert!("redis://host".parse::<StorePlace>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum StorePlace {
    /// In a file.
    Sqlite(PathBuf),
    /// On a server; the text may hold a password.
    Postgres(String),
    /// In this process.
    Memory,
}

/// A text that says no place of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    /// It says nothing.
    #[error(
        "the place of a store is a path, or sqlite:PATH, postgres://USER@HOST/DATABASE or memory:, not an empty text"
    )]
    Empty,
    /// There is no such store.
    #[error("there is no store of the kind {scheme}: a store is at a path, or at sqlite:PATH, postgres://… or memory:")]
    Scheme {
        /// The kind.
        scheme: String,
    },
}

impl FromStr for StorePlace {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let path = match text.strip_prefix("sqlite:") {
            Some(path) => path.strip_prefix("//").unwrap_or(path),
            None => match text.split_once("://") {
                Some(("postgres" | "postgresql", _)) => return Ok(Self::Postgres(text.to_owned())),
                // The rest may hold a secret.
                Some((scheme, _)) => return Err(BadPlace::Scheme { scheme: scheme.to_owned() }),
                None => text,
            },
        };
        if path.is_empty() { Err(BadPlace::Empty) } else { Ok(Self::Sqlite(PathBuf::from(path))) }
    }
}

impl std::fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({})", path.display()),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
            Self::Memory => f.write_str("Memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_says_where_a_store_is() {
        let sqlite = |path: &str| Ok(StorePlace::Sqlite(path.into()));
        assert_eq!("runs.db".parse(), sqlite("runs.db"));
        assert_eq!("/data/runs.db".parse(), sqlite("/data/runs.db"));
        assert_eq!("sqlite:/data/runs.db".parse(), sqlite("/data/runs.db"));
        assert_eq!("sqlite:///data/runs.db".parse(), sqlite("/data/runs.db"));
        assert_eq!("memory:".parse(), Ok(StorePlace::Memory));
        for dsn in ["postgres://a:b@host/db", "postgresql://host/db"] {
            assert_eq!(dsn.parse(), Ok(StorePlace::Postgres(dsn.to_owned())));
        }
    }

    #[test]
    fn what_is_no_place_is_refused_without_its_secrets() {
        assert_eq!("".parse::<StorePlace>(), Err(BadPlace::Empty));
        assert_eq!("sqlite:".parse::<StorePlace>(), Err(BadPlace::Empty));
        let error = "redis://user:hunter2@host".parse::<StorePlace>().unwrap_err().to_string();
        assert!(error.contains("redis") && !error.contains("hunter2"), "{error}");
        let place: StorePlace = "postgres://user:hunter2@host/db".parse().unwrap();
        assert!(!format!("{place:?}").contains("hunter2"));
    }
}
