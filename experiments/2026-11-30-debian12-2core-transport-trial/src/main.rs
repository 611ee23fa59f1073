//! What an authenticated and encrypted connection between two processes costs, by one library or another.
//!
//!   transport-trial bytes LIBRARY GIB           moves so many GiB over one connection, in writes of 64 KiB
//!   transport-trial handshakes LIBRARY COUNT    makes so many connections one after the other, each with a byte both ways
//!
//! Both ends are threads of this process, one each, over loopback TCP: its CPU time is that of both. Both know one key of 32 bytes.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[cfg(feature = "snow")]
mod noise;
#[cfg(feature = "openssl")]
mod psk;
#[cfg(any(feature = "rustls-ring", feature = "rustls-aws-lc"))]
mod raw_keys;

/// What both ends have in common.
pub const KEY: [u8; 32] = *b"\x8f\x1c\x07\xd2\x5b\xa9\x33\xe4\x70\x16\xfa\x99\x4d\xc8\x21\x6e\x0b\xb5\x42\xee\x97\x58\x3a\xc1\xd4\x09\x6f\xb2\x1d\x83\xf0\x7c";
/// One write.
pub const BLOCK: usize = 64 << 10;

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// An end of a connection that has done its handshake.
pub trait End: Read + Write + Send {
    /// What was agreed on.
    fn agreed(&self) -> String;
}

/// A library, set up once.
pub trait Library: Send + Sync {
    fn handshake(&self, socket: TcpStream, calls: bool) -> Outcome<Box<dyn End>>;
}

struct Plain;

impl End for TcpStream {
    fn agreed(&self) -> String {
        "nothing".into()
    }
}

impl Library for Plain {
    fn handshake(&self, socket: TcpStream, _: bool) -> Outcome<Box<dyn End>> {
        Ok(Box::new(socket))
    }
}

fn library(name: &str) -> Outcome<Box<dyn Library>> {
    Ok(match name {
        "plain" => Box::new(Plain),
        #[cfg(feature = "rustls-ring")]
        "rustls-ring" => Box::new(raw_keys::Tls::new(rustls::crypto::ring::default_provider())?),
        #[cfg(feature = "rustls-ring")]
        "rustls-ring-aes128" => {
            Box::new(raw_keys::Tls::new(raw_keys::aes128(rustls::crypto::ring::default_provider()))?)
        }
        #[cfg(feature = "rustls-aws-lc")]
        "rustls-aws-lc" => Box::new(raw_keys::Tls::new(rustls::crypto::aws_lc_rs::default_provider())?),
        #[cfg(feature = "rustls-aws-lc")]
        "rustls-aws-lc-aes128" => {
            Box::new(raw_keys::Tls::new(raw_keys::aes128(rustls::crypto::aws_lc_rs::default_provider()))?)
        }
        #[cfg(feature = "openssl")]
        "openssl-psk-aes128" => Box::new(psk::Psk::new()?),
        #[cfg(feature = "snow")]
        "noise-chacha" => Box::new(noise::Noise::new("ChaChaPoly", false)?),
        #[cfg(feature = "snow")]
        "noise-aes256" => Box::new(noise::Noise::new("AESGCM", false)?),
        #[cfg(feature = "snow-ring")]
        "noise-ring-aes256" => Box::new(noise::Noise::new("AESGCM", true)?),
        other => return Err(format!("no library {other} in this build").into()),
    })
}

/// Both ends of a new connection, each on a thread of its own.
fn connect(
    listener: &TcpListener,
    library: &dyn Library,
    caller: impl FnOnce(Box<dyn End>) -> Outcome<()>,
    called: impl FnOnce(Box<dyn End>) -> Outcome<()> + Send,
) -> Outcome<()> {
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            called(library.handshake(socket, false)?)
        });
        let socket = TcpStream::connect(listener.local_addr()?)?;
        socket.set_nodelay(true)?;
        caller(library.handshake(socket, true)?)?;
        other.join().expect("it does not panic")
    })
}

fn bytes(library: &dyn Library, gib: usize) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let blocks = gib * (1 << 30) / BLOCK;
    let caller = |mut end: Box<dyn End>| {
        println!("{}", end.agreed());
        let block = vec![7; BLOCK];
        for _ in 0..blocks {
            end.write_all(&block)?;
        }
        end.flush()?;
        let mut thanks = [0];
        Ok(end.read_exact(&mut thanks)?)
    };
    let called = |mut end: Box<dyn End>| {
        let (mut some, mut rest) = (vec![0; BLOCK], blocks * BLOCK);
        while rest > 0 {
            match end.read(&mut some)? {
                0 => return Err(format!("{rest} bytes did not come").into()),
                n => rest -= n,
            }
        }
        end.write_all(&[1])?;
        Ok(end.flush()?)
    };
    connect(&listener, library, caller, called)
}

fn handshakes(library: &dyn Library, count: usize) -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for _ in 0..count {
        let caller = |mut end: Box<dyn End>| {
            end.write_all(&[1])?;
            end.flush()?;
            Ok(end.read_exact(&mut [0])?)
        };
        let called = |mut end: Box<dyn End>| {
            end.read_exact(&mut [0])?;
            end.write_all(&[1])?;
            Ok(end.flush()?)
        };
        connect(&listener, library, caller, called)?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, name, count] = &words[..] else { return Err("takes: bytes|handshakes LIBRARY COUNT".into()) };
    let library = library(name)?;
    match what.as_str() {
        "bytes" => bytes(&*library, count.parse()?),
        "handshakes" => handshakes(&*library, count.parse()?),
        other => Err(format!("{other}: takes bytes or handshakes").into()),
    }
}
