//! `minutely health`: asks the run on this machine whether it is alive. For containers.

use super::error::HealthError;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks at `http`, which is what `--http` says.
///
/// # Errors
/// When it is not an address, and when there is no answer, or one other than 200.
pub(crate) fn ask(http: &str) -> Result<String, HealthError> {
    let no_answer = |source: io::Error| HealthError::NoAnswer { http: http.to_owned(), source };
    let address = http.to_socket_addrs().map_err(|source| match source.kind() {
        ErrorKind::InvalidInput if http == "none" => HealthError::NothingServed,
        ErrorKind::InvalidInput => HealthError::NoAddress { http: http.to_owned(), source },
        _ => no_answer(source),
    });
    let address = address?.next();
    let address = local(address.ok_or_else(|| HealthError::NoHost { http: http.to_owned() })?);
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(no_answer)?;
    let asked = socket.set_read_timeout(Some(TIMEOUT)).and_then(|()| {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        (&mut socket).take(64 << 10).read_to_end(&mut answer)?;
        Ok(answer)
    });
    let answer = asked.map_err(no_answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    let status = answer.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(body.to_owned()),
        _ => {
            let body = body.chars().take(200).collect();
            Err(HealthError::Unhealthy { http: http.to_owned(), status: status.to_owned(), body })
        }
    }
}

/// For an address that means all of this machine's, one that can be connected to.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
