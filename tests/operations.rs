//! docs/operations.md as a script: its commands from top to bottom, on folders of the test instead of `/etc` and `/var`, with shims for what changes a machine
//! (`tests/operations/shim`: apt, systemctl by the unit's own command, sudo, ssh to a host that takes the place of the first). *Several processes* is a script of its
//! own, on four machines (`tests/operations/hosts`).

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Of *Several processes*: three, and one that takes the place of the second.
const HOSTS: [&str; 4] = ["host-0", "host-1", "host-2", "host-3"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The section that is run on machines of its own.
const CLUSTER: &str = "Several processes";

/// The page's lines, of that section or of all others.
fn lines(of_cluster: bool) -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let mut here = false;
    let is_of = |line: &&str| {
        here = line.strip_prefix("## ").map_or(here, |heading| heading == CLUSTER);
        here == of_cluster
    };
    page.lines().filter(is_of).map(str::to_owned).collect()
}

/// The page's commands, in order.
fn commands(of_cluster: bool) -> Vec<String> {
    lines(of_cluster).iter().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect()
}

/// A machine: its folders, and the programs that a command finds; or several, of which a command is given on none.
struct Machine {
    folder: tempfile::TempDir,
    port: u16,
    /// Of several: the first three numbers of their addresses, of loopback.
    network: String,
}

impl Machine {
    /// What stands for programs that change machines, and which these are.
    fn with(shim: &str, programs: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let network = format!("127.{}.{}", fastrand::u8(1..255), fastrand::u8(..));
        let machine = Machine { folder, port, network };
        for name in ["bin", "home"] {
            fs::create_dir_all(machine.at(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_minutely"), machine.at("bin/minutely")).unwrap();
        for name in programs {
            symlink(root().join("tests/operations").join(shim), machine.at("bin").join(name)).unwrap();
        }
        machine
    }

    fn new() -> Self {
        let machine = Machine::with("shim", &["apt", "journalctl", "scp", "ssh", "sudo", "sudoedit", "systemctl"]);
        for name in ["host/etc/minutely", "host/var/lib", "host/var/backups"] {
            fs::create_dir_all(machine.at(name)).unwrap();
        }
        fs::write(machine.at("home/minutely_0.2.0_amd64.deb"), "of tests/deploy.rs").unwrap();
        machine
    }

    /// Four machines, and the section's options in the folder where commands are given.
    fn several() -> Self {
        let machine = Machine::with("hosts", &["install", "journalctl", "scp", "ssh", "sudo", "systemctl"]);
        for host in HOSTS {
            for folder in ["etc/minutely", "var/lib/minutely", "home"] {
                fs::create_dir_all(machine.at("hosts").join(host).join(folder)).unwrap();
            }
        }
        let options = lines(true).join("\n");
        let options = options.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        // (Folders have other paths on each of these machines, and a run has one name for its sink.)
        let sink = machine.at("minutes.db").display().to_string();
        let from_to = format!("source = \"sim:?rate=300&symbols=5&history=30m&seed=11\"\nsink = [\"sqlite:{sink}\"]\n");
        fs::write(machine.at("home/minutely.toml"), options.to_owned() + &from_to).unwrap();
        machine
    }

    /// Of several, one loses power.
    fn lose(&self, host: &str) {
        for process in ["supervisor", "pid"] {
            let id = fs::read_to_string(self.at("hosts").join(host).join(process)).unwrap();
            let _ended = Command::new("kill").args(["-KILL", id.trim()]).status().unwrap();
        }
        fs::rename(self.at("hosts").join(host), self.at("lost")).unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Of a command, the paths and the port of this machine.
    fn placed(&self, text: &str) -> String {
        let host = self.at("host").display().to_string();
        let text = text.replace("/etc/minutely", &format!("{host}/etc/minutely"));
        text.replace("/var/", &format!("{host}/var/")).replace("127.0.0.1:8080", &format!("127.0.0.1:{}", self.port))
    }

    fn run(&self, script: &str) -> (Option<i32>, String) {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", script]).current_dir(self.at("home")).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("MINUTELY_") || name.starts_with("INFLUX") {
                command.env_remove(name);
            }
        }
        command.env("PATH", path).env("MACHINE", self.folder.path()).env("CHECKOUT", root());
        command.env("PORT", self.port.to_string()).env("NETWORK", &self.network);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.at("host").exists() {
            self.run("systemctl stop minutely || true");
        }
        for host in HOSTS.into_iter().filter(|host| self.at("hosts").join(host).exists()) {
            self.run(&format!("ssh {host} systemctl stop minutely@0 || true"));
        }
    }
}

#[test]
fn the_page_works_from_top_to_bottom() {
    let machine = Machine::new();
    let mut outputs = Vec::new();
    for command in commands(false) {
        let (mut code, mut said) = machine.run(&machine.placed(&command));
        // A run that has just begun has committed, and is not through the market's past, or its sink has not stored it.
        for _ in 0..100 {
            if !said.contains("no minute that is asked for is final yet") && !said.contains(" 0 equal, 0 missing") {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
            (code, said) = machine.run(&machine.placed(&command));
        }
        // (The market has late records, for dead letters to rotate, and no others that do not count: `check` says 65 if it comes across some.)
        let comes_across_late =
            command.contains("minutely check") && !said.contains(" counted + 0 late + 0 rejected + 0 quarantined");
        if comes_across_late {
            assert!(said.contains(" late + 0 rejected + 0 quarantined"), "{command}\n{said}");
        }
        let wanted = if comes_across_late { 65 } else { 0 };
        assert_eq!(code, Some(wanted), "{command}\n{said}{}", machine.run("journalctl -u minutely -n 20").1);
        outputs.push((command, said));
    }
    let of = |name: &'static str| {
        outputs.iter().filter(move |(command, _)| command.contains(name)).map(|(_, said)| said.as_str())
    };
    assert!(of("minutely check").all(|said| said.contains("sim:")), "{outputs:#?}");
    assert!(of("state check").all(|said| said.starts_with("ok: ")), "{outputs:#?}");
    let verified: Vec<_> = of("verify --config").collect();
    assert_eq!(verified.len(), 2, "{outputs:#?}");
    assert!(verified.iter().all(|said| said.contains(" equal, 0 missing, 0 different, 0 extra")), "{verified:#?}");
    assert!(!verified.iter().any(|said| said.contains(" 0 equal, 0 missing")), "rows were there: {verified:#?}");
    // The new host goes on from the copy.
    let journal = fs::read_to_string(machine.at("host/journal")).unwrap();
    // Closed files of dead letters are compressed, and nothing misses them.
    let compressed = machine.run(
        "ls host/var/lib/minutely/*/dead-letters-*.jsonl.gz | wc -l"
            .replace("host", &machine.at("host").display().to_string())
            .as_str(),
    );
    assert!(compressed.1.trim().parse::<u32>().is_ok_and(|files| files > 1), "{compressed:?}");
    let again = "systemctl restart minutely && minutely verify --config /etc/minutely/minutely.toml --since-final 2h";
    let (code, said) = machine.run(&machine.placed(again));
    assert!(code == Some(0) && said.contains("are not there: their files were moved, compressed or deleted"), "{said}");
    assert!(machine.at("old-host/journal").exists() && journal.contains(" resuming from manifest "), "{journal}");
}

/// Until a command says what it is there for: a run that has just begun is not ready, and nothing in it is final.
fn settled(machine: &Machine, command: &str) -> String {
    common::poll(command, common::program::PATIENCE, || {
        let (code, said) = machine.run(command);
        let early = said.contains("no minute that is asked for is final yet") || said.contains(" 0 equal, 0 missing");
        (code == Some(0) && !early).then_some(said)
    })
}

#[test]
fn several_processes_work_from_top_to_bottom() {
    let machine = Machine::several();
    let journals = || {
        let read = |host: &&str| {
            Some(format!("{host}\n{}", fs::read_to_string(machine.at("hosts").join(host).join("journal")).ok()?))
        };
        HOSTS.iter().filter_map(read).collect::<Vec<_>>().join("\n")
    };
    let mut keys = Vec::new();
    for command in commands(true) {
        let said = if command.contains("curl") || command.contains("verify") {
            settled(&machine, &command)
        } else {
            if command.starts_with("sed -i") {
                machine.lose("host-1");
                common::poll("process 0 says who is missing", common::program::PATIENCE, || {
                    let (_, said) = machine.run("ssh host-0 curl -sS http://127.0.0.1:8080/readyz");
                    said.contains("waits for process 1 of the run").then_some(())
                });
            }
            let (code, said) = machine.run(&command);
            assert_eq!(code, Some(0), "{command}\n{said}{}", journals());
            said
        };
        if command.contains("cluster-key >") {
            keys.push(fs::read(machine.at("home/cluster.key")).unwrap());
        }
        if command.contains("readyz") {
            assert_eq!(said.matches("ready").count(), 3, "{said}");
        }
        if command.contains("process_alive") {
            assert_eq!(said.matches("} 1\n").count(), 3, "{said}");
        }
        if command.contains("verify") {
            assert!(said.contains(" equal, 0 missing, 0 different, 0 extra"), "{said}");
        }
    }
    assert!(keys.len() == 2 && keys[0] != keys[1]);
    for (number, host) in [(0, "host-0"), (1, "host-3"), (2, "host-2")] {
        let home = machine.at("hosts").join(host);
        let key = home.join("etc/minutely/cluster.key");
        assert_eq!(fs::read(&key).unwrap(), keys[1], "{host}");
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(key).unwrap().permissions()) & 0o777, 0o600);
        let journal = fs::read_to_string(home.join("journal")).unwrap();
        let ends: Vec<_> = journal.lines().filter(|line| line.starts_with("ended with ")).collect();
        assert_eq!(ends.last(), Some(&"ended with 0"), "process {number} was stopped: {journal}");
        assert_eq!(ends.contains(&"ended with 69"), host != "host-3", "it lost process 1: {journal}");
        assert!(!journal.contains("other users of this machine"), "{journal}");
    }
    let journal = fs::read_to_string(machine.at("hosts/host-0/journal")).unwrap();
    // (The restart for another host may come while the one for the loss is waited for: then they are one.)
    assert!(journal.matches(" resuming from manifest ").count() >= 2, "another key, and another host: {journal}");
}

/// Every exit code that the program has is on the page, with what to do.
#[test]
fn every_exit_code_is_on_the_page() {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let source = fs::read_to_string(root().join("src/main.rs")).unwrap();
    let codes = source.split("fn exit_code").nth(1).unwrap().split("\n}").next().unwrap();
    let codes: Vec<_> = codes.split("=> ").skip(1).map(|rest| rest.split(',').next().unwrap().trim()).collect();
    assert!(codes.len() >= 5, "{codes:?}");
    for code in codes {
        assert!(page.contains(&format!("\n| {code} |")), "{code} is not on the page");
    }
    let units = ["minutely.service", "minutely@.service"];
    let units = units.map(|name| fs::read_to_string(root().join("deploy/systemd").join(name)).unwrap());
    for row in page.lines().filter(|line| line.starts_with("| 6") || line.starts_with("| 7")) {
        let code = row.split(' ').nth(1).unwrap();
        let stays_down = |unit: &String| {
            let mut codes = unit.lines().filter_map(|line| line.strip_prefix("RestartPreventExitStatus="));
            codes.any(|codes| codes.split(' ').any(|is| is == code))
        };
        assert_eq!(units.each_ref().map(stays_down), [row.ends_with("| no |"); 2], "{row}");
    }
}
