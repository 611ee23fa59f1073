//! Connecting to the address of another process, by a thread, for names may take long to resolve and hosts long to answer. The name
//! is resolved again each time: a process that was started again elsewhere has another address.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects. The outcome arrives later.
///
/// # Errors
/// The system has no thread for it.
pub(super) fn dial(address: &str, only_loopback: bool) -> io::Result<Receiver<io::Result<TcpStream>>> {
    let (sender, outcome) = sync_channel(1);
    let address = address.to_owned();
    let work = move || {
        // Nobody may wait for it any more.
        let _unwanted = sender.send(connect(&address, only_loopback));
    };
    std::thread::Builder::new().name("dial".into()).spawn(work)?;
    Ok(outcome)
}

fn connect(address: &str, only_loopback: bool) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in resolve(address, only_loopback)? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Addresses of a host:port. `only_loopback`: the run has no key, so that others than this machine's must not be called.
fn resolve(address: &str, only_loopback: bool) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = address.to_socket_addrs()?.collect();
    match found.iter().find(|found| only_loopback && !found.ip().is_loopback()) {
        Some(elsewhere) => {
            let why = format!("{elsewhere} is not on this machine's loopback, and the run has no --cluster-key-file");
            Err(io::Error::new(ErrorKind::PermissionDenied, why))
        }
        None => Ok(found),
    }
}

/// Listens at this process's own address. With a key, a name that is not this host's own (it is a service's, or is not known yet)
/// stands for its port on all of them; true then.
///
/// # Errors
/// The port is taken.
pub(super) fn listen(address: &str, only_loopback: bool) -> io::Result<(TcpListener, bool)> {
    let bound = resolve(address, only_loopback).and_then(|found| TcpListener::bind(&found[..]));
    let is_elsewhere = |e: &io::Error| e.kind() == ErrorKind::AddrNotAvailable || e.raw_os_error().is_none();
    let (listener, on_all) = match bound {
        Err(e) if !only_loopback && is_elsewhere(&e) => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).ok_or(e)?;
            (TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))?, true)
        }
        bound => (bound?, false),
    };
    listener.set_nonblocking(true)?;
    Ok((listener, on_all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_key_no_other_machine_is_called() {
        for address in ["192.0.2.1:2101", "[2001:db8::1]:2101"] {
            assert_eq!(resolve(address, true).unwrap_err().kind(), ErrorKind::PermissionDenied, "{address}");
            assert_eq!(resolve(address, false).unwrap().len(), 1);
        }
        assert!(resolve("localhost:2101", true).is_ok() && resolve("nonsense", false).is_err());
    }

    #[test]
    fn a_service_s_address_stands_for_its_port() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (listener, on_all) = listen(&format!("192.0.2.1:{port}"), false).unwrap();
        assert!(on_all && listener.local_addr().unwrap().port() == port);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(!listen("127.0.0.1:0", true).unwrap().1);
        assert!(listen(&format!("192.0.2.1:{port}"), true).is_err());
        let taken = listen(&format!("127.0.0.1:{port}"), true).unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    }
}
