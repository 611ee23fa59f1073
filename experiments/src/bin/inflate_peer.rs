//! `inflate_peer FILE...`: what decompressing gzip takes, and nothing else: flate2 on zlib-rs, as in the product, in pieces of 256 KiB.

use anyhow::Context;
use std::io::{BufReader, Read, Write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let (mut bytes, mut buffer) = (0, vec![0; 256 << 10]);
    for path in std::env::args().skip(1) {
        let file = std::fs::File::open(&path).context(path)?;
        let mut text = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(256 << 10, file));
        loop {
            match text.read(&mut buffer)? {
                0 => break,
                read => bytes += read,
            }
        }
    }
    Ok(writeln!(std::io::stdout(), "{bytes} bytes")?)
}
