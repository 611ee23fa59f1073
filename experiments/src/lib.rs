//! What the measurements share: a made-up market, lines of files, a folder of checkpoints, and the core with the least around it.

use std::str::FromStr;

pub mod harness;
pub mod lines;
pub mod market;
pub mod store;

/// The `n`-th argument (from 1), or this.
///
/// # Errors
/// When it is there and of another type.
pub fn argument<T: FromStr>(n: usize, otherwise: T) -> anyhow::Result<T> {
    match std::env::args().nth(n) {
        None => Ok(otherwise),
        Some(text) => text.parse().map_err(|_| anyhow::anyhow!("argument {n} cannot be {text:?}")),
    }
}

/// One line of a result to stdout.
///
/// # Errors
/// When nobody listens.
pub fn say(line: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")
}
