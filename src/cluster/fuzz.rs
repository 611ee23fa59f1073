//! Any bytes to a process that waits for the others of its run.

use super::handshake::{Handshake, Hello, Progress};
use super::secret::Secret;
use crate::fuzz::any_bytes;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

#[test]
fn a_stranger_is_not_let_in_by_any_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let secret = Secret::of(folder.path()).unwrap();
    let own = Hello { process: 0, processes: 2, workers: 1, fingerprint: 7 };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let word = [&b"minutely"[..], &[7; 32]].concat();
    let seeds = [word.clone(), [&word[..], &[0; 64]].concat(), vec![0; 96], [[1; 32], [2; 32], [3; 32]].concat()];
    for calls in [false, true] {
        any_bytes(&seeds, |bytes| {
            let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            for end in [&stranger, &socket] {
                // No connection stays behind, for they are many.
                rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO)).unwrap();
            }
            let side = if calls { Handshake::call(socket, own) } else { Handshake::answer(socket, own) };
            let mut side = side.unwrap();
            stranger.write_all(bytes).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            loop {
                match side.advance(&secret) {
                    Ok(Progress::Pending(again)) => side = again,
                    Ok(Progress::Proven(..)) => panic!("a stranger is let in"),
                    Err(_) => break,
                }
            }
            let mut heard = Vec::new();
            let _reset = stranger.read_to_end(&mut heard);
            assert!(heard.len() <= 64, "it heard {} bytes", heard.len());
        });
    }
}
