//! `minutely digest`: the digests that the state has, one line a minute, and one over all of them.

use super::error::VerifyError;
use super::facts::{digests, state};
use super::plan::AskedMinutes;
use crate::config::Config;
use crate::console::print;
use crate::text::MinuteText;
use minutely_dataflows::digest::{MinuteDigest, of_minutes};
use minutely_dataflows::edge::Halt;

/// Prints them.
///
/// # Errors
/// As [`state`], and 65 where no such minute has a digest. 69: standard output takes nothing.
pub(crate) fn digest(config: &Config, asked: AskedMinutes) -> Result<(), Halt> {
    let state = state(config)?;
    let mut digests = digests(&state);
    digests.retain(|window, _| {
        asked.from.is_none_or(|from| from.0 <= window.0) && asked.to.is_none_or(|to| window.0 < to.0)
    });
    if digests.is_empty() {
        let more = ", stored by every sink and forgotten by the run, which is when it has a digest";
        return Err(VerifyError::NothingFinal(more.into()).into());
    }
    let mut minute = MinuteText::new(config.settings.rule.windowing);
    let mut out = String::new();
    for (window, MinuteDigest { rows, sum }) in &digests {
        out += &format!("{} {sum:032x} {rows}\n", minute.of(*window));
    }
    let rows: u64 = digests.values().map(|digest| digest.rows).sum();
    out += &format!("all {:032x} {rows} rows in {} minutes\n", of_minutes(&digests), digests.len());
    Ok(print(&out).map_err(VerifyError::Unwritten)?)
}
