//! The sinks that were given.

use crate::cli::{EmitOption, UsageErrors, split_sinks};
use crate::sinks::{self, Emit};
use crate::uri::redacted;
use std::collections::BTreeSet;

/// Those of `--sink`, or of `MINUTELY_SINK`; empty for the default.
pub(super) fn given(uris: &[String], errors: &mut UsageErrors) -> Vec<String> {
    let sinks = match (uris, std::env::var("MINUTELY_SINK")) {
        ([one], Ok(variable)) if *one == variable => errors.ok(split_sinks(one)).unwrap_or_default(),
        (uris, _) => uris.to_vec(),
    };
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

/// Which rows they take.
pub(super) fn emit(option: EmitOption) -> Emit {
    match option {
        EmitOption::Changes => Emit::Changes,
        EmitOption::Final => Emit::Final,
    }
}
