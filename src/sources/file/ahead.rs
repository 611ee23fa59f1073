//! Reads ahead of a worker, on a thread of its own: what may wait for its writer (a pipe), or takes time to make (what is
//! decompressed).
//!
//! ```text
//!   thread: open, read ──pieces──> bounded queue ──> worker, woken after each
//!           └─────────────────────────────────── its used buffers
//! ```
//!
//! At most [`QUEUE`] pieces wait. Dropping the reader ends the thread at its next piece; one that waits in the system for a
//! pipe's writer ends with the process.

use super::text::Bytes;
use minutely_dataflows::edge::Wake;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Bytes of a piece, at most.
const PIECE_BYTES: usize = 256 << 10;
/// Pieces that may wait.
const QUEUE: usize = 3;

/// Text that a thread reads.
pub(super) struct Ahead {
    pieces: Receiver<io::Result<Vec<u8>>>,
    empty: SyncSender<Vec<u8>>,
    /// What is left of the piece that came last.
    piece: Vec<u8>,
    from: usize,
    ended: bool,
}

impl Ahead {
    /// Starts the thread, which opens the text and reads it. `name`: the thread's.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(super) fn start(
        name: &str,
        open: impl FnOnce() -> io::Result<Bytes> + Send + 'static,
        wake: Wake,
    ) -> io::Result<Self> {
        let (send, pieces) = sync_channel(QUEUE);
        let (empty, returned) = sync_channel(QUEUE + 1);
        let body = move || {
            let failed = open().and_then(|mut bytes| read_all(&mut bytes, &send, &returned, &wake)).err();
            // An empty piece is the end. A reader that is gone needs neither.
            let _gone = send.send(failed.map_or(Ok(Vec::new()), Err));
            wake();
        };
        std::thread::Builder::new().name(name.to_owned()).spawn(body)?;
        Ok(Ahead { pieces, empty, piece: Vec::new(), from: 0, ended: false })
    }

    /// Takes what is there: none at present is `None`, and 0 is the end. `room` is not empty.
    ///
    /// # Errors
    /// What the thread met.
    pub(super) fn read(&mut self, room: &mut [u8]) -> io::Result<Option<usize>> {
        if self.from == self.piece.len() && !self.ended {
            let piece = match self.pieces.try_recv() {
                Ok(piece) => piece?,
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("the thread that reads it has ended")),
            };
            self.ended = piece.is_empty();
            let used = std::mem::replace(&mut self.piece, piece);
            self.from = 0;
            let _not_needed = self.empty.try_send(used);
        }
        let read = room.len().min(self.piece.len() - self.from);
        room[..read].copy_from_slice(&self.piece[self.from..self.from + read]);
        self.from += read;
        Ok(Some(read))
    }
}

/// Sends all that comes, until the end, or until no reader is left.
fn read_all(
    bytes: &mut Bytes,
    send: &SyncSender<io::Result<Vec<u8>>>,
    returned: &Receiver<Vec<u8>>,
    wake: &Wake,
) -> io::Result<()> {
    loop {
        let mut piece = returned.try_recv().unwrap_or_default();
        piece.resize(PIECE_BYTES, 0);
        let read = loop {
            match bytes.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        piece.truncate(read);
        if read == 0 || send.send(Ok(piece)).is_err() {
            return Ok(());
        }
        wake();
    }
}

/// How many files may be decompressed on threads of their own at once: a few more than there are cores for, as some of them wait.
#[derive(Debug)]
pub(super) struct Permits(Arc<AtomicUsize>);

/// The right to a thread, until it is dropped.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permits {
    /// As many as this machine has use for.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Permits(Arc::new(AtomicUsize::new(2 * cores)))
    }

    /// One, if one is left.
    pub(super) fn take(&self) -> Option<Permit> {
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.ok().map(|_| Permit(Arc::clone(&self.0)))
    }
}

impl Permit {
    /// These bytes, which need it until they are dropped.
    pub(super) fn with(self, bytes: Bytes) -> Bytes {
        Box::new(Permitted { bytes, _permit: self })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Permitted {
    bytes: Bytes,
    _permit: Permit,
}

impl Read for Permitted {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(room)
    }
}
