//! Bytes that strangers may send: good ones, changed at random.

#![allow(clippy::disallowed_types, reason = "tests of the core have a clock, to end by")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Calls `check` with seeds, then with changed seeds, for a second, or a minute in `./test long`. Bytes for which it panics are
/// printed as hexadecimal digits.
///
/// # Panics
/// When `check` did.
pub(crate) fn any_bytes(seeds: &[Vec<u8>], check: impl Fn(&[u8])) {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let time = Duration::from_secs(if std::env::var_os("MINUTELY_TEST_LONG").is_some() { 60 } else { 1 });
    let (began, mut tried) = (Instant::now(), 0_u64);
    while tried < seeds.len() as u64 || began.elapsed() < time {
        let bytes = match usize::try_from(tried).ok().and_then(|at| seeds.get(at)) {
            Some(seed) => seed.clone(),
            None => changed(&mut random, seeds),
        };
        if catch_unwind(AssertUnwindSafe(|| check(&bytes))).is_err() {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("try {tried} of seed {seed}: bytes {hex}");
        }
        tried += 1;
    }
    eprintln!("{tried} tried");
}

/// One of them, changed in up to eight places.
fn changed(random: &mut fastrand::Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..random.usize(1..=8) {
        let at = random.usize(..=bytes.len());
        let end = at + random.usize(..=(bytes.len() - at).min(16));
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.usize(..5)],
            2 => bytes.insert(at, random.u8(..)),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                let to = random.usize(..=bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..=other.len());
                let part = &other[from..(from + 16).min(other.len())];
                bytes.splice(at..end, part.iter().copied());
            }
        }
    }
    bytes
}
