//! Who judges and adds up: the oracle (R10) with a run's decoder or, with `--independent`, other code for all of it.
//!
//! Everything else of a verification is the same for both.

use super::error::VerifyError;
use crate::config::{Config, Metrics};
use crate::independent::{
    CountedPlace, IndependentColumns, IndependentEvent, IndependentFolds, IndependentJudgement, IndependentPartition,
    IndependentRules, IndependentSums,
};
use minutely_dataflows::decimal::Scales;
use minutely_dataflows::decode::{DecodedEvent, Decoder};
use minutely_dataflows::digest::RowNumbers;
use minutely_dataflows::edge::Halt;
use minutely_dataflows::oracle::{
    Exceptions, Judgement, LevelSpans, OracleColumns, OraclePartition, PlainSums, Position, SeriesFolds, derived_values,
};
use minutely_dataflows::partition::Rule;
use minutely_dataflows::record::{PartitionName, Record};
use minutely_dataflows::row::{Row, RowKind};
use minutely_dataflows::time::{EventTime, State, WindowStart};

/// See the module.
pub(crate) enum JudgeKind {
    Oracle(Box<Decoder>),
    Independent(Box<IndependentRules>, IndependentColumns),
}

impl JudgeKind {
    /// By the options of a run.
    ///
    /// # Errors
    /// 64: what is independent does not read all of them.
    pub(super) fn of(config: &Config, independent: bool) -> Result<Self, VerifyError> {
        if !independent {
            return Ok(JudgeKind::Oracle(Box::new(config.decoder.clone())));
        }
        let mut unread = Vec::new();
        let rules = IndependentRules::of(&config.fields, &config.settings.rule);
        let rules = rules.map_err(|options| unread.extend(options)).ok();
        if config.groups.is_some() {
            unread.push("--groups".to_owned());
        }
        let rules = rules.filter(|_| unread.is_empty());
        let rules = rules.ok_or_else(|| VerifyError::NotIndependent { options: unread.join(", ") })?;
        let market = config.metrics == Metrics::Market;
        let length = config.settings.rule.windowing.length;
        let columns = IndependentColumns::new(market, &config.settings.derive, config.fields.numbers.scales(), length);
        Ok(JudgeKind::Independent(Box::new(rules), columns))
    }

    /// A partition, before its first record that is to be judged. `h`: the greatest event time of the valid records before that.
    pub(super) fn partition<'r>(
        &self,
        name: &PartitionName,
        rule: &'r Rule,
        exceptions: Exceptions,
        h: Option<EventTime>,
    ) -> Box<dyn PartitionJudge + 'r> {
        match self {
            JudgeKind::Oracle(decoder) => Box::new(OraclePartition::new(name, decoder, rule, exceptions, h)),
            JudgeKind::Independent(rules, _) => Box::new(IndependentPartition::new(rules, name, exceptions, h)),
        }
    }

    /// What a series' minutes come to so far, before the first. `whole`: the first that comes is the first that there is.
    pub(super) fn folds(&self, columns: &OracleColumns, whole: bool) -> FoldsOfSeries {
        match self {
            JudgeKind::Oracle(_) => FoldsOfSeries::Oracle(SeriesFolds::begin(columns, whole)),
            JudgeKind::Independent(_, columns) => {
                FoldsOfSeries::Independent(IndependentFolds::begin(columns, whole), columns.clone())
            }
        }
    }

    /// The row of a coarser window.
    pub(super) fn coarse_row(
        &self,
        (spans, kind): (&LevelSpans<'_>, RowKind),
        (start, symbol): (WindowStart, &str),
        sums: &SumsOfSeries,
        state: State,
        (columns, scales): (&OracleColumns, Scales),
    ) -> Row {
        match (sums, self) {
            (SumsOfSeries::Oracle(sums), _) => spans.row((start, symbol), sums, state, columns, scales),
            (SumsOfSeries::Independent(sums), JudgeKind::Independent(_, own)) => {
                let derived = own.of_window(sums, state).into();
                Row { kind, derived, ..sums.row(symbol, start, state, (columns.market, scales)) }
            }
            (SumsOfSeries::Independent(_), JudgeKind::Oracle(_)) => unreachable!("the oracle makes sums of its own"),
        }
    }

    /// As [`derived_values`].
    pub(super) fn derived_values(
        &self,
        minutes: &[(WindowStart, &SumsOfSeries)],
        recursive: Option<Vec<Option<f64>>>,
        columns: &OracleColumns,
        (scales, length): (Scales, i64),
    ) -> Vec<Option<Option<f64>>> {
        match self {
            JudgeKind::Oracle(_) => {
                let minutes: Vec<_> =
                    minutes.iter().filter_map(|(start, sums)| Some((*start, sums.oracle()?))).collect();
                derived_values(&minutes, recursive, columns, (scales, length))
            }
            JudgeKind::Independent(_, columns) => {
                let minutes: Vec<_> =
                    minutes.iter().filter_map(|(start, sums)| Some((*start, sums.independent()?))).collect();
                columns.values(&minutes, recursive)
            }
        }
    }
}

/// One partition that is judged, one record after the other.
pub(super) trait PartitionJudge {
    /// The greatest event time of the valid records so far.
    fn h(&self) -> Option<EventTime>;

    /// The offset of the record that tells what the others hold, where there is one.
    fn header_at(&mut self) -> Option<i64>;

    /// Learns from that record.
    fn learn(&mut self, header: &Record<'_>);

    /// The next record. `counts`: is called for each event that counts, with its window.
    ///
    /// # Errors
    /// When a registry of schemas does not answer.
    fn record(
        &mut self,
        record: &Record<'_>,
        counts: &mut dyn FnMut(WindowStart, CountedEvent<'_>),
    ) -> Result<(), Halt>;
}

impl PartitionJudge for OraclePartition<'_> {
    fn h(&self) -> Option<EventTime> {
        OraclePartition::h(self)
    }

    fn header_at(&mut self) -> Option<i64> {
        self.decoder().header_at()
    }

    fn learn(&mut self, header: &Record<'_>) {
        self.decoder().learn(header);
    }

    fn record(
        &mut self,
        record: &Record<'_>,
        counts: &mut dyn FnMut(WindowStart, CountedEvent<'_>),
    ) -> Result<(), Halt> {
        OraclePartition::record(self, record, |judgement| {
            if let Judgement::Counts(window, position, event) = judgement {
                counts(window, CountedEvent::Oracle(&event, position));
            }
        })
    }
}

impl PartitionJudge for IndependentPartition {
    fn h(&self) -> Option<EventTime> {
        IndependentPartition::h(self)
    }

    fn header_at(&mut self) -> Option<i64> {
        None
    }

    fn learn(&mut self, _: &Record<'_>) {}

    fn record(
        &mut self,
        record: &Record<'_>,
        counts: &mut dyn FnMut(WindowStart, CountedEvent<'_>),
    ) -> Result<(), Halt> {
        IndependentPartition::record(self, record, |judgement| {
            if let IndependentJudgement::Counts(window, place, event) = judgement {
                counts(window, CountedEvent::Independent(&event, place));
            }
        });
        Ok(())
    }
}

/// An event that counts.
pub(super) enum CountedEvent<'e> {
    Oracle(&'e DecodedEvent<'e>, Position),
    Independent(&'e IndependentEvent, CountedPlace),
}

impl CountedEvent<'_> {
    pub(super) fn symbol(&self) -> &str {
        match self {
            CountedEvent::Oracle(event, _) => &event.symbol,
            CountedEvent::Independent(event, _) => event.symbol(),
        }
    }
}

/// What the events of one window of a series add up to.
#[derive(Clone)]
pub(crate) enum SumsOfSeries {
    Oracle(PlainSums),
    Independent(IndependentSums),
}

impl SumsOfSeries {
    /// Of one event.
    pub(super) fn of(event: &CountedEvent<'_>) -> Self {
        match event {
            CountedEvent::Oracle(event, position) => SumsOfSeries::Oracle(PlainSums::of(event, *position)),
            CountedEvent::Independent(event, place) => SumsOfSeries::Independent(IndependentSums::of(event, *place)),
        }
    }

    /// And one more.
    ///
    /// # Panics
    /// Of the other kind.
    pub(super) fn add(&mut self, event: &CountedEvent<'_>) {
        match (self, event) {
            (SumsOfSeries::Oracle(sums), CountedEvent::Oracle(event, position)) => sums.add(event, *position),
            (SumsOfSeries::Independent(sums), CountedEvent::Independent(event, place)) => sums.add(event, *place),
            _ => unreachable!("all partitions are judged by one kind of judge"),
        }
    }

    /// And what another window of the series comes to.
    ///
    /// # Panics
    /// Of the other kind.
    pub(super) fn add_all(&mut self, other: &SumsOfSeries) {
        match (self, other) {
            (SumsOfSeries::Oracle(sums), SumsOfSeries::Oracle(other)) => sums.add_all(other),
            (SumsOfSeries::Independent(sums), SumsOfSeries::Independent(other)) => sums.add_all(other.clone()),
            _ => unreachable!("all partitions are judged by one kind of judge"),
        }
    }

    /// Those of the oracle.
    pub(crate) fn oracle(&self) -> Option<&PlainSums> {
        if let SumsOfSeries::Oracle(sums) = self { Some(sums) } else { None }
    }

    fn independent(&self) -> Option<&IndependentSums> {
        if let SumsOfSeries::Independent(sums) = self { Some(sums) } else { None }
    }

    /// The row, without derived values. `market`: with `--metrics market`.
    pub(super) fn row(&self, symbol: &str, minute: WindowStart, state: State, (market, scales): (bool, Scales)) -> Row {
        match self {
            SumsOfSeries::Oracle(sums) => sums.row(symbol, minute, state, (market, scales)),
            SumsOfSeries::Independent(sums) => sums.row(symbol, minute, state, (market, scales)),
        }
    }

    /// What a digest is made of.
    pub(super) fn numbers(&self, market: bool) -> RowNumbers {
        match self {
            SumsOfSeries::Oracle(sums) => sums.numbers(market),
            SumsOfSeries::Independent(sums) => sums.numbers(market),
        }
    }
}

/// What metrics of all minutes so far are of one series.
pub(super) enum FoldsOfSeries {
    Oracle(SeriesFolds),
    Independent(IndependentFolds, IndependentColumns),
}

impl FoldsOfSeries {
    /// As [`SeriesFolds::step`].
    pub(super) fn step(&mut self, start: WindowStart, sums: &SumsOfSeries, scales: Scales) -> Option<Vec<Option<f64>>> {
        match self {
            FoldsOfSeries::Oracle(folds) => folds.step(start, sums.oracle()?, scales),
            FoldsOfSeries::Independent(folds, columns) => folds.step(columns, start, sums.independent()?, scales),
        }
    }
}
