//! How the processes of a run find one another. Timely's own way waits for ever, says so on stdout, where rows may go,
//! and takes anybody's word.

use crate::config::Cluster;
use crate::live::say;
use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::initialize_networking_from_sockets;
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::execute::execute_from;
use timely::worker::Worker;

/// Between two looks for the others.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a caller may take to say who it is (all of it is sent at once), and how long it waits for the answer.
const CALLER_PATIENCE: Duration = Duration::from_secs(2);
const ANSWER_PATIENCE: Duration = Duration::from_secs(20);
/// After so long, and again every so often, a process that waits says for whom.
const TOLD_EVERY: Duration = Duration::from_secs(20);

/// Runs `work` on this process's workers, once all processes are there. `fingerprint`: of what must be the same for all.
///
/// # Errors
/// 64: another process was started otherwise. 69: the address cannot be had.
pub(crate) fn execute<T: Send + 'static>(
    cluster: &Cluster,
    fingerprint: u64,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> Result<WorkerGuards<T>, Halt> {
    let Cluster { workers, process, addresses } = cluster;
    let hooks = Hooks::default();
    let builders = ProcessBuilder::new_typed_vector(*workers, hooks.refill.clone(), hooks.spill.clone());
    let cannot = |why: String| Halt::new(HaltKind::Unreachable, format!("the workers cannot start: {why}"));
    let (builders, threads): (Vec<_>, Box<dyn std::any::Any + Send>) = if addresses.is_empty() {
        (builders.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(()))
    } else {
        let sockets = connect(cluster, fingerprint)?;
        let (builders, threads) = initialize_networking_from_sockets(builders, sockets, *process, *workers, hooks)
            .map_err(|error| cannot(error.to_string()))?;
        (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads))
    };
    execute_from(builders, threads, WorkerConfig::default(), work).map_err(cannot)
}

/// What a process says of itself on a new connection: big-endian integers after a word that nobody else says.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hello {
    process: u64,
    processes: u64,
    workers: u64,
    fingerprint: u64,
}

impl Hello {
    const WORD: &[u8; 8] = b"minutely";
    const BYTES: usize = 40;

    fn send(&self, mut socket: &TcpStream) -> io::Result<()> {
        let numbers = [self.process, self.processes, self.workers, self.fingerprint].map(u64::to_be_bytes);
        socket.write_all(&[&Self::WORD[..], numbers.as_flattened()].concat())
    }

    fn receive(mut socket: &TcpStream, patience: Duration) -> io::Result<Hello> {
        let mut bytes = [0; Self::BYTES];
        socket.set_read_timeout(Some(patience))?;
        socket.read_exact(&mut bytes)?;
        socket.set_read_timeout(None)?;
        let (word, numbers) = bytes.split_at(Self::WORD.len());
        let mut numbers = numbers.chunks_exact(8).map(|n| u64::from_be_bytes(n.try_into().unwrap_or_default()));
        let mut number = || numbers.next().unwrap_or_default();
        let hello = Hello { process: number(), processes: number(), workers: number(), fingerprint: number() };
        if word == Self::WORD { Ok(hello) } else { Err(ErrorKind::InvalidData.into()) }
    }

    /// Do both belong to one run?
    fn agrees(&self, other: &Hello, address: &str) -> Result<(), Halt> {
        let differs = if other.processes != self.processes {
            format!("-n {} (here {})", other.processes, self.processes)
        } else if other.workers != self.workers {
            format!("-w {} (here {})", other.workers, self.workers)
        } else if other.process == self.process {
            format!("-p {} as well", other.process)
        } else if other.fingerprint != self.fingerprint {
            "another version, or other options".to_owned()
        } else {
            return Ok(());
        };
        let why = format!(
            "the process at {address} was started with {differs}: processes of a run differ in -p and --http alone"
        );
        Err(Halt::new(HaltKind::Usage, why))
    }
}

/// A connection to each other process, in their order. A process calls those before it and is called by those after it.
fn connect(cluster: &Cluster, fingerprint: u64) -> Result<Vec<Option<TcpStream>>, Halt> {
    let Cluster { workers, process, addresses } = cluster;
    let number = |n: usize| u64::try_from(n).expect("it fits");
    let own =
        Hello { process: number(*process), processes: number(addresses.len()), workers: number(*workers), fingerprint };
    let address = &addresses[*process];
    let cannot = |error: io::Error| {
        let why = format!("this process's address {address} cannot be had: {error}; another run may have it (see -h)");
        Halt::new(HaltKind::Unreachable, why)
    };
    let listener = TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let mut sockets: Vec<Option<TcpStream>> = addresses.iter().map(|_| None).collect();
    let (mut told, mut trouble) = (Instant::now(), String::new());
    loop {
        let missing: Vec<_> = (0..addresses.len()).filter(|at| at != process && sockets[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(sockets);
        }
        if told.elapsed() > TOLD_EVERY {
            let missing: Vec<_> = missing.iter().map(|at| format!("{at} at {}", addresses[*at])).collect();
            say(&format!("waits for process {}{trouble}: start it with -p", missing.join(", ")));
            told = Instant::now();
        }
        for at in missing.into_iter().filter(|at| at < process) {
            match call(&addresses[at], &own) {
                Ok((socket, hello)) => {
                    own.agrees(&hello, &addresses[at])?;
                    sockets[at] = Some(socket);
                }
                Err(error) => trouble = format!(" ({error})"), // it may not be there yet
            }
        }
        match listener.accept() {
            Ok((socket, from)) => match answer(socket, &own) {
                Ok((socket, hello)) => {
                    own.agrees(&hello, &from.to_string())?;
                    // One that calls again has begun anew.
                    let place = usize::try_from(hello.process).ok().filter(|at| at > process);
                    place.and_then(|at| sockets.get_mut(at)).map(|place| place.replace(socket));
                }
                Err(error) => tracing::warn!("{from} calls process {process} at {address} and is no minutely: {error}"),
            },
            // Nobody calls, or somebody has who is gone again.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionAborted) => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(cannot(error)),
        }
    }
}

fn call(address: &str, own: &Hello) -> io::Result<(TcpStream, Hello)> {
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    own.send(&socket)?;
    let hello = Hello::receive(&socket, ANSWER_PATIENCE)?;
    Ok((socket, hello))
}

fn answer(socket: TcpStream, own: &Hello) -> io::Result<(TcpStream, Hello)> {
    socket.set_nonblocking(false)?;
    socket.set_nodelay(true)?;
    let hello = Hello::receive(&socket, CALLER_PATIENCE)?;
    own.send(&socket)?;
    Ok((socket, hello))
}
