//! A made-up market: ticks as JSON, the same bytes every time. Symbols belong to a partition, as in a topic with keys;
//! event time rises by a fixed pace and is up to two seconds out of order.

use std::io::Write;

/// 2026-01-05T14:30:00Z, in milliseconds.
pub const BEGIN_MS: u64 = 1_767_623_400_000;
/// Out of order by less than this, in milliseconds.
const DISORDER_MS: u64 = 2_000;

/// How the market is made.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// Symbols, over all partitions.
    pub symbols: u64,
    /// Partitions.
    pub partitions: u64,
    /// Records in all, over all partitions.
    pub records: u64,
    /// Event time that they cover, in milliseconds.
    pub span_ms: u64,
    /// Pad each record with a field to this many bytes; 0: as long as it is.
    pub bytes: usize,
}

impl Market {
    /// Records of one partition.
    pub fn records_of(&self, partition: u64) -> u64 {
        self.records / self.partitions + u64::from(partition < self.records % self.partitions)
    }

    /// Writes the record at an offset, without a line end.
    pub fn write(&self, partition: u64, offset: u64, out: &mut Vec<u8>) {
        let dice = mix(partition << 40 ^ offset);
        let in_partition = self.symbols / self.partitions;
        let symbol = (dice >> 40) % in_partition * self.partitions + partition;
        let begin = BEGIN_MS + offset * self.span_ms / self.records_of(partition);
        let ts = begin - (dice >> 20) % DISORDER_MS.min(begin - BEGIN_MS + 1);
        let cents = 1_000 + mix(symbol) % 40_000 + dice % 500;
        let volume = 1 + (dice >> 10) % 900;
        let start = out.len();
        let name = name(symbol);
        let wrote = write!(
            out,
            r#"{{"symbol":"{name}","price":{}.{:02},"ts":{ts},"volume":{volume}"#,
            cents / 100,
            cents % 100
        );
        wrote.expect("a Vec takes all");
        let missing = self.bytes.saturating_sub(out.len() - start);
        if missing > r#","id":""}"#.len() {
            let width = missing - r#","id":""}"#.len();
            write!(out, r#","id":"{:0>width$x}"}}"#, dice).expect("a Vec takes all");
            out.truncate(start + self.bytes);
        } else {
            out.push(b'}');
        }
    }
}

/// Four letters or more.
pub fn name(symbol: u64) -> String {
    let mut rest = symbol;
    let mut name = String::new();
    while rest > 0 || name.len() < 4 {
        name.insert(0, char::from(b'A' + u8::try_from(rest % 26).expect("a letter")));
        rest /= 26;
    }
    name
}

/// SplitMix64's finalizer.
pub fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
