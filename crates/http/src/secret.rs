//! Secrets that never print, and where they come from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atomr_agents_core::Kind;
use reqwest::header::HeaderValue;
use serde::de::Error as _;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroizing;

/// A secret. It prints and serialises as a placeholder, its memory is wiped with its last clone, and the one way to
/// use it is as the value of a header.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes a secret into custody.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(value.into())))
    }

    /// `Bearer …`, marked so that no HTTP library prints it.
    ///
    /// # Errors
    /// [`SecretError::NotAHeader`] when the secret holds control characters, e.g. a line break from a bad paste.
    pub fn bearer(&self) -> Result<HeaderValue, SecretError> {
        header_value(&Zeroizing::new(format!("Bearer {}", self.0.as_str())))
    }

    /// The secret itself as a header's value (`x-api-key`), marked so that no HTTP library prints it.
    ///
    /// # Errors
    /// [`SecretError::NotAHeader`] when the secret holds control characters.
    pub fn header(&self) -> Result<HeaderValue, SecretError> {
        header_value(&self.0)
    }

    /// `text` with every occurrence of the secret blotted out: peers like to quote a credential they refuse.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        if self.is_empty() { text.to_owned() } else { text.replace(self.0.as_str(), "[redacted]") }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn header_value(text: &str) -> Result<HeaderValue, SecretError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| SecretError::NotAHeader)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("[redacted]")
    }
}

/// Where a secret comes from. A literal serialises without its value and cannot be read back without one.
#[derive(Clone, Debug)]
pub enum SecretRef {
    /// The secret itself.
    Literal(Secret),
    /// An environment variable.
    Env(String),
    /// The first line of a file that is not blank. Only its owner may be able to read the file.
    File(PathBuf),
}

impl SecretRef {
    /// The secret itself.
    #[must_use]
    pub fn literal(value: impl Into<String>) -> Self {
        Self::Literal(Secret::new(value))
    }

    /// Looks the secret up. White space around it is dropped: it is what copying leaves behind.
    ///
    /// # Errors
    /// [`SecretError`] names the variable or the file and what is wrong with it.
    pub fn resolve(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Literal(secret) => {
                let text = secret.0.trim();
                if text.is_empty() { Err(SecretError::Empty) } else { Ok(Secret::new(text)) }
            }
            Self::Env(name) => match std::env::var(name).map(Zeroizing::new) {
                Ok(value) if !value.trim().is_empty() => Ok(Secret::new(value.trim())),
                Ok(_) | Err(std::env::VarError::NotPresent) => Err(SecretError::NoVariable { name: name.clone() }),
                Err(std::env::VarError::NotUnicode(_)) => Err(SecretError::NotText { from: name.clone() }),
            },
            Self::File(path) => from_file(path),
        }
    }
}

/// Opens once and asks the open file for its mode, so that nobody can swap it in between.
fn from_file(path: &Path) -> Result<Secret, SecretError> {
    use std::io::Read;
    let shown = || path.display().to_string();
    let unreadable = |source| SecretError::Unreadable { path: shown(), source: Arc::new(source) };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretError::Exposed { path: shown(), mode });
        }
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.by_ref().take(64 * 1024).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| SecretError::NotText { from: shown() })?;
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => Ok(Secret::new(line)),
        None => Err(SecretError::BlankFile { path: shown() }),
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("SecretRef", 2)?;
        match self {
            Self::Literal(_) => {
                out.serialize_field("from", "literal")?;
                out.serialize_field("redacted", &true)?;
            }
            Self::Env(name) => {
                out.serialize_field("from", "env")?;
                out.serialize_field("name", name)?;
            }
            Self::File(path) => {
                out.serialize_field("from", "file")?;
                out.serialize_field("path", path)?;
            }
        }
        out.end()
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(tag = "from", rename_all = "snake_case")]
        enum Written {
            Literal { value: Option<String> },
            Env { name: String },
            File { path: PathBuf },
        }
        match Written::deserialize(deserializer)? {
            Written::Literal { value: Some(value) } => Ok(Self::literal(value)),
            Written::Literal { value: None } => Err(D::Error::custom(
                "a literal secret is never written out; give its `value`, or refer to env or file",
            )),
            Written::Env { name } => Ok(Self::Env(name)),
            Written::File { path } => Ok(Self::File(path)),
        }
    }
}

/// Why a secret cannot be had or used. It never holds any of the secret.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The literal is empty.
    #[error("the secret is empty")]
    Empty,
    /// The variable is not set, or blank.
    #[error("the environment variable {name} is not set")]
    NoVariable {
        /// The variable.
        name: String,
    },
    /// The file cannot be read.
    #[error("cannot read the secret in {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Others may read the file.
    #[error("{path} can be read by others (mode {mode:03o}): chmod 600 it and replace the secret in it")]
    Exposed {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The file holds nothing.
    #[error("{path} is blank: its first line must be the secret")]
    BlankFile {
        /// The file.
        path: String,
    },
    /// The bytes are no UTF-8.
    #[error("the secret in {from} is not UTF-8 text")]
    NotText {
        /// The variable or file.
        from: String,
    },
    /// The secret cannot be put into a header.
    #[error("the secret cannot be sent in a header: it holds a line break or another control character")]
    NotAHeader,
}

impl SecretError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-5ecret";

    #[test]
    fn nothing_shows_the_secret() {
        let secret = Secret::new(CANARY);
        let reference = SecretRef::Literal(secret.clone());
        let bearer = secret.bearer().unwrap();
        let shown = format!(
            "{secret} {secret:?} {reference:?} {bearer:?} {} {}",
            serde_json::to_string(&secret).unwrap(),
            serde_json::to_string(&reference).unwrap()
        );
        assert!(!shown.contains(CANARY), "{shown}");
        assert_eq!(bearer.as_bytes(), format!("Bearer {CANARY}").as_bytes());
    }

    #[test]
    fn a_written_literal_does_not_load_back() {
        let written = serde_json::to_string(&SecretRef::literal(CANARY)).unwrap();
        assert_eq!(written, r#"{"from":"literal","redacted":true}"#);
        assert!(serde_json::from_str::<SecretRef>(&written).unwrap_err().to_string().contains("never written out"));
        let env = serde_json::to_string(&SecretRef::Env("KEY".into())).unwrap();
        assert!(matches!(serde_json::from_str(&env).unwrap(), SecretRef::Env(name) if name == "KEY"));
        let given = serde_json::from_str::<SecretRef>(r#"{"from":"literal","value":"x"}"#).unwrap();
        assert_eq!(given.resolve().unwrap().header().unwrap(), "x");
    }

    #[test]
    fn a_line_break_is_no_header_and_is_not_told() {
        let error = Secret::new(format!("{CANARY}\nx: y")).bearer().unwrap_err();
        assert!(matches!(error, SecretError::NotAHeader));
        assert!(!format!("{error:?} {error}").contains(CANARY));
    }

    #[test]
    fn variables_are_named_when_they_are_missing() {
        let error = SecretRef::Env("ATOMR_AGENTS_SURELY_UNSET".into()).resolve().unwrap_err();
        assert!(error.to_string().contains("ATOMR_AGENTS_SURELY_UNSET"), "{error}");
        assert!(matches!(SecretRef::literal(" ").resolve(), Err(SecretError::Empty)));
        assert_eq!(SecretRef::Env("CARGO_PKG_NAME".into()).resolve().unwrap().header().unwrap(), "atomr-agents-http");
    }

    #[cfg(unix)]
    #[test]
    fn files_must_be_private_and_their_first_line_counts() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, format!("\n  {CANARY}  \nignored\n")).unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        for exposed in [0o644, 0o640, 0o604] {
            mode(exposed);
            let error = SecretRef::File(path.clone()).resolve().unwrap_err();
            assert!(matches!(error, SecretError::Exposed { mode, .. } if mode == exposed), "{error}");
        }
        mode(0o600);
        let found = SecretRef::File(path.clone()).resolve().unwrap();
        assert_eq!(found.header().unwrap(), CANARY);
        std::fs::write(&path, "\n \n").unwrap();
        assert!(matches!(SecretRef::File(path).resolve(), Err(SecretError::BlankFile { .. })));
        let missing = SecretRef::File(dir.path().join("none")).resolve().unwrap_err();
        assert!(matches!(missing, SecretError::Unreadable { .. }));
    }
}
