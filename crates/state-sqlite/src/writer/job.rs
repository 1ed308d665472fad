//! What waits to be written.

use atomr_agents_state::{Durability, StoreError};
use tokio::sync::oneshot;

use crate::fault::Fault;
use crate::tables::Tx;

/// A call that waits for its turn. It can be done again when the transaction around it could not be committed.
pub(super) trait Job: Send + std::fmt::Debug {
    fn durability(&self) -> Durability;
    fn bytes(&self) -> usize;
    /// Whether somebody still waits for it.
    fn wanted(&self) -> bool;
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Fault>;
    /// Tells the caller what became of it.
    fn end(self: Box<Self>, result: Result<(), StoreError>);
}

pub(super) struct Waiting<T, F> {
    durability: Durability,
    bytes: usize,
    job: F,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Waiting<T, F> {
    pub(super) fn new(
        durability: Durability,
        bytes: usize,
        job: F,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { durability, bytes, job, value: None, reply }
    }
}

impl<T, F> std::fmt::Debug for Waiting<T, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("durability", &self.durability)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl<T, F> Job for Waiting<T, F>
where
    F: Fn(&Tx<'_>) -> Result<T, Fault> + Send,
    T: Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn bytes(&self) -> usize {
        self.bytes
    }

    fn wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn run(&mut self, tx: &Tx<'_>) -> Result<(), Fault> {
        self.value = Some((self.job)(tx)?);
        Ok(())
    }

    fn end(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        let result = match (result, value) {
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), _) => Err(error),
            // Never ended well without having run: dropping the reply says that nobody knows.
            (Ok(()), None) => return,
        };
        // Who went away does not want to know.
        let _ = reply.send(result);
    }
}
