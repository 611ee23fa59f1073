//! How payloads are decoded.

use crate::advice;
use crate::cli::{
    DecodingArgs, EnvelopeArgs, EnvelopeOption, FormatOption, NumberArgs, RowArgs, ShapeArgs, UsageErrors,
};
use crate::sources;
use crate::uri::redacted;
use minutely_dataflows::decode::schema::SchemaDecoder;
use minutely_dataflows::decode::{
    CONSTANT, CsvOptions, DebeziumOptions, Decoder, FieldNames, Format, KEY, PAYLOAD, TIMESTAMP, TimeOptions,
};
use minutely_dataflows::numbers::NumberOptions;

/// Where a record of this source has what.
pub(super) fn fields(args: &DecodingArgs, source: &str, errors: &mut UsageErrors) -> Option<FieldNames> {
    let numbers = numbers(&args.numbers, errors);
    let symbol = match &args.symbol {
        Some(symbol) => vec![format!("{CONSTANT}{symbol}")],
        None => args.symbol_field.clone(),
    };
    let of_key = |field: &&String| *field == KEY || field.starts_with(&format!("{KEY}/"));
    if let (Some(field), false) = (symbol.iter().find(of_key), sources::has_keys(source)) {
        errors.push(format!("--symbol-field {field}: records of `{}` have no keys", redacted(source)));
    }
    let shape = shape(&args.shape, source, errors);
    let id = args.id_field.iter().filter(|field| !field.is_empty()).cloned().collect();
    let mut fields =
        FieldNames { symbol, value: args.value_field.clone(), weight: None, id, numbers: numbers?, ..shape? };
    fields.weight = match &args.weight_field {
        Some(field) => Some(field.clone()).filter(|field| !field.is_empty()),
        None => default_weight(&fields),
    };
    Some(fields)
}

/// How records of this source are taken apart, and where their events have their times; nothing else of them.
fn shape(args: &ShapeArgs, source: &str, errors: &mut UsageErrors) -> Option<FieldNames> {
    let unit = errors.value(&args.time_unit);
    // An empty one, as of a variable, is none.
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if args.time_field.iter().any(|field| field == TIMESTAMP) && !sources::has_keys(source) {
        errors.push(format!(
            "--time-field {TIMESTAMP}: records of `{}` have no stamp of the log; a field of this name is /{TIMESTAMP}",
            redacted(source)
        ));
    }
    let format = errors.value(&args.format).and_then(|option| format(option, &args.rows, source, errors));
    let debezium = debezium(&args.envelope, errors);
    Some(FieldNames {
        each: args.each.clone(),
        time: args.time_field.clone(),
        times: TimeOptions { unit: unit?, format: given(&args.time_format), zone: given(&args.time_zone) },
        filter: args.filter.clone(),
        format: format?,
        debezium: debezium?,
        ..FieldNames::default()
    })
}

/// How change events are read, if records are some; `None` where the options are wrong.
#[expect(clippy::option_option, reason = "as of every option: none where it is wrong")]
fn debezium(args: &EnvelopeArgs, errors: &mut UsageErrors) -> Option<Option<DebeziumOptions>> {
    let mut scales = Vec::new();
    for text in args.decimal_scale.iter().filter(|text| !text.is_empty()) {
        let scale = text.rsplit_once('=').and_then(|(field, scale)| Some((field.to_owned(), scale.parse().ok()?)));
        match scale.filter(|(field, _)| !field.is_empty()) {
            Some(scale) => scales.push(scale),
            None => errors.push(format!(
                "--decimal-scale {text}: takes a field and how many of its digits are a fraction, such as price=2"
            )),
        }
    }
    match errors.value(&args.envelope)? {
        EnvelopeOption::Debezium => Some(Some(DebeziumOptions { scales })),
        EnvelopeOption::None => {
            if !args.decimal_scale.is_empty() {
                errors.push("--decimal-scale: is for --envelope debezium");
            }
            Some(None)
        }
    }
}

/// What decodes a replay: an event for each record that is to be written, with its time, and its key as the symbol. `key`: the
/// fields of the key; empty: it is the record's own.
pub(crate) fn of_replay(args: &ShapeArgs, key: &[String], source: &str, errors: &mut UsageErrors) -> Option<Decoder> {
    if matches!(args.format.text(), "avro" | "protobuf" | "json-schema") {
        errors.push(format!(
            "--format {}: produce takes json, csv and tsv alone, as it would write messages without the frame of a registry; write \
             the records as JSON lines first (of a container of Avro: avro-tools tojson)",
            args.format.text()
        ));
        return None;
    }
    let symbol = if key.is_empty() { vec![format!("{CONSTANT}-")] } else { key.to_vec() };
    let value = format!("{CONSTANT}0");
    let fields = FieldNames { symbol, value, weight: None, ..shape(args, source, errors)? };
    decoder(&fields, None, source, errors)
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

/// The format of records, with the options that it has.
fn format(option: FormatOption, rows: &RowArgs, source: &str, errors: &mut UsageErrors) -> Option<Format> {
    let RowArgs { columns, delimiter, quote, skip_lines } = rows;
    let given = [
        ("--columns", columns.is_some()),
        ("--delimiter", delimiter.is_some()),
        ("--quote", quote.is_some()),
        ("--skip-lines", skip_lines.is_some()),
    ];
    let tab = match option {
        FormatOption::Json | FormatOption::JsonSchema | FormatOption::Avro | FormatOption::Protobuf => {
            for (option, _) in given.iter().filter(|(_, given)| *given) {
                errors.push(format!("{option} is for rows: give --format csv or tsv with it"));
            }
            return Some(match option {
                FormatOption::JsonSchema => Format::JsonSchema,
                FormatOption::Avro => Format::Avro,
                FormatOption::Protobuf => Format::Protobuf,
                _ => Format::Json,
            });
        }
        FormatOption::Csv => None,
        FormatOption::Tsv => {
            if delimiter.is_some() {
                errors.push("--delimiter: with --format tsv it is a tab; give --format csv for another");
            }
            Some(b'\t')
        }
    };
    let defaults = CsvOptions::default();
    let delimiter = delimiter.as_ref().map_or(Some(defaults.delimiter), |given| errors.value(given));
    let quote = quote.as_ref().map_or(Some(defaults.quote), |given| errors.value(given));
    let skip_lines = skip_lines.as_ref().map_or(Some(0), |given| errors.value(given))?;
    if skip_lines > 0 && !sources::has_lines(source) {
        errors
            .push(format!("--skip-lines: each message of `{}` is a row, and has no lines before it", redacted(source)));
    }
    Some(Format::Csv(CsvOptions { delimiter: tab.or(delimiter)?, quote: quote?, columns: columns.clone(), skip_lines }))
}

/// Where the weight is if nothing says so: nowhere, if columns have no names or not this one.
fn default_weight(fields: &FieldNames) -> Option<String> {
    let weight = FieldNames::default().weight.filter(|_| fields.value != PAYLOAD);
    let Format::Csv(options) = &fields.format else { return weight };
    let FieldNames { symbol, value, time, filter, id, .. } = fields;
    let is_name = |field: &&String| !field.trim_start_matches('!').starts_with(['/', '@', CONSTANT]);
    let mut all = symbol.iter().chain([value]).chain(time).chain(filter).chain(id);
    match &options.columns {
        Some(columns) => weight.filter(|weight| columns.contains(weight)),
        None => weight.filter(|_| all.any(|field| is_name(&field))),
    }
}

pub(super) fn decoder(
    fields: &FieldNames,
    schemas: Option<SchemaDecoder>,
    source: &str,
    errors: &mut UsageErrors,
) -> Option<Decoder> {
    let decoder = Decoder::with_schemas(fields, schemas).map_err(|wrong| wrong.iter().map(advice::of_field).collect());
    let decoder = errors.all_ok(decoder.map(Some))?;
    if decoder.header_at().is_some() && !sources::has_lines(source) {
        errors.push(format!(
            "--format csv: messages of `{}` have no header; say with --columns what their columns are, or give each field by its \
             number (--value-field /0 is the first)",
            redacted(source)
        ));
    }
    Some(decoder)
}
