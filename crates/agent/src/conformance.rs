//! What every ledger of approvals must do, as a check that any implementation can run in its tests.

use std::thread;

use crate::ApprovalLedger;

/// How many ask through each handle at once.
const AT_ONCE: usize = 4;

/// Checks the rules of [`ApprovalLedger`] on an empty ledger: a decision can be used once, also when many ask at once; it
/// stays used; decisions do not get in each other's way.
///
/// `handles` lead to the same ledger, as several processes would have them; one handle will do for a ledger that lives in
/// memory.
///
/// # Errors
/// The first rule that was broken, in words.
pub fn check_ledger(handles: &[&dyn ApprovalLedger]) -> Result<(), String> {
    if handles.is_empty() {
        return Err("there is no ledger to check".into());
    }
    for digit in ["0a", "b1", "0b"] {
        let digest = digit.repeat(32);
        match won(handles, &digest)? {
            1 => {}
            0 => return Err(format!("{digest} was not used before and could not be used")),
            more => return Err(format!("{more} of those who asked at once used {digest}")),
        }
    }
    for digit in ["0a", "b1", "0b"] {
        let digest = digit.repeat(32);
        if won(handles, &digest)? != 0 {
            return Err(format!("{digest} was used a second time"));
        }
    }
    Ok(())
}

/// How many of those who ask at once are told that the decision is theirs.
fn won(handles: &[&dyn ApprovalLedger], digest: &str) -> Result<usize, String> {
    thread::scope(|scope| {
        let claims: Vec<_> =
            handles.iter().flat_map(|handle| (0..AT_ONCE).map(|_| scope.spawn(|| handle.claim(digest)))).collect();
        let mut won = 0;
        for claim in claims {
            let told = claim.join().map_err(|_| "claim panicked".to_owned())?;
            won += usize::from(told.map_err(|error| format!("claim failed: {error}"))?);
        }
        Ok(won)
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Always(bool);

    impl ApprovalLedger for Always {
        fn claim(&self, _digest: &str) -> io::Result<bool> {
            Ok(self.0)
        }
    }

    /// Remembers that something was used, and not what.
    #[derive(Debug, Default)]
    struct Once(AtomicBool);

    impl ApprovalLedger for Once {
        fn claim(&self, _digest: &str) -> io::Result<bool> {
            Ok(!self.0.swap(true, Ordering::SeqCst))
        }
    }

    #[test]
    fn each_broken_rule_is_named() {
        assert!(check_ledger(&[&Always(true)]).unwrap_err().contains("at once"));
        assert!(check_ledger(&[&Always(false)]).unwrap_err().contains("could not be used"));
        assert!(check_ledger(&[&Once::default()]).unwrap_err().contains("b1"));
        assert!(check_ledger(&[]).is_err());
    }
}
