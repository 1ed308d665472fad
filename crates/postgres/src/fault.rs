//! What an answer of the database amounts to.

use std::error::Error as _;

use atomr_agents_state::StoreError;
use tokio_postgres::Error;
use tokio_postgres::error::DbError;

use crate::tls;

/// Why a call did not succeed.
#[derive(Debug)]
pub enum Fault {
    /// The connection is gone, or never was. The call may have happened.
    Outage(String),
    /// It stood in somebody's way and was undone: it may be made again at once.
    Again(String),
    /// A function of the schema refused it.
    Refused(Refused),
    /// Trying again does not help.
    Final(StoreError),
}

/// What a function of a schema raised with a code of the class `AT` and, as detail, numbers. The code `AT003` is not among
/// them: with it a function says that the call is to be made again as after an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code: five characters.
    pub code: String,
    numbers: Vec<u64>,
}

impl Refused {
    /// The number at this place of the detail.
    #[must_use]
    pub fn number(&self, at: usize) -> Option<u64> {
        self.numbers.get(at).copied()
    }
}

impl Fault {
    /// What `error` means for the store at `place`.
    #[must_use]
    pub fn of(place: &str, error: &Error) -> Self {
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
        _ if code.starts_with("AT") => {
            Fault::Refused(Refused { code: code.to_owned(), numbers: numbers(error).collect() })
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
