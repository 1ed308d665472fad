//! A file as memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// The bytes of a file, read when they are looked at.
pub(super) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the memory is only read, and through types for which any bytes are a value. What this asks of the world is
    // that nobody cuts the file while it is mapped; `VectorIndex::save` never writes into a file that is there, it puts
    // a new one in its place, and the documentation of `VectorIndex::load` says it of others.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_file_even_after_it_was_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        File::create(&path).unwrap().write_all(b"first").unwrap();
        let mapped = map(&File::open(&path).unwrap()).unwrap();
        std::fs::write(folder.path().join("b"), b"second").unwrap();
        std::fs::rename(folder.path().join("b"), &path).unwrap();
        assert_eq!(&*mapped, b"first");
    }
}
