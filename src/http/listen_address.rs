//! Where the server listens: what `--http` and its companions say, and the socket.

use super::error::ServeError;
use super::guard::Token;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

/// Where it listens by default, and the ports that are tried after that one.
pub(crate) const DEFAULT: &str = "127.0.0.1:8080";
const NEXT_PORTS: std::ops::RangeInclusive<u16> = 8081..=8099;

/// Where to listen, by which names clients may call it, and the token they need.
#[derive(Clone, Debug)]
pub(crate) struct ListenAddress {
    addresses: Vec<SocketAddr>,
    /// The host as it was written, which clients may call it by.
    pub(super) host: String,
    /// Further names, in lower case.
    names: Vec<String>,
    /// No address was given: another port will do.
    any_port: bool,
    pub(super) token: Option<Token>,
}

impl ListenAddress {
    /// What `--http`, `--http-public`, `--http-host` (also names between commas or spaces), `--http-token-file` and
    /// `MINUTELY_HTTP_TOKEN` say; `None` for `none`.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn of(
        http: Option<&str>,
        public: bool,
        hosts: &[String],
        token_file: Option<&Path>,
        token: Option<String>,
    ) -> Result<Option<ListenAddress>, Vec<String>> {
        let text = http.unwrap_or(DEFAULT);
        if text == "none" {
            return Ok(None);
        }
        let mut mistakes = Vec::new();
        let token = Token::of(token_file, token).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            None
        });
        let addresses: Vec<SocketAddr> = match text.to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(e) => {
                mistakes.push(format!("--http {text}: {e}; takes HOST:PORT, such as {DEFAULT}, or none"));
                Vec::new()
            }
        };
        if addresses.iter().any(|address| !address.ip().is_loopback()) {
            if !public {
                mistakes.push(format!(
                    "--http {text}: others could reach it; add --http-public if they may, and give a token"
                ));
            }
            if token.is_none() && mistakes.is_empty() {
                mistakes.push(format!(
                    "--http {text}: others can reach it, so it needs a token: --http-token-file PATH, or \
                     MINUTELY_HTTP_TOKEN in the environment"
                ));
            }
        }
        let names = names(hosts).unwrap_or_else(|mistake| {
            mistakes.push(mistake);
            Vec::new()
        });
        let host = text.rsplit_once(':').map_or(text, |(host, _)| host).to_ascii_lowercase();
        let address = ListenAddress { addresses, host, names, any_port: http.is_none(), token };
        if mistakes.is_empty() { Ok(Some(address)) } else { Err(mistakes) }
    }

    /// Other users can read the file of the token.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.token.as_ref().and_then(|token| token.warning.as_deref())
    }

    /// Takes a port; `None` if all that would do are taken.
    ///
    /// # Errors
    /// When the address that was named cannot be had.
    pub(crate) fn listen(&self) -> Result<Option<BoundSocket>, ServeError> {
        let mut taken = None;
        let next = NEXT_PORTS.filter(|_| self.any_port).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        for address in self.addresses.iter().copied().chain(next) {
            match TcpListener::bind(address) {
                Ok(listener) => {
                    return Ok(Some(BoundSocket { listener, address: self.clone(), taken: taken.is_some() }));
                }
                Err(e) => drop(taken.get_or_insert((address, e))),
            }
        }
        match taken {
            Some((address, source)) if !self.any_port => Err(ServeError::AddressTaken { address, source }),
            _ => Ok(None),
        }
    }

    /// It was given, and is not the default.
    pub(crate) fn is_given(&self) -> bool {
        !self.any_port
    }

    /// May a client call the server by this host? By a loopback name, the host that was bound, and the names that were given;
    /// where all of the machine's addresses are bound, by any name: then the token alone decides.
    pub(super) fn is_called(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loopback = bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let everything = self.addresses.iter().any(|address| address.ip().is_unspecified());
        loopback || host == self.host || self.names.contains(&host) || (everything && self.token.is_some())
    }
}

/// The names of `--http-host`, as `Host` has them: without a port.
fn names(hosts: &[String]) -> Result<Vec<String>, String> {
    let all = hosts.iter().flat_map(|host| host.split([',', ' '])).filter(|name| !name.is_empty());
    let name = |name: &str| {
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let good = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => name.len() < 254 && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c)),
        };
        let why = || {
            format!(
                "--http-host {name}: takes a name or an address without scheme and port, such as minutely.example.org"
            )
        };
        good.then(|| name.to_ascii_lowercase()).ok_or_else(why)
    };
    all.map(name).collect()
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct BoundSocket {
    pub(super) listener: TcpListener,
    pub(super) address: ListenAddress,
    /// The port that comes first was not free.
    taken: bool,
}

impl BoundSocket {
    /// For people: where to look.
    pub(crate) fn shown(&self) -> String {
        let address =
            self.listener.local_addr().map_or_else(|_| self.address.host.clone(), |address| address.to_string());
        let why = if self.taken { format!(" ({DEFAULT} is taken)") } else { String::new() };
        format!("http://{address}/{why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::edge::{Halt, HaltKind};

    fn of(http: Option<&str>, public: bool, token: Option<&str>) -> Result<Option<ListenAddress>, Vec<String>> {
        ListenAddress::of(http, public, &[], None, token.map(str::to_owned))
    }

    #[test]
    fn loopback_by_default_and_others_only_with_flag_and_token() {
        assert!(of(None, false, None).unwrap().unwrap().any_port);
        assert!(of(Some("none"), false, None).unwrap().is_none());
        assert!(of(Some("[::1]:0"), false, None).unwrap().is_some());
        assert!(of(Some("0.0.0.0:0"), false, Some("0123456789abcdef")).unwrap_err()[0].contains("--http-public"));
        assert!(of(Some("0.0.0.0:0"), true, None).unwrap_err()[0].contains("needs a token"));
        assert!(of(Some("0.0.0.0:0"), true, Some("short")).unwrap_err()[0].contains("at least 16"));
        assert!(of(Some("0.0.0.0:0"), true, Some("0123456789abcdef")).unwrap().is_some());
        assert!(of(Some("8080"), false, None).unwrap_err()[0].contains("HOST:PORT"));
    }

    #[test]
    fn it_is_called_by_loopback_names_and_what_was_bound() {
        let local = of(Some("127.0.0.1:0"), false, None).unwrap().unwrap();
        for good in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(local.is_called(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example", "10.0.0.1", "", "[::2]"] {
            assert!(!local.is_called(bad), "{bad}");
        }
        let all = of(Some("0.0.0.0:0"), true, Some("0123456789abcdef")).unwrap().unwrap();
        assert!(all.is_called("minutely.example"));
    }

    #[test]
    fn it_is_called_by_the_names_that_were_given_and_no_others() {
        let of = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            ListenAddress::of(Some("127.0.0.1:0"), false, &hosts, None, None)
        };
        let place = of(&["Minutely.example.org, other", "[2001:db8::1] 192.0.2.7"]).unwrap().unwrap();
        for good in ["minutely.example.org", "MINUTELY.EXAMPLE.ORG", "other", "[2001:db8::1]", "192.0.2.7", "localhost"]
        {
            assert!(place.is_called(good), "{good}");
        }
        for bad in ["example.org", "evil.minutely.example.org", "minutely.example.org.evil", ""] {
            assert!(!place.is_called(bad), "{bad}");
        }
        for bad in ["https://x", "x:8080", "*.x", "a/b", "[x]"] {
            assert!(of(&[bad]).unwrap_err()[0].contains("--http-host"), "{bad}");
        }
    }

    #[test]
    fn a_named_port_that_is_taken_is_refused_and_the_default_gives_way() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let named = of(Some(&other.local_addr().unwrap().to_string()), false, None).unwrap().unwrap();
        let halt = Halt::from(named.listen().unwrap_err());
        assert!(halt.kind == HaltKind::Unreachable && halt.why.contains("another program listens there"), "{halt}");
        let default = ListenAddress { any_port: true, ..named };
        if let Some(listening) = default.listen().unwrap() {
            assert!(listening.shown().contains("is taken"), "{}", listening.shown());
        }
    }
}
