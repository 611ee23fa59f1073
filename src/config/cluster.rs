//! Workers and processes.

use crate::cli::{ClusterArgs, MAX_WORKERS, UsageErrors};
use crate::cluster::Cluster;
use crate::sources;
use std::net::ToSocketAddrs;

/// `source`: what they read.
pub(super) fn cluster(args: &ClusterArgs, source: &str, errors: &mut UsageErrors) -> Option<Cluster> {
    let workers = errors.value(&args.workers);
    let processes = errors.value(&args.processes);
    let process = errors.value(&args.process);
    let (workers, processes, process) = (workers?, processes?, process?);
    if workers * processes > MAX_WORKERS {
        errors.push(format!("-w {workers} -n {processes}: at most {MAX_WORKERS} workers in all"));
    }
    if process >= processes {
        errors.push(format!("-p {process}: there are {processes} processes, counted from 0; see -n"));
    }
    if processes == 1 {
        return Some(Cluster { workers, process: 0, addresses: Vec::new() });
    }
    if sources::read_once(source).is_some_and(|once| once.stdin) {
        errors.push(format!(
            "-n {processes}: each process has a stdin of its own, so one process reads file:-; give it more workers (-w)"
        ));
    }
    let mut addresses = match args.hostfile.as_ref().and_then(Option::as_ref) {
        None => (0..processes).map(|i| format!("127.0.0.1:{}", 2101 + i)).collect(),
        Some(path) => errors.ok(read_hostfile(path))?,
    };
    if addresses.len() < processes {
        errors.push(format!("-h: names {} of {processes} processes", addresses.len()));
    }
    addresses.truncate(processes);
    for address in &addresses {
        check_is_loopback(address, errors);
    }
    Some(Cluster { workers, process, addresses })
}

/// The addresses of a file, one a line.
fn read_hostfile(path: &str) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("-h {path}: {e}"))?;
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn check_is_loopback(address: &str, errors: &mut UsageErrors) {
    match address.to_socket_addrs().map(|mut all| all.all(|a| a.ip().is_loopback())) {
        Ok(true) => {}
        Ok(false) => errors.push(format!(
            "-h: {address} is not on this machine's loopback; processes do not authenticate each other across machines \
             yet, so a cluster stays on one machine"
        )),
        Err(e) => errors.push(format!("-h: {address}: {e}; a line is host:port")),
    }
}
