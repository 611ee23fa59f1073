//! How payloads are decoded.

use crate::advice;
use crate::cli::{DecodingArgs, UsageErrors};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::decode::{CONSTANT, Decoder, FieldNames, KEY, TimeOptions};

/// Where a record of this source has what.
pub(super) fn fields(args: &DecodingArgs, source: &str, errors: &mut UsageErrors) -> Option<FieldNames> {
    let unit = errors.value(&args.time_unit);
    // An empty one, as of a variable, is none.
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let symbol = match &args.symbol {
        Some(symbol) => vec![format!("{CONSTANT}{symbol}")],
        None => args.symbol_field.clone(),
    };
    let of_key = |field: &&String| *field == KEY || field.starts_with(&format!("{KEY}/"));
    if let (Some(field), false) = (symbol.iter().find(of_key), sources::has_keys(source)) {
        errors.push(format!("--symbol-field {field}: records of `{}` have no keys", redacted(source)));
    }
    Some(FieldNames {
        each: args.each.clone(),
        symbol,
        value: args.value_field.clone(),
        time: args.time_field.clone(),
        times: TimeOptions { unit: unit?, format: given(&args.time_format), zone: given(&args.time_zone) },
        weight: Some(args.weight_field.clone()).filter(|field| !field.is_empty()),
        filter: args.filter.clone(),
        id: given(&args.id_field),
    })
}

pub(super) fn decoder(fields: &FieldNames, errors: &mut UsageErrors) -> Option<Decoder> {
    let decoder = Decoder::new(fields).map_err(|wrong| wrong.iter().map(advice::of_field).collect());
    errors.all_ok(decoder.map(Some))
}
