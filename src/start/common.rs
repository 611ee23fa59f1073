//! What the processes of a run tell one another of their options.

use crate::cluster::CommonOptions;
use crate::config::Config;
use crate::semantics::{duration_text, time_text};
use minutely_dataflows::settings::{AtEnd, TrailLimits};

/// What all processes of a run must have in common.
pub(super) fn common_options(config: &Config, sinks: &[String]) -> CommonOptions {
    let Config { semantics, emit, settings, start, as_of, .. } = config;
    let state = config.state.as_ref().map(ToString::to_string);
    let all = format!("{:?}", (semantics, sinks, emit, &state, settings, start, as_of));
    let at_end = match settings.at_end {
        AtEnd::Close => "close",
        AtEnd::KeepOpen => "keep open",
        AtEnd::CloseUnlessGrown => "close unless grown",
    };
    let trail = settings.trail.map(|TrailLimits { keep, bytes }| (duration_text(keep), bytes.to_string()));
    let (keep, bytes) = trail.unwrap_or_else(|| (duration_text(0), "0".to_owned()));
    let named = [
        ("--as-of", as_of.map_or_else(|| "not given".to_owned(), time_text)),
        ("--audit", keep),
        ("--audit-size", bytes),
        ("--checkpoint-interval", duration_text(settings.checkpoint_interval)),
        ("--close or --keep-open", at_end.to_owned()),
        ("--emit", format!("{emit:?}").to_lowercase()),
        ("--max-keys", settings.max_keys.to_string()),
        ("--sink", sinks.join(" ")),
        ("--sink-timeout", duration_text(settings.sink_timeout)),
        ("--start", start.to_string()),
        ("--state", state.unwrap_or_else(|| "none".to_owned())),
        ("--until-end", settings.bounded.to_string()),
    ];
    let named = named.into_iter().map(|(option, value)| (option.to_owned(), value));
    CommonOptions::new(named.chain(semantics.entries()).collect(), &all)
}
