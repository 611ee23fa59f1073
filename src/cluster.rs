//! How the processes of a run find one another. Timely's own way waits for ever, says so on stdout, where rows may go,
//! and takes anybody's word.
//!
//! A process calls those before it in the list and is called by those after it. Connections are judged side by side, each
//! within a short time, and none that does not prove the secret of the data folder has any effect or learns anything.

#[cfg(test)]
mod fuzz;
mod handshake;
mod secret;

use crate::config::Cluster;
use crate::live::say;
use handshake::{Handshake, Hello, Progress};
use minutely_dataflows::edge::{Halt, HaltKind};
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

/// Between two looks for the others.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a system on loopback may take to say whether somebody listens.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Between two calls of one process.
const CALL_AGAIN: Duration = Duration::from_millis(100);
/// Callers that are judged at once: the next one takes the place of the oldest. A process of the run says all at once and is
/// judged within two rounds, in which fewer than that are let in: so no number of silent callers keeps it out.
const MOST_CALLERS: usize = 128;
const CALLERS_A_ROUND: usize = 32;
/// After so long, and again every so often, a process that waits says for whom.
const TOLD_EVERY: Duration = Duration::from_secs(20);

/// Runs `work` on this process's workers, once all processes are there. `fingerprint`: of what must be the same for all.
/// `data`: the folder that all have in common, with the secret that they know one another by.
///
/// # Errors
/// 64: another process was started otherwise, or the secret is not safe. 69: the address cannot be had.
pub(crate) fn execute<T: Send + 'static>(
    cluster: &Cluster,
    fingerprint: u64,
    data: &Path,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> Result<WorkerGuards<T>, Halt> {
    let Cluster { workers, process, addresses } = cluster;
    let hooks = Hooks::default();
    let builders = ProcessBuilder::new_typed_vector(*workers, hooks.refill.clone(), hooks.spill.clone());
    let cannot = |why: String| Halt::new(HaltKind::Unreachable, format!("the workers cannot start: {why}"));
    let (builders, threads): (Vec<_>, Box<dyn std::any::Any + Send>) = if addresses.is_empty() {
        (builders.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(()))
    } else {
        let sockets = connect(cluster, fingerprint, &Secret::of(data)?)?;
        let (builders, threads) = initialize_networking_from_sockets(builders, sockets, *process, *workers, hooks)
            .map_err(|error| cannot(error.to_string()))?;
        (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads))
    };
    execute_from(builders, threads, WorkerConfig::default(), work).map_err(cannot)
}

impl Hello {
    /// Do both belong to one run? `expected`: the number that the list gives to who was called.
    fn agrees(&self, other: &Hello, address: &str, expected: Option<u64>) -> Result<(), Halt> {
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
        let why = format!(
            "the process at {address} was started with {differs}: processes of one run may differ only in -p and --http"
        );
        Err(Halt::new(HaltKind::Usage, why))
    }
}

/// The other processes, as far as they are connected.
struct Mesh<'a> {
    own: Hello,
    addresses: &'a [String],
    secret: &'a Secret,
    /// By process; none for this one.
    sockets: Vec<Option<TcpStream>>,
    /// Calls of this process that are not answered yet, by process, and when the next one is due.
    calls: Vec<(Option<Handshake>, Instant)>,
    /// What went wrong with the newest of them.
    trouble: String,
    callers: Vec<(Handshake, SocketAddr)>,
    strangers: Strangers,
}

/// Callers who do not belong to the run. They are many, if somebody means harm: one line tells of all within a while.
#[derive(Default)]
struct Strangers {
    told: Option<Instant>,
    since: usize,
}

impl Strangers {
    fn tell(&mut self, from: SocketAddr, error: &io::Error) {
        self.since += 1;
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        let others = if self.since > 1 { format!(" ({} since the last time)", self.since) } else { String::new() };
        tracing::warn!(
            "{from} called and is sent away, since it does not belong to this run: {error}{others}; if it is a process of \
             this run, start it with the same --data"
        );
        (self.told, self.since) = (Some(Instant::now()), 0);
    }
}

/// A connection to each other process, in their order.
fn connect(cluster: &Cluster, fingerprint: u64, secret: &Secret) -> Result<Vec<Option<TcpStream>>, Halt> {
    let Cluster { workers, process, addresses } = cluster;
    let address = &addresses[*process];
    let cannot = |error: io::Error| {
        let why = format!("this process's address {address} cannot be had: {error}; another run may have it (see -h)");
        Halt::new(HaltKind::Unreachable, why)
    };
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
    let mut told = Instant::now();
    loop {
        let missing: Vec<_> = (0..addresses.len()).filter(|at| at != process && mesh.sockets[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(mesh.sockets);
        }
        if told.elapsed() > TOLD_EVERY {
            let missing: Vec<_> = missing.iter().map(|at| format!("{at} at {}", addresses[*at])).collect();
            say(&format!("waits for process {}{}: start it with -p", missing.join(", "), mesh.trouble));
            told = Instant::now();
        }
        mesh.call()?;
        let came = mesh.accept(&listener).map_err(cannot)?;
        mesh.judge()?;
        if !came {
            std::thread::sleep(PAUSE);
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).expect("it fits")
}

impl Mesh<'_> {
    /// Calls those before this one that have not answered.
    fn call(&mut self) -> Result<(), Halt> {
        for at in 0..self.calls.len() {
            if self.sockets[at].is_some() {
                continue;
            }
            let (call, due) = &mut self.calls[at];
            let progress = match call.take() {
                Some(handshake) => handshake.advance(self.secret),
                None if Instant::now() < *due => continue,
                None => dial(&self.addresses[at], self.own).map(Progress::Waits),
            };
            match progress {
                Ok(Progress::Waits(handshake)) => *call = Some(handshake),
                Ok(Progress::Proven(socket, hello)) => {
                    self.own.agrees(&hello, &self.addresses[at], Some(number(at)))?;
                    self.sockets[at] = Some(socket);
                }
                // It may not be there yet.
                Err(error) => {
                    *due = Instant::now() + CALL_AGAIN;
                    self.trouble = format!(" (who listens at {}: {error})", self.addresses[at]);
                }
            }
        }
        Ok(())
    }

    /// Lets those in who call; false: nobody does.
    fn accept(&mut self, listener: &TcpListener) -> io::Result<bool> {
        for n in 0..CALLERS_A_ROUND {
            match listener.accept() {
                Ok((socket, from)) => match Handshake::answer(socket, self.own) {
                    Ok(handshake) => self.callers.push((handshake, from)),
                    Err(error) => self.strangers.tell(from, &error),
                },
                Err(error) => match error.kind() {
                    // Nobody calls, or somebody has who is gone again.
                    ErrorKind::WouldBlock | ErrorKind::ConnectionAborted | ErrorKind::Interrupted => return Ok(n > 0),
                    // No descriptor is free: callers give theirs back.
                    _ if !self.callers.is_empty() => {
                        self.send_away_oldest();
                        return Ok(false);
                    }
                    _ => return Err(error),
                },
            }
            if self.callers.len() > MOST_CALLERS {
                self.send_away_oldest();
            }
        }
        Ok(true)
    }

    /// They are in the order in which they came.
    fn send_away_oldest(&mut self) {
        let (_, from) = self.callers.remove(0);
        self.strangers.tell(from, &ErrorKind::TimedOut.into());
    }

    /// Hears all who have called, a little each.
    fn judge(&mut self) -> Result<(), Halt> {
        for (handshake, from) in std::mem::take(&mut self.callers) {
            match handshake.advance(self.secret) {
                Ok(Progress::Waits(handshake)) => self.callers.push((handshake, from)),
                Ok(Progress::Proven(socket, hello)) => {
                    self.own.agrees(&hello, &from.to_string(), None)?;
                    // One that calls again has begun anew.
                    let place = usize::try_from(hello.process).ok().filter(|at| *at >= self.calls.len());
                    place.and_then(|at| self.sockets.get_mut(at)).map(|place| place.replace(socket));
                }
                Err(error) => self.strangers.tell(from, &error),
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
