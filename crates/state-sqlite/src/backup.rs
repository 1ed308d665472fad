//! A copy of a database that is in use.

use std::fs;
use std::io;

use atomr_agents_state::StoreError;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;
use crate::place::Place;
use crate::platform;

/// Copies what a transaction of the caller sees.
pub(crate) fn backup(conn: &Connection, to: &Place) -> Result<(), Fault> {
    match platform::create_private(to.path()) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", to.shown());
            return Err(StoreError::Config { setting: "to", message }.into());
        }
        Err(error) => return Err(to.io(&error).into()),
    }
    copy(conn, to).map_err(|fault| {
        // Half a copy is of no use; that it could not be made is the error to tell.
        let _ = fs::remove_file(to.path());
        fault.told(to).into()
    })
}

fn copy(conn: &Connection, to: &Place) -> Result<(), Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut target = Connection::open_with_flags(to.path(), flags)?;
    // In one step: a copy in several begins anew whenever somebody writes in between.
    match Backup::new(conn, &mut target)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(StoreError::Locked { store: to.shown() }.into()),
    }
}
