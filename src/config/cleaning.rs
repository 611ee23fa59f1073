//! What cleans, from the options of a run.

use super::session;
use crate::cli::{CleaningArgs, NumberArgs, UsageErrors};
use crate::semantics::{Entries, OUTLIER, SESSION, VALUE_MAX, VALUE_MIN};
use minutely_dataflows::decimal::{Decimal, DecimalError};
use minutely_dataflows::numbers::{NumberOptions, NumberRule, OnPrecision};
use minutely_dataflows::partition::CleaningRule;

/// What these options leave out. Bounds are of values as rows have them: after `--value-scale`, with the job's decimals.
pub(super) fn cleaning(args: &CleaningArgs, numbers: &NumberArgs, errors: &mut UsageErrors) -> Option<CleaningRule> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    // (What is wrong with it is said elsewhere.)
    let decimals = UsageErrors::default().value(&numbers.decimals)?;
    let mut bound = |option: &str, text: &Option<String>| match given(text) {
        Some(text) => errors.ok(self::bound(option, &text, decimals)).map(Some),
        None => Some(None),
    };
    let (least, greatest) = (bound(VALUE_MIN, &args.value_min), bound(VALUE_MAX, &args.value_max));
    if let (Some(Some(least)), Some(Some(greatest))) = (least, greatest)
        && least > greatest
    {
        errors.push(format!("{VALUE_MIN} is above {VALUE_MAX}: no value would count"));
    }
    let outlier = match &args.outlier {
        Some(given) => errors.value(given).map(Some),
        None => Some(None),
    };
    let session = match given(&args.session) {
        Some(text) => errors.ok(session::calendar(&text).map_err(|why| format!("{SESSION} {text}: {why}"))),
        None => Some(None),
    };
    Some(CleaningRule { least: least?, greatest: greatest?, outlier: outlier?, session: session? })
}

fn bound(option: &str, text: &str, decimals: u8) -> Result<Decimal, String> {
    let options = NumberOptions { decimals, on_precision: OnPrecision::Reject, ..NumberOptions::default() };
    let read = NumberRule::new(&options).value(text.as_bytes());
    read.map(|read| read.number).map_err(|error| match error {
        DecimalError::NotANumber => format!("{option} {text}: takes a number, such as 0.01"),
        DecimalError::Range => format!("{option} {text}: is beyond what values may be with --decimals {decimals}"),
        DecimalError::Precision => format!("{option} {text}: has more fractional digits than --decimals {decimals}"),
    })
}

/// One text for each that is given: equal where it decides alike.
pub(super) fn texts(cleaning: Option<&CleaningRule>, decimals: u8) -> Entries {
    let Some(CleaningRule { least, greatest, outlier, session }) = cleaning else { return Entries::new() };
    let number = |value: Decimal| value.with_decimals(decimals).to_string();
    let texts = [
        (VALUE_MIN, least.map(number)),
        (VALUE_MAX, greatest.map(number)),
        (OUTLIER, outlier.map(|outlier| outlier.to_string())),
        (SESSION, session.as_ref().map(ToString::to_string)),
    ];
    texts.into_iter().filter_map(|(option, text)| Some((option.to_owned(), text?))).collect()
}
