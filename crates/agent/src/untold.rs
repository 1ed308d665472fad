//! Runs that are dropped before their end.

use std::time::Instant;

use atomr_agents_core::{EventKind, Kind};

use crate::driver::Driver;
use crate::limit::millis;

/// Announces the end of a run that was dropped before its end, so that those who listen are not left waiting.
pub(crate) struct Untold<'a> {
    pub(crate) driver: &'a Driver,
    pub(crate) started: Instant,
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        let (error, message) = if std::thread::panicking() {
            (Kind::Internal, "the run panicked")
        } else {
            (Kind::Cancelled, "the run was dropped")
        };
        let elapsed_ms = millis(self.started.elapsed());
        self.driver.ctx.emit(EventKind::RunFailed { error, message: message.into(), elapsed_ms });
        self.driver.close();
    }
}
