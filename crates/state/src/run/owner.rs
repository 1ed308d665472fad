//! Who writes a run, and whether that process is still there.
//!
//! A lease keeps others out until it runs out, which is what must happen while nobody knows whether its holder lives. On the
//! holder's own machine that can be known: its process is gone, and whoever goes on with the run need not wait.

use std::sync::OnceLock;
use std::time::Duration;

use atomr_agents_core::RunId;

use crate::{Key, Lease, Store, StoreError};

/// How often the lease of a process that is gone is tried for. Others may try at the same time.
const TRIES: usize = 8;

/// What distinguishes a process from every other one, now and before, of every machine and container.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    /// A hash of the machine's boot and of the namespace in which the number counts.
    place: String,
    number: u32,
    /// When it was started, in ticks since the boot: numbers are given again.
    started: u64,
}

impl Process {
    /// This one; `None` where there is no way to look for others.
    fn this() -> Option<&'static Self> {
        static THIS: OnceLock<Option<Process>> = OnceLock::new();
        THIS.get_or_init(|| {
            let number = std::process::id();
            Some(Self { place: place()?, number, started: started(number)? })
        })
        .as_ref()
        .filter(|this| this.number == std::process::id())
    }

    fn parse(owner: &str) -> Option<Self> {
        let (_, told) = owner.strip_suffix(')')?.rsplit_once(" (")?;
        let mut parts = told.split(' ');
        let (place, number, started) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { place: place.to_owned(), number: number.parse().ok()?, started: started.parse().ok()? })
    }
}

#[cfg(target_os = "linux")]
fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let names = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let hash = blake3::hash(format!("{} {}", boot.trim(), names.display()).as_bytes());
    Some(hash.to_hex()[..12].to_owned())
}

/// When the process of this number was started; `None` if there is none, or if it is dead and only not yet waited for.
#[cfg(target_os = "linux")]
fn started(number: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // Its name is in brackets and may have any character in it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(started)
}

#[cfg(not(target_os = "linux"))]
fn place() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn started(_number: u32) -> Option<u64> {
    None
}

/// A name for a writer of this process that no other has.
pub(crate) fn fresh() -> String {
    let writer = RunId::new();
    match Process::this() {
        Some(Process { place, number, started }) => format!("writer {writer} ({place} {number} {started})"),
        None => format!("writer {writer} of process {}", std::process::id()),
    }
}

/// Whether the process that this writer belongs to is known to be gone.
fn is_gone(owner: &str) -> bool {
    match (Process::parse(owner), Process::this()) {
        (Some(other), Some(this)) if other.place == this.place => started(other.number) != Some(other.started),
        _ => false,
    }
}

/// Takes a lease, at once also from a process of this machine that is gone.
///
/// # Errors
/// As [`Store::acquire`].
pub(crate) async fn acquire(store: &dyn Store, key: &Key, owner: &str, ttl: Duration) -> Result<Lease, StoreError> {
    let mut tried = 0;
    loop {
        let held = match store.acquire(key, owner, ttl).await {
            Err(StoreError::Held { owner, .. }) if tried < TRIES && is_gone(&owner) => owner,
            other => return other,
        };
        // In its name it is to be had, and from then on the one before writes no more. Of several who do so at the same
        // time one gets it in the end, in its own name.
        match store.acquire(key, &held, ttl).await {
            Ok(lease) => store.release(&lease).await?,
            Err(StoreError::Held { .. }) => {}
            Err(error) => return Err(error),
        }
        tried += 1;
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)] // a helper of tests fails as tests do
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::MemoryStore;

    const LONG: Duration = Duration::from_secs(60);

    fn owner(number: u32) -> String {
        let this = Process::this().unwrap();
        format!("writer x ({} {number} {})", this.place, started(number).unwrap())
    }

    #[tokio::test]
    async fn the_lease_of_a_process_that_is_gone_is_taken_at_once() {
        let (store, key) = (MemoryStore::new(), Key::new("run", "r").unwrap());
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
        let theirs = store.acquire(&key, &owner(child.id()), LONG).await.unwrap();
        let error = acquire(&store, &key, &fresh(), LONG).await.unwrap_err();
        assert!(matches!(error, StoreError::Held { .. }), "while it lives, it is waited for: {error}");
        child.kill().unwrap();
        // Dead, but not waited for yet: it writes no more.
        while started(child.id()).is_some() {
            tokio::task::yield_now().await;
        }
        let mine = fresh();
        let lease = acquire(&store, &key, &mine, LONG).await.unwrap();
        assert_eq!((lease.owner == mine, lease.token > theirs.token), (true, true));
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn who_cannot_be_looked_for_is_waited_for() {
        let (store, key) = (MemoryStore::new(), Key::new("run", "r").unwrap());
        let this = Process::this().unwrap();
        for (place, number, started) in
            [("elsewhere", 1, 1), (&*this.place, this.number, this.started)].map(|(a, b, c)| (a.to_owned(), b, c))
        {
            let lease = store.acquire(&key, &format!("writer x ({place} {number} {started})"), LONG).await.unwrap();
            assert!(acquire(&store, &key, &fresh(), LONG).await.is_err(), "{place} {number}");
            store.release(&lease).await.unwrap();
        }
        store.acquire(&key, "somebody (who has a name of their own)", LONG).await.unwrap();
        assert!(acquire(&store, &key, &fresh(), LONG).await.is_err());
    }

    #[test]
    fn a_number_that_was_given_again_is_another_process() {
        let this = Process::this().unwrap();
        assert!(is_gone(&format!("writer x ({} {} {})", this.place, this.number, this.started + 1)));
        assert!(!is_gone(&fresh()));
    }

    #[tokio::test]
    async fn of_several_who_take_over_one_has_it_in_the_end() {
        let (store, key) = (MemoryStore::new(), Key::new("run", "r").unwrap());
        let gone = format!("writer x ({} {} 1)", Process::this().unwrap().place, std::process::id());
        store.acquire(&key, &gone, LONG).await.unwrap();
        let names = [fresh(), fresh(), fresh()];
        let tries = names.iter().map(|name| acquire(&store, &key, name, LONG));
        let mut got = Vec::new();
        for one in tries {
            got.extend(one.await.ok());
        }
        assert_eq!(got.len(), 1);
    }
}
