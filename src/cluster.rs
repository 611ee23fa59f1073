//! How the processes of a run connect to one another. Timely's own way waits for ever, says so on stdout, where rows may go,
//! and does not check who connects.
//!
//! A process connects to those before it in the list and accepts those after it. Handshakes run side by side, each with a short
//! deadline; a peer that does not prove that it knows the secret of the data folder has no effect and learns nothing.

mod error;
#[cfg(test)]
mod fuzz;
mod handshake;
mod secret;

use crate::console::say;
use error::ClusterError;
use handshake::{Handshake, Hello, Progress};
use secret::Secret;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::execute::execute_from;
use timely::worker::Worker;

/// Between two turns of the handshakes.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a connection on loopback may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two attempts to connect to one process.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Handshakes of callers at once: the next caller replaces the oldest. A process of the run sends all it has at once and is
/// done within two turns, in which fewer callers than that are accepted: so silent callers, however many, cannot keep it out.
const MAX_CALLERS: usize = 128;
/// Callers accepted in one turn.
const CALLERS_PER_TURN: usize = 32;
/// How often a process that waits for others says for which.
const REMIND_EVERY: Duration = Duration::from_secs(20);

/// The processes of a run, and their workers: `-w`, `-n`, `-p`, `-h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Worker threads of each process.
    pub(crate) workers: usize,
    /// Which process this is, from 0.
    pub(crate) process: usize,
    /// host:port of all processes; empty for a single one.
    pub(crate) addresses: Vec<String>,
}

/// Runs `work` on this process's workers, once all processes are connected. `fingerprint`: of what must be the same in all.
/// `data`: the data folder, which all processes share; the secret is in it.
///
/// # Errors
/// Another process was started with other options, other users can read the secret, or the address cannot be bound.
pub(crate) fn execute<T: Send + 'static>(
    cluster: &Cluster,
    fingerprint: u64,
    data: &Path,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> Result<WorkerGuards<T>, ClusterError> {
    let Cluster { workers, process, addresses } = cluster;
    let hooks = Hooks::default();
    let builders = ProcessBuilder::new_typed_vector(*workers, hooks.refill.clone(), hooks.spill.clone());
    let (builders, threads): (Vec<_>, Box<dyn std::any::Any + Send>) = if addresses.is_empty() {
        (builders.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(()))
    } else {
        let sockets = connect(cluster, fingerprint, &Secret::of(data)?)?;
        let (builders, threads) = initialize_networking_from_sockets(builders, sockets, *process, *workers, hooks)
            .map_err(|error| ClusterError::NotStarted(error.to_string()))?;
        (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads))
    };
    execute_from(builders, threads, WorkerConfig::default(), work).map_err(ClusterError::NotStarted)
}

impl Hello {
    /// Do both belong to one run? `expected`: the process number that the list gives to that address.
    fn agrees(&self, other: &Hello, address: &str, expected: Option<u64>) -> Result<(), ClusterError> {
        let differs = if other.processes != self.processes {
            format!("-n {} (here {})", other.processes, self.processes)
        } else if other.workers != self.workers {
            format!("-w {} (here {})", other.workers, self.workers)
        } else if other.process == self.process {
            format!("-p {} as well", other.process)
        } else if other.fingerprint != self.fingerprint {
            "another version, or other options".to_owned()
        } else if let Some(expected) = expected.filter(|expected| *expected != other.process) {
            format!("-p {} (by -h here it is {expected})", other.process)
        } else {
            return Ok(());
        };
        Err(ClusterError::OtherOptions { address: address.to_owned(), differs })
    }
}

/// The other processes, as far as they are connected.
struct Mesh<'a> {
    own: Hello,
    addresses: &'a [String],
    secret: &'a Secret,
    /// By process; none for this one, and where there is no connection yet.
    sockets: Vec<Option<TcpStream>>,
    /// Handshakes that this process began, by process, and when the next attempt is due.
    calls: Vec<(Option<Handshake>, Instant)>,
    /// Why the newest of them failed, for people.
    trouble: String,
    callers: Vec<(Handshake, SocketAddr)>,
    strangers: Strangers,
}

/// Callers who do not belong to the run. An attacker can make many: one warning per [`REMIND_EVERY`] counts all of them.
#[derive(Default)]
struct Strangers {
    last_warning: Option<Instant>,
    /// Callers since then.
    since: usize,
}

impl Strangers {
    fn warn(&mut self, from: SocketAddr, error: &io::Error) {
        self.since += 1;
        if self.last_warning.is_some_and(|last| last.elapsed() < REMIND_EVERY) {
            return;
        }
        let others = if self.since > 1 { format!(" ({} since the last time)", self.since) } else { String::new() };
        tracing::warn!(
            "{from} called and is sent away, since it does not belong to this run: {error}{others}; if it is a process of \
             this run, start it with the same --data"
        );
        (self.last_warning, self.since) = (Some(Instant::now()), 0);
    }
}

/// Connects to each other process; by process.
fn connect(cluster: &Cluster, fingerprint: u64, secret: &Secret) -> Result<Vec<Option<TcpStream>>, ClusterError> {
    let Cluster { workers, process, addresses } = cluster;
    let address = &addresses[*process];
    let cannot = |source: io::Error| ClusterError::AddressTaken { address: address.clone(), source };
    let listener = TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let own =
        Hello { process: number(*process), processes: number(addresses.len()), workers: number(*workers), fingerprint };
    let mut mesh = Mesh {
        own,
        addresses,
        secret,
        sockets: addresses.iter().map(|_| None).collect(),
        calls: addresses[..*process].iter().map(|_| (None, Instant::now())).collect(),
        trouble: String::new(),
        callers: Vec::new(),
        strangers: Strangers::default(),
    };
    let mut last_reminder = Instant::now();
    loop {
        let missing: Vec<_> = (0..addresses.len()).filter(|at| at != process && mesh.sockets[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(mesh.sockets);
        }
        if last_reminder.elapsed() > REMIND_EVERY {
            let missing: Vec<_> = missing.iter().map(|at| format!("{at} at {}", addresses[*at])).collect();
            say(&format!("waits for process {}{}: start it with -p", missing.join(", "), mesh.trouble));
            last_reminder = Instant::now();
        }
        mesh.connect_to_earlier()?;
        let came = mesh.accept(&listener).map_err(cannot)?;
        mesh.advance_callers()?;
        if !came {
            std::thread::sleep(PAUSE);
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).expect("it fits")
}

impl Mesh<'_> {
    /// Connects to those before this one, and advances their handshakes.
    fn connect_to_earlier(&mut self) -> Result<(), ClusterError> {
        for at in 0..self.calls.len() {
            if self.sockets[at].is_some() {
                continue;
            }
            let (call, due) = &mut self.calls[at];
            let progress = match call.take() {
                Some(handshake) => handshake.advance(self.secret),
                None if Instant::now() < *due => continue,
                None => dial(&self.addresses[at], self.own).map(Progress::Pending),
            };
            match progress {
                Ok(Progress::Pending(handshake)) => *call = Some(handshake),
                Ok(Progress::Proven(socket, hello)) => {
                    self.own.agrees(&hello, &self.addresses[at], Some(number(at)))?;
                    self.sockets[at] = Some(socket);
                }
                // It may not have started yet.
                Err(error) => {
                    *due = Instant::now() + RETRY_INTERVAL;
                    self.trouble = format!(" (who listens at {}: {error})", self.addresses[at]);
                }
            }
        }
        Ok(())
    }

    /// Accepts callers; false: there were none.
    fn accept(&mut self, listener: &TcpListener) -> io::Result<bool> {
        for n in 0..CALLERS_PER_TURN {
            match listener.accept() {
                Ok((socket, from)) => match Handshake::answer(socket, self.own) {
                    Ok(handshake) => self.callers.push((handshake, from)),
                    Err(error) => self.strangers.warn(from, &error),
                },
                Err(error) => match error.kind() {
                    // No caller, or one that is gone again.
                    ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted => return Ok(n > 0),
                    // No descriptor is free: the oldest caller gives its own back.
                    _ if !self.callers.is_empty() => {
                        self.send_away_oldest();
                        return Ok(false);
                    }
                    _ => return Err(error),
                },
            }
            if self.callers.len() > MAX_CALLERS {
                self.send_away_oldest();
            }
        }
        Ok(true)
    }

    /// Callers are in the order in which they came.
    fn send_away_oldest(&mut self) {
        let (_, from) = self.callers.remove(0);
        self.strangers.warn(from, &ErrorKind::TimedOut.into());
    }

    /// Advances the handshakes of all callers.
    fn advance_callers(&mut self) -> Result<(), ClusterError> {
        for (handshake, from) in std::mem::take(&mut self.callers) {
            match handshake.advance(self.secret) {
                Ok(Progress::Pending(handshake)) => self.callers.push((handshake, from)),
                Ok(Progress::Proven(socket, hello)) => {
                    self.own.agrees(&hello, &from.to_string(), None)?;
                    // One that calls again has been restarted.
                    let place = usize::try_from(hello.process).ok().filter(|at| *at >= self.calls.len());
                    place.and_then(|at| self.sockets.get_mut(at)).map(|place| place.replace(socket));
                }
                Err(error) => self.strangers.warn(from, &error),
            }
        }
        Ok(())
    }
}

fn dial(address: &str, own: Hello) -> io::Result<Handshake> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => return Handshake::call(socket, own),
            Err(error) => last = error,
        }
    }
    Err(last)
}
