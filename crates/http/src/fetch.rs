//! Pages of the web, within a policy.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use atomr_agents_core::{CallCtx, Kind};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use thiserror::Error;
use tokio::runtime::{Handle, Id};
use url::Url;

use crate::{HttpError, HttpPolicy, transport};

/// What finds the addresses of a name.
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a name, as of now.
    fn lookup(&self, name: String) -> futures_core::future::BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As the system finds them.
#[derive(Clone, Copy, Debug)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> futures_core::future::BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) })
    }
}

/// A page that was not fetched.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The policy does not allow it.
    #[error("{url} may not be fetched: {why}")]
    Refused {
        /// The page, without its query.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It points to other pages too often.
    #[error("{url} points to other pages more than {limit} times")]
    Redirects {
        /// The page that was asked for first.
        url: String,
        /// How often it may.
        limit: usize,
    },
    /// The answer is an error.
    #[error("{url} answered {status}")]
    Status {
        /// The page.
        url: String,
        /// Its status.
        status: u16,
    },
    /// It is larger than it may be.
    #[error("{url} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The page.
        url: String,
        /// How large it may be.
        limit: usize,
    },
    /// It took too long.
    #[error("{url} took longer than {after:?}")]
    Timeout {
        /// The page.
        url: String,
        /// The limit.
        after: std::time::Duration,
    },
    /// The call was cancelled.
    #[error("the HTTP call was cancelled")]
    Cancelled,
    /// The host cannot be reached, or broke off.
    #[error("{url} cannot be fetched: {message}")]
    Failed {
        /// The page.
        url: String,
        /// What happened.
        message: String,
    },
    /// Nothing can be fetched here.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl FetchError {
    /// What it amounts to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { .. } => Kind::Denied,
            Self::Redirects { .. } => Kind::Protocol,
            Self::Status { status: 401 | 403, .. } => Kind::Permission,
            Self::Status { status: 404 | 410, .. } => Kind::NotFound,
            Self::Status { status: 429, .. } => Kind::RateLimited,
            Self::Status { status: 500.., .. } => Kind::ServerError,
            Self::Status { .. } => Kind::InvalidRequest,
            Self::TooLarge { .. } => Kind::TooLarge,
            Self::Timeout { .. } => Kind::Timeout,
            Self::Cancelled => Kind::Cancelled,
            Self::Failed { .. } => Kind::Connect,
            Self::Http(error) => error.kind(),
        }
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it was at last.
    pub url: Url,
    /// What it says it is.
    pub content_type: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Why a name was refused, on its way through the connector.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Refusal {}

/// The resolver of a client: it gives only addresses that may be asked, and the client connects to those it was given.
struct Guarded {
    policy: HttpPolicy,
    lookup: Arc<dyn Lookup>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (self.policy.clone(), Arc::clone(&self.lookup));
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let addresses = lookup.lookup(name.clone()).await?;
            // One bad address spoils all: which of them is connected to is not decided here.
            for address in &addresses {
                if let Err(why) = policy.permits(*address) {
                    return Err(Box::new(Refusal(format!("{name} is at {address}, and {why}"))) as _);
                }
            }
            let all: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(all)
        })
    }
}

/// Fetches pages within a policy. Redirects are followed by asking the policy again; nothing goes through a proxy, and no
/// credential and no cookie is ever sent.
#[derive(Clone)]
pub struct Fetcher {
    policy: HttpPolicy,
    lookup: Arc<dyn Lookup>,
    client: Arc<Mutex<Option<(Id, reqwest::Client)>>>,
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// A URL as it is shown: what stands in its query may be a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

impl Fetcher {
    /// What fetches within this policy.
    #[must_use]
    pub fn new(policy: HttpPolicy) -> Self {
        Self { policy, lookup: Arc::new(SystemLookup), client: Arc::default() }
    }

    /// With another way to find addresses.
    #[must_use]
    pub fn lookup(mut self, lookup: Arc<dyn Lookup>) -> Self {
        self.lookup = lookup;
        self
    }

    fn client(&self) -> Result<reqwest::Client, FetchError> {
        let runtime = Handle::try_current().map_err(|_| HttpError::NoRuntime)?.id();
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*client
            && *of == runtime
        {
            return Ok(client.clone());
        }
        let guarded = Guarded { policy: self.policy.clone(), lookup: Arc::clone(&self.lookup) };
        let made = transport::guarded(Arc::new(guarded), self.policy.timeout)?;
        *client = Some((runtime, made.clone()));
        Ok(made)
    }

    /// Fetches a page.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, url: &str, ctx: &CallCtx) -> Result<Page, FetchError> {
        let timeout = ctx.remaining().map_or(self.policy.timeout, |left| left.min(self.policy.timeout));
        let parsed = Url::parse(url.trim());
        let first = parsed.map_err(|error| FetchError::Refused { url: "the URL".into(), why: error.to_string() })?;
        let name = shown(&first);
        tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(FetchError::Cancelled),
            page = tokio::time::timeout(timeout, self.follow(first)) => {
                page.unwrap_or(Err(FetchError::Timeout { url: name, after: timeout }))
            }
        }
    }

    async fn follow(&self, first: Url) -> Result<Page, FetchError> {
        let client = self.client()?;
        let mut url = first.clone();
        for _ in 0..=self.policy.max_redirects {
            let refused = |why: &str| FetchError::Refused { url: shown(&url), why: why.to_owned() };
            self.policy.permits_url(&url).map_err(refused)?;
            let mut request = reqwest::Request::new(reqwest::Method::GET, url.clone());
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("text/html, text/*, application/json, */*;q=0.1"));
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.insert(USER_AGENT, HeaderValue::from_static(concat!("atomr-agents/", env!("CARGO_PKG_VERSION"))));
            let answer = client.execute(request).await.map_err(|error| failed(&url, &error))?;
            let status = answer.status();
            let header = |name| answer.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
            if status.is_redirection()
                && let Some(to) = header(LOCATION)
            {
                url = url.join(to).map_err(|error| refused(&format!("it points to what is no URL: {error}")))?;
                continue;
            }
            if !status.is_success() {
                return Err(FetchError::Status { url: shown(&url), status: status.as_u16() });
            }
            if let Some(packed) = header(CONTENT_ENCODING).filter(|packed| !packed.eq_ignore_ascii_case("identity")) {
                let message = format!("it is packed ({packed}), which nobody asked for");
                return Err(FetchError::Failed { url: shown(&url), message });
            }
            let content_type = header(CONTENT_TYPE).unwrap_or_default().to_owned();
            let body = self.body(&url, answer).await?;
            return Ok(Page { url, content_type, body });
        }
        Err(FetchError::Redirects { url: shown(&first), limit: self.policy.max_redirects })
    }

    async fn body(&self, url: &Url, mut answer: reqwest::Response) -> Result<Vec<u8>, FetchError> {
        let limit = self.policy.max_bytes;
        let too_large = || FetchError::TooLarge { url: shown(url), limit };
        if answer.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| failed(url, &error))? {
            if body.len() + piece.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

/// What the transport's error means: a refusal of the resolver, or that the host cannot be reached.
fn failed(url: &Url, error: &reqwest::Error) -> FetchError {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    let mut message = String::new();
    while let Some(error) = next {
        if let Some(Refusal(why)) = error.downcast_ref() {
            return FetchError::Refused { url: shown(url), why: why.clone() };
        }
        // The outermost one repeats the URL with its query.
        if error.source().is_none() {
            message = error.to_string();
        }
        next = error.source();
    }
    FetchError::Failed { url: shown(url), message }
}
