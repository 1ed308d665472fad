//! Several jobs in one transaction.

use std::sync::atomic::Ordering;
use std::time::Instant;

use atomr_agents_state::Durability;

use super::Shared;
use super::job::Job;
use super::session::{Session, reopen};
use crate::fault::Fault;

/// A transaction takes at most so many jobs, and no further one after so many bytes.
const JOBS: usize = 256;
const BYTES: usize = 4 << 20;

/// Takes what goes into one transaction from the front of the queue.
pub(super) fn take(queue: &mut std::collections::VecDeque<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while taken.len() < JOBS && bytes < BYTES {
        let Some(job) = queue.pop_front() else { break };
        bytes += job.bytes();
        taken.push(job);
    }
    taken
}

/// Does jobs in one transaction, and tells each what became of it.
pub(super) fn commit(shared: &Shared, jobs: Vec<Box<dyn Job>>) {
    let mut jobs: Vec<_> = jobs.into_iter().filter(|job| job.wanted()).collect();
    if jobs.is_empty() {
        return;
    }
    let mut guard = shared.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if guard.is_none() {
        match reopen(&shared.place, shared.options.patience) {
            Ok(session) => *guard = Some(session),
            Err(error) => return jobs.into_iter().for_each(|job| job.end(Err(error.clone()))),
        }
    }
    let Some(session) = guard.as_mut() else { return };
    // From here on a transaction of another process is waited for.
    let result = session.patience(shared.options.patience).and_then(|()| together(shared, session, &mut jobs));
    let calm = session.patience(std::time::Duration::ZERO);
    match result.and(calm) {
        Ok(()) => {}
        // What one cannot have, the others may: a small batch fits where a large one does not.
        Err(fault) if fault.is_full() && jobs.len() > 1 => {
            for job in jobs {
                alone(shared, session, job);
            }
        }
        Err(fault) => {
            if fault.poisons() {
                shared.abandon(&mut guard);
            }
            let error = fault.told(&shared.place);
            jobs.into_iter().for_each(|job| job.end(Err(error.clone())));
        }
    }
}

/// Does all of them. After success `jobs` is empty; after a fault it holds those whose caller was told nothing yet, and
/// nothing of them was written.
fn together(shared: &Shared, session: &mut Session, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), Fault> {
    let full = jobs.iter().any(|job| job.durability() == Durability::Full);
    let durability = if full { Durability::Full } else { Durability::Relaxed };
    let began = Instant::now();
    let tx = session.begin(&shared.place, durability)?;
    let mut results = Vec::with_capacity(jobs.len());
    // One alone is taken back with the transaction.
    let alone = jobs.len() == 1;
    for job in &mut *jobs {
        match if alone { job.run(&tx) } else { saved(&tx, &mut **job) } {
            Ok(()) => results.push(Ok(())),
            // What took the transaction with it, took the others, too.
            Err(fault) if tx.conn.is_autocommit() || fault.poisons() || fault.is_full() => {
                session.roll_back();
                return Err(fault);
            }
            Err(fault) => results.push(Err(fault.told(&shared.place))),
        }
    }
    if results.iter().any(Result::is_ok) {
        let head = tx.head.into_inner();
        session.commit(&shared.place, durability, head)?;
        shared.pace.note(durability, began.elapsed());
    } else {
        session.roll_back();
    }
    // Before anybody is told, and brings the next.
    shared.alone.shared(shared.waiting.load(Ordering::Acquire));
    // Only now: what one was refused for may be what another wrote, and that was nothing until the commit.
    jobs.drain(..).zip(results).for_each(|(job, result)| job.end(result));
    Ok(())
}

/// Runs a job so that it can be taken back alone.
fn saved(tx: &crate::tables::Tx<'_>, job: &mut dyn Job) -> Result<(), Fault> {
    let head = tx.head.borrow().clone();
    tx.conn.prepare_cached("SAVEPOINT job")?.execute([])?;
    let result = job.run(tx);
    if tx.conn.is_autocommit() {
        return result;
    }
    if result.is_err() {
        tx.conn.prepare_cached("ROLLBACK TO job")?.execute([])?;
        tx.head.replace(head);
        tx.known.forget();
    }
    tx.conn.prepare_cached("RELEASE job")?.execute([])?;
    result
}

fn alone(shared: &Shared, session: &mut Session, mut job: Box<dyn Job>) {
    let result = session.one(&shared.place, job.durability(), |tx| job.run(tx));
    job.end(result.map_err(|fault| fault.told(&shared.place)));
}
