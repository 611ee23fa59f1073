//! `file_peer OUT.csv FILE...`: what one would write by hand. One loop: sonic-rs into a derived struct, an f64 and a
//! count in a hash map by (symbol, minute), all of it in memory until the end, then a CSV in (minute, symbol) order.
//!
//! It drops records that it cannot read, keeps no watermark, knows no late record, and its sums depend on the order of
//! addition. The file reader, the allocator, and the map with its hash are those of the product.

use anyhow::Context;
use hashbrown::HashTable;
use minutely_experiments::lines::Lines;
use std::io::{BufWriter, Write};
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(serde::Deserialize)]
struct Tick<'a> {
    symbol: &'a str,
    price: f64,
    ts: i64,
}

struct Minute {
    minute: i64,
    symbol: Box<str>,
    count: i64,
    sum: f64,
}

fn hash(symbol: &str, minute: i64) -> u64 {
    xxh3_64(symbol.as_bytes()) ^ minute.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().context("file_peer OUT.csv FILE...")?;
    let mut minutes: HashTable<Minute> = HashTable::new();
    let mut bad = 0_u64;
    for path in arguments {
        let mut lines = Lines::open(path.as_ref()).context(path)?;
        while !lines.ended() {
            lines.read(usize::MAX, |line| {
                let Ok(Tick { symbol, price, ts }) = sonic_rs::from_slice(line) else {
                    bad += 1;
                    return;
                };
                let minute = ts.div_euclid(60_000);
                let key = hash(symbol, minute);
                match minutes.find_mut(key, |m| m.minute == minute && *m.symbol == *symbol) {
                    Some(m) => {
                        m.count += 1;
                        m.sum += price;
                    }
                    None => {
                        let new = Minute { minute, symbol: symbol.into(), count: 1, sum: price };
                        minutes.insert_unique(key, new, |m| hash(&m.symbol, m.minute));
                    }
                }
            })?;
        }
    }
    let mut minutes: Vec<_> = minutes.into_iter().collect();
    minutes.sort_unstable_by(|a, b| (a.minute, &a.symbol).cmp(&(b.minute, &b.symbol)));
    let mut csv = BufWriter::new(std::fs::File::create(&out).context(out)?);
    for Minute { minute, symbol, count, sum } in minutes {
        #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
        let avg = sum / count as f64;
        writeln!(csv, "{symbol},{minute},{count},{sum},{avg}")?;
    }
    csv.flush()?;
    anyhow::ensure!(bad == 0, "{bad} records could not be read");
    Ok(())
}
