//! The address of a database.

use std::fmt;
use std::path::PathBuf;

use atomr_agents_state::StoreError;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// An address that was read. Its password is never shown.
#[derive(Clone)]
pub(crate) struct Dsn {
    pub(crate) config: Config,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) prepare: bool,
    place: String,
}

impl Dsn {
    /// Reads `postgres://user:password@host:port/database?…` or `host=… user=…`.
    ///
    /// `sslmode` is `disable`, `prefer` (TLS if the server has it), `require`, `verify-ca` or `verify-full`. Where it is
    /// missing, a server on this machine is spoken to without TLS and any other as by `prefer`.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let text = text.trim();
        let (text, own) = if is_url(text) { split_url(text) } else { split_pairs(text) };
        let mut config: Config = text.parse().map_err(|error: tokio_postgres::Error| bad(why(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(bad("it names no host".to_owned()));
        }
        match own.sslmode.as_deref() {
            None if local(&config) => config.ssl_mode(SslMode::Disable),
            None | Some("prefer" | "allow") => config.ssl_mode(SslMode::Prefer),
            Some("disable") => config.ssl_mode(SslMode::Disable),
            Some("require" | "verify-ca" | "verify-full") => config.ssl_mode(SslMode::Require),
            Some(_) => {
                return Err(bad("sslmode is disable, prefer, require, verify-ca or verify-full".to_owned()));
            }
        };
        if config.get_application_name().is_none() {
            config.application_name("atomr-agents");
        }
        let prepare = match own.prepare.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(bad("prepare is true or false".to_owned())),
        };
        let place = place(&config);
        Ok(Self { config, root_certificates: own.sslrootcert.map(PathBuf::from), prepare, place })
    }
}

/// Where it is, for people: no user, no password.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

/// What this crate reads by itself.
#[derive(Default)]
struct Own {
    sslmode: Option<String>,
    sslrootcert: Option<String>,
    prepare: Option<String>,
}

impl Own {
    /// Takes a setting; `false` for one that is somebody else's.
    fn take(&mut self, name: &str, value: &str) -> bool {
        match name {
            "sslmode" => self.sslmode = Some(value.to_owned()),
            "sslrootcert" => self.sslrootcert = Some(value.to_owned()).filter(|value| value != "system"),
            "prepare" => self.prepare = Some(value.to_owned()),
            _ => return false,
        }
        true
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn split_url(text: &str) -> (String, Own) {
    let mut own = Own::default();
    let Some((before, query)) = text.split_once('?') else { return (text.to_owned(), own) };
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let read = url::form_urlencoded::parse(pair.as_bytes()).next();
            !read.is_some_and(|(name, value)| own.take(&name, &value))
        })
        .collect();
    let text = if rest.is_empty() { before.to_owned() } else { format!("{before}?{}", rest.join("&")) };
    (text, own)
}

fn split_pairs(text: &str) -> (String, Own) {
    let mut own = Own::default();
    let mut rest = String::new();
    for pair in words(text) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !own.take(name, value.trim_matches('\'')) {
            rest.push_str(pair);
            rest.push(' ');
        }
    }
    (rest, own)
}

/// The parts between spaces that are not inside quotes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' => escaped = true,
            '\'' => quoted = !quoted,
            c => return c.is_whitespace() && !quoted,
        }
        false
    })
    .filter(|word| !word.is_empty())
}

fn local(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    hosts && config.get_hostaddrs().iter().all(std::net::IpAddr::is_loopback)
}

fn place(config: &Config) -> String {
    let mut hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    if hosts.is_empty() {
        hosts = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    }
    let ports = config.get_ports();
    for (at, host) in hosts.iter_mut().enumerate() {
        let port = ports.get(at).or_else(|| ports.first()).copied().unwrap_or(5432);
        *host = format!("{host}:{port}");
    }
    let database = config.get_dbname().or_else(|| config.get_user()).unwrap_or("");
    format!("PostgreSQL at {}/{database}", hosts.join(","))
}

fn bad(message: String) -> StoreError {
    StoreError::Config { setting: "dsn", message }
}

/// What the parser says, unless it could quote a piece of the address: that may be the password.
fn why(error: &tokio_postgres::Error) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let quoted = said.split('`').nth(1).unwrap_or_default();
    let setting =
        |quoted: &str| !quoted.is_empty() && quoted.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if setting(quoted) {
        return said;
    }
    "it is neither postgres://user@host:port/database nor host=… port=… user=… dbname=…".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Dsn {
        Dsn::parse(text).unwrap()
    }

    #[test]
    fn both_forms_are_read() {
        let url = parse(
            "postgresql://ann:s%40cret@db.example:6432/main?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3",
        );
        assert_eq!(url.config.get_password(), Some(&b"s@cret"[..]));
        assert_eq!(
            (url.config.get_ssl_mode(), url.root_certificates.as_deref()),
            (SslMode::Require, Some("/ca.pem".as_ref()))
        );
        assert_eq!(url.to_string(), "PostgreSQL at db.example:6432/main");
        let pairs =
            parse("host=db.example port=6432 user=ann password='s cr\\'et' sslmode=require sslrootcert='/c a.pem'");
        assert_eq!(pairs.config.get_password(), Some(&b"s cr'et"[..]));
        assert_eq!(pairs.root_certificates.as_deref(), Some("/c a.pem".as_ref()));
        assert_eq!(pairs.config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn a_server_on_this_machine_needs_no_tls_and_any_other_gets_it_if_it_can() {
        for local in [
            "postgres://a@127.0.0.1/b",
            "postgres://a@localhost/b",
            "host=/run/postgresql user=a",
            "postgres://a@[::1]/b",
        ] {
            assert_eq!(parse(local).config.get_ssl_mode(), SslMode::Disable, "{local}");
        }
        assert_eq!(parse("postgres://a@db.example/b").config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(parse("postgres://a@localhost/b?sslmode=require").config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn statements_are_prepared_where_it_says_so() {
        assert!(!parse("postgres://a@localhost/b").prepare && !parse("host=localhost prepare=false").prepare);
        assert!(parse("postgres://a@localhost/b?prepare=true").prepare && parse("host=localhost prepare=true").prepare);
        let error = Dsn::parse("postgres://a@localhost/b?prepare=yes").unwrap_err();
        assert!(error.to_string().contains("prepare is true or false"), "{error}");
    }

    #[test]
    fn no_password_is_shown() {
        let dsn = parse("postgres://ann:hunter2@db.example/main");
        assert!(!format!("{dsn} {dsn:?}").contains("hunter2"));
        for bad in [
            "postgres//ann:hunter2@db.example/main",
            "postgres://ann:hunter2@db.example:port/main",
            "host=x password=hunter2 hunter2",
            "host=x hunter2=y",
            "password=hunter2",
            "host=x password='hunter2",
            "postgres://ann:hunter2@db/main?sslmode=hunter2",
            "postgres://ann:hunter2@db/main?unknown=1",
            "",
        ] {
            let error = Dsn::parse(bad).unwrap_err();
            assert!(matches!(&error, StoreError::Config { setting: "dsn", .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        assert!(Dsn::parse("postgres://a@db/main?unknown=1").unwrap_err().to_string().contains("unknown"));
    }
}
