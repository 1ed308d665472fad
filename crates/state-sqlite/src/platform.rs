//! What differs between operating systems.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a file that only its owner can read; an error if there is one.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    private(&mut options).open(path)
}

/// Opens a side file, or makes it if `write`. A symbolic link is not followed.
pub(crate) fn open_beside(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(write).create(write);
    private(&mut options).open(path)
}

/// Opens a side file to write in it, if there is one. A symbolic link is not followed.
pub(crate) fn open_there(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    private(&mut options).open(path)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW.bits();
    options.mode(0o600).custom_flags(i32::from_ne_bytes(flags.to_ne_bytes()))
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Writes at a place of a file without moving its cursor.
#[cfg(unix)]
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
pub(crate) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    match std::os::windows::fs::FileExt::seek_write(file, bytes, at)? {
        all if all == bytes.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Whether the medium of a path has no room left.
#[cfg(unix)]
pub(crate) fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|medium| medium.f_bavail == 0 || (medium.f_files > 0 && medium.f_favail == 0))
}

#[cfg(not(unix))]
pub(crate) fn is_full(_path: &Path) -> bool {
    false
}

/// How many bytes the medium of a path has room for; `None` where that cannot be known.
#[cfg(unix)]
pub(crate) fn room(path: &Path) -> Option<u64> {
    rustix::fs::statvfs(path).ok().map(|medium| medium.f_bavail.saturating_mul(medium.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn room(_path: &Path) -> Option<u64> {
    None
}

/// Whether a path cannot be written by this process, or its medium by nobody.
#[cfg(unix)]
pub(crate) fn is_read_only(path: &Path) -> bool {
    use rustix::fs::{Access, StatVfsMountFlags};
    rustix::fs::statvfs(path).is_ok_and(|medium| medium.f_flag.contains(StatVfsMountFlags::RDONLY))
        || rustix::fs::access(path, Access::WRITE_OK).is_err()
}

#[cfg(not(unix))]
pub(crate) fn is_read_only(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| data.permissions().readonly())
}

/// What names a file whatever it is called: its device and its number there.
pub(crate) type Inode = (u64, u64);

#[cfg(unix)]
pub(crate) fn inode(path: &Path) -> Option<Inode> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

#[cfg(not(unix))]
pub(crate) fn inode(_path: &Path) -> Option<Inode> {
    None
}

/// How many descriptors of this process are on a file; none where the system has no list of them.
pub(crate) fn descriptors(file: Inode) -> usize {
    let Ok(all) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    all.flatten().filter(|each| inode(&each.path()) == Some(file)).count()
}

/// What this start of the machine is called; `None` where that cannot be known.
pub(crate) fn boot() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let hash = blake3::hash(text.trim().as_bytes());
    hash.as_bytes().first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}
