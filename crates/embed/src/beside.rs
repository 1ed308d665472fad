//! A file that takes the place of another one at once, when it is whole.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How often another name is taken, where somebody is in the way.
const ATTEMPTS: usize = 100;

/// A file that is written beside its place, as `.NAME.TAG.new`, and then put there: whoever reads, and a crash at any moment,
/// finds the old file or the new one. Dropped before that, it is gone.
///
/// The new file is locked until it is in its place. So the next save of the name can tell what a killed process left, which it
/// removes, from what another process is writing. On a file system without locks nothing is removed.
///
/// ```
/// use std::io::Write as _;
/// use atomr_agents_embed::Beside;
///
/// # let folder = tempfile::tempdir()?;
/// let place = folder.path().join("notes");
/// let new = Beside::new(&place)?;
/// new.file().write_all(b"rain")?;
/// new.swap_in()?;
/// assert_eq!(std::fs::read(&place)?, b"rain");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Beside {
    file: File,
    path: PathBuf,
    place: PathBuf,
    tag: String,
    /// Whether there is nothing to remove.
    gone: bool,
}

impl Beside {
    /// A new file beside `place`, empty; what killed processes left there is removed.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidInput`] where `place` does not end in the name of a file.
    pub fn new(place: &Path) -> io::Result<Self> {
        let Some(name) = place.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not the name of a file"));
        };
        sweep(folder(place), name);
        for _ in 0..ATTEMPTS {
            let tag = unique();
            let path = place.with_file_name(beside(name, &tag));
            let file = match File::options().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                file => file?,
            };
            let new = Self { file, path, place: place.to_owned(), tag, gone: false };
            // Between the two calls it looked like one of the dead: somebody may be removing it, or have removed it.
            if !matches!(new.file.try_lock(), Err(TryLockError::WouldBlock)) && fs::exists(&new.path)? {
                return Ok(new);
            }
        }
        Err(io::Error::new(io::ErrorKind::ResourceBusy, "is written by too many at once"))
    }

    /// Where to write.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What no other file beside any place is called: digits of base 16, and dashes.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether there is such a file beside `place`: it is being written, or what wrote it was killed since [`Beside::new`] was
    /// last called for that place.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_there(place: &Path, tag: &str) -> io::Result<bool> {
        place.file_name().map_or(Ok(false), |name| fs::exists(place.with_file_name(beside(name, tag))))
    }

    /// Puts the file in its place. When this is answered, both the bytes and the name are on the disk.
    ///
    /// # Errors
    /// What the system says; then the old file is still there, unless only its folder could not be flushed.
    pub fn swap_in(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, &self.place)?;
        self.gone = true;
        // Not every system lets a folder be opened.
        File::open(folder(&self.place)).map_or(Ok(()), |open| open.sync_all())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.gone {
            // It is of no use; that it cannot be removed either changes nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn folder(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn beside(name: &OsStr, tag: &str) -> std::ffi::OsString {
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{tag}.new"));
    beside
}

/// What nobody else is called, now or later: a name is removed only by whoever holds the lock of its one file.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{since:x}-{:x}-{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the files beside a name that nobody writes. What cannot be removed is in nobody's way.
fn sweep(folder: &Path, name: &OsStr) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let found = entry.file_name();
        let tag =
            found.as_encoded_bytes().strip_prefix(b".").and_then(|rest| rest.strip_prefix(name.as_encoded_bytes()));
        let tag = tag.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".new"));
        let ours = tag.is_some_and(|tag| tag.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-'));
        if !ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // The lock is held while the name goes: whoever made the file a moment ago sees that it is gone.
        if let Ok(left) = File::options().write(true).open(entry.path())
            && left.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Barrier;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_left_goes_with_the_next_save_and_what_is_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("notes");
        let others = [".notes.tmp.new", ".notes.1-2.old", ".notes.z.1-2.new", "notes.1-2.new", ".others.1-2.new"];
        for left in others.iter().chain(&[".notes.18f-2-0.new", ".notes.7-0.new"]) {
            fs::write(folder.path().join(left), b"left").unwrap();
        }
        fs::create_dir(folder.path().join(".notes.7-1.new")).unwrap();
        let written = Beside::new(&place).unwrap();
        assert!(Beside::is_there(&place, written.tag()).unwrap());
        written.file().write_all(b"one").unwrap();
        let other = Beside::new(&place).unwrap();
        other.file().write_all(b"two").unwrap();
        other.swap_in().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
        written.swap_in().unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"one");
        let mut expected: Vec<&str> = others.into_iter().chain([".notes.7-1.new", "notes"]).collect();
        expected.sort_unstable();
        assert_eq!(names(folder.path()), expected);
    }

    #[test]
    fn one_that_is_dropped_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("notes");
        let tag = Beside::new(&place).unwrap().tag().to_owned();
        assert!(!Beside::is_there(&place, &tag).unwrap());
        assert_eq!(names(folder.path()), [""; 0]);
        assert_eq!(Beside::new(Path::new("..")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn many_saves_at_once_all_succeed_and_leave_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (place, start) = (folder.path().join("notes"), Barrier::new(8));
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..50 {
                        let new = Beside::new(place).unwrap();
                        new.file().write_all(&[thread; 100]).unwrap();
                        new.swap_in().unwrap();
                    }
                });
            }
        });
        let last = fs::read(&place).unwrap();
        assert_eq!(last, [last[0]; 100]);
        assert_eq!(names(folder.path()), ["notes"]);
    }
}
