//! What to do, by the options of the command line: about what ends a run, about records that do not count, about fields that
//! cannot be read. The core says what is wrong, and knows no options.

use minutely_dataflows::decode::{EventPart, FieldError, FieldNames, KEY, TimeUnit};
use minutely_dataflows::edge::{Halt, HaltRemedy};
use minutely_dataflows::explain::{Rejected, WrongUnit};
use minutely_dataflows::record::Reason;

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

/// What to look at, where records are rejected.
pub(crate) fn of_rejected(by: &Rejected<'_>, fields: &FieldNames) -> String {
    let named = |part, names: &[String]| names.iter().map(|name| (part, name.clone())).collect::<Vec<_>>();
    let named = [
        named(EventPart::Symbol, &fields.symbol),
        named(EventPart::Value, std::slice::from_ref(&fields.value)),
        named(EventPart::Time, &fields.time),
        named(EventPart::Weight, fields.weight.as_slice()),
        named(EventPart::Id, fields.id.as_slice()),
        named(EventPart::Each, fields.each.as_slice()),
    ]
    .concat();
    let field = by.first.finding.field.as_deref();
    let part = named.iter().find(|(_, name)| Some(name.as_str()) == field);
    match (by.first.reason, part.map(|(part, _)| option(*part))) {
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
            "--time-unit says in which unit event times are, --time-field which field they are".into()
        }
        (_, Some(option)) if field == Some(KEY) => format!("{option} may name a field instead of the key"),
        (Reason::Null | Reason::Type | Reason::Weight | Reason::Symbol, Some(option)) => {
            format!("{option} says which field that is")
        }
        (Reason::Shape | Reason::Twice, _) => {
            "--symbol-field, --value-field, --time-field and --weight-field say which fields are read".into()
        }
        (Reason::Precision, _) => {
            "no option makes it count: have it written with at most 18 fractional digits (a computed float \
                                   below 0.01 often has more)"
                .into()
        }
        _ => "no option makes such records count".into(),
    }
}

/// A unit that seems wrong, and the option that says another.
pub(crate) fn of_unit(wrong: &WrongUnit) -> String {
    let better = TimeUnit::ALL.iter().find(|(unit, ..)| Some(*unit) == wrong.better);
    match better {
        Some((_, name, words)) => format!("{wrong}; in {words} (--time-unit {name}) it would be plausible"),
        None => format!("{wrong}; do --time-field and --time-unit fit the records?"),
    }
}

/// A field that cannot be read, after the option that names it.
pub(crate) fn of_field(error: &FieldError) -> String {
    match error {
        FieldError::Field { part, field, problem } => format!("{} {field:?}: {problem}", option(*part)),
        FieldError::Delimiter => format!("--delimiter, --quote: {error}"),
        FieldError::TooManyObjects { .. } => error.to_string(),
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
    use minutely_dataflows::decode::TimeDecoder;
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
                SinksError::LeftOut { sinks, records: 3 }.into(),
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
                "5 windows of series are open (they count as 20, for names are long), twice as many as are allowed (W is \
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
        let wrong = |better| WrongUnit { unit: TimeUnit::Milliseconds, valid: 9, newest: 1_767_225_600, better };
        assert_eq!(
            of_unit(&wrong(Some(TimeUnit::Seconds))),
            "event times seem to be in another unit: all 9 valid records have one before 1990 or after 2100, the newest is \
             1767225600 milliseconds; in seconds (--time-unit s) it would be plausible"
        );
        assert!(of_unit(&wrong(None)).ends_with("; do --time-field and --time-unit fit the records?"));
        let error = TimeDecoder::new("", TimeUnit::Seconds).unwrap_err();
        assert_eq!(of_field(&error), "--time-field \"\": a field has a name");
    }
}
