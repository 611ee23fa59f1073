//! `minutely health`: asks the run on this machine whether it is alive. For containers.

use minutely_dataflows::edge::{Halt, HaltKind};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks at `http`, which is what `--http` says.
///
/// # Errors
/// 64 when it is not an address. 69 when there is no answer, or one other than 200.
pub(crate) fn ask(http: &str) -> Result<String, Halt> {
    let sick = |why: String| Halt::new(HaltKind::Unreachable, format!("http://{http}/healthz: {why}"));
    let address = http.to_socket_addrs().map_err(|e| match e.kind() {
        ErrorKind::InvalidInput if http == "none" => Halt::new(
            HaltKind::Usage,
            "--http none: serves nothing, so there is nothing to ask; give the address of a run",
        ),
        ErrorKind::InvalidInput => Halt::new(HaltKind::Usage, format!("`{http}`: {e}; it is HOST:PORT")),
        _ => sick(e.to_string()),
    });
    let address = address?.next();
    let address = local(address.ok_or_else(|| sick("no such address".into()))?);
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(|e| sick(e.to_string()))?;
    let asked = socket.set_read_timeout(Some(TIMEOUT)).and_then(|()| {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        (&mut socket).take(64 << 10).read_to_end(&mut answer)?;
        Ok(answer)
    });
    let answer = asked.map_err(|e| sick(e.to_string()))?;
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
    let status = answer.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => Ok(body.to_owned()),
        _ => Err(sick(format!("it answers {status} {}", body.chars().take(200).collect::<String>()))),
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
