//! snow: `Noise_NNpsk0_25519_…_BLAKE2s`. Messages of Noise are at most 65,535 bytes, and each has its length in front of it, in two bytes.

use crate::{BLOCK, End, Library, Outcome};
use snow::{Builder, TransportState};
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Of a message, what is not its tag.
const PLAIN: usize = BLOCK / 2;
const TAG: usize = 16;

pub struct Noise {
    pattern: String,
    by_ring: bool,
}

impl Noise {
    pub fn new(cipher: &str, by_ring: bool) -> Outcome<Self> {
        Ok(Noise { pattern: format!("Noise_NNpsk0_25519_{cipher}_BLAKE2s"), by_ring })
    }

    fn builder(&self) -> Outcome<Builder<'static>> {
        let pattern = self.pattern.parse()?;
        #[cfg(feature = "snow-ring")]
        if self.by_ring {
            use snow::resolvers::{DefaultResolver, FallbackResolver, RingResolver};
            let resolver = FallbackResolver::new(Box::new(RingResolver), Box::new(DefaultResolver));
            return Ok(Builder::with_resolver(pattern, Box::new(resolver)));
        }
        Ok(Builder::new(pattern))
    }
}

fn send(mut to: &TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).expect("a message is short").to_be_bytes();
    to.write_all(&[&length[..], message].concat())
}

fn receive(mut from: &TcpStream, message: &mut [u8]) -> io::Result<usize> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length));
    from.read_exact(&mut message[..length])?;
    Ok(length)
}

impl Library for Noise {
    fn handshake(&self, socket: TcpStream, calls: bool) -> Outcome<Box<dyn End>> {
        let builder = self.builder()?.psk(0, &crate::KEY)?;
        let mut state = if calls { builder.build_initiator()? } else { builder.build_responder()? };
        let (mut message, mut payload) = ([0; 256], [0; 256]);
        while !state.is_handshake_finished() {
            if state.is_my_turn() {
                let n = state.write_message(&[], &mut message)?;
                send(&socket, &message[..n])?;
            } else {
                let n = receive(&socket, &mut message)?;
                state.read_message(&message[..n], &mut payload)?;
            }
        }
        Ok(Box::new(NoiseEnd {
            noise: state.into_transport_mode()?,
            pattern: self.pattern.clone(),
            socket,
            sent: vec![0; BLOCK + 1024],
            received: vec![0; BLOCK],
            at: 0,
            end: 0,
            plain: vec![0; BLOCK],
            plain_at: 0,
            plain_end: 0,
        }))
    }
}

struct NoiseEnd {
    noise: TransportState,
    pattern: String,
    socket: TcpStream,
    sent: Vec<u8>,
    /// Bytes `at..end` are not decrypted yet.
    received: Vec<u8>,
    at: usize,
    end: usize,
    plain: Vec<u8>,
    plain_at: usize,
    plain_end: usize,
}

impl End for NoiseEnd {
    fn agreed(&self) -> String {
        self.pattern.clone()
    }
}

impl Write for NoiseEnd {
    fn write(&mut self, some: &[u8]) -> io::Result<usize> {
        let (some, mut at) = (&some[..some.len().min(BLOCK)], 0);
        for part in some.chunks(PLAIN) {
            let n = self.noise.write_message(part, &mut self.sent[at + 2..]).map_err(io::Error::other)?;
            self.sent[at..at + 2].copy_from_slice(&u16::try_from(n).expect("a message is short").to_be_bytes());
            at += 2 + n;
        }
        self.socket.write_all(&self.sent[..at])?;
        Ok(some.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for NoiseEnd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.plain_at == self.plain_end {
            let have = self.end - self.at;
            let wanted = match &self.received[self.at..self.end] {
                [high, low, ..] => 2 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => 2,
            };
            assert!(wanted <= 2 + PLAIN + TAG, "a message as the other end makes them");
            if have >= wanted && wanted > 2 {
                let message = &self.received[self.at + 2..self.at + wanted];
                self.plain_end = self.noise.read_message(message, &mut self.plain).map_err(io::Error::other)?;
                self.plain_at = 0;
                self.at += wanted;
                continue;
            }
            self.received.copy_within(self.at..self.end, 0);
            (self.at, self.end) = (0, have);
            match self.socket.read(&mut self.received[have..])? {
                0 => return Ok(0),
                n => self.end += n,
            }
        }
        let n = into.len().min(self.plain_end - self.plain_at);
        into[..n].copy_from_slice(&self.plain[self.plain_at..self.plain_at + n]);
        self.plain_at += n;
        Ok(n)
    }
}
