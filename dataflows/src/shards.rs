//! Shards of series: which worker holds which, whatever the number of workers.

use xxhash_rust::xxh3::xxh3_64;

/// How many shards there are (`docs/dataflow.md`): fixed, whatever the number of workers.
pub(crate) const SHARDS: u64 = 256;

/// The shard of a series: the high byte of its name's XXH3-64.
pub(crate) fn shard(name: &str) -> u64 {
    xxh3_64(name.as_bytes()) >> 56
}

/// The worker that holds a series.
pub(crate) fn worker_of(name: &str, peers: usize) -> u64 {
    worker_of_shard(shard(name), peers)
}

/// The worker that holds a shard.
pub(crate) fn worker_of_shard(shard: u64, peers: usize) -> u64 {
    shard * u64::try_from(peers).expect("at most 256 workers") / SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn shards_cover_all_workers() {
        for peers in [1, 2, 3, 8, 255, 256] {
            let workers: HashSet<_> = (0..20_000).map(|n| worker_of(&n.to_string(), peers)).collect();
            assert_eq!(workers.len(), peers);
        }
    }
}
