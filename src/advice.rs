//! What to do, by the options of the command line: about what ends a run, about records that do not count, about fields that
//! cannot be read. The core says what is wrong, and knows no options.

use crate::duration::{self, MAX_LATENESS_DAYS};
use minutely_dataflows::decode::{EventPart, FieldError, FieldNames, KEY, MESSAGE, PAYLOAD, TimeOptionError};
use minutely_dataflows::edge::{Halt, HaltRemedy};
use minutely_dataflows::escape::escaped;
use minutely_dataflows::explain::{self, NothingCounts, Rejected, WrongUnit};
use minutely_dataflows::partition::Counts;
use minutely_dataflows::record::Reason;

/// The longest lateness that the option takes, in nanoseconds, less the hour to which a longer one may be rounded.
const MAX_LATENESS: i64 = (MAX_LATENESS_DAYS.cast_signed() * 24 - 1) * 3_600_000_000_000;

/// Why a run cannot continue, and what to do about it.
pub(crate) fn of_halt(halt: &Halt) -> String {
    match &halt.remedy {
        Some(remedy) => format!("{}; {}", halt.why, advice(remedy)),
        None => halt.why.clone(),
    }
}

fn advice(remedy: &HaltRemedy) -> String {
    match remedy {
        HaltRemedy::RestoreObject => "restore it from a copy, or start a new job (--job NAME)".into(),
        HaltRemedy::RestorePartition => {
            "put it back and keep it for as long as runs resume from this state, or start a new job without it (--job NAME)".into()
        }
        HaltRemedy::RestoreLog => {
            "restore the log, or start a new job with what is there (--job NAME), or resume where it is now (--accept-changed-log: \
             the state keeps what it has read, and the minutes that may lack records say `partial`)"
                .into()
        }
        HaltRemedy::ReadNewLog => "start a new job to read the new one (--job NAME)".into(),
        HaltRemedy::StartAfresh => "start a new job (--job NAME)".into(),
        HaltRemedy::AllowMoreWindows => {
            "raise --max-keys, lower --lateness, or look for a partition that holds W back".into()
        }
        HaltRemedy::WaitLonger => "look at what it says above, or give it more time with --sink-timeout".into(),
        HaltRemedy::GiveSinkAgain(sink) => format!(
            "give it again as --sink (it may be down: its rows wait), or have it forgotten, so that it lacks them for ever \
             (--forget-sink {sink})"
        ),
        HaltRemedy::GiveOrForgetSink(sink) => format!("leave one of the two out: --sink or --forget-sink {sink}"),
        HaltRemedy::SetRecordsAside => "correct it, or run with --on-bad dead-letter to set such records aside".into(),
    }
}

/// Why no event counts, and what to do; `None` where one counts, or none was read. `rejected`: by reason and field, the most
/// frequent first.
pub(crate) fn of_nothing_counted(counts: &Counts, rejected: &[Rejected<'_>], fields: &FieldNames) -> Option<String> {
    let nothing = NothingCounts::of(counts)?;
    let why = nothing_counted(nothing, counts, rejected, fields);
    let most = rejected.first().map(|by| format!("first {}; {}", by.example(), of_rejected(by, fields)));
    Some(match (nothing, most) {
        (NothingCounts::Rejected | NothingCounts::Several, Some(most)) => format!("{why}, {most}"),
        (NothingCounts::Late, _) => {
            format!("{why}; --lateness says for how long a window accepts records after it has ended")
        }
        (NothingCounts::Quarantined, _) => format!(
            "{why}; do --time-field and --time-unit fit the records, and is the clock right? --max-future and --max-past say \
             how far from it they may be"
        ),
        (NothingCounts::Cleaned, _) => {
            format!("{why}; --session, --value-min, --value-max and --outlier say which events count")
        }
        (NothingCounts::Skipped, _) => match of_beside(fields) {
            Some(hint) => format!("{why}; {hint}"),
            None => why,
        },
        _ => why,
    })
}

/// Where a condition may be meant for a field beside the array whose elements are events.
pub(crate) fn of_beside(fields: &FieldNames) -> Option<String> {
    let of_element = |condition: &&String| !condition.trim_start_matches('!').starts_with('@');
    let condition = fields.filter.iter().find(of_element).filter(|_| fields.each.is_some())?;
    let named = condition.trim_start_matches('!').trim_start_matches('/');
    let not = if condition.starts_with('!') { "!" } else { "" };
    Some(format!("--where {condition} is of each element; of the message it is --where {not}{MESSAGE}/{named}"))
}

/// That no event counts, and by which reasons: no text of a record is in it.
pub(crate) fn nothing_counted(
    nothing: NothingCounts,
    counts: &Counts,
    rejected: &[Rejected<'_>],
    fields: &FieldNames,
) -> String {
    let (keeps, matches) = match fields.debezium {
        Some(_) => ("--envelope debezium and --where keep", "passes --envelope debezium and --where"),
        None if !fields.filter.is_empty() => ("--where keeps", "matches --where"),
        None if counts.events - counts.skipped == 1 => ("remains", "is an event"),
        None => ("remain", "is an event"),
    };
    let unit = if counts.events == counts.read { "records" } else { "events" };
    let (kept, skipped) = (counts.events - counts.skipped, counts.skipped);
    let unit = unit.trim_end_matches('s');
    let (what, were, are) = match kept {
        1 => (format!("the only {unit} that"), "was", "is"),
        kept => (format!("all {kept} {unit}s that"), "were", "are"),
    };
    let all = match skipped {
        0 => format!("{what} {were} read"),
        skipped => format!("{what} {keeps} ({skipped} skipped)"),
    };
    let some = || explain::judged(counts).filter(|(_, count)| *count > 0);
    let judged = || some().map(|(reason, count)| format!("{} ×{count}", reason.name()));
    let named = rejected.iter().take(MOST_REASONS).map(ToString::to_string);
    let more = if rejected.len() > MOST_REASONS { ", …" } else { "" };
    let list = |reasons: Vec<String>| {
        if reasons.is_empty() { String::new() } else { format!(": {}{more}", reasons.join(", ")) }
    };
    match nothing {
        NothingCounts::Rejected => format!("NOTHING COUNTS: {all} {were} rejected{}", list(named.collect())),
        NothingCounts::Late => format!("NOTHING COUNTS: {all} {are} late"),
        NothingCounts::Quarantined => {
            format!("NOTHING COUNTS: {all} {are} too far from the clock{}", list(judged().collect()))
        }
        NothingCounts::Cleaned => format!("NOTHING COUNTS: {all} {are} cleaned{}", list(judged().collect())),
        NothingCounts::Several => {
            let letters = if kept == 1 { "a dead letter" } else { "dead letters" };
            format!("NOTHING COUNTS: {all} {are} {letters}{}", list(judged().chain(named).collect()))
        }
        NothingCounts::Skipped if skipped == 1 => format!("nothing {matches}: the only {unit} is skipped"),
        NothingCounts::Skipped => format!("nothing {matches}: all {skipped} {unit}s that were read are skipped"),
    }
}

/// The most reasons that are named in a line.
pub(crate) const MOST_REASONS: usize = 3;

/// What to look at, where records are rejected.
pub(crate) fn of_rejected(by: &Rejected<'_>, fields: &FieldNames) -> String {
    let each: Vec<_> =
        fields.each.iter().map(|each| if each.is_empty() { PAYLOAD.into() } else { each.clone() }).collect();
    let named = |part, names: &[String]| names.iter().map(|name| (part, name.clone())).collect::<Vec<_>>();
    let named = [
        named(EventPart::Symbol, &fields.symbol),
        named(EventPart::Value, std::slice::from_ref(&fields.value)),
        named(EventPart::Time, &fields.time),
        named(EventPart::Weight, fields.weight.as_slice()),
        named(EventPart::Id, &fields.id),
        named(EventPart::Each, &each),
    ]
    .concat();
    let field = by.first.finding.field.as_deref();
    if let Some(hint) = of_array_step(&named, by) {
        return hint;
    }
    // An array has its name from --each, and other fields may be in it.
    let is_array = |part: &EventPart| by.first.reason != Reason::Shape || *part == EventPart::Each;
    let part = named.iter().find(|(part, name)| Some(name.as_str()) == field && is_array(part));
    let option = part.map(|(part, _)| option(*part));
    if let (Some(option), Some(field)) = (option, field)
        && let Some(hint) = name_hint(option, field, &by.first.finding.found)
    {
        return hint;
    }
    match (by.first.reason, option) {
        (Reason::Json, _) => {
            "a record is one JSON text, in a file one a line; --format says it where records are rows (csv, tsv)".into()
        }
        (Reason::Csv, _) if by.first.finding.found.starts_with("no UTF-8") => {
            "convert the file first (iconv -f LATIN1 -t UTF-8, if it is of Latin letters)".into()
        }
        (Reason::Csv, _) => {
            "--delimiter, --quote, --columns and --skip-lines say how rows are written; a cell that goes over \
                             several lines cannot be read"
                .into()
        }
        (Reason::Time, Some(_)) => {
            "--time-unit says in which unit event times are (--time-format how they are written, --time-zone which zone those \
             without an offset are in), --time-field which field they are"
                .into()
        }
        (Reason::Null, None) if fields.debezium.is_some() && matches!(field, Some("op" | "__op" | "after")) => {
            "--envelope debezium is for change events of Debezium; without it fields are the record's own".into()
        }
        (_, Some(option)) if field == Some(KEY) => format!("{option} may name a field instead of the key"),
        (Reason::Null | Reason::Type | Reason::Weight | Reason::Symbol, Some(option)) => {
            format!("{option} says which field that is")
        }
        (Reason::Shape, Some(option)) => format!("{option} says which array that is"),
        (Reason::Shape | Reason::Twice, _) => {
            "--symbol-field, --value-field, --time-field and --weight-field say which fields are read".into()
        }
        (Reason::Precision, _) => {
            "--decimals says how many fractional digits values have, and --on-precision what becomes of further ones"
                .into()
        }
        (Reason::Range, _) => "--decimals with fewer fractional digits makes the range larger".into(),
        _ => "no option makes such records count".into(),
    }
}

/// A step that is an index in other languages, where an array may be on the way of a field.
fn of_array_step(named: &[(EventPart, String)], by: &Rejected<'_>) -> Option<String> {
    let finding = &by.first.finding;
    let field = finding.field.as_deref();
    for (part, name) in named.iter().filter(|(_, name)| name.starts_with(['/', '@'])) {
        let Some(at) = ["/-", "/*"].iter().find_map(|step| {
            let at = name.find(step)?;
            name[at + 2..].chars().next().is_none_or(|next| next == '/').then_some(at)
        }) else {
            continue;
        };
        let (before, after) = (&name[..at], &name[at + 2..]);
        let met = match by.first.reason {
            Reason::Shape => finding.found.starts_with('[') && field.unwrap_or_default() == before,
            Reason::Null => field == Some(name),
            _ => false,
        };
        if met {
            let (option, step) = (option(*part), &name[at + 1..at + 2]);
            return Some(format!(
                "{step} is a field of that name; of an array, {option} {before}/0{after} is the first element, and --each '{before}' \
                 reads all elements"
            ));
        }
    }
    None
}

/// Weights that the scale cannot hold.
pub(crate) fn of_weights_beyond(beyond: i64, field: &str, decimals: u8) -> String {
    let weights = if beyond == 1 { "1 weight" } else { &format!("{beyond} weights") };
    format!(
        "{weights} in {field} may be at most 10^{}: a minute with one more has no volume and no vwap; --weight-decimals with fewer \
         fractional digits makes the range larger",
        29 - i32::from(decimals)
    )
}

/// Many records that came late, of so many valid ones, and the lateness that would have lost none. `by`: see
/// [`minutely_dataflows::partition::PartitionState::late_by`]; none where that is not known of all of them.
pub(crate) fn of_late(late: i64, valid: i64, by: Option<i64>) -> String {
    let tenths = i128::from(late) * 1000 / i128::from(valid.max(1));
    let share = if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() };
    let begin = format!("{share} % of the valid records came late ({late} of {valid}) and do not count");
    match by {
        Some(by) if by < MAX_LATENESS => {
            format!("{begin}: with --lateness {} none would have been late", duration::longer_than(by))
        }
        Some(_) => format!(
            "{begin}: they are more than a hundred years behind others of their file, which no --lateness accepts; do --time-field and --time-unit \
             fit the records?"
        ),
        None => format!("{begin}: a longer --lateness accepts more of them"),
    }
}

/// What may be meant by the name of a field that a record does not have. `found`: what a decoder says of it, with the names that
/// are there where it knows them.
fn name_hint(option: &str, field: &str, found: &str) -> Option<String> {
    let rest = found.strip_prefix("no such field")?;
    if let Some(pointer) = pointer_of(field) {
        let pointer = escaped(&pointer).into_owned();
        return Some(format!("a field inside another is written as a pointer: {option} {pointer}"));
    }
    let mut there = rest.strip_prefix(" (there are ")?.trim_end_matches(')').split(", ");
    let other = there.find(|name| *name != field && name.to_lowercase() == field.to_lowercase())?;
    Some(format!("names are told apart by case: {option} {other}"))
}

/// The JSON pointer that a name such as `data.p`, `$.data.p` or `data[0].p` may mean.
fn pointer_of(name: &str) -> Option<String> {
    if name.starts_with('/') || !name.contains(['.', '[']) {
        return None;
    }
    let name = name.strip_prefix("$.").unwrap_or(name).replace('[', ".").replace(']', "");
    let steps: Vec<_> = name.split('.').map(|step| step.replace('~', "~0").replace('/', "~1")).collect();
    steps.iter().all(|step| !step.is_empty()).then(|| format!("/{}", steps.join("/")))
}

/// Event times that seem to be read wrongly, and the option that says another.
pub(crate) fn of_unit(wrong: &WrongUnit) -> String {
    match (&wrong.unit, &wrong.better) {
        (Some(_), Some((better, _))) => format!("{wrong}: is --time-unit right (it would be {})?", better.name()),
        (Some(_), None) => format!("{wrong}: are --time-field and --time-unit right?"),
        (None, _) => format!("{wrong}: are --time-field and --time-format right?"),
    }
}

/// A field that cannot be read, after the option that names it.
pub(crate) fn of_field(error: &FieldError) -> String {
    match error {
        FieldError::Field { part, field, problem } => format!("{} {field:?}: {problem}", option(*part)),
        FieldError::Times(error) => of_times(error),
        FieldError::NoSchemas => format!("--format: {error}"),
        FieldError::NoChangeEvents => format!("--envelope debezium: {error}"),
        FieldError::NoDecimal(_) => format!("--decimal-scale: {error}"),
        FieldError::Delimiter => format!("--delimiter, --quote: {error}"),
        FieldError::TooManyObjects { .. } => error.to_string(),
    }
}

/// How event times are written, after the options that say it.
fn of_times(error: &TimeOptionError) -> String {
    match error {
        TimeOptionError::UnknownZone { .. } => format!("--time-zone: {error}"),
        TimeOptionError::Directive { .. } | TimeOptionError::Incomplete { .. } => format!("--time-format: {error}"),
        TimeOptionError::NoZone { .. } => format!("{error}: give --time-zone UTC if these are UTC, or an IANA name"),
        TimeOptionError::UnusedZone { .. } => format!("{error}: leave out --time-zone"),
        TimeOptionError::UnusedUnit { .. } => format!("{error}: leave out --time-unit, or --time-format"),
    }
}

/// The option that says which field holds this.
fn option(part: EventPart) -> &'static str {
    match part {
        EventPart::Symbol => "--symbol-field",
        EventPart::Value => "--value-field",
        EventPart::Time => "--time-field",
        EventPart::Weight => "--weight-field",
        EventPart::Each => "--each",
        EventPart::Filter => "--where",
        EventPart::Id => "--id-field",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::checkpoint::{ChangedLogError, ChangedPartition, LogChange, SinksError};
    use minutely_dataflows::control::{AdmissionError, MemoryError, StallError};
    use minutely_dataflows::decode::{Decoder, TimeOptions, TimeUnit};
    use minutely_dataflows::edge::HaltKind;
    use minutely_dataflows::partition::RejectedBy;
    use minutely_dataflows::record::{Finding, PartitionName};
    use minutely_dataflows::time::NextOffset;

    /// Their texts, whole: they are what people see.
    #[test]
    fn each_error_says_what_is_wrong_and_which_option_helps() {
        let partition = PartitionName { log: "t".into(), number: Some(0) };
        let change = LogChange::CutOff { next: NextOffset(10), end: NextOffset(9), same_id: false };
        let changed = ChangedLogError { changes: vec![ChangedPartition { partition: "t/0".into(), change }] };
        let sinks = vec!["sqlite:a.db".to_owned(), "influxdb://h/o/b#1".to_owned()];
        let cases: [(Halt, HaltKind, &str); 7] = [
            (
                AdmissionError::PartitionGone { partition, read: 7 }.into(),
                HaltKind::Data,
                "partition t/0 was read by the run before (7 records) and is not there any more: W cannot pass a partition \
                 that is gone; put it back and keep it for as long as runs resume from this state, or start a new job without \
                 it (--job NAME)",
            ),
            (
                AdmissionError::SinkCameTooLate { sink: "csv:b".into() }.into(),
                HaltKind::Usage,
                "sink csv:b: nothing is new in the log since the last run, which did not write there, and what it wrote is \
                 forgotten; start a new job (--job NAME)",
            ),
            (
                changed.into(),
                HaltKind::Data,
                "the log is not what it was when the state was written: partition t/0: offset 10 is wanted next, and the log \
                 ends at 9: it was cut off, or made anew; restore the log, or start a new job with what is there (--job NAME), \
                 or resume where it is now (--accept-changed-log: the state keeps what it has read, and the minutes that may lack \
                 records say `partial`)",
            ),
            (
                SinksError::LeftOut { sinks, records: 3, closing: None }.into(),
                HaltKind::Usage,
                "the state holds 3 records in windows that it has to give yet to sqlite:a.db and influxdb://h/o/b#1, which \
                 this run leaves out; give it again as --sink (it may be down: its rows wait), or have it forgotten, so that \
                 it lacks them for ever (--forget-sink sqlite:a.db)",
            ),
            (
                SinksError::GivenAndForgotten { sink: "csv:a".into() }.into(),
                HaltKind::Usage,
                "sink csv:a is to be forgotten and is a sink of this run; leave one of the two out: --sink or --forget-sink \
                 csv:a",
            ),
            (
                MemoryError { keys: 5, load: 20, watermark: None }.into(),
                HaltKind::Internal,
                "5 windows of series are open (they count as 20, for names are long or ids are held), twice as many as are allowed (W is \
                 unknown yet); raise --max-keys, lower --lateness, or look for a partition that holds W back",
            ),
            (
                StallError::DeadLetters { name: "a.jsonl".into(), seconds: 60 }.into(),
                HaltKind::Unreachable,
                "dead letters a.jsonl: nothing was stored for 60 s; the dead letters that it lacks come again with the next \
                 run; look at what it says above, or give it more time with --sink-timeout",
            ),
        ];
        for (halt, kind, said) in cases {
            assert_eq!((of_halt(&halt).as_str(), halt.kind), (said, kind));
        }
        assert_eq!(of_halt(&Halt::new(HaltKind::Internal, "no disk")), "no disk");
    }

    /// Each of the states that a run without a row may be in.
    #[test]
    fn that_nothing_counts_is_said_as_it_is() {
        let name = PartitionName { log: "a".into(), number: None };
        let finding = Finding { field: Some("ts".into()), expected: "a number".into(), found: "null".into() };
        let first = RejectedBy { reason: Reason::Null, count: 1, offset: 7, finding };
        let rejected = [Rejected { first: &first, partition: &name, count: 4 }];
        let of =
            |counts: Counts, rejected: &[Rejected<'_>]| of_nothing_counted(&counts, rejected, &FieldNames::default());
        let read = Counts { read: 9, events: 9, ..Counts::default() };
        assert_eq!(of(Counts::default(), &[]), None);
        assert_eq!(of(Counts { counted: 1, ..read }, &rejected), None);
        let said = "NOTHING COUNTS: all 9 records that were read were rejected: null ts ×4, first partition a, offset 7: ts: expected a number, \
                    found null; --time-field says which field that is";
        assert_eq!(of(Counts { rejected: 9, ..read }, &rejected).as_deref(), Some(said));
        let filtered = FieldNames { filter: vec!["/type=trade".into()], ..FieldNames::default() };
        let some = Counts { rejected: 4, skipped: 14, events: 18, ..read };
        let none = Counts { skipped: 9, ..read };
        for (fields, kept, nothing) in [
            (&filtered, "that --where keeps", "nothing matches --where"),
            (&FieldNames::default(), "that remain", "nothing is an event"),
        ] {
            let said = of_nothing_counted(&some, &rejected, fields).unwrap();
            let wanted = format!("NOTHING COUNTS: all 4 events {kept} (14 skipped) were rejected");
            assert!(said.starts_with(&wanted), "{said}");
            let said = of_nothing_counted(&none, &[], fields).unwrap();
            assert_eq!(said, format!("{nothing}: all 9 records that were read are skipped"));
        }
        let said = of(Counts { late: 9, ..read }, &[]).unwrap();
        assert!(said.starts_with("NOTHING COUNTS: all 9 records that were read are late; --lateness"), "{said}");
        let said = of(Counts { quarantined: 9, past: 2, ..read }, &[]).unwrap();
        assert!(said.contains("are too far from the clock: future ×7, past ×2; do --time-field"), "{said}");
        let said = of(Counts { quarantined: 5, rejected: 4, ..read }, &rejected).unwrap();
        assert!(said.contains("are dead letters: future ×5, null ts ×4, first partition a, offset 7"), "{said}");
    }

    #[test]
    fn what_is_wrong_with_records_and_fields_comes_with_its_option() {
        let name = PartitionName { log: "a".into(), number: None };
        let of = |reason, field: &str| {
            let finding = Finding { field: Some(field.into()), expected: "a number".into(), found: "null".into() };
            let first = RejectedBy { reason, count: 1, offset: 0, finding };
            of_rejected(&Rejected { first: &first, partition: &name, count: 1 }, &FieldNames::default())
        };
        assert_eq!(of(Reason::Null, "ts"), "--time-field says which field that is");
        assert!(of(Reason::Time, "ts").starts_with("--time-unit says"));
        assert_eq!(of(Reason::Null, "other"), "no option makes such records count");
        let named = |field: &str, found: &str| {
            let finding = Finding { field: Some(field.into()), expected: "a number".into(), found: found.into() };
            let first = RejectedBy { reason: Reason::Null, count: 1, offset: 0, finding };
            let fields = FieldNames { value: field.into(), ..FieldNames::default() };
            of_rejected(&Rejected { first: &first, partition: &name, count: 1 }, &fields)
        };
        for (field, found, said) in [
            ("data.p", "no such field", "a field inside another is written as a pointer: --value-field /data/p"),
            (
                "$.data[0].p",
                "no such field (there are data)",
                "a field inside another is written as a pointer: --value-field /data/0/p",
            ),
            ("a/b.c~d", "no such field", "a field inside another is written as a pointer: --value-field /a~1b/c~0d"),
            ("price", "no such field (there are e, Price, ts)", "names are told apart by case: --value-field Price"),
            ("price", "no such field (there are e, p, ts)", "--value-field says which field that is"),
            ("/data.p", "no such field", "--value-field says which field that is"),
            ("data.p", "null", "--value-field says which field that is"),
            ("data..p", "no such field", "--value-field says which field that is"),
        ] {
            assert_eq!(named(field, found), said, "{field}, {found}");
        }
        let newest = "1767225600 milliseconds".to_owned();
        let wrong = |unit, better| WrongUnit {
            unit,
            valid: 9,
            when: "before 1990",
            newest: newest.clone(),
            year: 1970,
            better,
        };
        assert_eq!(
            of_unit(&wrong(Some(TimeUnit::Milliseconds), Some((TimeUnit::Seconds, 2026)))),
            "all 9 event times are before 1990 (the newest, 1767225600 milliseconds, is of 1970): read as seconds it would be of \
             2026: is --time-unit right (it would be s)?"
        );
        let other = of_unit(&wrong(Some(TimeUnit::Milliseconds), None));
        assert!(other.ends_with("is of 1970): are --time-field and --time-unit right?"), "{other}");
        assert!(of_unit(&wrong(None, None)).ends_with("is of 1970): are --time-field and --time-format right?"));
        let times = |zone: Option<&str>, format: Option<&str>| {
            let given = |text: Option<&str>| text.map(ToOwned::to_owned);
            let fields = FieldNames {
                times: TimeOptions { format: given(format), zone: given(zone), ..TimeOptions::default() },
                ..FieldNames::default()
            };
            Decoder::new(&fields).unwrap_err().iter().map(of_field).collect::<Vec<_>>()
        };
        assert_eq!(
            times(Some("Berlin"), None),
            [
                "--time-zone: \"Berlin\" is no time zone: it takes an IANA name such as Europe/Berlin, UTC, or an offset such as \
              +01:00; did you mean Europe/Berlin?"
            ]
        );
        assert_eq!(
            times(None, Some("%F %T")),
            [
                "the time format \"%F %T\" says no offset, and no time zone is given: give --time-zone UTC if these are UTC, or an \
              IANA name"
            ]
        );
        assert_eq!(times(Some("UTC"), Some("%F %K")), ["--time-format: %K of the time format \"%F %K\" is not known"]);
        let nameless = FieldNames { time: vec![String::new()], ..FieldNames::default() };
        let errors = Decoder::new(&nameless).unwrap_err();
        assert_eq!(errors.iter().map(of_field).collect::<Vec<_>>(), ["--time-field \"\": a field has a name"]);
    }
}
