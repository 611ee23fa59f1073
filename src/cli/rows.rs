//! Options of records that are rows of cells.

use super::values::{Choice, Given, number, sign, sign_or_none};
use clap::Args;

/// How rows are written.
#[derive(Args, Debug)]
#[command(next_help_heading = "Decoding")]
pub(crate) struct RowArgs {
    /// csv, tsv: names of columns, for rows without a header: NAME[,NAME…]
    ///
    /// Without it, the first line of a file is a header that has them, unless all fields are numbers of columns: /0 is the first.
    #[arg(long, value_name = "NAMES", env = "MINUTELY_COLUMNS", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,

    /// csv: character between cells, or \t [default: ,]
    #[arg(long, value_name = "CHAR", env = "MINUTELY_DELIMITER", value_parser = sign())]
    pub(crate) delimiter: Option<Given<u8>>,

    /// csv, tsv: character around cells that have delimiters in them, or none [default: "]
    #[arg(long, value_name = "CHAR", env = "MINUTELY_QUOTE", value_parser = sign_or_none())]
    pub(crate) quote: Option<Given<Option<u8>>>,

    /// csv, tsv: lines of a file before its header or its first row, which are skipped [default: 0]
    #[arg(long, value_name = "N", env = "MINUTELY_SKIP_LINES", value_parser = number::<u32>(0, u32::MAX))]
    pub(crate) skip_lines: Option<Given<u32>>,
}

/// `--format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormatOption {
    /// A JSON text a record.
    Json,
    /// A row of cells.
    Csv,
    /// The same, with tabs.
    Tsv,
    /// JSON behind a registry's frame.
    JsonSchema,
    /// Avro.
    Avro,
    /// Protocol Buffers.
    Protobuf,
}

pub(super) const FORMATS: [Choice<FormatOption>; 6] = [
    ("json", "a JSON text a record", FormatOption::Json),
    ("csv", "a row of cells a record", FormatOption::Csv),
    ("tsv", "the same, with tabs between cells", FormatOption::Tsv),
    ("avro", "a message of Avro, by a schema registry or --schema; files are containers of Avro", FormatOption::Avro),
    ("protobuf", "a message of Protocol Buffers, by a schema registry or --schema", FormatOption::Protobuf),
    ("json-schema", "a JSON text behind a schema registry's frame", FormatOption::JsonSchema),
];
