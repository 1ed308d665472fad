//! Nothing of this machine and its networks is ever fetched, whatever it is called.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atomr_agents_core::{CallCtx, Kind};
use atomr_agents_http::{FetchError, Fetcher, HttpPolicy, Lookup};
use futures_core::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Addresses in every spelling that a URL can have them in.
const BY_ADDRESS: [&str; 64] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "0xa.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "3232235777",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "169.254.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "１２７.０.０.１",
    "127。0。0。1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2001:0:7f00:1::1]",
    "[2001:db8::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[100::1]",
];

/// Names, and what they resolve to.
const BY_NAME: [(&str, &[&str]); 10] = [
    ("localhost", &["127.0.0.1"]),
    ("localhost.", &["::1"]),
    ("printer.local", &["192.168.1.7"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("127.0.0.1.nip.io", &["127.0.0.1"]),
    ("mixed.example", &["93.184.215.14", "10.0.0.5"]),
    ("mixed6.example", &["93.184.215.14", "::ffff:10.0.0.5"]),
    ("nat64.example", &["64:ff9b::7f00:1"]),
    ("ula.example", &["fd00:ec2::254"]),
    ("cgnat.example", &["100.64.0.9"]),
];

/// URLs that are refused by what they are.
const BY_FORM: [&str; 6] = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "ftp://93.184.215.14/",
    "http://user:secret@93.184.215.14/",
    "data:text/html,x",
    "http://[fe80::1%25eth0]/",
];

/// Answers from a table, and counts.
#[derive(Debug, Default)]
struct Names {
    asked: AtomicUsize,
    /// What a name resolves to the second time, and ever after.
    later: Option<IpAddr>,
    first: Vec<(String, Vec<IpAddr>)>,
}

impl Lookup for Names {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        let known = self.first.iter().find(|(known, _)| *known == name).map(|(_, all)| all.clone());
        let found = match (asked, self.later) {
            (1.., Some(later)) => Some(vec![later]),
            _ => known,
        };
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

fn refused(error: &FetchError, what: &str) {
    assert!(matches!(error, FetchError::Refused { .. }), "{what}: {error:?}");
    assert_eq!(error.kind(), Kind::Denied);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn addresses_in_every_spelling_are_refused() {
    let fetcher = Fetcher::new(HttpPolicy::new());
    for host in BY_ADDRESS {
        for url in [format!("http://{host}/latest/meta-data/"), format!("https://{host}:8443/")] {
            refused(&fetcher.fetch(&url, &CallCtx::new()).await.unwrap_err(), &url);
        }
    }
    for url in BY_FORM {
        refused(&fetcher.fetch(url, &CallCtx::new()).await.unwrap_err(), url);
    }
}

#[tokio::test]
async fn names_that_lead_inside_are_refused_when_the_connection_is_made() {
    for (name, addresses) in BY_NAME {
        let first = vec![(name.to_owned(), addresses.iter().map(|address| address.parse().unwrap()).collect())];
        let fetcher = Fetcher::new(HttpPolicy::new()).lookup(Arc::new(Names { first, ..Names::default() }));
        refused(&fetcher.fetch(&format!("http://{name}/"), &CallCtx::new()).await.unwrap_err(), name);
    }
}

/// A server on loopback that answers each request with the next of these, and counts them.
async fn server(answers: Vec<String>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let at = counted.fetch_add(1, Ordering::SeqCst);
            let mut buffer = [0; 4096];
            let _ = stream.read(&mut buffer).await;
            let answer = answers.get(at).or(answers.last()).cloned().unwrap_or_default();
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    tasks.detach_all();
    (port, count)
}

fn page(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

/// May ask the loopback address by its number only.
fn policy() -> HttpPolicy {
    let mut policy = HttpPolicy::new();
    policy.allowed = vec!["127.0.0.1".parse().unwrap()];
    policy
}

#[tokio::test]
async fn a_name_that_moves_inside_between_two_requests_is_refused() {
    // The first look-up gives an address that may be asked (the server of this test), the second one another.
    let (port, count) = server(vec![redirect("/again"), page("inside")]).await;
    for inside in ["10.0.0.1", "127.0.0.2", "169.254.169.254", "::1", "fd00:ec2::254"] {
        let names = Names {
            first: vec![("rebind.example".to_owned(), vec!["127.0.0.1".parse().unwrap()])],
            later: Some(inside.parse().unwrap()),
            ..Names::default()
        };
        let names = Arc::new(names);
        let fetcher = Fetcher::new(policy()).lookup(names.clone());
        let before = count.swap(0, Ordering::SeqCst);
        assert!(before <= 1);
        let error = fetcher.fetch(&format!("http://rebind.example:{port}/"), &CallCtx::new()).await.unwrap_err();
        refused(&error, inside);
        assert_eq!((names.asked.load(Ordering::SeqCst), count.load(Ordering::SeqCst)), (2, 1));
    }
}

#[tokio::test]
async fn redirects_are_asked_about_again() {
    for to in [
        "http://169.254.169.254/latest/",
        "http://[::1]/",
        "//10.0.0.1/",
        "http://0x7f000002/",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1/",
    ] {
        let (port, count) = server(vec![redirect(to)]).await;
        let error =
            Fetcher::new(policy()).fetch(&format!("http://127.0.0.1:{port}/"), &CallCtx::new()).await.unwrap_err();
        refused(&error, to);
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
    let (port, _) = server(vec![redirect("/b"), redirect("/c"), page("at last")]).await;
    let fetched =
        Fetcher::new(policy()).fetch(&format!("http://127.0.0.1:{port}/?q=1"), &CallCtx::new()).await.unwrap();
    assert_eq!(
        (fetched.body.as_slice(), fetched.url.path(), fetched.content_type.as_str()),
        (&b"at last"[..], "/c", "text/plain")
    );
    let (port, count) = server(vec![redirect("/round")]).await;
    let error = Fetcher::new(policy()).fetch(&format!("http://127.0.0.1:{port}/"), &CallCtx::new()).await.unwrap_err();
    assert!(matches!(error, FetchError::Redirects { limit: 5, .. }), "{error}");
    assert_eq!(count.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn only_hosts_that_are_allowed_are_asked() {
    let mut only = HttpPolicy::new();
    only.hosts = Some(vec!["example.org".into()]);
    let allowed = |url: &str| only.permits_url(&url.parse().unwrap()).is_ok();
    assert!(allowed("http://example.org/") && allowed("https://docs.EXAMPLE.org./x"));
    assert!(
        !allowed("http://example.org.evil.test/")
            && !allowed("http://badexample.org/")
            && !allowed("http://93.184.215.14/")
    );
}

/// Whether an error is the one that is wanted.
type Wanted = fn(&FetchError) -> bool;

#[tokio::test]
async fn what_is_too_large_too_slow_or_an_error_is_said() {
    let long = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n800\r\n{}\r\n0\r\n\r\n", "x".repeat(2048));
    let packed = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx".to_owned();
    let missing = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned();
    let cases: [(String, Wanted); 5] = [
        (page(&"x".repeat(2_000)), |error| matches!(error, FetchError::TooLarge { limit: 1_000, .. })),
        (long, |error| matches!(error, FetchError::TooLarge { .. })),
        (packed, |error| error.to_string().contains("packed")),
        (missing, |error| error.kind() == Kind::NotFound),
        ("nonsense\r\n\r\n".to_owned(), |error| matches!(error, FetchError::Failed { .. })),
    ];
    let mut limited = policy();
    limited.max_bytes = 1_000;
    for (answer, wanted) in cases {
        let (port, _) = server(vec![answer]).await;
        let url = format!("http://127.0.0.1:{port}/page?key=secret");
        let error = Fetcher::new(limited.clone()).fetch(&url, &CallCtx::new()).await.unwrap_err();
        assert!(wanted(&error), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    // A server that accepts and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut hasty = policy();
    hasty.timeout = std::time::Duration::from_millis(50);
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let error = Fetcher::new(hasty).fetch(&url, &CallCtx::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
}
