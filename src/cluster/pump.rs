//! Carries what the workers say to another process through TLS.
//!
//! ```text
//!   timely ══ socket pair ══ "link-out-1": reads, locks TLS, encrypts, unlocks ──> socket
//!          ══             ══ "link-in-1":  locks TLS, decrypts, unlocks, writes <── socket
//! ```
//!
//! Timely takes two halves of one stream and blocks on each. No thread holds the lock of TLS while it reads or writes a socket,
//! so neither direction waits for the other. Each holds one buffer of 64 KiB; a process that is slow to read makes the sender wait.
//!
//! The end: timely shuts its half down, TLS says `close_notify`, and the other process hears the end of a stream that is whole. A
//! connection that ends without it is broken: that is noted, timely is not told, and the heartbeats' thread ends the process. So ends that of a process
//! which ends the run, too: its farewell may not have been said yet, and its workers were not done.

use super::link::Link;
use super::peers::Peers;
use rustls::Connection;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// What one thread reads at once.
const BUFFER: usize = 64 << 10;

/// One process's connection, as its two threads share it.
struct Pump {
    tls: Mutex<Connection>,
    peers: Arc<Peers>,
    /// The other process.
    of: usize,
}

/// Starts the threads of a connection. Returns timely's end.
///
/// # Errors
/// The system has no socket or thread for it.
pub(super) fn start(link: Link, peers: &Arc<Peers>, of: usize) -> io::Result<(UnixStream, [JoinHandle<()>; 2])> {
    let Link { socket, mut tls, .. } = link;
    // What is written is at most a buffer, and is taken out at once.
    tls.set_buffer_limit(None);
    socket.set_nonblocking(false)?;
    let (theirs, ours) = UnixStream::pair()?;
    let pump = Arc::new(Pump { tls: Mutex::new(tls), peers: Arc::clone(peers), of });
    let (out, (other_socket, other_ours)) = (Arc::clone(&pump), (socket.try_clone()?, ours.try_clone()?));
    // Both threads keep both ends for as long as they live: timely would take the end of its stream for the end of the process.
    let sends =
        Builder::new().name(format!("link-out-{of}")).spawn(move || out.run(|pump| pump.send(&ours, &socket)))?;
    let receives = Builder::new()
        .name(format!("link-in-{of}"))
        .spawn(move || pump.run(|pump| pump.receive(&other_socket, &other_ours)))?;
    Ok((theirs, [sends, receives]))
}

impl Pump {
    fn tls(&self) -> MutexGuard<'_, Connection> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, carry: impl FnOnce(&Self) -> io::Result<()>) {
        if let Err(e) = carry(self) {
            let why = if e.kind() == ErrorKind::UnexpectedEof { "it hung up".to_owned() } else { e.to_string() };
            self.peers.broke(self.of, why);
            // Timely would take the end of its stream for the end of the process: it hears no more.
            loop {
                std::thread::park();
            }
        }
    }

    /// From timely to the socket.
    fn send(&self, mut from: &UnixStream, mut to: &TcpStream) -> io::Result<()> {
        let (mut plain, mut encrypted) = (vec![0; BUFFER], Vec::with_capacity(BUFFER + 1024));
        let sent = &self.peers.traffic(self.of).sent;
        loop {
            let n = read(&mut from, &mut plain)?;
            if n == 0 && self.peers.farewell().is_some() {
                return to.shutdown(Shutdown::Write);
            }
            {
                let mut tls = self.tls();
                match n {
                    0 => tls.send_close_notify(),
                    n => tls.writer().write_all(&plain[..n])?,
                }
                while tls.wants_write() {
                    tls.write_tls(&mut encrypted)?;
                }
            }
            to.write_all(&encrypted)?;
            sent.fetch_add(count(encrypted.len()), Ordering::Relaxed);
            encrypted.clear();
            if n == 0 {
                // The other side may be gone already, and has all.
                let _gone = to.shutdown(Shutdown::Write);
                return Ok(());
            }
        }
    }

    /// From the socket to timely.
    fn receive(&self, mut from: &TcpStream, mut to: &UnixStream) -> io::Result<()> {
        let (mut encrypted, mut plain) = (vec![0; BUFFER], Vec::with_capacity(BUFFER));
        let received = &self.peers.traffic(self.of).received;
        // What came right after the handshake.
        let mut ended = decrypt(&mut self.tls(), &[], &mut plain)?;
        loop {
            to.write_all(&plain)?;
            plain.clear();
            if ended {
                self.peers.finished(self.of);
                to.shutdown(Shutdown::Write)?;
                return Ok(());
            }
            let n = read(&mut from, &mut encrypted)?;
            if n == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            received.fetch_add(count(n), Ordering::Relaxed);
            ended = decrypt(&mut self.tls(), &encrypted[..n], &mut plain)?;
        }
    }
}

/// Appends what these bytes say to `plain`. True: the other side has said that it is done.
fn decrypt(tls: &mut Connection, mut encrypted: &[u8], plain: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        if !encrypted.is_empty() {
            tls.read_tls(&mut encrypted)?;
        }
        let state = tls.process_new_packets().map_err(|e| io::Error::new(ErrorKind::InvalidData, e))?;
        let start = plain.len();
        plain.resize(start + state.plaintext_bytes_to_read(), 0);
        tls.reader().read_exact(&mut plain[start..])?;
        if encrypted.is_empty() {
            return Ok(state.peer_has_closed());
        }
    }
}

fn read(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(into) {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).expect("it fits")
}

#[cfg(test)]
mod tests {
    use super::super::key::ClusterKey;
    use super::super::tls::Tls;
    use super::*;
    use crate::clock::SystemClock;
    use std::net::TcpListener;
    use std::time::Duration;

    /// Two ends of a connection that has done its handshake.
    fn links() -> [Link; 2] {
        let tls = Tls::new(&ClusterKey::random().unwrap()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut links = [(caller, true), (listener.accept().unwrap().0, false)].map(|(socket, calls)| {
            socket.set_nonblocking(true).unwrap();
            Link::new(socket, tls.begin(calls).unwrap())
        });
        while links.iter().any(|link| link.tls.is_handshaking()) {
            for link in &mut links {
                link.flush().unwrap();
                link.fill().unwrap();
            }
        }
        links
    }

    fn peers() -> Arc<Peers> {
        Arc::new(Peers::new(&["a:1".into(), "b:2".into()], 0, SystemClock::start()))
    }

    /// Waits until the other process is lost. What is said of it.
    fn lost(peers: &Peers) -> String {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(lost) = peers.lost(Duration::from_secs(3600)) {
                return lost;
            }
            assert!(std::time::Instant::now() < until, "its end counts as that of one that is done");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn what_is_written_at_one_end_is_read_at_the_other_both_ways_at_once() {
        let [one, other] = links();
        let (here, there) = (peers(), peers());
        let (one, one_threads) = start(one, &here, 1).unwrap();
        let (other, other_threads) = start(other, &there, 1).unwrap();
        const SIZE: usize = 8 << 20;
        let send = |mut to: UnixStream, seed: u64| {
            std::thread::spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                let mut all = vec![0; SIZE];
                rng.fill(&mut all);
                let mut rest = &all[..];
                while !rest.is_empty() {
                    let (some, more) = rest.split_at(rng.usize(1..=rest.len().min(200_000)));
                    to.write_all(some).unwrap();
                    rest = more;
                }
                to.shutdown(Shutdown::Write).unwrap();
                all
            })
        };
        let receive = |mut from: UnixStream| {
            std::thread::spawn(move || {
                let mut all = Vec::new();
                from.read_to_end(&mut all).unwrap();
                all
            })
        };
        let sent = [send(one.try_clone().unwrap(), 1), send(other.try_clone().unwrap(), 2)];
        let heard = [receive(other), receive(one)];
        for (sent, heard) in sent.into_iter().zip(heard) {
            assert!(sent.join().unwrap() == heard.join().unwrap(), "other bytes");
        }
        one_threads.into_iter().chain(other_threads).for_each(|thread| thread.join().unwrap());
        let sent = here.traffic(1).sent.load(Ordering::Relaxed);
        assert!(sent > count(SIZE) && sent == there.traffic(1).received.load(Ordering::Relaxed), "{sent}");
    }

    #[test]
    fn an_end_that_was_not_announced_is_a_loss_and_timely_does_not_hear_of_it() {
        let [one, other] = links();
        let here = peers();
        let (mut stream, _threads) = start(one, &here, 1).unwrap();
        drop(other);
        lost(&here);
        stream.set_nonblocking(true).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    /// The farewell itself goes by another connection, whose thread may be late.
    #[test]
    fn the_end_of_a_process_that_ends_the_run_is_a_loss() {
        let [one, other] = links();
        let (here, there) = (peers(), peers());
        let (_stream, _threads) = start(one, &here, 1).unwrap();
        let (ending, _ending_threads) = start(other, &there, 1).unwrap();
        there.set_up();
        there.say_farewell("another run has taken it over");
        drop(ending);
        let lost = lost(&here);
        assert!(lost.contains("it hung up"), "{lost}");
    }
}
