//! Processes of a run and everybody else on their machine: whoever does not know the secret of the data folder neither
//! ends a process that waits, nor takes another's place, nor holds it up, nor hears anything of the run.

#![allow(clippy::unwrap_used, reason = "tests panic")]

mod common;
#[path = "../dataflows/tests/hostile/mod.rs"]
mod hostile;

use common::program::{PATIENCE, Program};
use common::two_hosts;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SOURCE: [&str; 4] = ["--source", "sim:?symbols=5&rate=50&history=1m", "--sink", "stdout:"];

fn process(data: &Path, hosts: &str, number: &str) -> Program {
    Program::start(data, &[&SOURCE[..], &["-n", "2", "-h", hosts, "-p", number]].concat(), &[])
}

/// What is heard until the other side hangs up, or says nothing for a second.
fn heard(mut socket: &TcpStream) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut all, mut some) = (Vec::new(), [0; 1024]);
    while let Ok(n @ 1..) = socket.read(&mut some) {
        all.extend_from_slice(&some[..n]);
    }
    all
}

#[test]
fn strangers_neither_end_a_run_that_waits_nor_learn_of_it_nor_hold_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let (data, hosts) = (folder.path().join("data"), two_hosts(folder.path()));
    let address = std::fs::read_to_string(&hosts).unwrap().lines().next().unwrap().to_owned();
    let mut first = process(&data, &hosts, "0");
    // It listens once this can be called.
    let call = || TcpStream::connect(&address).unwrap();
    first.until("it listens", PATIENCE, |_| TcpStream::connect(&address).is_ok());

    // A process as it once introduced itself, with a fingerprint that is a guess.
    let numbers = |fingerprint: u64| [1, 2, 1, fingerprint].map(u64::to_be_bytes).concat();
    for fingerprint in [0, 1, u64::MAX] {
        let mut socket = call();
        socket.write_all(&[b"minutely", &numbers(fingerprint)[..]].concat()).unwrap();
        let nonce_and_proof = heard(&socket);
        assert_eq!(nonce_and_proof.len(), 64, "nothing but what nobody can use");
        socket.write_all(&[&numbers(fingerprint)[..], &nonce_and_proof[32..]].concat()).unwrap();
        assert_eq!(heard(&socket), b"");
    }
    for garbage in [&[0; 200][..], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n                                    "] {
        let mut socket = call();
        socket.write_all(garbage).unwrap();
        assert_eq!(heard(&socket), b"");
    }
    // More who say nothing than are heard at once, for as long as it takes.
    let over = Arc::new(AtomicBool::new(false));
    let flood = {
        let (address, over) = (address.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut silent: VecDeque<TcpStream> = VecDeque::new();
            while !over.load(Ordering::Relaxed) {
                silent.extend(TcpStream::connect_timeout(&address.parse().unwrap(), Duration::from_millis(50)).ok());
                if silent.len() > 200 {
                    silent.pop_front();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        })
    };
    // Somebody with another data folder, who has another secret.
    let mut other = process(&folder.path().join("other"), &hosts, "1");
    first.until("it says so", PATIENCE, |program| program.said().contains("is sent away"));
    other.until("it waits", Duration::from_secs(60), |program| program.said().contains("waits for process 0"));
    assert!(other.said().contains("does not know the secret"), "{}", other.said());
    other.terminate();
    other.ended(PATIENCE).well();

    let mut second = process(&data, &hosts, "1");
    first.until("it reads", PATIENCE, |program| program.counted() > 0);
    over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    let said = first.said();
    assert!(said.matches("is sent away").count() < 10, "a line for each would fill a disk: {said}");
    second.until("it still runs", PATIENCE, |_| true);
    first.terminate();
    first.ended(Duration::from_secs(10)).well();
}
