//! The way out: the one HTTP client of the house. It owns reqwest and TLS, keeps secrets from printing, puts limits
//! on time and size, and decides whether and when a failed call is made again.
//!
//! It does not know what it carries: no model, no provider, no event stream. Statuses other than redirects are
//! answers, not errors; what a 429 means is for its callers to say.
//!
//! ```
//! use atomr_agents_http::{Auth, Client, ClientConfig, SecretRef};
//!
//! # fn main() -> Result<(), atomr_agents_http::HttpError> {
//! let key = SecretRef::literal("sk-123").resolve()?;
//! let mut config = ClientConfig::new("https://api.openai.com/v1")?;
//! config.auth = Some(Auth::Bearer(key));
//! let client = Client::new(config)?;
//! assert!(!format!("{client:?}").contains("sk-123"));
//! # Ok(())
//! # }
//! ```

mod classify;
mod client;
mod config;
mod error;
mod fetch;
mod gate;
mod policy;
mod response;
mod retry;
mod secret;
mod transport;

pub use atomr_agents_core::Phase;
pub use client::Client;
pub use config::{Auth, ClientConfig};
pub use error::HttpError;
pub use fetch::{FetchError, Fetcher, Lookup, Page, SystemLookup};
pub use policy::HttpPolicy;
pub use response::{Body, Response};
pub use retry::{Decision, RetryPolicy, pause, retry_after};
pub use secret::{Secret, SecretError, SecretRef};

/// The vocabulary of the protocol, so that nobody else needs to name the library it comes from.
pub use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use url::Url;
