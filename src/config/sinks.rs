//! The sinks that were given.

use crate::cli::{EmitOption, SinkArgs, SinkStart, UsageErrors};
use crate::sinks::{self, Emit};
use crate::uri::redacted;
use std::collections::BTreeSet;
use std::path::Path;

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

/// Those that were given, or the default: in the job's folder.
pub(super) fn or_default(given: Vec<String>, folder: &Path) -> Vec<String> {
    if given.is_empty() { vec![format!("sqlite:{}", folder.join("minutes.db").display())] } else { given }
}

/// Which rows they take, and whether they are given what they lack. `stateless`: no state is kept, and with it no index of the log.
pub(super) fn rows(args: &SinkArgs, stateless: bool, errors: &mut UsageErrors) -> (Option<Emit>, Option<bool>) {
    let emit = errors.value(&args.emit).map(|option| match option {
        EmitOption::Changes => Emit::Changes,
        EmitOption::Final => Emit::Final,
    });
    let fills = errors.value(&args.from).map(|from| from == SinkStart::Earliest);
    if stateless && fills == Some(true) {
        let why = "--state none keeps no index of the log, by which minutes are found again; keep a state";
        errors.push(format!("--sink-from earliest: {why}"));
    }
    (emit, fills)
}
