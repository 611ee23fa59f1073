//! What to do about what ends a run, by the options of the command line. The core names a remedy; here it gets its words.

use minutely_dataflows::edge::{Halt, Remedy};

/// Why a run cannot continue, and what to do.
pub(crate) fn text(halt: &Halt) -> String {
    match &halt.remedy {
        Some(remedy) => format!("{}; {}", halt.why, advice(remedy)),
        None => halt.why.clone(),
    }
}

fn advice(remedy: &Remedy) -> String {
    match remedy {
        Remedy::RestoreObject => "restore it from a copy, or begin anew (--job NAME)".into(),
        Remedy::RestorePartition => {
            "put it back, and leave it there for as long as runs resume from this state, or begin anew without it (--job NAME)".into()
        }
        Remedy::RestoreLog => {
            "restore the log, or begin anew with what is there (--job NAME), or go on where it is now (--accept-changed-log: \
             the state keeps what it has read, and the minutes that may lack records say `partial`)"
                .into()
        }
        Remedy::ReadNewLog => "begin anew to read the new one (--job NAME)".into(),
        Remedy::StartAfresh => "begin anew with --job NAME".into(),
        Remedy::AllowMoreWindows => {
            "raise --max-keys, lower --lateness, or look for a partition that holds W back".into()
        }
        Remedy::WaitLonger => "look at what it says above, or give it more time with --sink-timeout".into(),
        Remedy::GiveSinkAgain(sink) => format!(
            "give it again as --sink (it may be down: its rows wait), or have it forgotten, so that it lacks them for ever \
             (--forget-sink {sink})"
        ),
        Remedy::GiveOrForgetSink(sink) => format!("leave one of the two out: --sink or --forget-sink {sink}"),
        Remedy::SetRecordsAside => "mend it, or run with --on-bad dead-letter to set such records aside".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use minutely_dataflows::checkpoint::{ChangedLogError, ChangedPartition, LogChange, SinksError};
    use minutely_dataflows::control::{AdmissionError, MemoryError, StallError};
    use minutely_dataflows::edge::HaltKind;
    use minutely_dataflows::record::PartitionName;
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
                 that is gone; put it back, and leave it there for as long as runs resume from this state, or begin anew \
                 without it (--job NAME)",
            ),
            (
                AdmissionError::SinkCameTooLate { sink: "csv:b".into() }.into(),
                HaltKind::Usage,
                "sink csv:b: nothing is new in the log since the last run, which did not write there, and what it wrote is \
                 forgotten; begin anew with --job NAME",
            ),
            (
                changed.into(),
                HaltKind::Data,
                "the log is not what it was when the state was written: partition t/0: offset 10 is wanted next, and the log \
                 ends at 9: it was cut off, or made anew; restore the log, or begin anew with what is there (--job NAME), or \
                 go on where it is now (--accept-changed-log: the state keeps what it has read, and the minutes that may lack \
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
            assert_eq!((text(&halt).as_str(), halt.kind), (said, kind));
        }
        assert_eq!(text(&Halt::new(HaltKind::Internal, "no disk")), "no disk");
    }
}
