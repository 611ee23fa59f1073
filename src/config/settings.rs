//! The settings of the core, from the options of a run.

use super::cleaning::cleaning;
use super::log::LogRange;
use crate::cli::{Metrics, RunArgs, UsageErrors};
use crate::semantics::usual_derive;
use crate::store::StoreUri;
use minutely_dataflows::coarse::{CoarseWindows, WindowsError};
use minutely_dataflows::derived::DerivedList;
use minutely_dataflows::partition::Rule;
use minutely_dataflows::settings::{Settings, TrailLimits};
use minutely_dataflows::time::Windowing;

/// Nanoseconds between two commits of a run without a lock, at the most: another run waits for more than twice that until this one counts as gone.
const MAX_REMOTE_INTERVAL: i64 = 60_000_000_000;

/// The settings of a run with this state.
pub(super) fn settings(
    args: &RunArgs,
    log: &LogRange,
    state: Option<&StoreUri>,
    errors: &mut UsageErrors,
) -> Option<Settings> {
    let rule = rule(args, errors);
    let derive = derive(args, errors);
    let windows = windows(args, rule.as_ref(), errors);
    let checkpoint_interval = errors.value(&args.state.checkpoint_interval);
    let is_remote = matches!(state, Some(StoreUri::Remote(_)));
    if checkpoint_interval.is_some_and(|interval| is_remote && interval > MAX_REMOTE_INTERVAL) {
        errors.push(format!(
            "--checkpoint-interval {}: must be at most 1m with an object store, where another run waits for twice that to \
             know that this one is gone",
            args.state.checkpoint_interval.text()
        ));
    }
    let (keep, bytes) = (errors.value(&args.state.audit), errors.value(&args.state.audit_size));
    let sink_timeout = errors.value(&args.sinks.timeout);
    let max_keys = errors.value(&args.progress.max_keys);
    Some(Settings {
        rule: rule?,
        derive: derive?,
        windows: windows?,
        bounded: log.bounded,
        at_end: log.at_end,
        instant: None, // the run's start, which is not known yet
        complete_from: log.complete_from,
        checkpoint_interval: checkpoint_interval?,
        max_keys: max_keys?,
        sink_timeout: sink_timeout?,
        trail: Some(TrailLimits { keep: keep?, bytes: bytes? }).filter(|limits| limits.keep > 0),
        ..Settings::default()
    })
}

/// What rows have beside: nothing that `--metrics` does not add up.
fn derive(args: &RunArgs, errors: &mut UsageErrors) -> Option<DerivedList> {
    let market = errors.value(&args.semantics.metrics)? == Metrics::Market;
    let Some(given) = &args.semantics.derive else { return Some(usual_derive(market)) };
    let list = errors.value(given)?;
    if let Some(metric) = list.metrics().find(|metric| !market && metric.needs_market()) {
        errors.push(format!("--derive {metric}: needs --metrics market"));
        return None;
    }
    Some(list)
}

/// Coarser windows, each made of whole windows of `--window`.
fn windows(args: &RunArgs, rule: Option<&Rule>, errors: &mut UsageErrors) -> Option<CoarseWindows> {
    let list = errors.value(&args.semantics.windows)?;
    let zone = args.decoding.shape.time_zone.as_deref().filter(|zone| !zone.is_empty());
    match CoarseWindows::new(&list, zone, &rule?.windowing) {
        Ok(windows) => Some(windows),
        // It is told where times are decoded.
        Err(WindowsError::Zone(_)) => None,
        Err(error) => {
            errors.push(format!("--windows {error}"));
            None
        }
    }
}

fn rule(args: &RunArgs, errors: &mut UsageErrors) -> Option<Rule> {
    let (semantics, progress) = (&args.semantics, &args.progress);
    let length = errors.value(&semantics.window);
    let lateness = errors.value(&semantics.lateness);
    let max_future = errors.value(&semantics.max_future);
    let max_past = semantics.max_past.as_ref().and_then(|given| errors.value(given));
    let idle = errors.value(&progress.idle);
    let max_ahead = errors.value(&progress.max_ahead);
    let cleaning = cleaning(&args.cleaning, &args.decoding.numbers, errors);
    let rule = Rule {
        windowing: Windowing { length: length?, lateness: lateness? },
        max_future: max_future?,
        max_past,
        max_ahead: max_ahead?,
        idle: idle?,
        cleaning: None,
    };
    Some(rule.with_cleaning(cleaning?))
}
