//! Options of cleaning: which events that are in time count. All of it is off unless it is asked for.

use super::values::{Given, outlier};
use clap::Args;
use minutely_dataflows::partition::OutlierRule;

/// Which events that are in time count.
#[derive(Args, Debug)]
#[command(next_help_heading = "Cleaning")]
pub(crate) struct CleaningArgs {
    /// Least value that counts; one below becomes a dead letter (bounds)
    #[arg(long, value_name = "NUMBER", env = "MINUTELY_VALUE_MIN", allow_negative_numbers = true)]
    pub(crate) value_min: Option<String>,

    /// Greatest value that counts; one above becomes a dead letter (bounds)
    #[arg(long, value_name = "NUMBER", env = "MINUTELY_VALUE_MAX", allow_negative_numbers = true)]
    pub(crate) value_max: Option<String>,

    /// Set aside values further than K standard deviations from the median of the N that counted last (outlier) [K: 5]
    ///
    /// Of the same symbol in the same partition; N is 3 to 1000. A standard deviation is 1.4826 times the median absolute
    /// deviation (a Hampel filter). After N outliers in a row the symbol is compared with those.
    #[arg(long, value_name = "N[,K]", env = "MINUTELY_OUTLIER", value_parser = outlier())]
    pub(crate) outlier: Option<Given<OutlierRule>>,

    /// Trading calendar: NYSE, NYSE+extended, 24x7, or a file; events at other times become dead letters (session) [default: 24x7]
    ///
    ///   NYSE           9:30 to 16:00 in New York, to 13:00 on half days, none on holidays
    ///   NYSE+extended  with the early and the late session: 4:00 to 20:00, to 17:00 on half days
    ///   24x7           all times
    ///   FILE           zone, sessions, holidays and half days in TOML
    #[arg(long, value_name = "CALENDAR", env = "MINUTELY_SESSION", verbatim_doc_comment)]
    pub(crate) session: Option<String>,
}
