//! `minutely digest`: the digests that the state has, one line a minute, and one over all of them.

use super::error::VerifyError;
use super::plan::AskedMinutes;
use crate::config::Config;
use crate::store::{self, IndexedState};
use crate::text::MinuteText;
use minutely_dataflows::digest::{MinuteDigest, of_minutes};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::time::WindowStart;
use std::collections::BTreeMap;
use std::io::Write;

/// Reads the state of these options.
///
/// # Errors
/// 64: there is none, or it is of other options.
pub(super) fn state(config: &Config) -> Result<IndexedState, Halt> {
    let place = config.state.as_ref().ok_or(VerifyError::NoneKept)?;
    let state = store::indexed(place)?.ok_or_else(|| VerifyError::Missing { place: place.to_string() })?;
    let differences = config.semantics.differences(&state.head.semantics);
    if !differences.is_empty() {
        let differences = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Err(VerifyError::OtherOptions { place: place.to_string(), differences }.into());
    }
    Ok(state)
}

/// Those of minutes that every worker has forgotten: of others, rows may be lacking.
pub(super) fn complete(state: &IndexedState) -> BTreeMap<WindowStart, MinuteDigest> {
    let retired_before = state.head.parts.iter().map(|part| part.retired_before).min().flatten();
    let whole = state.index.digests.iter().filter(|(window, _)| Some(**window) < retired_before);
    whole.map(|(window, digest)| (*window, *digest)).collect()
}

/// Prints them.
///
/// # Errors
/// As [`state`], and 65 where no such minute has a digest.
pub(crate) fn digest(config: &Config, asked: AskedMinutes) -> Result<(), Halt> {
    let state = state(config)?;
    let mut digests = complete(&state);
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
    let _closed_pipe = std::io::stdout().write_all(out.as_bytes());
    Ok(())
}
