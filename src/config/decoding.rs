//! How payloads are decoded.

use crate::advice;
use crate::cli::{DecodingArgs, NumberArgs, UsageErrors};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::decode::{Decoder, FieldNames, KEY};
use minutely_dataflows::numbers::NumberOptions;

/// Where a record of this source has what.
pub(super) fn fields(args: &DecodingArgs, source: &str, errors: &mut UsageErrors) -> Option<FieldNames> {
    let unit = errors.value(&args.time_unit);
    let numbers = numbers(&args.numbers, errors);
    if args.symbol_field == KEY && !sources::has_keys(source) {
        errors.push(format!("--symbol-field {KEY}: records of `{}` have no keys", redacted(source)));
    }
    Some(FieldNames {
        symbol: args.symbol_field.clone(),
        value: args.value_field.clone(),
        time: args.time_field.clone(),
        unit: unit?,
        weight: Some(args.weight_field.clone()).filter(|field| !field.is_empty()),
        numbers: numbers?,
    })
}

/// Which numbers values and weights are.
fn numbers(args: &NumberArgs, errors: &mut UsageErrors) -> Option<NumberOptions> {
    let (decimals, weight_decimals) = (errors.value(&args.decimals), errors.value(&args.weight_decimals));
    let on_precision = errors.value(&args.on_precision);
    let value_scale = errors.value(&args.value_scale);
    let weight_sign = errors.value(&args.weight_sign);
    Some(NumberOptions {
        decimals: decimals?,
        weight_decimals: weight_decimals?,
        on_precision: on_precision?,
        value_scale: value_scale?,
        weight_sign: weight_sign?,
    })
}

pub(super) fn decoder(fields: &FieldNames, errors: &mut UsageErrors) -> Option<Decoder> {
    let decoder = Decoder::new(fields).map_err(|wrong| wrong.iter().map(advice::of_field).collect());
    errors.all_ok(decoder.map(Some))
}
