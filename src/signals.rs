//! SIGTERM and SIGINT: the first asks for the end, the second ends the process at once.

use crate::live::say;
use minutely_dataflows::edge::{Halt, HaltKind, Wake};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first signal, which also says `words` and wakes whoever is to look. Before it has `begun` there is nothing
/// to bring to an end: then it ends the process.
///
/// # Errors
/// When the system takes no handlers.
pub(crate) fn stop_on_signal(words: &'static str, begun: Arc<AtomicBool>, wake: Wake) -> Result<Arc<AtomicBool>, Halt> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let no_signals = |e: std::io::Error| Halt::new(HaltKind::Internal, format!("signals cannot be handled: {e}"));
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]).map_err(no_signals)?;
    let set = Arc::clone(&stop);
    let wait = move || {
        for signal in signals.forever() {
            if set.swap(true, Ordering::AcqRel) {
                std::process::exit(128 + signal);
            }
            if !begun.load(Ordering::Acquire) {
                say("stopped before it began");
                std::process::exit(0);
            }
            say(words);
            wake();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map_err(no_signals)?;
    Ok(stop)
}
