//! `csv_peer OUT.csv FILE...`: what one would write by hand for files of CSV with the columns symbol, price and ts. One loop: the `csv`
//! crate's records, an f64 and a count in a hash map by (symbol, minute), then a CSV in (minute, symbol) order. With `-` for OUT.csv it
//! keeps no map: it adds all prices up, and that is all.
//!
//! It keeps no watermark, knows no late record, and its sums depend on the order of addition.

use anyhow::Context;
use std::collections::HashMap;
use std::io::{BufWriter, Write};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().context("csv_peer OUT.csv FILE...")?;
    let mut minutes: HashMap<(i64, Box<[u8]>), (u64, f64), xxhash_rust::xxh3::Xxh3DefaultBuilder> = HashMap::default();
    let (mut count, mut sum) = (0_u64, 0.0);
    for path in arguments {
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(256 << 10).from_path(&path).context(path)?;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record)? {
            let price: f64 = std::str::from_utf8(&record[1])?.parse()?;
            if out == "-" {
                count += 1;
                sum += price;
                continue;
            }
            let ts: i64 = std::str::from_utf8(&record[2])?.parse()?;
            let total = minutes.entry((ts.div_euclid(60_000), record[0].into())).or_default();
            total.0 += 1;
            total.1 += price;
        }
    }
    if out == "-" {
        anyhow::ensure!(count > 0, "no records");
        return Ok(writeln!(std::io::stdout(), "{count} {sum}")?);
    }
    let mut minutes: Vec<_> = minutes.into_iter().collect();
    minutes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let mut csv = BufWriter::new(std::fs::File::create(&out).context(out)?);
    for ((minute, symbol), (count, sum)) in minutes {
        #[expect(clippy::cast_precision_loss, reason = "a count is far below 2^53")]
        let avg = sum / count as f64;
        writeln!(csv, "{},{minute},{count},{sum},{avg}", String::from_utf8_lossy(&symbol))?;
    }
    Ok(csv.flush()?)
}
