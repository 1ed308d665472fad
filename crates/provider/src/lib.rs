//! What every provider client shares. A provider is a [`Dialect`]: how a request is written in its words and how its
//! answers are read ([`Reader`]). [`HttpClient`] makes an inference client of it: one call over HTTP, retries before
//! the first word, the reading of event streams and whole bodies, errors without the credential.
//!
//! This crate knows no provider and no tool; it does not know what the bytes mean that it carries.

mod answer;
mod client;
mod dialect;
mod endpoint;
mod error;
mod joined;

pub use client::HttpClient;
pub use dialect::{Dialect, Reader, Refused, Route, Setup};
pub use endpoint::{Connection, Endpoint, is_loopback};
pub use error::{from_http, from_wire};
