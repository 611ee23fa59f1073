//! `ticks DIR [RECORDS] [SYMBOLS] [FILES] [SPAN_MINUTES]`: writes the made-up market as JSON lines, a file a partition.

use anyhow::Context;
use minutely_experiments::{argument, market::Market};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let folder: PathBuf = argument(1, PathBuf::from("ticks"))?;
    let market = Market {
        records: argument(2, 10_000_000)?,
        symbols: argument(3, 1_000)?,
        partitions: argument(4, 8)?,
        span_ms: argument::<u64>(5, 100)? * 60_000,
        bytes: 0,
    };
    std::fs::create_dir_all(&folder)?;
    for partition in 0..market.partitions {
        let path = folder.join(format!("{partition}.jsonl"));
        let mut file = BufWriter::new(File::create(&path).with_context(|| path.display().to_string())?);
        let mut line = Vec::new();
        for offset in 0..market.records_of(partition) {
            line.clear();
            market.write(partition, offset, &mut line);
            line.push(b'\n');
            file.write_all(&line)?;
        }
        file.flush()?;
    }
    Ok(())
}
