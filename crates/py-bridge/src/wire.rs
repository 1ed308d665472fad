//! The pair of sockets by which a thread wakes an event loop: one byte, never blocking.

#[cfg(unix)]
mod imp {
    use std::io::{self, Read, Write};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    /// The loop's end.
    pub(crate) struct Reader(UnixStream);

    /// The threads' end.
    pub(crate) struct Writer(UnixStream);

    pub(crate) fn pair() -> io::Result<(Reader, Writer)> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok((Reader(reader), Writer(writer)))
    }

    impl Reader {
        pub(crate) fn descriptor(&self) -> i32 {
            self.0.as_raw_fd()
        }

        pub(crate) fn clear(&self) {
            let mut bytes = [0_u8; 64];
            // Level-triggered: what is left makes the loop call again.
            let _read = (&self.0).read(&mut bytes);
        }
    }

    impl Writer {
        pub(crate) fn nudge(&self) {
            // A full socket means that bytes are waiting to be read: the loop will look in any case.
            let _written = (&self.0).write(&[1]);
        }
    }
}

#[cfg(not(unix))]
mod imp {
    use std::io;

    /// Not available here; every loop takes the `call_soon_threadsafe` way.
    pub(crate) struct Reader(());

    /// See [`Reader`].
    pub(crate) struct Writer(());

    pub(crate) fn pair() -> io::Result<(Reader, Writer)> {
        Ok((Reader(()), Writer(())))
    }

    impl Reader {
        pub(crate) fn descriptor(&self) -> i32 {
            -1
        }

        pub(crate) fn clear(&self) {}
    }

    impl Writer {
        pub(crate) fn nudge(&self) {}
    }
}

pub(crate) use imp::{Reader, Writer, pair};
