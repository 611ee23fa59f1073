//! How the processes of a run find one another and begin together.
//!
//! A process calls those before it in the list, twice: for the workers' messages and for heartbeats. It accepts those after it.
//! Once it is connected to all, it tells process 0 by which start of each; once all have told it the same, process 0 says that the
//! run begins. Until then a process that goes away is only missing, and is waited for; a connection of an earlier start of it is
//! dropped. From then on whoever goes away is lost.

use super::callers::Callers;
use super::dial::dial;
use super::error::ClusterError;
use super::handshake::{Credentials, Handshake, Progress};
use super::heartbeat::{INTERVAL, Message};
use super::hello::{Channel, Hello, HelloVerdict};
use super::link::Link;
use super::peers::{PeerLoad, Peers};
use crate::console::say;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Between two turns of the handshakes.
const PAUSE: Duration = Duration::from_millis(10);
/// Between two attempts to connect to one process.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// The same, after it was connected and is not any more.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);
/// How often a process that waits for others says for which.
const REMIND_EVERY: Duration = Duration::from_secs(20);

/// What a mesh is made of.
pub(super) struct MeshOptions<'a> {
    pub(super) own: Hello,
    /// Of all processes.
    pub(super) addresses: &'a [String],
    pub(super) credentials: &'a Credentials,
    pub(super) peers: &'a Arc<Peers>,
    /// The run has no key that was given.
    pub(super) only_loopback: bool,
    /// `--peer-timeout`.
    pub(super) timeout: Duration,
}

/// Connections to all other processes, by process.
pub(super) struct Connected {
    pub(super) data: Vec<Option<Box<Link>>>,
    pub(super) heartbeats: Vec<Option<Box<Link>>>,
    /// Of the state that process 0 has published.
    pub(super) generation: u64,
}

/// Another process, as far as it is connected.
#[derive(Default)]
struct Place {
    /// Which start of it is connected.
    start: u64,
    data: Option<Box<Link>>,
    heartbeat: Option<Box<Link>>,
    heard: Option<Instant>,
    /// At process 0: by which starts it is connected to all.
    ready: Vec<u64>,
    calls: [Call; 2],
    /// When the next attempt is due, if this process calls that one.
    due: Option<Instant>,
}

/// What this process does to connect to another.
#[derive(Default)]
enum Call {
    #[default]
    None,
    Dials(Receiver<io::Result<TcpStream>>),
    Shakes(Handshake),
}

impl Place {
    fn is_connected(&self) -> bool {
        self.data.is_some() && self.heartbeat.is_some()
    }

    fn link(&mut self, channel: Channel) -> &mut Option<Box<Link>> {
        match channel {
            Channel::Data => &mut self.data,
            Channel::Heartbeat => &mut self.heartbeat,
        }
    }
}

/// The mesh, until all are connected.
struct Mesh<'a> {
    options: &'a MeshOptions<'a>,
    /// By process; that of this one stays empty.
    places: Vec<Place>,
    callers: Callers,
    /// Why the newest attempt failed, for people.
    trouble: String,
    last_beat: Option<Instant>,
    /// What process 0 was told.
    announced: Vec<u64>,
}

/// Connects to each other process.
pub(super) fn connect(options: &MeshOptions<'_>, listener: &TcpListener) -> Result<Connected, ClusterError> {
    let (own, addresses) = (options.own.process, options.addresses);
    let cannot = |source: io::Error| ClusterError::AddressTaken { address: addresses[own].clone(), source };
    let mut mesh = Mesh {
        options,
        places: addresses.iter().map(|_| Place::default()).collect(),
        callers: Callers::default(),
        trouble: String::new(),
        last_beat: None,
        announced: Vec::new(),
    };
    let mut last_reminder = Instant::now();
    loop {
        mesh.call_earlier()?;
        let came = mesh.callers.accept(listener, &options.own).map_err(cannot)?;
        mesh.advance_callers()?;
        if let Some(generation) = mesh.hear()? {
            return Ok(mesh.connected(generation));
        }
        mesh.beat();
        if let Some(generation) = mesh.begin() {
            return Ok(mesh.connected(generation));
        }
        if last_reminder.elapsed() > REMIND_EVERY {
            mesh.remind();
            last_reminder = Instant::now();
        }
        if !came {
            std::thread::sleep(PAUSE);
        }
    }
}

impl Mesh<'_> {
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let own = self.options.own.process;
        (0..self.places.len()).filter(move |at| *at != own)
    }

    /// Calls those before this one, and advances their handshakes.
    fn call_earlier(&mut self) -> Result<(), ClusterError> {
        for at in 0..self.options.own.process {
            for (n, channel) in Channel::ALL.into_iter().enumerate() {
                let place = &mut self.places[at];
                if place.link(channel).is_some() || place.due.is_some_and(|due| Instant::now() < due) {
                    continue;
                }
                let call = std::mem::take(&mut place.calls[n]);
                match self.advance_call(call, channel, at) {
                    Ok(None) => {}
                    Ok(Some(Progress::Pending(handshake))) => self.places[at].calls[n] = Call::Shakes(handshake),
                    Ok(Some(Progress::Proven(link, hello))) => {
                        let address = self.options.addresses[at].clone();
                        // What a connection is for is what its caller says.
                        let hello = Hello { channel, ..hello };
                        if let Some(why) = self.admit(link, &hello, &address, Some(at))? {
                            self.retry(at, &why, RECONNECT_INTERVAL);
                        }
                    }
                    // It may not have started yet.
                    Err(error) => self.retry(at, &error, RETRY_INTERVAL),
                }
            }
        }
        Ok(())
    }

    fn retry(&mut self, at: usize, why: &dyn std::fmt::Display, after: Duration) {
        self.places[at].due = Some(Instant::now() + after);
        self.trouble = format!(" (who listens at {}: {why})", self.options.addresses[at]);
    }

    /// One step of a call; none: it goes on dialling.
    fn advance_call(&mut self, call: Call, channel: Channel, at: usize) -> io::Result<Option<Progress>> {
        let MeshOptions { own, addresses, credentials, only_loopback, .. } = self.options;
        let dialling = match call {
            Call::Shakes(handshake) => return handshake.advance(credentials).map(Some),
            Call::None => dial(&addresses[at], *only_loopback)?,
            Call::Dials(dialling) => dialling,
        };
        match dialling.try_recv() {
            Ok(socket) => {
                Handshake::call(socket?, Hello { channel, ..own.clone() }).map(|it| Some(Progress::Pending(it)))
            }
            Err(TryRecvError::Empty) => {
                let n = usize::from(channel == Channel::Heartbeat);
                self.places[at].calls[n] = Call::Dials(dialling);
                Ok(None)
            }
            Err(TryRecvError::Disconnected) => Err(io::Error::other("the thread that dials has ended")),
        }
    }

    fn advance_callers(&mut self) -> Result<(), ClusterError> {
        for (link, hello, from) in self.callers.advance(self.options.credentials) {
            if let Some(why) = self.admit(link, &hello, &from.to_string(), None)? {
                self.callers.refuse(from, &why);
            }
        }
        Ok(())
    }

    /// Takes a connection to another process; or why not.
    fn admit(
        &mut self,
        mut link: Box<Link>,
        hello: &Hello,
        address: &str,
        expected: Option<usize>,
    ) -> Result<Option<String>, ClusterError> {
        let own = &self.options.own;
        let place = self.places.get_mut(hello.process);
        let newest = place.as_ref().filter(|place| place.heartbeat.is_some() || place.data.is_some());
        let newest = newest.map(|place| place.start);
        if let HelloVerdict::Earlier(why) = own.judge(hello, address, expected, newest)? {
            // Best effort: it learns why its connection ends.
            let _gone = link.send(&Message::Farewell { why: why.clone() });
            return Ok(Some(why));
        }
        let Some(place) = place else { return Ok(Some("there is no such process".to_owned())) };
        if newest.is_some_and(|newest| newest != hello.start) {
            // It was started again; the connections of before are dead, or will be.
            (place.data, place.heartbeat) = (None, None);
        }
        if hello.channel == Channel::Heartbeat {
            place.heard = Some(Instant::now());
            self.options.peers.heard(hello.process, PeerLoad::default());
        }
        place.start = hello.start;
        // Process 0 may have forgotten what it was told.
        self.announced.clear();
        *place.link(hello.channel) = Some(link);
        Ok(None)
    }

    /// Hears those that are connected, and notices who is gone. Returns the generation once process 0 says that the run begins.
    fn hear(&mut self) -> Result<Option<u64>, ClusterError> {
        let mut begun = None;
        for at in self.others() {
            match self.hear_one(at) {
                Ok(None) => {}
                Ok(Some((generation, starts))) if at == 0 => begun = Some((generation, starts)),
                Ok(Some(_)) => {}
                Err(why) => {
                    let place = &mut self.places[at];
                    (place.data, place.heartbeat) = (None, None);
                    (place.heard, place.ready) = (None, Vec::new());
                    self.announced.clear();
                    self.options.peers.forget(at);
                    self.retry(at, &why, RECONNECT_INTERVAL);
                }
            }
        }
        match begun {
            None => Ok(None),
            Some((generation, starts)) if self.starts().as_ref() == Some(&starts) => Ok(Some(generation)),
            Some(_) => Err(ClusterError::BeganWithout(self.options.addresses[0].clone())),
        }
    }

    fn hear_one(&mut self, at: usize) -> io::Result<Option<(u64, Vec<u64>)>> {
        let place = &mut self.places[at];
        if let Some(link) = &mut place.heartbeat {
            link.flush()?;
            while let Some(message) = link.receive()? {
                match message {
                    Message::Beat(load) => {
                        place.heard = Some(Instant::now());
                        self.options.peers.heard(at, load);
                    }
                    Message::Ready { starts } => place.ready = starts,
                    Message::Begin { generation, starts } => return Ok(Some((generation, starts))),
                    Message::Farewell { why } => return Err(io::Error::other(why)),
                }
            }
            if place.heard.is_some_and(|heard| heard.elapsed() > self.options.timeout) {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        // Nothing is to be said there yet; but its end is to be noticed.
        if let Some(link) = &mut place.data
            && !link.has_buffered()
        {
            link.fill()?;
        }
        Ok(None)
    }

    fn beat(&mut self) {
        if self.last_beat.is_some_and(|last| last.elapsed() < INTERVAL) {
            return;
        }
        self.last_beat = Some(Instant::now());
        for link in self.places.iter_mut().filter_map(|place| place.heartbeat.as_mut()) {
            // Whoever is gone is noticed as its connection is read.
            let _gone = if link.has_unsent() { link.flush() } else { link.send(&Message::Beat(PeerLoad::default())) };
        }
    }

    /// The start of each process, once all are connected.
    fn starts(&self) -> Option<Vec<u64>> {
        let own = &self.options.own;
        let of = |(at, place): (usize, &Place)| match at == own.process {
            true => Some(own.start),
            false => place.is_connected().then_some(place.start),
        };
        self.places.iter().enumerate().map(of).collect()
    }

    /// Once all are connected here: process 0 begins if they are everywhere, the others tell it.
    fn begin(&mut self) -> Option<u64> {
        let starts = self.starts()?;
        let own = &self.options.own;
        if own.process != 0 {
            if let (Some(zero), true) = (&mut self.places[0].heartbeat, self.announced != starts) {
                let _gone = zero.send(&Message::Ready { starts: starts.clone() });
                self.announced = starts;
            }
            return None;
        }
        if self.places[1..].iter().any(|place| place.ready != starts) {
            return None;
        }
        for link in self.places.iter_mut().filter_map(|place| place.heartbeat.as_mut()) {
            let _gone = link.send(&Message::Begin { generation: own.generation, starts: starts.clone() });
        }
        Some(own.generation)
    }

    fn connected(self, generation: u64) -> Connected {
        let (data, heartbeats) = self.places.into_iter().map(|place| (place.data, place.heartbeat)).unzip();
        Connected { data, heartbeats, generation }
    }

    fn remind(&self) {
        let missing: Vec<usize> = self.others().filter(|at| !self.places[*at].is_connected()).collect();
        let named = |at: &usize| format!("{at} at {}", self.options.addresses[*at]);
        let named = missing.iter().map(named).collect::<Vec<_>>().join(", ");
        match missing.as_slice() {
            [] => say("waits until all processes are connected to one another"),
            [one] => say(&format!("waits for process {named}{}: start it with -p {one}", self.trouble)),
            _ => say(&format!("waits for processes {named}{}: start each with its -p", self.trouble)),
        }
    }
}
