//! How payloads are decoded.

use crate::advice;
use crate::cli::{DecodingArgs, UsageErrors};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::decode::{Decoder, FieldNames, KEY, TimeOptions};

/// Where a record of this source has what.
pub(super) fn fields(args: &DecodingArgs, source: &str, errors: &mut UsageErrors) -> Option<FieldNames> {
    let unit = errors.value(&args.time_unit);
    // An empty one, as of a variable, is none.
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if args.symbol_field == KEY && !sources::has_keys(source) {
        errors.push(format!("--symbol-field {KEY}: records of `{}` have no keys", redacted(source)));
    }
    Some(FieldNames {
        symbol: args.symbol_field.clone(),
        value: args.value_field.clone(),
        time: args.time_field.clone(),
        times: TimeOptions { unit: unit?, format: given(&args.time_format), zone: given(&args.time_zone) },
        weight: Some(args.weight_field.clone()).filter(|field| !field.is_empty()),
    })
}

pub(super) fn decoder(fields: &FieldNames, errors: &mut UsageErrors) -> Option<Decoder> {
    let decoder = Decoder::new(fields).map_err(|wrong| wrong.iter().map(advice::of_field).collect());
    errors.all_ok(decoder.map(Some))
}
