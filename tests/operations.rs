//! docs/operations.md as a script: its commands from top to bottom, on folders of the test instead of `/etc` and `/var`, with shims for what changes a machine
//! (`tests/operations/shim`: apt, systemctl by the unit's own command, sudo, ssh to a host that takes the place of the first).

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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The page's commands, in order.
fn commands() -> Vec<String> {
    let page = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    page.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect()
}

/// A machine: its folders, and the programs that a command finds.
struct Machine {
    folder: tempfile::TempDir,
    port: u16,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let machine = Machine { folder, port };
        for name in ["bin", "host/etc/minutely", "host/var/lib", "host/var/backups", "home"] {
            fs::create_dir_all(machine.at(name)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_minutely"), machine.at("bin/minutely")).unwrap();
        for name in ["apt", "journalctl", "scp", "ssh", "sudo", "sudoedit", "systemctl"] {
            symlink(root().join("tests/operations/shim"), machine.at("bin").join(name)).unwrap();
        }
        fs::write(machine.at("home/minutely_0.2.0_amd64.deb"), "of tests/deploy.rs").unwrap();
        machine
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
        command.env("PORT", self.port.to_string());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.run("systemctl stop minutely || true");
    }
}

#[test]
fn the_page_works_from_top_to_bottom() {
    let machine = Machine::new();
    let mut outputs = Vec::new();
    for command in commands() {
        let (mut code, mut said) = machine.run(&machine.placed(&command));
        // A run that has just begun has committed, and is not through the market's past, or its sink has not stored it.
        for _ in 0..100 {
            if !said.contains("no minute that is asked for is final yet") && !said.contains(" 0 equal, 0 missing") {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
            (code, said) = machine.run(&machine.placed(&command));
        }
        assert_eq!(code, Some(0), "{command}\n{said}{}", machine.run("journalctl -u minutely -n 20").1);
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
    assert!(machine.at("old-host/journal").exists() && journal.contains(" resuming from manifest "), "{journal}");
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
    let unit = fs::read_to_string(root().join("deploy/systemd/minutely.service")).unwrap();
    for row in page.lines().filter(|line| line.starts_with("| 6") || line.starts_with("| 7")) {
        let code = row.split(' ').nth(1).unwrap();
        let stays_down = unit.lines().any(|line| {
            line.strip_prefix("RestartPreventExitStatus=").is_some_and(|codes| codes.split(' ').any(|is| is == code))
        });
        assert_eq!(stays_down, row.ends_with("| no |"), "{row}");
    }
}
