//! How two processes of a run prove to one another that they belong together, before either says anything of itself.
//!
//! ```text
//!   caller                                             called
//!     word, nonce                            ──>
//!                                            <──  nonce, proof of both nonces and both addresses
//!     hello, proof of all that and the hello ──>
//!                                            <──  hello, proof of all that and both hellos
//! ```
//!
//! Nonces are fresh, so an answer cannot be replayed. The addresses are what each side's own system says of the
//! connection, so a third process cannot relay messages between the two.

use super::secret::{BYTES, Secret, nonce};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long one connection may take for all of it.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);
/// What a caller says first.
const WORD: &[u8; 8] = b"minutely";

/// What a process says of itself, once the other side has proven itself; big-endian integers on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Hello {
    pub(super) process: u64,
    pub(super) processes: u64,
    pub(super) workers: u64,
    /// Of what must be the same for all.
    pub(super) fingerprint: u64,
}

impl Hello {
    const BYTES: usize = 32;

    fn encode(&self) -> Vec<u8> {
        [self.process, self.processes, self.workers, self.fingerprint].map(u64::to_be_bytes).as_flattened().to_vec()
    }

    fn decode(bytes: &[u8]) -> Self {
        let mut numbers = bytes.chunks_exact(8).map(|n| u64::from_be_bytes(n.try_into().unwrap_or_default()));
        let mut number = || numbers.next().unwrap_or_default();
        Hello { process: number(), processes: number(), workers: number(), fingerprint: number() }
    }
}

/// The message that is to be received next.
#[derive(Clone, Copy)]
enum NextMessage {
    /// From the caller: the word and a nonce.
    Word,
    /// To the caller: a nonce and its proof.
    Challenge,
    /// In both directions, and last: a hello and its proof.
    Hello,
}

impl NextMessage {
    fn bytes(self) -> usize {
        match self {
            NextMessage::Word => WORD.len() + BYTES,
            NextMessage::Challenge => 2 * BYTES,
            NextMessage::Hello => Hello::BYTES + BYTES,
        }
    }
}

/// The handshake of one connection. It never blocks.
pub(super) struct Handshake {
    socket: TcpStream,
    calls: bool,
    own: Hello,
    next: NextMessage,
    received: Vec<u8>,
    /// All that both sides have sent so far, and their addresses: proofs are of it.
    transcript: Vec<u8>,
    began: Instant,
}

/// Where a handshake is.
pub(super) enum Progress {
    /// The other side has to send more.
    Pending(Handshake),
    /// The other side knows the secret, and sent this hello.
    Proven(TcpStream, Hello),
}

impl Handshake {
    /// Of the caller.
    pub(super) fn call(socket: TcpStream, own: Hello) -> io::Result<Self> {
        let mut handshake = Self::new(socket, own, true)?;
        let nonce = nonce()?;
        handshake.send(&[WORD, &nonce[..]].concat())?;
        handshake.transcript.extend(nonce);
        Ok(handshake)
    }

    /// Of the process that is called.
    pub(super) fn answer(socket: TcpStream, own: Hello) -> io::Result<Self> {
        Self::new(socket, own, false)
    }

    fn new(socket: TcpStream, own: Hello, calls: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let (own_end, other_end) = (socket.local_addr()?, socket.peer_addr()?);
        let (caller, called) = if calls { (own_end, other_end) } else { (other_end, own_end) };
        let next = if calls { NextMessage::Challenge } else { NextMessage::Word };
        let (received, transcript) = (Vec::new(), format!("{caller} calls {called}\n").into_bytes());
        Ok(Handshake { socket, calls, own, next, received, transcript, began: Instant::now() })
    }

    /// Never blocks: it is little, and the first on its socket.
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Receives and sends what it can without waiting.
    ///
    /// # Errors
    /// The other side is gone, too slow, or does not know the secret. It has learned nothing of the run.
    pub(super) fn advance(mut self, secret: &Secret) -> io::Result<Progress> {
        loop {
            while self.received.len() < self.next.bytes() {
                // Not a byte more: what comes after the handshake is the workers'.
                let mut some = [0; 2 * BYTES];
                let missing = (self.next.bytes() - self.received.len()).min(some.len());
                match self.socket.read(&mut some[..missing]) {
                    Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                    Ok(n) => self.received.extend_from_slice(&some[..n]),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock && self.began.elapsed() < TIMEOUT => {
                        return Ok(Progress::Pending(self));
                    }
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
                    Err(e) => return Err(e),
                }
            }
            let message = std::mem::take(&mut self.received);
            if let Some(hello) = self.on_message(secret, &message)? {
                self.socket.set_nonblocking(false)?;
                return Ok(Progress::Proven(self.socket, hello));
            }
        }
    }

    /// Takes one whole message; returns the other side's hello if the handshake is done.
    fn on_message(&mut self, secret: &Secret, message: &[u8]) -> io::Result<Option<Hello>> {
        let (text, rest) = message.split_at(message.len() - BYTES);
        if let NextMessage::Word = self.next {
            if text != WORD {
                return Err(io::Error::new(ErrorKind::InvalidData, "is not minutely"));
            }
            self.transcript.extend(rest);
            let nonce = nonce()?;
            self.transcript.extend(nonce);
            let proof = secret.proof(&self.transcript);
            self.send(&[nonce, proof].concat())?;
            self.next = NextMessage::Hello;
            return Ok(None);
        }
        self.transcript.extend(text);
        if !secret.proves(&self.transcript, rest) {
            return Err(io::Error::new(ErrorKind::PermissionDenied, "does not know the secret of this data folder"));
        }
        let done = matches!(self.next, NextMessage::Hello);
        if !(self.calls && done) {
            let hello = self.own.encode();
            self.transcript.extend(&hello);
            let proof = secret.proof(&self.transcript);
            self.send(&[&hello[..], &proof].concat())?;
            self.next = NextMessage::Hello;
        }
        Ok(done.then(|| Hello::decode(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn hello(process: u64) -> Hello {
        Hello { process, processes: 2, workers: 3, fingerprint: 0x0123_4567_89ab_cdef }
    }

    fn secret() -> (tempfile::TempDir, Secret) {
        let folder = tempfile::tempdir().unwrap();
        let secret = Secret::of(folder.path()).unwrap();
        (folder, secret)
    }

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let caller = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (caller, listener.accept().unwrap().0)
    }

    /// Both sides in turn, until both have an end.
    fn ends(mut sides: [Option<Handshake>; 2], secrets: [&Secret; 2]) -> [Result<Hello, ErrorKind>; 2] {
        let mut ends = [None, None];
        while ends.iter().any(Option::is_none) {
            for ((side, end), secret) in sides.iter_mut().zip(&mut ends).zip(secrets) {
                *end = match side.take().map(|one| one.advance(secret)) {
                    None => *end,
                    Some(Ok(Progress::Pending(one))) => {
                        *side = Some(one);
                        None
                    }
                    Some(Ok(Progress::Proven(_, hello))) => Some(Ok(hello)),
                    Some(Err(e)) => Some(Err(e.kind())),
                };
            }
        }
        ends.map(|end| end.unwrap())
    }

    #[test]
    fn processes_that_know_the_secret_learn_of_one_another() {
        let ((_folder, secret), (caller, called)) = (secret(), pair());
        let sides = [Handshake::call(caller, hello(1)), Handshake::answer(called, hello(0))].map(Result::ok);
        assert_eq!(ends(sides, [&secret, &secret]), [Ok(hello(0)), Ok(hello(1))]);
    }

    #[test]
    fn those_of_another_secret_learn_nothing() {
        let ((_one, here), (_two, there), (caller, called)) = (secret(), secret(), pair());
        let sides = [Handshake::call(caller, hello(1)), Handshake::answer(called, hello(0))].map(Result::ok);
        assert_eq!(ends(sides, [&there, &here]), [Err(ErrorKind::PermissionDenied), Err(ErrorKind::UnexpectedEof)]);
    }

    /// Passes on all that both sides say, until both are gone.
    fn relay(one: TcpStream, other: TcpStream) {
        let pass = |mut from: TcpStream, mut to: TcpStream| {
            std::thread::spawn(move || {
                let _ended = std::io::copy(&mut from, &mut to);
                let _gone = to.shutdown(std::net::Shutdown::Both);
            })
        };
        let back = (other.try_clone().unwrap(), one.try_clone().unwrap());
        drop((pass(one, other), pass(back.0, back.1)));
    }

    #[test]
    fn a_process_in_between_cannot_pass_on_what_the_two_send() {
        let ((_folder, secret), (caller, one), (other, called)) = (secret(), pair(), pair());
        relay(one, other);
        let sides = [Handshake::call(caller, hello(1)), Handshake::answer(called, hello(0))].map(Result::ok);
        assert_eq!(ends(sides, [&secret, &secret])[0], Err(ErrorKind::PermissionDenied));
    }

    /// What a caller gets who sends `first`, then `second`, and does not know the secret.
    fn answer_to(secret: &Secret, first: &[u8], second: &[u8]) -> Vec<u8> {
        let (mut caller, called) = pair();
        caller.write_all(&[first, second].concat()).unwrap();
        let mut side = Handshake::answer(called, hello(0)).unwrap();
        loop {
            match side.advance(secret) {
                Ok(Progress::Pending(again)) => side = again,
                Ok(Progress::Proven(..)) => panic!("a stranger is let in"),
                Err(_) => break,
            }
        }
        let mut heard = Vec::new();
        caller.read_to_end(&mut heard).unwrap_or_default();
        heard
    }

    #[test]
    fn a_stranger_hears_nothing_of_the_run_and_what_was_heard_once_is_worth_nothing() {
        let (_folder, secret) = secret();
        let first = [&WORD[..], &[7; BYTES]].concat();
        // Word and numbers, as it once was enough.
        let numbers = hello(1).encode();
        for second in [&[0; 64][..], &[&numbers[..], &[0; BYTES]].concat()] {
            let heard = answer_to(&secret, &first, second);
            assert!(heard.len() <= 2 * BYTES, "{heard:?}");
            assert!(!heard.windows(8).any(|some| some == hello(0).fingerprint.to_be_bytes()));
        }
        assert_eq!(answer_to(&secret, &[0; 40], &[]), b"", "a caller without the word gets no answer");
        // A proof given to a stranger is not the one that a caller must give.
        let heard = answer_to(&secret, &first, &[0; 64]);
        if heard.len() == 2 * BYTES {
            assert_ne!(
                answer_to(&secret, &first, &[&numbers[..], &heard[BYTES..]].concat()),
                heard,
                "another nonce each time"
            );
        }
    }

    #[test]
    fn a_silent_caller_is_given_up() {
        let ((_folder, secret), (_caller, called)) = (secret(), pair());
        let mut side = Handshake::answer(called, hello(0)).unwrap();
        side.began = side.began.checked_sub(TIMEOUT).unwrap();
        assert!(side.advance(&secret).is_err_and(|e| e.kind() == ErrorKind::TimedOut));
    }
}
