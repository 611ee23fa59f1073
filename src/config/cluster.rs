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
    let mut addresses = match args.hostfile.as_ref().and_then(Option::as_ref) {
        None => (0..processes).map(|i| format!("127.0.0.1:{}", 2101 + i)).collect(),
        Some(path) => errors.ok(read_hostfile(path))?,
    };
    if addresses.len() < processes {
        errors.push(format!("-h: names {} of {processes} processes", addresses.len()));
    }
    addresses.truncate(processes);
    let key = key?;
    for address in &addresses {
        match key {
            Some(_) => check_is_address(address, errors),
            None => check_is_loopback(address, errors),
        }
    }
    Some(Cluster { workers, process, addresses, key, peer_timeout })
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
fn read_hostfile(path: &str) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("-h {path}: {e}"))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// A name need not be known yet: it is resolved each time that it is called.
fn check_is_address(address: &str, errors: &mut UsageErrors) {
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if parts.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0) {
        errors.push(format!("-h: {address} is no address; a line is host:port"));
    }
}

fn check_is_loopback(address: &str, errors: &mut UsageErrors) {
    match address.to_socket_addrs().map(|mut all| all.all(|a| a.ip().is_loopback())) {
        Ok(true) => {}
        Ok(false) => errors.push(format!(
            "-h: {address} is not on this machine's loopback; a run on several machines needs a key that all its processes \
             have: --cluster-key-file PATH with what `minutely cluster-key` prints"
        )),
        Err(e) => errors.push(format!("-h: {address}: {e}; a line is host:port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_key_a_line_is_any_host_and_a_port() {
        let wrong = |address: &str| {
            let mut errors = UsageErrors::default();
            check_is_address(address, &mut errors);
            errors.iter().count()
        };
        for address in ["minutely-0.minutely:2101", "192.0.2.1:1", "[2001:db8::1]:65535"] {
            assert_eq!(wrong(address), 0, "{address}");
        }
        for address in ["minutely-0", ":2101", "a:", "a:0", "a:65536", "a:b"] {
            assert_eq!(wrong(address), 1, "{address}");
        }
    }
}
