//! The client.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atomr_agents_core::CallCtx;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT,
};
use tokio::runtime::{Handle, Id};
use url::Url;

use crate::classify::classify;
use crate::config::{self, origin};
use crate::gate::{Gate, gate};
use crate::{Auth, ClientConfig, HttpError, Phase, Response, transport};

/// A client of one host. Clones are cheap and share everything; clients with the same needs share their connections.
///
/// It follows no redirect, unpacks no compressed body and sends its credential to the base URL's host only.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    headers: HeaderMap,
    host: Arc<str>,
    pool: Mutex<Option<Pool>>,
}

/// The connections of one runtime and the gate before them.
#[derive(Clone)]
struct Pool {
    runtime: Id,
    client: reqwest::Client,
    gate: Arc<Gate>,
}

impl Client {
    /// A client. Nothing is opened before the first request.
    ///
    /// # Errors
    /// [`HttpError::InvalidUrl`], [`HttpError::Secret`] or [`HttpError::Config`] when a setting cannot be used.
    pub fn new(config: ClientConfig) -> Result<Self, HttpError> {
        config::check(&config.base_url)?;
        if config.max_connections == 0 {
            let message = "it is 0, so no request could ever be made; use at least 1".to_owned();
            return Err(HttpError::Config { setting: "max_connections".into(), message });
        }
        let headers = headers(&config)?;
        let base = &config.base_url;
        let port = base.port_or_known_default().unwrap_or_default();
        let host = Arc::from(format!("{}:{port}", base.host_str().unwrap_or_default()));
        Ok(Self { inner: Arc::new(Inner { config, headers, host, pool: Mutex::new(None) }) })
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// `text` with every occurrence of the credential blotted out.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match &self.inner.config.auth {
            Some(Auth::Bearer(secret) | Auth::Header(_, secret)) => secret.redact(text),
            None => text.to_owned(),
        }
    }

    /// Host and port, for messages.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// Posts `body`, which is JSON, to `path` below the base URL, and waits for the head of the answer. `path` may
    /// have a query; it replaces the base URL's.
    ///
    /// # Errors
    /// [`HttpError`]; an answer with an error status is an answer.
    pub async fn post_json(&self, path: &str, body: Bytes, ctx: &CallCtx) -> Result<Response, HttpError> {
        let mut request = reqwest::Request::new(Method::POST, self.url(path));
        *request.headers_mut() = self.inner.headers.clone();
        *request.body_mut() = Some(body.into());
        self.send(request, ctx).await
    }

    async fn send(&self, request: reqwest::Request, ctx: &CallCtx) -> Result<Response, HttpError> {
        if ctx.cancel.is_cancelled() {
            return Err(HttpError::Cancelled);
        }
        let Inner { config, host, .. } = &*self.inner;
        let Pool { client, gate, .. } = self.pool()?;
        let place = gate.enter(config.max_waiting, host, ctx).await?;
        let (phase, limit) = first_wait(config.first_byte_timeout, ctx);
        if limit.is_zero() {
            return Err(HttpError::Timeout { phase, after: limit });
        }
        let sent = client.execute(request);
        let answer = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => return Err(HttpError::Cancelled),
            answer = tokio::time::timeout(limit, sent) => answer,
        };
        let answer = answer
            .map_err(|_| HttpError::Timeout { phase, after: limit })?
            .map_err(|error| classify(error, host, config.connect_timeout))?;
        if answer.status().is_redirection() {
            return Err(self.redirect(&answer));
        }
        Response::new(answer, config, host, ctx, place)
    }

    /// `path` below the base URL. Only path and query are ever set, so the host stays what it is whatever `path` says.
    fn url(&self, path: &str) -> Url {
        let mut url = self.inner.config.base_url.clone();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path, None),
        };
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), path.trim_start_matches('/')));
        if query.is_some() {
            url.set_query(query);
        }
        url.set_fragment(None);
        url
    }

    fn pool(&self) -> Result<Pool, HttpError> {
        let runtime = Handle::try_current().map_err(|_| HttpError::NoRuntime)?;
        let mut pool = self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pool {
            Some(pool) if pool.runtime == runtime.id() => Ok(pool.clone()),
            _ => {
                let Inner { config, host, .. } = &*self.inner;
                let client = transport::pool(config, &runtime)?;
                let made =
                    Pool { runtime: runtime.id(), client, gate: gate(runtime.id(), host, config.max_connections) };
                Ok(pool.insert(made).clone())
            }
        }
    }

    fn redirect(&self, answer: &reqwest::Response) -> HttpError {
        let target = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = match target.map(|target| self.inner.config.base_url.join(target)) {
            Some(Ok(url)) => origin(&url),
            _ => "nowhere".to_owned(),
        };
        HttpError::Redirect { host: self.inner.host.to_string(), status: answer.status().as_u16(), to }
    }
}

fn first_wait(first_byte: Duration, ctx: &CallCtx) -> (Phase, Duration) {
    match ctx.remaining() {
        Some(left) if left < first_byte => (Phase::Deadline, left),
        _ => (Phase::FirstByte, first_byte),
    }
}

/// What goes with every request; the config's own headers win, the credential wins over all.
fn headers(config: &ClientConfig) -> Result<HeaderMap, HttpError> {
    let agent = HeaderValue::from_str(&config.user_agent)
        .map_err(|error| HttpError::Config { setting: "user_agent".into(), message: error.to_string() })?;
    let mut headers = HeaderMap::with_capacity(config.headers.len() + 5);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, agent);
    for name in config.headers.keys() {
        headers.remove(name);
    }
    for (name, value) in &config.headers {
        headers.append(name, value.clone());
    }
    match &config.auth {
        Some(Auth::Bearer(secret)) => {
            headers.insert(AUTHORIZATION, secret.bearer()?);
        }
        Some(Auth::Header(name, secret)) => {
            headers.insert(name, secret.header()?);
        }
        None => {}
    }
    Ok(headers)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.inner.host).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn client(base: &str) -> Client {
        Client::new(ClientConfig::new(base).unwrap()).unwrap()
    }

    #[test]
    fn paths_go_below_the_base_url() {
        for (base, path, expected) in [
            ("http://h/v1", "/chat/completions", "http://h/v1/chat/completions"),
            ("http://h/v1/", "chat/completions", "http://h/v1/chat/completions"),
            ("http://h", "x", "http://h/x"),
            ("http://h/d?api-version=1", "x", "http://h/d/x?api-version=1"),
            ("http://h/d?api-version=1", "x?alt=sse", "http://h/d/x?alt=sse"),
        ] {
            assert_eq!(client(base).url(path).as_str(), expected);
        }
    }

    #[test]
    fn no_path_changes_the_host() {
        for path in ["//evil.example/x", "https://evil.example/", "\\\\evil.example", "@evil.example", "/../..//evil"] {
            let url = client("https://good.example/v1").url(path);
            assert_eq!((url.scheme(), url.host_str(), url.port()), ("https", Some("good.example"), None), "{path}");
            assert_eq!(url.username(), "");
        }
    }

    #[test]
    fn the_credential_wins_over_headers_and_does_not_print() {
        let mut config = ClientConfig::new("http://h").unwrap();
        config.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer other"));
        config.headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        config.auth = Some(Auth::Bearer(Secret::new("sk-canary")));
        let client = Client::new(config.clone()).unwrap();
        assert_eq!(client.inner.headers[AUTHORIZATION], "Bearer sk-canary");
        assert_eq!(client.inner.headers.get_all(ACCEPT).iter().collect::<Vec<_>>(), ["text/event-stream"]);
        let shown = format!("{client:?} {config:?} {:?}", client.inner.headers);
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn without_a_runtime_there_is_an_error_and_no_panic() {
        let client = client("http://127.0.0.1:9");
        assert!(matches!(client.pool(), Err(HttpError::NoRuntime)));
    }
}
