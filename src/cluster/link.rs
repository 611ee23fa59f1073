//! A connection to another process that has proven the key: TLS over a socket, and frames in it. It never blocks.
//!
//! A frame is its length, 4 bytes big-endian, and a JSON object. What comes after the last frame that was received stays in the
//! connection: it is the workers'.

use rustls::Connection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;

/// A frame is at most this long.
const MAX_FRAME: usize = 64 << 10;

/// A connection to another process.
pub(super) struct Link {
    pub(super) socket: TcpStream,
    pub(super) tls: Connection,
    /// Of the next frame, with its length.
    partial: Vec<u8>,
}

impl Link {
    pub(super) fn new(socket: TcpStream, tls: Connection) -> Self {
        Link { socket, tls, partial: Vec::new() }
    }

    /// Writes what TLS has to say, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Is there something that the socket did not take?
    pub(super) fn has_unsent(&self) -> bool {
        self.tls.wants_write()
    }

    /// Was something received that is not read?
    pub(super) fn has_buffered(&mut self) -> bool {
        let state = self.tls.process_new_packets();
        state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    pub(super) fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.tls.writer().write_all(&frame(message)?)?;
        self.flush()
    }

    /// Reads once what the socket has; false: nothing.
    ///
    /// # Errors
    /// The other side is gone, or breaks TLS.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        match self.tls.read_tls(&mut self.socket) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                let processed = self.tls.process_new_packets();
                // Also an alert, if it is one.
                self.flush()?;
                processed.map(|_| true).map_err(|e| io::Error::new(ErrorKind::PermissionDenied, e))
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) if e.kind() == ErrorKind::Interrupted => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// The next frame; none: it has not come yet.
    ///
    /// # Errors
    /// The other side is gone, or what it sends is no frame.
    pub(super) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            let missing = missing(&self.partial)?;
            if missing == 0 {
                let message = serde_json::from_slice(&self.partial[4..]).map_err(io::Error::from);
                self.partial.clear();
                return message.map(Some);
            }
            let mut some = [0; 1024];
            let most = missing.min(some.len());
            match self.tls.reader().read(&mut some[..most]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.partial.extend_from_slice(&some[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }
}

fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_FRAME);
    let length = length.ok_or_else(|| io::Error::other("a frame that is too long"))?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

/// How many bytes of a frame are missing; at first, of its length.
fn missing(partial: &[u8]) -> io::Result<usize> {
    let Some(length) = partial.first_chunk::<4>() else { return Ok(4 - partial.len()) };
    match usize::try_from(u32::from_be_bytes(*length)) {
        Ok(length) if (1..=MAX_FRAME).contains(&length) => Ok(4 + length - partial.len()),
        _ => Err(io::Error::new(ErrorKind::InvalidData, "a frame of that length is none")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_it_says() {
        let whole = frame(&"ab").unwrap();
        assert_eq!(whole, b"\0\0\0\x04\"ab\"");
        let missing_of = |n: usize| missing(&whole[..n]).unwrap();
        assert_eq!([0, 3, 4, 7, 8].map(missing_of), [4, 1, 4, 1, 0]);
        assert!(missing(&[0, 0, 0, 0]).is_err() && missing(&[0, 1, 0, 1]).is_err() && missing(&[255; 4]).is_err());
    }
}
