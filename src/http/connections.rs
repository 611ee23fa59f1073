//! Who is connected, and whose connection is closed when there is no room for the next one.
//!
//! Room is limited twice. Each connection takes a file descriptor, and sources, sinks and the state need some, too. And
//! bytes of answers stay in memory until the client has read them. A client that does nothing, or does not read what it
//! asked for, gives way to the next one.

use axum::body::Body;
use axum::http::Response;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::Sleep;

/// Connections at once, at most and at least.
const MOST: usize = 2048;
const LEAST: usize = 16;
/// Open files that are never used for connections: they are for the state, sinks, brokers and the process's own.
const RESERVE: u64 = 128;
/// How many more there may be for a moment: a connection that was asked to close takes one.
const SLACK: usize = 16;
/// Bytes of answers that clients have not read yet, over all clients; beyond this, no further piece is made.
const MOST_OWED: usize = 64 << 20;
/// How long a client may read nothing of what it is owed before its room is given to another.
const SLOW: Duration = Duration::from_secs(2);
/// Between two looks whether there is room.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a request waits for room.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);

/// How many connections there may be where the process may have this many open files.
pub(super) fn most(open_files: u64) -> usize {
    usize::try_from(open_files.saturating_sub(RESERVE) / 2).unwrap_or(MOST).clamp(LEAST, MOST)
}

/// All connections.
pub(super) struct Connections {
    most: usize,
    most_owed: usize,
    began: Instant,
    all: Mutex<BTreeMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    /// Bytes that clients have not read yet.
    owed: AtomicUsize,
}

/// One of them. Times are milliseconds since the server began.
pub(super) struct Connection {
    number: u64,
    all: Arc<Connections>,
    /// A request is being answered.
    busy: AtomicBool,
    /// The guard has let a request of it in.
    known: AtomicBool,
    /// When it connected, or its last answer ended, or it last read a whole piece of one.
    since: AtomicU64,
    owed: AtomicUsize,
    /// It was asked to close.
    closing: AtomicBool,
    close: Notify,
}

/// What decides whose connection is closed.
#[derive(Clone, Copy, Debug)]
struct ConnectionFacts {
    busy: bool,
    known: bool,
    owed: usize,
    /// For how long it has done nothing, or read nothing of what it is owed.
    still: Duration,
}

impl ConnectionFacts {
    /// It is owed something and does not read it.
    fn is_slow(&self) -> bool {
        self.owed > 0 && self.still >= SLOW
    }

    /// Lower goes first, and within the same the one that is still for longest; `None` stays.
    fn rank(&self) -> Option<u8> {
        match self {
            ConnectionFacts { owed: 0, busy: false, known, .. } => Some(u8::from(*known)),
            slow if slow.is_slow() => Some(2),
            _ => None,
        }
    }
}

impl Connections {
    pub(super) fn new(most: usize) -> Self {
        Connections {
            most,
            most_owed: MOST_OWED,
            began: Instant::now(),
            all: Mutex::default(),
            next: AtomicU64::new(0),
            owed: AtomicUsize::new(0),
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How many there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Are there too many that were asked to close and have not yet? Then the next one has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.count() >= self.most + SLACK
    }

    /// Adds a connection, closing another where there is no room; `None` where all others are at work.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Arc<Connection>> {
        if self.count() >= self.most && !self.close_one() {
            return None;
        }
        let connection = Arc::new(Connection {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            all: Arc::clone(self),
            busy: AtomicBool::new(false),
            known: AtomicBool::new(false),
            since: AtomicU64::new(self.now()),
            owed: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
            close: Notify::new(),
        });
        self.all().insert(connection.number, Arc::clone(&connection));
        Some(connection)
    }

    /// Asks the connection that is needed least to close; `false` where each is at work.
    pub(super) fn close_one(&self) -> bool {
        self.close_least(ConnectionFacts::rank)
    }

    fn close_least(&self, rank: impl Fn(&ConnectionFacts) -> Option<u8>) -> bool {
        let now = self.now();
        let all = self.all();
        let candidates = all.values().filter(|one| !one.closing.load(Ordering::Relaxed));
        let ranked = candidates.filter_map(|one| {
            let facts = one.facts(now);
            Some((rank(&facts)?, std::cmp::Reverse(facts.still), one))
        });
        let Some((.., least)) = ranked.min_by_key(|(rank, still, one)| (*rank, *still, one.number)) else {
            return false;
        };
        least.closing.store(true, Ordering::Relaxed);
        least.close.notify_one();
        true
    }

    /// Is there room for another answer? If not, a client that does not read loses its connection.
    fn has_room(&self) -> bool {
        let room = self.owed.load(Ordering::Relaxed) < self.most_owed;
        if !room {
            self.close_least(|facts| facts.is_slow().then_some(0));
        }
        room
    }

    /// Waits for room; `false` where there is none in [`ROOM_TIMEOUT`].
    pub(super) async fn room(&self) -> bool {
        let until = Instant::now() + ROOM_TIMEOUT;
        while !self.has_room() {
            if Instant::now() > until {
                return false;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }
}

impl Connection {
    fn facts(&self, now: u64) -> ConnectionFacts {
        ConnectionFacts {
            busy: self.busy.load(Ordering::Relaxed),
            known: self.known.load(Ordering::Relaxed),
            owed: self.owed.load(Ordering::Relaxed),
            still: Duration::from_millis(now.saturating_sub(self.since.load(Ordering::Relaxed))),
        }
    }

    fn touch(&self) {
        self.since.store(self.all.now(), Ordering::Relaxed);
    }

    /// Its next request has come.
    pub(super) fn begin_request(&self) {
        self.busy.store(true, Ordering::Relaxed);
        self.touch();
    }

    /// The guard has let its request in.
    pub(super) fn admit(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Returns once it is to be closed.
    pub(super) async fn asked_to_close(&self) {
        self.close.notified().await;
    }

    pub(super) fn leave(&self) {
        self.all.all().remove(&self.number);
    }

    /// The same answer, whose bytes are counted until they are read.
    pub(super) fn counted(self: &Arc<Self>, answer: Response<Body>) -> Response<Body> {
        answer.map(|body| Body::new(CountedBody { body, connection: Arc::clone(self), wait: None }))
    }
}

/// The body of an answer; its connection is busy as long as this is there.
struct CountedBody {
    body: Body,
    connection: Arc<Connection>,
    wait: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // A client that has read everything so far may always have one more piece, so that all make progress.
        while self.connection.owed.load(Ordering::Relaxed) > 0 && !self.connection.all.has_room() {
            let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(LOOK_AGAIN)));
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let owe = |bytes: Bytes| Bytes::from_owner(UnreadBytes::new(bytes, &self.connection));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(owe))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.connection.touch();
        self.connection.busy.store(false, Ordering::Relaxed);
    }
}

/// A piece of an answer, counted until the client has read it (or the kernel has taken it).
struct UnreadBytes {
    bytes: Bytes,
    connection: Arc<Connection>,
}

impl UnreadBytes {
    fn new(bytes: Bytes, connection: &Arc<Connection>) -> Self {
        connection.owed.fetch_add(bytes.len(), Ordering::Relaxed);
        connection.all.owed.fetch_add(bytes.len(), Ordering::Relaxed);
        UnreadBytes { bytes, connection: Arc::clone(connection) }
    }
}

impl AsRef<[u8]> for UnreadBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for UnreadBytes {
    fn drop(&mut self) {
        self.connection.touch();
        self.connection.owed.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        self.connection.all.owed.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_keeps_open_files_for_itself() {
        for (open_files, want) in
            [(0, 16), (64, 16), (256, 64), (1024, 448), (4096, 1984), (1 << 20, 2048), (u64::MAX, 2048)]
        {
            assert_eq!(most(open_files), want, "{open_files}");
        }
    }

    fn facts(busy: bool, known: bool, owed: usize, seconds: u64) -> ConnectionFacts {
        ConnectionFacts { busy, known, owed, still: Duration::from_secs(seconds) }
    }

    #[test]
    fn an_idle_client_gives_way_and_one_that_reads_stays() {
        assert_eq!(facts(false, false, 0, 0).rank(), Some(0), "it was never let in");
        assert_eq!(facts(false, true, 0, 0).rank(), Some(1), "it waits for its next request");
        assert_eq!(facts(true, true, 9, 60).rank(), Some(2), "it does not read");
        assert_eq!(facts(false, true, 9, 60).rank(), Some(2), "nor the end of its answer");
        assert_eq!(facts(true, true, 9, 1).rank(), None, "it reads");
        assert_eq!(facts(true, true, 0, 60).rank(), None, "a stream that has nothing new");
    }

    #[test]
    fn a_full_house_lets_the_next_one_in_if_a_client_is_idle() {
        let all = Arc::new(Connections::new(2));
        let (at_work, idle) = (all.enter().unwrap(), all.enter().unwrap());
        at_work.begin_request();
        let next = all.enter().unwrap();
        assert!(idle.closing.load(Ordering::Relaxed) && !at_work.closing.load(Ordering::Relaxed));
        next.begin_request();
        assert!(all.enter().is_none(), "all others are at work");
        idle.leave();
        assert_eq!(all.count(), 2);
    }

    #[test]
    fn what_is_not_read_is_counted_and_a_slow_reader_makes_room() {
        let mut all = Connections::new(9);
        all.most_owed = 1000;
        let all = Arc::new(all);
        let slow = all.enter().unwrap();
        slow.begin_request();
        let piece = UnreadBytes::new(Bytes::from(vec![0; 1000]), &slow);
        assert!(!all.has_room() && !slow.closing.load(Ordering::Relaxed), "it may still read");
        assert!(facts(true, true, 1000, 2).is_slow());
        drop(piece);
        assert!(all.has_room());
        assert_eq!(slow.owed.load(Ordering::Relaxed), 0);
    }
}
