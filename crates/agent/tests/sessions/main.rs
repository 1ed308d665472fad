//! Sessions: one turn at a time, whoever sends what from wherever.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests fail as tests do

mod history;
mod others;
mod policies;
mod removed;
mod support;
mod unfinished;
