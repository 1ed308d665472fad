//! Connections, shared: all clients of a process with the same needs use one pool.

use std::ffi::OsString;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::RootCertStore;
use tokio::runtime::{Handle, Id};
use url::{Host, Url};

use crate::{ClientConfig, HttpError};

/// Pools kept for later clients; the one used longest ago goes first.
const KEPT: usize = 32;

/// How many connections to one host stay open while nobody uses them. Each holds about 30 KB of buffers, so what a
/// burst opened is closed again; how many are open at once while in use has no limit.
const MAX_IDLE: usize = 64;

static POOLS: Mutex<Vec<(Key, reqwest::Client)>> = Mutex::new(Vec::new());
static TLS: Mutex<Option<(Env, rustls::ClientConfig)>> = Mutex::new(None);

const CERT_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
const PROXY_VARIABLES: [&str; 8] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

type Env = Vec<Option<OsString>>;

fn env(names: &[&str]) -> Env {
    names.iter().map(std::env::var_os).collect()
}

/// What makes two pools different. The runtime is part of it because a connection's task dies with its runtime.
#[derive(Clone, Debug, PartialEq)]
struct Key {
    runtime: Id,
    connect_timeout: Duration,
    tls: Option<Env>,
    proxies: Option<Env>,
}

impl Key {
    fn new(config: &ClientConfig, runtime: Id) -> Self {
        let proxies = (config.env_proxies && !is_loopback(&config.base_url)).then(|| env(&PROXY_VARIABLES));
        let to_proxy_by_tls = proxies.iter().flatten().flatten().any(|value| {
            value.to_str().is_some_and(|url| url.get(..8).is_some_and(|head| head.eq_ignore_ascii_case("https://")))
        });
        let tls = (config.base_url.scheme() == "https" || to_proxy_by_tls).then(|| env(&CERT_VARIABLES));
        Self { runtime, connect_timeout: config.connect_timeout, tls, proxies }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost") || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// The pool for clients like this one on the current runtime, made when it is first asked for.
pub(crate) fn pool(config: &ClientConfig, runtime: &Handle) -> Result<reqwest::Client, HttpError> {
    let key = Key::new(config, runtime.id());
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(at) = pools.iter().position(|(have, _)| *have == key) {
        let found = pools.remove(at);
        let client = found.1.clone();
        pools.push(found);
        return Ok(client);
    }
    let client = build(&key)?;
    if pools.len() >= KEPT {
        pools.remove(0);
    }
    pools.push((key, client.clone()));
    Ok(client)
}

fn build(key: &Key) -> Result<reqwest::Client, HttpError> {
    let tls = match &key.tls {
        Some(env) => tls_from(env)?,
        // Nothing is trusted where nothing is to be encrypted: reading the roots takes milliseconds.
        None => tls_config(RootCertStore::empty())?,
    };
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(key.connect_timeout)
        .tcp_nodelay(true)
        .pool_max_idle_per_host(MAX_IDLE);
    if key.proxies.is_none() {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| HttpError::Config { setting: "the HTTP client".into(), message: chain(&error.without_url()) })
}

/// A client of its own for pages of anywhere: no proxy, no redirects, and every name goes through this resolver.
pub(crate) fn guarded(
    resolver: Arc<dyn reqwest::dns::Resolve>,
    connect_timeout: Duration,
) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls_from(&env(&CERT_VARIABLES))?)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(connect_timeout)
        // A connection that was made for one look-up is not used after the next one.
        .pool_max_idle_per_host(0)
        .no_proxy()
        .dns_resolver(resolver)
        .build()
        .map_err(|error| HttpError::Config { setting: "the HTTP client".into(), message: chain(&error.without_url()) })
}

fn tls_from(env: &Env) -> Result<rustls::ClientConfig, HttpError> {
    let mut cached = TLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((have, config)) = &*cached
        && have == env
    {
        return Ok(config.clone());
    }
    let config = tls_config(roots(env)?)?;
    *cached = Some((env.clone(), config.clone()));
    Ok(config)
}

fn tls_config(roots: RootCertStore) -> Result<rustls::ClientConfig, HttpError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::Config { setting: "TLS".into(), message: chain(&error) })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The machine's trusted roots; those compiled in where the machine has none. A store that was named but is empty is
/// an error: falling back would trust somebody the user did not name.
fn roots(env: &Env) -> Result<RootCertStore, HttpError> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if !store.is_empty() {
        return Ok(store);
    }
    if env.iter().any(Option::is_some) {
        let why = found.errors.first().map_or_else(|| "it holds no certificate".to_owned(), |error| chain(error));
        return Err(HttpError::Config { setting: CERT_VARIABLES.join(" or "), message: why });
    }
    store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(store)
}

/// An error and what is beneath it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(beneath) = next {
        text.push_str(": ");
        text.push_str(&beneath.to_string());
        next = beneath.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> ClientConfig {
        ClientConfig::new(url).unwrap()
    }

    #[tokio::test]
    async fn clients_with_the_same_needs_share_one_pool() {
        let here = Handle::current().id();
        let key = |config: &ClientConfig| Key::new(config, here);
        assert_eq!(key(&config("http://127.0.0.1:1/v1")), key(&config("http://[::1]:2")));
        assert_eq!(key(&config("https://a.example/x")), key(&config("https://b.example/y")));
        assert_ne!(key(&config("https://a.example")), key(&config("http://a.example")));
        let slow = ClientConfig { connect_timeout: Duration::from_secs(60), ..config("http://localhost") };
        assert_ne!(key(&slow), key(&config("http://localhost")));
        let before = POOLS.lock().unwrap().len();
        for _ in 0..100 {
            pool(&config("http://localhost:9"), &Handle::current()).unwrap();
        }
        assert_eq!(POOLS.lock().unwrap().iter().filter(|(key, _)| key.runtime == here).count(), 1);
        assert!(POOLS.lock().unwrap().len() <= (before + 1).max(KEPT));
    }

    #[test]
    fn loopback_is_known_by_name_and_number() {
        for (url, expected) in [
            ("http://localhost:1", true),
            ("http://api.localhost", true),
            ("http://127.8.9.1", true),
            ("http://[::1]", true),
            ("http://localhost.example.org", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }
}
