//! Workers and processes.

use crate::cli::{ClusterArgs, MAX_WORKERS, UsageErrors};
use crate::cluster::{Cluster, ClusterKey};
use crate::{secret, sources};
use std::net::ToSocketAddrs;
use std::time::Duration;

/// `source`: what they read. `warnings`: of a key that others can read.
pub(super) fn cluster(
    args: &ClusterArgs,
    source: &str,
    errors: &mut UsageErrors,
    warnings: &mut Vec<String>,
) -> Option<Cluster> {
    let workers = errors.value(&args.workers);
    let processes = errors.value(&args.processes);
    let process = errors.value(&args.process);
    let peer_timeout = errors.value(&args.peer_timeout);
    let (workers, processes, process) = (workers?, processes?, process?);
    let peer_timeout = Duration::from_nanos(peer_timeout?.unsigned_abs());
    if workers * processes > MAX_WORKERS {
        errors.push(format!("-w {workers} -n {processes}: at most {MAX_WORKERS} workers in all"));
    }
    if process >= processes {
        errors.push(format!("-p {process}: there are {processes} processes, counted from 0; see -n"));
    }
    if processes == 1 {
        return Some(Cluster { workers, process: 0, addresses: Vec::new(), key: None, peer_timeout });
    }
    if sources::read_once(source).is_some_and(|once| once.stdin) {
        errors.push(format!(
            "-n {processes}: each process has a stdin of its own, so one process reads file:-; give it more workers (-w)"
        ));
    }
    let key = errors.ok(key(args, std::env::var("MINUTELY_CLUSTER_KEY").ok(), warnings));
    let addresses = match args.hostfile.as_ref().and_then(Option::as_ref) {
        None => (0..processes).map(|i| format!("127.0.0.1:{}", 2101 + i)).collect(),
        Some(path) => {
            of_hostfile(errors.ok(read_hostfile(path))?, processes, key.as_ref()?.is_some(), errors, warnings)
        }
    };
    Some(Cluster { workers, process, addresses, key: key?, peer_timeout })
}

/// An address of a file, and the file with its line, as messages name it.
struct HostLine {
    place: String,
    address: String,
}

/// The addresses of so many processes.
fn of_hostfile(
    mut lines: Vec<HostLine>,
    processes: usize,
    has_key: bool,
    errors: &mut UsageErrors,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    let named = lines.len();
    if named < processes {
        errors.push(format!("-h: names {named} of {processes} processes"));
    }
    if named > processes {
        warnings.push(format!("-h: names {named} processes, and -n is {processes}: the first {processes} are used"));
    }
    lines.truncate(processes);
    for (at, line) in lines.iter().enumerate() {
        if has_key {
            check_is_address(line, errors);
        } else {
            check_is_loopback(line, errors);
        }
        if lines[..at].iter().any(|before| before.address == line.address) {
            errors.push(format!("{}: {} is named before; each process has its own", line.place, line.address));
        }
    }
    lines.into_iter().map(|line| line.address).collect()
}

/// The key that was given: `--cluster-key-file` before the variable. None: neither is.
fn key(args: &ClusterArgs, variable: Option<String>, warnings: &mut Vec<String>) -> Result<Option<ClusterKey>, String> {
    let Some(path) = &args.key_file else {
        let parse = |text: String| ClusterKey::parse(&text).map_err(|why| format!("MINUTELY_CLUSTER_KEY: {why}"));
        return variable.map(parse).transpose();
    };
    let of = |why: &dyn std::fmt::Display| format!("--cluster-key-file {}: {why}", path.display());
    let read = secret::read_one(path).map_err(|e| of(&e))?;
    warnings.extend(read.warning);
    ClusterKey::parse(&read.text).map(Some).map_err(|why| of(&why))
}

/// The addresses of a file, one a line.
fn read_hostfile(path: &str) -> Result<Vec<HostLine>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("-h {path}: {e}"))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim).enumerate();
    let line =
        |(at, address): (usize, &str)| HostLine { place: format!("-h {path}:{}", at + 1), address: address.into() };
    Ok(lines.filter(|(_, address)| !address.is_empty()).map(line).collect())
}

/// A name need not be known yet: it is resolved each time that it is called.
fn check_is_address(HostLine { place, address }: &HostLine, errors: &mut UsageErrors) {
    let of_no_host = |c: char| c.is_whitespace() || c.is_control() || "/#@?\u{feff}".contains(c);
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(of_no_host));
    if parts.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
        errors.push(format!("{place}: {address} is no address; a line is host:port"));
    }
}

fn check_is_loopback(HostLine { place, address }: &HostLine, errors: &mut UsageErrors) {
    match address.to_socket_addrs().map(|mut all| all.all(|a| a.ip().is_loopback())) {
        Ok(true) => {}
        Ok(false) => errors.push(format!(
            "{place}: {address} is not on this machine's loopback; a run on several machines needs a key that all its processes \
             have: --cluster-key-file PATH with what `minutely cluster-key` prints"
        )),
        Err(e) => errors.push(format!("{place}: {address}: {e}; a line is host:port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_key_a_line_is_any_host_and_a_port() {
        let wrong = |address: &str| {
            let mut errors = UsageErrors::default();
            check_is_address(&HostLine { place: "-h".into(), address: address.into() }, &mut errors);
            errors.iter().count()
        };
        for address in ["minutely-0.minutely:2101", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            assert_eq!(wrong(address), 0, "{address}");
        }
        for address in ["minutely-0", ":2101", "a:", "a:0", "a:65536", "a:b", "http://a:1", "# a:1", "\u{feff}a:1"] {
            assert_eq!(wrong(address), 1, "{address}");
        }
    }

    #[test]
    fn a_host_file_names_each_process_once_and_what_is_wrong_has_its_line() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let name = path.path().to_str().unwrap();
        let read = |text: &str, processes| {
            std::fs::write(name, text).unwrap();
            let (mut errors, mut warnings) = (UsageErrors::default(), Vec::new());
            let addresses = of_hostfile(read_hostfile(name).unwrap(), processes, true, &mut errors, &mut warnings);
            (addresses, errors.iter().map(ToString::to_string).collect::<Vec<_>>(), warnings)
        };
        let (addresses, errors, warnings) = read("\u{feff}a:1\r\n\r\n b:1 \r\nc:1\r\n", 2);
        assert!(addresses == ["a:1", "b:1"] && errors.is_empty(), "{errors:?}");
        assert!(warnings.len() == 1 && warnings[0].contains("names 3 processes, and -n is 2"), "{warnings:?}");
        let (_, errors, _) = read("a:1\n\nhttp://b:1\na:1\n", 4);
        assert_eq!(errors.len(), 3, "{errors:?}");
        for (error, part) in
            errors.iter().zip(["names 3 of 4", ":3: http://b:1 is no address", ":4: a:1 is named before"])
        {
            assert!(error.contains(part), "{error}");
        }
    }
}
