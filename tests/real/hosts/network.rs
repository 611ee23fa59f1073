//! Hosts that are really apart: a network namespace each, with an address and an interface of its own, on one cable that can be slow, lossy or cut.

use crate::common::needs;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Set where a test runs itself again, in namespaces of its own.
const INSIDE: &str = "MINUTELY_TEST_INSIDE";

/// A test calls this first. True: it runs where hosts can be made, and everything that is started there ends with it. False: it ran so as
/// a process of its own, or was left out. `test`: its own name with its modules.
pub(super) fn inside(test: &str, what: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if needs(what, "MINUTELY_TEST_HOSTS").is_none() {
        return false;
    }
    let mut again = Command::new("unshare");
    again.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    again.arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
    let output = again.output().unwrap();
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy);
    eprintln!("{}{}", said[1], said[0]);
    assert!(output.status.success() && said[0].contains("1 passed"), "in namespaces of its own: {}", output.status);
    false
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The cable, and who is on it.
pub(super) struct Network {
    wire: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Stands for /etc/hosts.
    names: PathBuf,
    addresses: BTreeMap<String, String>,
}

impl Network {
    /// With nobody on it but this test, at 10.77.255.254. `folder`: for the names of hosts.
    pub(super) fn start(folder: &Path, seed: u64) -> Self {
        run(&["mkdir", "-p", "/run/netns"]);
        run(&["mount", "-t", "tmpfs", "none", "/run/netns"]);
        run(&["ip", "link", "set", "lo", "up"]);
        let names = folder.join("names");
        std::fs::write(&names, "127.0.0.1 localhost\n").unwrap();
        run(&["mount", "--bind", &names.display().to_string(), "/etc/hosts"]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/hosts/wire.py");
        let mut wire = Command::new("python3");
        wire.arg(script).arg(seed.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut wire = wire.spawn().unwrap();
        let (commands, answers) = (wire.stdin.take().unwrap(), BufReader::new(wire.stdout.take().unwrap()));
        let mut network = Network { wire, commands, answers, names, addresses: BTreeMap::new() };
        network.tell("plug outside");
        run(&["ip", "addr", "add", "10.77.255.254/16", "dev", "outside"]);
        run(&["ip", "link", "set", "outside", "up"]);
        network
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim(), "ok", "{command}");
    }

    /// A new host, whose name is known to all. At most 15 letters.
    pub(super) fn add(&mut self, host: &str, address: &str) {
        run(&["ip", "netns", "add", host]);
        self.tell(&format!("plug {host}"));
        run(&["ip", "link", "set", host, "netns", host, "name", "eth0"]);
        run(&["ip", "-n", host, "addr", "add", &format!("{address}/16"), "dev", "eth0"]);
        run(&["ip", "-n", host, "link", "set", "eth0", "up"]);
        run(&["ip", "-n", host, "link", "set", "lo", "up"]);
        self.link(host, "*", 0, 0);
        self.link("*", host, 0, 0);
    }

    /// From now on a name means this address.
    pub(super) fn call(&mut self, name: &str, address: &str) {
        self.addresses.insert(name.to_owned(), address.to_owned());
        let lines = self.addresses.iter().map(|(name, address)| format!("{address} {name}\n"));
        // In place: what stands for /etc/hosts elsewhere is this very file.
        std::fs::write(&self.names, format!("127.0.0.1 localhost\n{}", lines.collect::<String>())).unwrap();
    }

    /// A host is lost, with all that runs on it.
    pub(super) fn lose(&mut self, host: &str) {
        run(&["sh", "-c", &format!("kill -9 $(ip netns pids {host}) 2>/dev/null || true")]);
        self.tell(&format!("unplug {host}"));
        run(&["ip", "netns", "del", host]);
    }

    /// From now on frames of one host to another, or to and from `*`, take so many ms, half as many more at most, and so many percent of them are lost.
    pub(super) fn link(&mut self, from: &str, to: &str, delay_ms: u32, lost: u32) {
        self.tell(&format!("link {from} {to} {delay_ms} {} {lost}", delay_ms / 2));
    }

    /// The same of all that a host sends and receives.
    pub(super) fn links(&mut self, host: &str, delay_ms: u32, lost: u32) {
        self.link(host, "*", delay_ms, lost);
        self.link("*", host, delay_ms, lost);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ended = self.wire.kill();
        let _reaped = self.wire.wait();
    }
}
