//! What every provider client shares. A provider is a [`Dialect`]: how a request is written in its words and how its
//! answers are read ([`Reader`]). [`HttpClient`] makes an inference client of it: one call over HTTP, retries before
//! the first word, the reading of event streams and whole bodies, errors without the credential.
//!
//! Beside that lies what the dialects have in common. For requests: [`Pairs`] tells which result answers which call,
//! [`arguments_object`] and [`arguments_text`] make what a model wrote readable, [`data_url`] puts bytes into a URL,
//! [`Settings`] and [`written`] make the body. For answers: [`started`], [`of_choice`] and [`take_terminal`]. For
//! errors: [`unsupported`], [`interrupted`], [`from_wire`], [`kind_of_status`].
//!
//! This crate knows no provider and no tool; it does not know what the bytes mean that it carries.

mod answer;
mod arguments;
mod body;
mod client;
mod data_url;
mod dialect;
mod endpoint;
mod error;
mod joined;
mod pairs;
mod translation;

pub use arguments::{arguments_object, arguments_text};
pub use body::{Settings, written};
pub use client::HttpClient;
pub use data_url::{data_url, inside_data_url};
pub use dialect::{Dialect, Reader, Refused, Route, Setup};
pub use endpoint::{Connection, Endpoint, is_loopback};
pub use error::{from_http, from_wire, interrupted, kind_of_status, unsupported};
pub use pairs::{Outcome, Pairs, Place};
pub use translation::{of_choice, started, take_terminal};
