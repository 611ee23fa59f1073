//! The processes of a run: how they connect, what they say to one another, and how they notice that one is lost. Timely's own way
//! of connecting waits for ever, says so on stdout, where rows may go, and does not check who connects.
//!
//! ```text
//!   Cluster ── mesh ───────────> connections ── pump ──────> timely
//!      │        │ handshake        for data, for ─ heartbeat ─> Peers: who is alive, who is lost
//!      └ key ───┘                  heartbeats
//! ```
//!
//! All connections are encrypted, and made by processes that have proven the run's key to one another.

mod callers;
mod dial;
mod error;
#[cfg(test)]
mod fuzz;
mod handshake;
mod heartbeat;
mod hello;
mod key;
mod link;
mod mesh;
mod options;
mod peers;
mod pump;
mod secret;
mod steps;
mod tls;

pub(crate) use heartbeat::PeerLost;
pub(crate) use key::ClusterKey;
pub(crate) use options::CommonOptions;
pub(crate) use peers::{PeerReport, Peers};
pub(crate) use steps::WorkerSteps;

use crate::clock::SystemClock;
use crate::console::say;
use error::ClusterError;
use handshake::Credentials;
use heartbeat::Heartbeats;
use hello::{Channel, Hello};
use mesh::MeshOptions;
use std::any::Any;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use timely::WorkerConfig;
use timely::communication::allocator::zero_copy::initialize::{CommsGuard, initialize_networking_from_sockets};
use timely::communication::allocator::{AllocatorBuilder, ProcessBuilder};
use timely::communication::{Hooks, WorkerGuards};
use timely::execute::execute_from;
use timely::worker::Worker;

/// The processes of a run, and their workers: `-w`, `-n`, `-p`, `-h`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Worker threads of each process.
    pub(crate) workers: usize,
    /// Which process this is, from 0.
    pub(crate) process: usize,
    /// host:port of all processes; empty for a single one.
    pub(crate) addresses: Vec<String>,
    /// The key that was given; none: all are on this machine's loopback, and the data folder has a secret.
    pub(crate) key: Option<ClusterKey>,
    /// `--peer-timeout`.
    pub(crate) peer_timeout: Duration,
}

/// The run that the processes have in common.
pub(crate) struct RunIdentity<'a> {
    pub(crate) job: String,
    /// Of the state: what process 0 has published, and what another found. 0: no state is kept.
    pub(crate) generation: u64,
    pub(crate) options: CommonOptions,
    /// The data folder. On one machine all processes share it; the secret is in it.
    pub(crate) data: &'a Path,
}

/// What is known of the processes and workers while they run.
pub(crate) struct Watch {
    pub(crate) clock: SystemClock,
    pub(crate) peers: Arc<Peers>,
    pub(crate) steps: Arc<WorkerSteps>,
}

/// The processes of the run of this one, once they are connected.
static PEERS: OnceLock<Arc<Peers>> = OnceLock::new();

/// Tells the other processes of the run why this one ends it, if there are any; they end, too, and say so.
pub(crate) fn farewell(why: &str) {
    if let Some(peers) = PEERS.get() {
        peers.say_farewell(why);
    }
}

/// Runs `work` on this process's workers, once all processes are connected.
///
/// # Errors
/// Another process was started with other options, other users can read the secret, or the address cannot be bound.
pub(crate) fn execute<T: Send + 'static>(
    cluster: &Cluster,
    run: &RunIdentity<'_>,
    watch: &Watch,
    work: impl Fn(&mut Worker) -> T + Send + Sync + 'static,
) -> Result<WorkerGuards<T>, ClusterError> {
    let hooks = Hooks::default();
    let builders = ProcessBuilder::new_typed_vector(cluster.workers, hooks.refill.clone(), hooks.spill.clone());
    let (builders, threads): (Vec<_>, Box<dyn Any + Send>) = if cluster.addresses.is_empty() {
        (builders.into_iter().map(AllocatorBuilder::Process).collect(), Box::new(()))
    } else {
        let (streams, pumps) = connect(cluster, run, watch)?;
        let (builders, comms) =
            initialize_networking_from_sockets(builders, streams, cluster.process, cluster.workers, hooks)
                .map_err(|error| ClusterError::NotStarted(error.to_string()))?;
        let threads = MeshThreads { comms: Some(comms), pumps, peers: Arc::clone(&watch.peers) };
        (builders.into_iter().map(AllocatorBuilder::Tcp).collect(), Box::new(threads))
    };
    execute_from(builders, threads, WorkerConfig::default(), work).map_err(ClusterError::NotStarted)
}

/// Timely's ends of the connections, by process, and the threads that carry them.
type Streams = (Vec<Option<std::os::unix::net::UnixStream>>, Vec<JoinHandle<()>>);

/// Connects to all other processes, and starts the threads of the connections.
fn connect(cluster: &Cluster, run: &RunIdentity<'_>, watch: &Watch) -> Result<Streams, ClusterError> {
    let Cluster { workers, process, addresses, key, peer_timeout } = cluster;
    let only_loopback = key.is_none();
    let key = key.clone().map_or_else(|| secret::of_folder(run.data), Ok)?;
    let credentials = Credentials::new(&key).map_err(|e| ClusterError::NotStarted(e.to_string()))?;
    let address = &addresses[*process];
    let listening = dial::listen(address, only_loopback);
    let (listener, on_all) =
        listening.map_err(|source| ClusterError::AddressTaken { address: address.clone(), source })?;
    if on_all {
        say(&format!("{address} is not an address of this host: listens at its port on all of its addresses"));
    }
    let own = Hello {
        channel: Channel::Data,
        job: run.job.clone(),
        generation: run.generation,
        start: watch.clock.wall().0.unsigned_abs(),
        process: *process,
        processes: addresses.len(),
        workers: *workers,
        options: run.options.clone(),
    };
    let peers = &watch.peers;
    let timeout = *peer_timeout;
    let options = MeshOptions { own, addresses, credentials: &credentials, peers, only_loopback, timeout };
    let connected = mesh::connect(&options, &listener)?;
    let not_started = |e: std::io::Error| ClusterError::NotStarted(e.to_string());
    let (mut streams, mut pumps) = (Vec::new(), Vec::new());
    for (of, link) in connected.data.into_iter().enumerate() {
        let started = link.map(|link| pump::start(*link, peers, of)).transpose().map_err(not_started)?;
        streams.push(started.map(|(stream, threads)| {
            pumps.extend(threads);
            stream
        }));
    }
    peers.set_up();
    let _first = PEERS.set(Arc::clone(peers));
    let (peers, steps, links) = (Arc::clone(peers), Arc::clone(&watch.steps), connected.heartbeats);
    Heartbeats { links, peers, steps, timeout }.start().map_err(not_started)?;
    tracing::debug!("connected to all processes; generation {} of the state", connected.generation);
    Ok((streams, pumps))
}

/// The threads of the connections. Dropped once this process's workers are done.
struct MeshThreads {
    comms: Option<CommsGuard>,
    pumps: Vec<JoinHandle<()>>,
    peers: Arc<Peers>,
}

impl Drop for MeshThreads {
    /// Waits until all is sent, and until the other processes are done.
    fn drop(&mut self) {
        if self.peers.farewell().is_some() {
            // They do not wait for this process, and it does not wait for them.
            std::mem::forget(self.comms.take());
            return;
        }
        drop(self.comms.take());
        for pump in self.pumps.drain(..) {
            // A thread that panicked has said so.
            let _panicked = pump.join();
        }
        self.peers.set_over();
    }
}
