//! The open connection that writes, and its transactions.

use std::cell::RefCell;
use std::time::Duration;

use atomr_agents_state::{Durability, StoreError};
use rusqlite::Connection;

use super::ahead::Ahead;
use crate::connect::{self, Opened};
use crate::fault::Fault;
use crate::high::High;
use crate::place::Place;
use crate::store::clock_ms;
use crate::tables::{Head, Known, Tx};
use crate::watch::Counted;

#[derive(Debug)]
pub(super) struct Session {
    conn: Counted,
    high: High,
    /// What the connection's `synchronous` is set to. It is changed only when another is needed: the statement has to be
    /// compiled anew each time.
    durability: Durability,
    known: Known,
    ahead: Ahead,
}

impl Session {
    pub(super) fn new(opened: Opened) -> Self {
        Self {
            conn: opened.conn,
            high: opened.high,
            durability: Durability::Full,
            known: Known::default(),
            ahead: Ahead::default(),
        }
    }

    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// How long a transaction waits for one of another process.
    pub(super) fn patience(&self, patience: Duration) -> Result<(), Fault> {
        Ok(self.conn.busy_timeout(patience)?)
    }

    pub(super) fn abandon(self) {
        connect::abandon(self.conn);
    }

    /// One job in a transaction of its own.
    pub(super) fn one<T>(
        &mut self,
        place: &Place,
        durability: Durability,
        job: impl FnOnce(&Tx<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let tx = self.begin(place, durability)?;
        match job(&tx) {
            Ok(value) => {
                let head = tx.head.into_inner();
                self.commit(place, durability, head)?;
                Ok(value)
            }
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }

    /// Begins a transaction and counts it.
    pub(super) fn begin<'s>(&'s mut self, place: &'s Place, durability: Durability) -> Result<Tx<'s>, Fault> {
        if !self.conn.is_autocommit() {
            // Left behind by a panic.
            self.roll_back();
        }
        if self.durability != durability {
            let level = match durability {
                Durability::Full => "FULL",
                Durability::Relaxed => "NORMAL",
            };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let (mut head, same) = match Head::read(&self.conn, self.known.head.take()) {
            Ok(found) => found,
            Err(fault) => {
                self.roll_back();
                return Err(fault);
            }
        };
        if !same {
            // Somebody else has written since, or nobody knows.
            self.known.forget();
        }
        head.commits += 1;
        let (commit, head) = (head.commits, RefCell::new(head));
        Ok(Tx { conn: &self.conn, place, commit, now_ms: clock_ms(), head, known: &self.known })
    }

    /// Commits, and notes it beside the database.
    pub(super) fn commit(&mut self, place: &Place, durability: Durability, mut head: Head) -> Result<(), Fault> {
        if durability == Durability::Full {
            self.ahead.make(place);
        }
        let written = head.write(&self.conn);
        let done = written.and_then(|()| Ok(self.conn.prepare_cached("COMMIT")?.execute([])?));
        match done {
            Ok(_) => {
                self.high.note(durability, head.commits);
                self.known.head = Some(head);
                Ok(())
            }
            Err(fault) => {
                self.roll_back();
                Err(fault)
            }
        }
    }

    pub(super) fn roll_back(&self) {
        if !self.conn.is_autocommit() {
            // Only a medium that fails can stop it; the fault that led here is the one to tell.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }
}

/// Opens the file again after a failure and finds out whether it is whole.
pub(super) fn reopen(place: &Place, patience: Duration) -> Result<Session, StoreError> {
    let opened = connect::open(place, patience)?;
    connect::quick_check(&opened.conn, place).map_err(|fault| fault.told(place))?;
    Ok(Session::new(opened))
}
