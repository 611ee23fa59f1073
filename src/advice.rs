//! What to do, by the options of the command line: about what ends a run, about records that do not count, about fields that
//! cannot be read. The core says what is wrong, and knows no options.

use minutely_dataflows::decode::{EventPart, FieldError, FieldNames, KEY, TimeOptionError};
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
            "a record is one JSON object, in a file one a line; other formats cannot be read yet".into()
        }
        (Reason::Time, Some(_)) => {
            "--time-unit says in which unit event times are (--time-format how they are written, --time-zone which zone those \
             without an offset are in), --time-field which field they are"
                .into()
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
    use minutely_dataflows::decode::{Decoder, TimeDecoder, TimeOptions, TimeUnit};
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
        let error = TimeDecoder::new("", TimeUnit::Seconds).unwrap_err();
        assert_eq!(of_field(&error), "--time-field \"\": a field has a name");
    }
}
