//! How two processes of a run prove to one another that they belong together, before either says anything of itself.
//!
//! ```text
//!   caller                                   called
//!                                   <──  challenge: 32 random bytes
//!     word, tag of the challenge    ──>
//!     TLS 1.3, both by raw public keys that are derived of the key
//!     hello                        <──>  hello
//! ```
//!
//! The tag costs the called process one HMAC, so that strangers cost little; what it proves is proven by TLS again. Challenges are
//! fresh, so what was recorded once is worth nothing.

use super::hello::Hello;
use super::key::{BYTES, ClusterKey, TagKey, nonce};
use super::link::Link;
use super::tls::Tls;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a caller may take to prove the key.
pub(super) const TAG_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one connection may take for all of it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What a caller says first; the last byte is the version of all this.
pub(super) const WORD: [u8; 8] = *b"minutel\x02";

/// What both ends prove themselves by.
pub(super) struct Credentials {
    tags: TagKey,
    tls: Tls,
}

impl Credentials {
    pub(super) fn new(key: &ClusterKey) -> Result<Self, rustls::Error> {
        Ok(Credentials { tags: key.tags(), tls: Tls::new(key)? })
    }
}

/// What is to be received next.
enum Stage {
    /// At the caller.
    Challenge(TcpStream),
    /// At the called process: the tag of this challenge.
    Tag(TcpStream, [u8; BYTES]),
    /// TLS, then the hello. `sent`: the own one.
    Hello { link: Box<Link>, sent: bool },
}

/// The handshake of one connection. It never blocks.
pub(super) struct Handshake {
    stage: Stage,
    own: Hello,
    received: Vec<u8>,
    began: Instant,
}

/// Where a handshake is.
pub(super) enum Progress {
    /// The other side has to send more.
    Pending(Handshake),
    /// The other side knows the key, and sent this hello.
    Proven(Box<Link>, Hello),
}

impl Handshake {
    /// Of the caller.
    pub(super) fn call(socket: TcpStream, own: Hello) -> io::Result<Self> {
        prepare(&socket)?;
        Ok(Self::new(Stage::Challenge(socket), own))
    }

    /// Of the process that is called.
    pub(super) fn answer(mut socket: TcpStream, own: Hello) -> io::Result<Self> {
        prepare(&socket)?;
        let challenge = nonce()?;
        // It is little, and the first on its socket: it does not block.
        socket.write_all(&challenge)?;
        Ok(Self::new(Stage::Tag(socket, challenge), own))
    }

    fn new(stage: Stage, own: Hello) -> Self {
        Handshake { stage, own, received: Vec::new(), began: Instant::now() }
    }

    /// The caller has proven that it knows the key.
    pub(super) fn has_tag(&self) -> bool {
        matches!(self.stage, Stage::Hello { .. })
    }

    /// Receives and sends what it can without waiting.
    ///
    /// # Errors
    /// The other side is gone, too slow, or does not know the key. It has learned nothing of the run.
    pub(super) fn advance(mut self, credentials: &Credentials) -> io::Result<Progress> {
        loop {
            let timeout = if self.has_tag() { TIMEOUT } else { TAG_TIMEOUT };
            let received = match &mut self.stage {
                Stage::Challenge(socket) => read(socket, &mut self.received, BYTES),
                Stage::Tag(socket, _) => read(socket, &mut self.received, WORD.len() + BYTES),
                Stage::Hello { link, sent } => {
                    if link.tls.is_handshaking() {
                        link.fill()
                    } else {
                        if !std::mem::replace(sent, true) {
                            link.send(&self.own)?;
                        }
                        match link.receive()? {
                            None => Ok(false),
                            Some(hello) => return self.proven(hello),
                        }
                    }
                }
            };
            match received.map_err(explained)? {
                true => self = self.next(credentials)?,
                false if self.began.elapsed() < timeout => return Ok(Progress::Pending(self)),
                false => return Err(ErrorKind::TimedOut.into()),
            }
        }
    }

    fn proven(self, hello: Hello) -> io::Result<Progress> {
        match self.stage {
            Stage::Hello { link, .. } => Ok(Progress::Proven(link, hello)),
            _ => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// After what was to be received.
    fn next(mut self, credentials: &Credentials) -> io::Result<Self> {
        let received = std::mem::take(&mut self.received);
        self.stage = match self.stage {
            Stage::Challenge(mut socket) => {
                let challenge = received.try_into().map_err(|_| ErrorKind::InvalidData)?;
                socket.write_all(&[&WORD[..], &credentials.tags.tag(&challenge)].concat())?;
                secure(socket, credentials, true)?
            }
            Stage::Tag(socket, challenge) => {
                let (word, tag) = received.split_at(WORD.len());
                if word != WORD {
                    return Err(io::Error::new(ErrorKind::InvalidData, "it is no minutely of this version"));
                }
                if !credentials.tags.is_tag(&challenge, tag) {
                    return Err(io::Error::new(ErrorKind::PermissionDenied, "it has another key"));
                }
                secure(socket, credentials, false)?
            }
            stage @ Stage::Hello { .. } => stage,
        };
        Ok(self)
    }
}

fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_nodelay(true)
}

fn secure(socket: TcpStream, credentials: &Credentials, calls: bool) -> io::Result<Stage> {
    let tls = credentials.tls.begin(calls).map_err(io::Error::other)?;
    let mut link = Box::new(Link::new(socket, tls));
    link.flush()?;
    Ok(Stage::Hello { link, sent: false })
}

/// Reads up to this length and not a byte more, for what follows is TLS's. False: some is missing yet.
fn read(socket: &mut TcpStream, received: &mut Vec<u8>, length: usize) -> io::Result<bool> {
    while received.len() < length {
        let mut some = [0; 2 * BYTES];
        let missing = (length - received.len()).min(some.len());
        match socket.read(&mut some[..missing]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => received.extend_from_slice(&some[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

/// What the end of a handshake means.
fn explained(e: io::Error) -> io::Error {
    match e.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            io::Error::new(e.kind(), "it hung up: it has another key, is no minutely of this version, or ends")
        }
        ErrorKind::PermissionDenied => io::Error::new(e.kind(), format!("it has another key: {e}")),
        _ => e,
    }
}

#[cfg(test)]
mod tests;
