//! Where a provider is and how one proves to it who one is.

use std::env;

use atomr_agents_http::{Auth, ClientConfig, HttpError, RetryPolicy, Secret, SecretError, SecretRef};
use atomr_agents_inference::InferenceError;

use crate::from_http;

/// How a client of a provider reaches it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Connection {
    /// Connection, time-outs, limits, credentials.
    pub http: ClientConfig,
    /// When a failed call is made again.
    pub retry: RetryPolicy,
}

/// Where a provider is unless somebody says otherwise, and where its key is found.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The provider's short name.
    pub provider: &'static str,
    /// The address.
    pub base_url: &'static str,
    /// The variable of the environment that holds another address.
    pub url_variable: &'static str,
    /// The variables of the environment that hold the key; the first one that is set counts.
    pub key_variables: &'static [&'static str],
}

impl Endpoint {
    /// A connection to `base_url`, with `auth` as the way to show `key`; no key for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn connect(
        &self,
        base_url: &str,
        key: Option<Secret>,
        auth: impl FnOnce(&ClientConfig, Secret) -> Auth,
    ) -> Result<Connection, InferenceError> {
        let mut http = ClientConfig::new(base_url).map_err(|error| from_http(self.provider, error))?;
        http.auth = key.map(|key| auth(&http, key));
        Ok(Connection { http, retry: RetryPolicy::default() })
    }

    /// What is given, or else what the environment says: address and key. Without a key, only a server on this machine
    /// is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn resolve(
        &self,
        base_url: Option<&str>,
        key: Option<Secret>,
    ) -> Result<(String, Option<Secret>), InferenceError> {
        let from_env = || env::var(self.url_variable).ok().filter(|url| !url.trim().is_empty());
        let base_url = base_url.map(str::to_owned).or_else(from_env).unwrap_or_else(|| self.base_url.to_owned());
        let http = ClientConfig::new(&base_url).map_err(|error| from_http(self.provider, error))?;
        let key = match key {
            // Asking the environment instead could send its key to a server that it is not meant for.
            Some(key) if key.is_empty() => {
                return Err(from_http(self.provider, HttpError::Secret(SecretError::Empty)));
            }
            Some(key) => Some(key),
            None => self.key_from_env(is_loopback(&http))?,
        };
        Ok((base_url, key))
    }

    fn key_from_env(&self, optional: bool) -> Result<Option<Secret>, InferenceError> {
        for name in self.key_variables {
            match SecretRef::Env((*name).to_owned()).resolve() {
                Ok(key) => return Ok(Some(key)),
                Err(SecretError::NoVariable { .. }) => {}
                Err(_) if optional => {}
                Err(error) => return Err(from_http(self.provider, HttpError::Secret(error))),
            }
        }
        if optional {
            return Ok(None);
        }
        let variable = self.key_variables.join(" or ");
        Err(InferenceError::MissingKey { provider: self.provider.to_owned(), variable })
    }
}

/// Whether the server is on this machine.
#[must_use]
pub fn is_loopback(http: &ClientConfig) -> bool {
    match http.base_url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}
