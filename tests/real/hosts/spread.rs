//! A run that is spread over hosts, and what starts its processes again wherever one ends, as systemd or Kubernetes do.

use super::network::Network;
use crate::common::bucket::Prefix;
use crate::common::program::{Ended, PATIENCE, Program};
use crate::killed::OFTEN;
use crate::live::SHORT;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Where the state is.
#[derive(Debug)]
pub(super) enum Place {
    /// All hosts see it.
    Folder(tempfile::TempDir),
    Bucket(Prefix),
}

impl Place {
    /// As `--state`, and what its processes have in their environment.
    fn told(&self) -> (String, Vec<(&str, &str)>) {
        match self {
            Place::Folder(folder) => (folder.path().display().to_string(), Vec::new()),
            Place::Bucket(prefix) => (prefix.uri(), prefix.env()),
        }
    }
}

/// A host of the run.
pub(super) struct Host {
    /// Of its namespace.
    pub(super) name: String,
    process: Option<Program>,
}

/// The processes of one run.
pub(super) struct Spread<'a> {
    pub(super) network: &'a Mutex<Network>,
    /// Which of several runs on this network.
    lane: usize,
    pub(super) hosts: Vec<Host>,
    /// `-w`.
    pub(super) workers: usize,
    /// After how long a peer that says nothing is lost.
    pub(super) peer_timeout: Duration,
    pub(super) program: PathBuf,
    pub(super) folder: tempfile::TempDir,
    source: String,
    state: Place,
    key: String,
    /// The next address of a host.
    next: u8,
    /// How many processes ended.
    pub(super) ended: usize,
}

impl<'a> Spread<'a> {
    /// Without hosts.
    pub(super) fn new(
        network: &'a Mutex<Network>,
        lane: usize,
        source: String,
        state: Place,
        peer_timeout: Duration,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let made = Command::new(env!("CARGO_BIN_EXE_minutely")).arg("cluster-key").output().unwrap();
        assert!(made.status.success(), "{made:?}");
        std::fs::write(&key, made.stdout).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let program = PathBuf::from(env!("CARGO_BIN_EXE_minutely"));
        let key = key.display().to_string();
        let (hosts, workers, next, ended) = (Vec::new(), 1, 1, 0);
        Spread { network, lane, hosts, workers, peer_timeout, program, folder, source, state, key, next, ended }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name by which processes call process `at`.
    fn called(&self, at: usize) -> String {
        format!("minutely-{at}.lane-{}", self.lane)
    }

    /// A host at an address that nobody had before, for process `at`.
    fn host(&mut self, at: usize) -> Host {
        let (name, address) = (format!("l{}h{}", self.lane, self.next), format!("10.77.{}.{}", self.lane, self.next));
        self.next += 1;
        let mut network = self.network.lock().unwrap();
        network.add(&name, &address);
        network.call(&self.called(at), &address);
        Host { name, process: None }
    }

    /// From now on so many hosts with so many workers each. Nothing of it runs then.
    pub(super) fn reshape(&mut self, processes: usize, workers: usize) {
        self.stop();
        while self.hosts.len() > processes {
            let host = self.hosts.pop().unwrap();
            self.network.lock().unwrap().lose(&host.name);
        }
        while self.hosts.len() < processes {
            let host = self.host(self.hosts.len());
            self.hosts.push(host);
        }
        self.workers = workers;
        let list: String = (0..processes).map(|at| format!("{}:2101\n", self.called(at))).collect();
        std::fs::write(self.path("hosts"), list).unwrap();
    }

    /// Host `at` is lost for good, and another one has its place. The folder of process 0 is on a volume that moves along.
    pub(super) fn replace(&mut self, at: usize) {
        let lost = self.hosts[at].process.take();
        self.network.lock().unwrap().lose(&self.hosts[at].name);
        drop(lost);
        if at > 0 {
            // There is none if it was lost before it had begun.
            let _gone = std::fs::remove_dir_all(self.data(at));
        }
        self.hosts[at] = self.host(at);
    }

    /// What `--data` is of process `at`.
    pub(super) fn data(&self, at: usize) -> PathBuf {
        self.path(&format!("data-{at}"))
    }

    fn start(&mut self, at: usize) {
        let (db, text) = (self.path("minutes.db"), self.path("minutes.csv"));
        let sinks = [format!("sqlite:{}", db.display()), format!("csv:{}", text.display())];
        let numbers = [self.workers, self.hosts.len(), at].map(|n| n.to_string());
        let timeout = format!("{}s", self.peer_timeout.as_secs());
        let hosts = self.path("hosts").display().to_string();
        let (state, env) = self.state.told();
        let mut args = vec!["--source", &self.source, "--job", "apart", "--emit", "changes", "--state", &state];
        args.extend(["-w", &numbers[0], "-n", &numbers[1], "-p", &numbers[2], "-h", &hosts]);
        args.extend(["--cluster-key-file", &self.key, "--peer-timeout", &timeout]);
        args.extend(sinks.iter().flat_map(|sink| ["--sink", sink]));
        args.extend(SHORT);
        args.extend(OFTEN);
        let on = ["ip", "netns", "exec", &self.hosts[at].name];
        let process = Program::on(&on, &self.program, &self.data(at), &args, &env);
        self.hosts[at].process = Some(process);
    }

    /// Processes that do not run are started. Those that have ended did so with a code that calls for that.
    pub(super) fn tend(&mut self) {
        for at in 0..self.hosts.len() {
            let ended = self.hosts[at].process.as_mut().is_some_and(Program::has_ended);
            if ended {
                let ended = self.hosts[at].process.take().unwrap().ended(PATIENCE);
                self.judge(at, &ended);
            }
            if self.hosts[at].process.is_none() {
                self.start(at);
            }
        }
    }

    /// 0 after a peer was told to stop, 69 without a peer, 78 where another run has the state, none by a kill.
    fn judge(&mut self, at: usize, ended: &Ended) {
        self.ended += 1;
        assert!([Some(0), Some(69), Some(78), None].contains(&ended.code), "process {at}: {ended:#?}");
    }

    /// For so long, and nothing is expected of it.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tend();
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Until process 0 says so.
    pub(super) fn until(&mut self, what: &str, so: impl Fn(&Self, &Program) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.tend();
            let first = self.hosts[0].process.as_ref().unwrap();
            if so(self, first) {
                return;
            }
            let said = || {
                self.hosts
                    .iter()
                    .flat_map(|host| &host.process)
                    .map(Program::end_of_said)
                    .collect::<Vec<_>>()
                    .join("\n--\n")
            };
            assert!(Instant::now() < deadline, "{what}: not so after {PATIENCE:?}: {}", said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sends a signal to the process of a host, if there is one.
    pub(super) fn signal(&self, at: usize, name: &str) {
        if let Some(process) = &self.hosts[at].process {
            process.signal(name);
        }
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self, at: usize) {
        self.hosts[at].process = None;
    }

    /// All processes are told to stop at once, and do; how process 0 ended.
    pub(super) fn stop(&mut self) -> Option<Ended> {
        for at in 0..self.hosts.len() {
            self.signal(at, "TERM");
        }
        let mut first = None;
        for at in (0..self.hosts.len()).rev() {
            let Some(process) = self.hosts[at].process.take() else { continue };
            let ended = process.ended(PATIENCE);
            self.judge(at, &ended);
            first = Some(ended);
        }
        first
    }

    /// Its hosts leave the network.
    pub(super) fn leave(self) {
        let mut network = self.network.lock().unwrap();
        self.hosts.iter().for_each(|host| network.lose(&host.name));
    }
}
