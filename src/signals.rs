//! SIGTERM, SIGINT and SIGHUP: the first asks for the end, the second ends the process at once.
//!
//! A terminal that closes sends SIGHUP, at times more than once: it asks for the end and never ends the process at once. A
//! process that was started with SIGHUP ignored (`nohup`) keeps running.
//!
//! What tells a process to end may send its signal twice: `timeout` sends one to the process and one to its group, and a shell's Ctrl-C comes
//! beside a parent's own. So a second one that comes at once is the first.

use crate::console::say;
use minutely_dataflows::edge::{Halt, HaltKind, Wake};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Signals that come within this time are one.
const ONE_SIGNAL: Duration = Duration::from_millis(200);

/// Signals cannot be handled.
#[derive(Debug, thiserror::Error)]
#[error("signals cannot be handled: {0}")]
pub(crate) struct SignalError(#[from] io::Error);

impl From<SignalError> for Halt {
    fn from(e: SignalError) -> Self {
        Halt::new(HaltKind::Internal, e.to_string())
    }
}

/// Returns a flag that the first signal sets; it also says `words` and calls `wake`. Until `begun` is set there is nothing to
/// commit, and the first signal ends the process.
///
/// # Errors
/// The system takes no handlers.
pub(crate) fn stop_on_signal(
    words: &'static str,
    begun: Arc<AtomicBool>,
    wake: Wake,
) -> Result<Arc<AtomicBool>, SignalError> {
    let stop = Arc::new(AtomicBool::new(false));
    let process = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let handled = [SIGINT, SIGTERM].into_iter().chain((!is_ignored(&process, SIGHUP)).then_some(SIGHUP));
    let mut signals = signal_hook::iterator::Signals::new(handled)?;
    let set = Arc::clone(&stop);
    let wait = move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            if set.swap(true, Ordering::AcqRel) {
                if signal == SIGHUP || first.is_some_and(|first| first.elapsed() < ONE_SIGNAL) {
                    continue;
                }
                std::process::exit(128 + signal);
            }
            if !begun.load(Ordering::Acquire) {
                say("stopped before it began");
                std::process::exit(0);
            }
            first = Some(Instant::now());
            say(words);
            wake();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait)?;
    Ok(stop)
}

/// Was the process, of which this is `/proc/PID/status`, started with the signal ignored? Where that cannot be read, the signal
/// is handled: a run that ends with a commit can be started again.
fn is_ignored(process: &str, signal: i32) -> bool {
    let mask = process.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_has_set_is_seen() {
        let process = |mask: &str| format!("Name:\tminutely\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(is_ignored(&process("0000000000001001"), SIGHUP));
        assert!(!is_ignored(&process("0000000000001000"), SIGHUP) && is_ignored(&process("0000000000004000"), SIGTERM));
        assert!(!is_ignored("", SIGHUP));
    }
}
