//! `minutely digest`: the digests that the state has, one line a minute, and one over all of them.

use super::error::VerifyError;
use super::facts::{digests, state};
use super::plan::AskedMinutes;
use crate::config::Config;
use crate::console::print;
use crate::text::MinuteText;
use minutely_dataflows::digest::{MinuteDigest, of_minutes};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::WindowStart;
use serde_json::json;
use std::collections::BTreeMap;

/// Those of the minutes that are asked for.
fn of_state(config: &Config, asked: AskedMinutes) -> Result<BTreeMap<WindowStart, MinuteDigest>, Halt> {
    let mut digests = digests(&state(config, false)?);
    digests.retain(|window, _| {
        asked.from.is_none_or(|from| from.0 <= window.0) && asked.to.is_none_or(|to| window.0 < to.0)
    });
    Ok(digests)
}

/// As JSON: the first so many, from which minute more follow, and all of them in one.
///
/// # Errors
/// As [`state`].
pub(crate) fn digests_json(config: &Config, asked: AskedMinutes, most: usize) -> Result<String, Halt> {
    let digests = of_state(config, asked)?;
    let hex = |sum: u128| format!("{sum:032x}");
    let first = digests.iter().take(most);
    let first: Vec<_> =
        first.map(|(window, of)| json!({ "minute": ms(*window), "digest": hex(of.sum), "rows": of.rows })).collect();
    let rows: u64 = digests.values().map(|digest| digest.rows).sum();
    let all = json!({ "digest": hex(of_minutes(&digests)), "rows": rows, "minutes": digests.len() });
    let next = digests.keys().nth(most).map(|window| ms(*window));
    Ok(json!({ "digests": first, "next": next, "all": all }).to_string())
}

/// Milliseconds since 1970, as the API has times.
fn ms(window: WindowStart) -> i64 {
    window.0.div_euclid(1_000_000)
}

/// Prints them.
///
/// # Errors
/// As [`state`], and 65 where no such minute has a digest. 69: standard output takes nothing.
pub(crate) fn digest(config: &Config, asked: AskedMinutes) -> Result<(), Halt> {
    let digests = of_state(config, asked)?;
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
