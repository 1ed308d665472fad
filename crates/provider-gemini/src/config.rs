//! How the client is set up.

use atomr_agents_http::{Auth, HeaderName, Secret};
use atomr_agents_inference::InferenceError;
use atomr_agents_provider::{Connection, Endpoint};

/// The name under which this client appears in errors and marks what only this provider understands.
pub(crate) const PROVIDER: &str = "gemini";

/// Where Gemini is, and where its key is found.
pub(crate) const ENDPOINT: Endpoint = Endpoint {
    provider: PROVIDER,
    base_url: "https://generativelanguage.googleapis.com",
    url_variable: "GEMINI_BASE_URL",
    key_variables: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
};

/// How the client is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GeminiConfig {
    /// How the server is reached, and when a failed call is made again.
    pub connection: Connection,
    /// The version of the API, the first part of every path. Default `v1beta`; empty where the base URL has a version
    /// already, e.g. `https://aiplatform.googleapis.com/v1/projects/…/publishers/google`.
    pub api_version: String,
    /// Ask for a stream. Default true; a server that answers with one JSON body all the same is understood.
    pub streaming: bool,
    /// Ask for summaries of the thoughts, in requests that say how the model shall think. Default true.
    pub include_thoughts: bool,
    /// The most bytes that the arguments of one tool call may have. Default 1 MiB.
    pub max_tool_args: usize,
}

impl GeminiConfig {
    /// A client of the server at `base_url` that shows `key` as `x-goog-api-key`; no key for servers that want none.
    ///
    /// # Errors
    /// [`InferenceError::Config`] when the URL cannot be used.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self, InferenceError> {
        let auth = |_: &_, key| Auth::Header(HeaderName::from_static("x-goog-api-key"), key);
        let connection = ENDPOINT.connect(base_url, key, auth)?;
        let versioned = connection.http.base_url.path_segments().is_some_and(|mut parts| parts.any(is_version));
        Ok(Self {
            connection,
            api_version: if versioned { String::new() } else { "v1beta".to_owned() },
            streaming: true,
            include_thoughts: true,
            max_tool_args: 1 << 20,
        })
    }

    /// What is given, or else the environment: `GEMINI_API_KEY` or `GOOGLE_API_KEY`, and `GEMINI_BASE_URL`. Without a
    /// key, only a server on this machine is talked to.
    ///
    /// # Errors
    /// [`InferenceError::MissingKey`] or [`InferenceError::Config`].
    pub fn from_env(base_url: Option<&str>, key: Option<Secret>) -> Result<Self, InferenceError> {
        let (base_url, key) = ENDPOINT.resolve(base_url, key)?;
        Self::new(&base_url, key)
    }
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_left_to_a_base_url_that_has_one() {
        for (url, version) in [
            ("https://generativelanguage.googleapis.com", "v1beta"),
            ("https://example.org/proxy/", "v1beta"),
            ("https://example.org/v1alpha", ""),
            ("https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google", ""),
        ] {
            assert_eq!(GeminiConfig::new(url, None).unwrap().api_version, version, "{url}");
        }
    }
}
