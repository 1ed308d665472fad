//! Which addresses may be fetched.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Which pages of the web may be fetched: whatever its name says, never an address of this machine, its networks or its
/// provider's metadata. What a name resolves to is looked at when the connection is made, so that a name that points
/// elsewhere by then is refused, too.
///
/// ```
/// use atomr_agents_http::HttpPolicy;
///
/// let policy = HttpPolicy::new();
/// assert!(policy.permits("93.184.215.14".parse().unwrap()).is_ok());
/// assert_eq!(policy.permits("169.254.169.254".parse().unwrap()), Err("it is link-local"));
/// assert_eq!(policy.permits("::ffff:10.0.0.1".parse().unwrap()), Err("it is private"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpPolicy {
    /// Hosts that may be asked, and all below them (`example.org` and `docs.example.org`); none given, all.
    pub hosts: Option<Vec<String>>,
    /// Addresses that may be asked although they would be refused.
    pub allowed: Vec<IpAddr>,
    /// How often a page may point to another one. 5.
    pub max_redirects: usize,
    /// How large a page may be. 16 MiB.
    pub max_bytes: usize,
    /// How long a page may take, all redirects together. 30 s.
    pub timeout: std::time::Duration,
}

impl Default for HttpPolicy {
    fn default() -> Self {
        Self {
            hosts: None,
            allowed: Vec::new(),
            max_redirects: 5,
            max_bytes: 16 << 20,
            timeout: std::time::Duration::from_secs(30),
        }
    }
}

impl HttpPolicy {
    /// Every public address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an address may be asked; else why not.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn permits(&self, address: IpAddr) -> Result<(), &'static str> {
        if self.allowed.contains(&address) {
            return Ok(());
        }
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }

    /// Whether a URL may be fetched, as far as it says itself; else why not.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn permits_url(&self, url: &Url) -> Result<(), &'static str> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its scheme is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it holds credentials");
        }
        let host = match url.host() {
            None => return Err("it has no host"),
            Some(Host::Ipv4(address)) => return self.by_address(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => return self.by_address(IpAddr::V6(address)),
            Some(Host::Domain(host)) => host.trim_end_matches('.').to_ascii_lowercase(),
        };
        match &self.hosts {
            Some(hosts) if !hosts.iter().any(|allowed| below(&host, allowed)) => {
                Err("its host is not among those allowed")
            }
            _ => Ok(()),
        }
    }

    /// An address in a URL has no name that could be among the hosts.
    fn by_address(&self, address: IpAddr) -> Result<(), &'static str> {
        if self.hosts.is_some() && !self.allowed.contains(&address) {
            return Err("its host is not among those allowed");
        }
        self.permits(address)
    }
}

fn below(host: &str, allowed: &str) -> bool {
    let allowed = allowed.trim_matches('.').to_ascii_lowercase();
    host == allowed || host.strip_suffix(&allowed).is_some_and(|rest| rest.ends_with('.'))
}

/// What Azure answers at on every machine, although it looks public.
const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn v4(address: Ipv4Addr) -> Result<(), &'static str> {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (0, ..) => Err("it is unspecified"),
        (127, ..) => Err("it is loopback"),
        (169, 254, _) => Err("it is link-local"),
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Err("it is private"),
        (100, 64..=127, _) => Err("it belongs to the provider's network"),
        (224.., ..) => Err("it is multicast or reserved"),
        (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => Err("it is reserved"),
        _ if address == AZURE => Err("it is a metadata service"),
        _ => Ok(()),
    }
}

fn v6(address: Ipv6Addr) -> Result<(), &'static str> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = |high: u16, low: u16| v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0, 0, 0, 0, 0, 0) if g == 0 => Err(if h == 1 { "it is loopback" } else { "it is unspecified" }),
        // IPv4 in other clothes: mapped, compatible, translated, of 6to4.
        (0, 0, 0, 0, 0, 0 | 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => inner(g, h),
        (0x2002, ..) => inner(b, c),
        (0x64, 0xff9b, ..) => Err("it is translated locally"),
        (0x2001, 0, ..) => Err("it is tunnelled"),
        (0x2001, 0x1..=0x1ff, ..) | (0x2001, 0xdb8, ..) | (0x3fff, 0..=0xfff, ..) => Err("it is reserved"),
        (0xfc00..=0xfdff, ..) => Err("it is private"),
        (0xfe80..=0xfebf, ..) => Err("it is link-local"),
        (0x2000..=0x3fff, ..) => Ok(()),
        _ => Err("it is multicast or reserved"),
    }
}
