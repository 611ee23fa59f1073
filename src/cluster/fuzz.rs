//! Any bytes to a process that waits for the others of its run.

use super::handshake::{Credentials, Handshake, Progress, WORD};
use super::hello::testing::hello;
use super::key::ClusterKey;
use crate::fuzz::any_bytes;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

#[test]
fn a_stranger_is_not_let_in_by_any_bytes() {
    let credentials = Credentials::new(&ClusterKey::random().unwrap()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // What a called process says, and the head of a record of TLS after it.
    let server = [&[7; 32][..], b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03", &[1; 111]].concat();
    let seeds = [[&WORD[..], &[7; 32]].concat(), [&WORD[..], &[0; 64]].concat(), vec![0; 96], server];
    for calls in [false, true] {
        any_bytes(&seeds, |bytes| {
            let mut stranger = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            for end in [&stranger, &socket] {
                // No connection stays behind, for they are many.
                rustix::net::sockopt::set_socket_linger(end, Some(Duration::ZERO)).unwrap();
            }
            let side = if calls { Handshake::call(socket, hello(0)) } else { Handshake::answer(socket, hello(0)) };
            let mut side = side.unwrap();
            stranger.write_all(bytes).unwrap();
            stranger.shutdown(Shutdown::Write).unwrap();
            loop {
                match side.advance(&credentials) {
                    Ok(Progress::Pending(again)) => side = again,
                    Ok(Progress::Proven(..)) => panic!("a stranger is let in"),
                    Err(_) => break,
                }
            }
            let mut heard = Vec::new();
            let _reset = stranger.read_to_end(&mut heard);
            // A challenge; or word, tag and the first message of TLS, which says nothing of the run.
            let text = String::from_utf8_lossy(&heard);
            assert!(heard.len() <= if calls { 600 } else { 32 } && !text.contains("ticks"), "{} bytes", heard.len());
        });
    }
}
