//! What an answer of the database amounts to.

use std::error::Error as _;

use atomr_agents_state::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::tls;

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection is gone, or never was. The call may have happened.
    Outage(String),
    /// It stood in somebody's way and was undone: it may be made again at once.
    Again(String),
    /// The lease has another token by now.
    Fenced { newest: u64 },
    /// What change number `change` (from 0) expected is not so.
    Conflict { change: usize, found: u64 },
    /// Trying again does not help.
    Final(StoreError),
}

impl Fault {
    /// What `error` means for the store at `place`.
    pub(crate) fn of(place: &str, error: &Error) -> Self {
        if let Some(db) = error.as_db_error() {
            return of_database(place, db);
        }
        if tls::refused(error) {
            return Self::Final(StoreError::Config {
                setting: "sslmode",
                message: format!("{place}: {}", chain(error)),
            });
        }
        if error.is_closed() || beneath_is_io(error) {
            return Self::Outage(chain(error));
        }
        Self::Final(StoreError::Io { store: place.to_owned(), message: chain(error) })
    }
}

fn of_database(place: &str, error: &DbError) -> Fault {
    let (store, message) = (place.to_owned(), format!("{} ({})", error.message(), error.code().code()));
    let code = error.code().code();
    match code {
        "AT001" => Fault::Fenced { newest: numbers(error).next().unwrap_or(0) },
        "AT002" => {
            let mut numbers = numbers(error);
            let change = numbers.next().unwrap_or(1).saturating_sub(1);
            Fault::Conflict { change: usize::try_from(change).unwrap_or(0), found: numbers.next().unwrap_or(0) }
        }
        "40001" | "40P01" | "55P03" => Fault::Again(message),
        "AT003" | "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" | "25P04" => Fault::Outage(message),
        _ if code.starts_with("08") => Fault::Outage(message),
        "57014" => Fault::Final(StoreError::Unavailable { store, message }),
        "53100" => Fault::Final(StoreError::Full { store, message }),
        "25006" => Fault::Final(StoreError::ReadOnly { store, message }),
        // A position that is taken twice: the head of a log and its entries disagree.
        "XX001" | "XX002" | "23505" => Fault::Final(StoreError::Corrupt { subject: store, message }),
        "3D000" | "28000" | "28P01" => {
            Fault::Final(StoreError::Config { setting: "dsn", message: format!("{store}: {message}") })
        }
        _ => Fault::Final(StoreError::Io { store, message }),
    }
}

/// The numbers that a function of the schema gave with its error.
fn numbers(error: &DbError) -> impl Iterator<Item = u64> {
    error.detail().unwrap_or_default().split(' ').filter_map(|number| number.parse().ok())
}

fn beneath_is_io(error: &Error) -> bool {
    let mut next = error.source();
    while let Some(error) = next {
        if error.downcast_ref::<std::io::Error>().is_some() {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error and what is beneath it, in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(beneath) = next {
        text.push_str(": ");
        text.push_str(&beneath.to_string());
        next = beneath.source();
    }
    text
}
