//! Runs that are killed, and what must hold of what is left of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    dead_code,
    reason = "helpers of tests fail as tests do; no test uses all"
)]

mod place;
mod process;
#[cfg(target_os = "linux")]
mod record;
mod trace;

#[allow(unused_imports, reason = "no test uses all")]
pub(crate) use place::Home;
#[allow(unused_imports, reason = "no test uses all")]
pub(crate) use process::{Life, Moment, Told};
#[cfg(target_os = "linux")]
#[allow(unused_imports, reason = "no test uses all")]
pub(crate) use record::{Op, Recorder};
#[allow(unused_imports, reason = "no test uses all")]
pub(crate) use trace::Trace;

/// A number that the environment may set, so that the same tests run longer.
pub(crate) fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
