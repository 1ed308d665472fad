//! How a client behaves.

use std::fmt;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use url::Url;

use crate::{HttpError, Secret};

/// How a client behaves. Fields may be changed before it is given to [`Client::new`](crate::Client::new).
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// What every path is put behind, e.g. `https://api.openai.com/v1`. A query in it goes with every request.
    pub base_url: Url,
    /// The credential; it is sent to the base URL's host and to nobody else.
    pub auth: Option<Auth>,
    /// Headers of every request.
    pub headers: HeaderMap,
    /// How the client introduces itself.
    pub user_agent: String,
    /// The longest wait for a connection, name lookup and TLS included. 10 s.
    pub connect_timeout: Duration,
    /// The longest wait from the request to the head of the answer, connecting included. 120 s: models may think
    /// before they speak.
    pub first_byte_timeout: Duration,
    /// The longest wait between two reads of the body. 60 s.
    pub idle_timeout: Duration,
    /// How many requests to one host may be under way at once, from the connection to the end of the body; others
    /// wait their turn. Each holds a connection of its own (HTTP/1.1) with about 30 KB of buffers. 200.
    pub max_connections: usize,
    /// How many requests to one host may wait for their turn; a further one fails at once. 100,000.
    pub max_waiting: usize,
    /// The most bytes a body may have. 64 MiB.
    pub max_response_bytes: usize,
    /// Whether `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` count. A loopback base URL never goes through
    /// a proxy.
    pub env_proxies: bool,
}

/// Headers and the query of the base URL are the places where a key may hide, so their values are not printed.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut base_url = self.base_url.clone();
        base_url.set_query(base_url.query().map(|_| "…"));
        f.debug_struct("ClientConfig")
            .field("base_url", &base_url.as_str())
            .field("auth", &self.auth)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum Auth {
    /// `authorization: Bearer …`
    Bearer(Secret),
    /// The secret in a header of its own, e.g. `x-api-key`.
    Header(HeaderName, Secret),
}

impl ClientConfig {
    /// The defaults for `base_url`.
    ///
    /// # Errors
    /// [`HttpError::InvalidUrl`] when it is no `http` or `https` URL with a host, or holds credentials.
    pub fn new(base_url: &str) -> Result<Self, HttpError> {
        let parsed = Url::parse(base_url.trim());
        let base_url = parsed.map_err(|error| invalid("", base_url.trim(), &error.to_string()))?;
        Self::with_url(base_url)
    }

    /// The defaults for a base URL that is parsed already.
    ///
    /// # Errors
    /// As [`ClientConfig::new`].
    pub fn with_url(base_url: Url) -> Result<Self, HttpError> {
        check(&base_url)?;
        Ok(Self {
            base_url,
            auth: None,
            headers: HeaderMap::new(),
            user_agent: concat!("atomr-agents/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(60),
            max_connections: 200,
            max_waiting: 100_000,
            max_response_bytes: 64 * 1024 * 1024,
            env_proxies: true,
        })
    }
}

pub(crate) fn check(url: &Url) -> Result<(), HttpError> {
    let shown = || origin(url);
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid(&shown(), "", "its scheme must be http or https"));
    }
    if !url.has_host() {
        return Err(invalid(&shown(), "", "it has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(&shown(), "", "it holds credentials, which would be printed with it: pass them as a key"));
    }
    Ok(())
}

/// A URL that does not parse is shown up to the part that may hold a secret.
fn invalid(origin: &str, unparsed: &str, message: &str) -> HttpError {
    let head = unparsed.split(['?', '#']).next().unwrap_or_default();
    let head = if head.contains('@') { "(a URL with credentials)" } else { head };
    let url = if origin.is_empty() { head.to_owned() } else { origin.to_owned() };
    HttpError::InvalidUrl { url, message: message.to_owned() }
}

/// Scheme, host and port: what may be printed of a URL.
pub(crate) fn origin(url: &Url) -> String {
    match url.port() {
        Some(port) => format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default()),
        None => format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_header_values_nor_the_query_are_printed() {
        let mut config = ClientConfig::new("https://h/v1?key=canary").unwrap();
        config.headers.insert("x-key", "canary".parse().unwrap());
        let printed = format!("{config:?}");
        assert!(
            !printed.contains("canary") && printed.contains("x-key") && printed.contains("https://h/v1"),
            "{printed}"
        );
    }

    #[test]
    fn bad_urls_are_refused_without_telling_their_secrets() {
        for bad in ["", "api.openai.com/v1", "ftp://host/", "http://", "data:text/plain,x", "https://u:pa55@h/v1"] {
            let error = ClientConfig::new(bad).unwrap_err();
            assert!(matches!(error, HttpError::InvalidUrl { .. }), "{bad}: {error}");
            assert!(!format!("{error:?} {error}").contains("pa55"), "{error}");
        }
        let error = ClientConfig::new("http://u:pa55@[bad/?key=pa55").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("pa55"), "{error}");
    }
}
