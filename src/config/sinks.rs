//! The sinks that were given.

use crate::cli::{EmitOption, Given, SinkStart, UsageErrors};
use crate::sinks::{self, Emit};
use crate::uri::redacted;
use std::collections::BTreeSet;

/// Those of `--sink`; empty for the default.
pub(super) fn given(uris: &[String], errors: &mut UsageErrors) -> Vec<String> {
    let sinks = uris.to_vec();
    for sink in &sinks {
        errors.extend(sinks::validate(sink));
    }
    let names: Vec<_> = sinks.iter().map(|sink| redacted(sink)).collect();
    let repeated = names.iter().enumerate().filter(|(i, name)| names[..*i].contains(name)).map(|(_, name)| name);
    for name in repeated.collect::<BTreeSet<_>>() {
        errors.push(format!("--sink {name} is given twice"));
    }
    sinks
}

/// `--sink-from`. `stateless`: no state is kept, and with it no index of the log.
pub(super) fn from(given: &Given<SinkStart>, stateless: bool, errors: &mut UsageErrors) -> Option<SinkStart> {
    let from = errors.value(given)?;
    if stateless && from == SinkStart::Earliest {
        errors.push("--sink-from earliest: --state none keeps no index of the log by which minutes are found again; keep a state");
        return None;
    }
    Some(from)
}

/// Which rows they take.
pub(super) fn emit(option: EmitOption) -> Emit {
    match option {
        EmitOption::Changes => Emit::Changes,
        EmitOption::Final => Emit::Final,
    }
}
