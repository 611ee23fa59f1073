//! Which part of the log is read, and what becomes of windows at its end.

use crate::cli::{LogArgs, RunArgs, UsageErrors};
use crate::sources::{self, Start};
use crate::uri::redacted;
use minutely_dataflows::settings::AtEnd;
use minutely_dataflows::time::EventTime;

/// Which part of the log is read. What is absent was not given, or is wrong and collected.
pub(super) struct LogRange {
    /// It is read to its present ends.
    pub(super) bounded: bool,
    pub(super) start: Option<Start>,
    pub(super) at_end: AtEnd,
    pub(super) complete_from: Option<EventTime>,
    pub(super) as_of: Option<EventTime>,
}

impl LogRange {
    /// `stateless`: no later run can resume.
    pub(super) fn of(args: &LogArgs, stateless: bool, errors: &mut UsageErrors) -> Self {
        let is_bounded_source = sources::is_bounded(&args.source);
        let bounded = args.until_end || is_bounded_source;
        let start = errors.value(&args.start).map(Start::from);
        if start != Some(Start::Earliest) && is_bounded_source {
            let text = args.start.text();
            errors.push(format!("--start {text}: a file is read from its first line; leave it out"));
        }
        let at_end = at_end(args, bounded, stateless, errors);
        let complete_from = args.complete_from.as_ref().and_then(|given| errors.value(given));
        if args.complete_from.is_some() && is_bounded_source {
            errors.push("--complete-from: a file is read from its first line, so nothing is partial; leave it out");
        }
        let as_of = args.as_of.as_ref().and_then(|given| errors.value(given));
        if args.as_of.is_some() && !bounded {
            errors.push("--as-of: goes with --until-end; a live run judges by the clock");
        }
        LogRange { bounded, start, at_end, complete_from, as_of }
    }
}

/// Is no state kept? Of what can be read once only there is none, and one that is asked for is refused.
pub(super) fn stateless(args: &RunArgs, errors: &mut UsageErrors) -> bool {
    let read_once = sources::read_once(&args.log.source).is_some();
    let place = args.state.place.as_deref().filter(|place| *place != "none");
    if let (true, Some(place)) = (read_once, place) {
        errors.push(format!(
            "--state {}: `{}` can be read once only, so no later run could resume it; leave --state out, or write it to a file first",
            redacted(place),
            redacted(&args.log.source)
        ));
    }
    read_once || args.state.place.as_deref() == Some("none")
}

/// What becomes of windows that are not final at the end of the log. They stay open where the log grows and a later run can
/// resume them.
fn at_end(args: &LogArgs, bounded: bool, stateless: bool, errors: &mut UsageErrors) -> AtEnd {
    let flags = [("--keep-open", args.keep_open), ("--close", args.close)];
    for (option, _) in flags.iter().filter(|(_, given)| *given && !bounded) {
        errors.push(format!("{option}: goes with --until-end"));
    }
    if args.keep_open && args.close {
        errors.push("--keep-open --close: contradict each other; give one");
    }
    match (args.keep_open, args.close) {
        (true, _) => AtEnd::KeepOpen,
        (_, true) => AtEnd::Close,
        _ if stateless => AtEnd::Close,
        _ if sources::is_complete(&args.source) => AtEnd::CloseUnlessGrown,
        _ => AtEnd::KeepOpen,
    }
}
