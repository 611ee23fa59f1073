//! `minutely produce`.

use super::values::{Choice, Given, StartOption, choice, instant, number, start};
use super::{CommonArgs, Help, ShapeArgs};
use clap::Args;
use minutely_dataflows::time::EventTime;

/// The options of `minutely produce`.
#[derive(Args, Debug)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    help: Help,

    /// Source: sim:?OPTIONS · file:GLOB, or a live feed: coinbase:SYMBOLS · binance:SYMBOLS · yahoo:SYMBOLS
    ///
    ///   sim:?symbols=&rate=&late=&…  a built-in market, at the pace of the clock, its history at once
    ///   file:GLOB                    files, compressed or not, one partition each
    ///   coinbase:BTC-USD,ETH-USD     trades of Coinbase Exchange as they come, without a login
    ///   binance:BTCUSDT,ETHUSDT      trades of Binance's spot market as they come, without a login
    ///   yahoo:AAPL,^GSPC,BTC-USD     Yahoo Finance: minutes of today, then quotes; best effort, personal use only
    #[arg(
        long,
        value_name = "URI",
        env = "MINUTELY_FROM",
        default_value = "sim:",
        help_heading = "Source",
        verbatim_doc_comment
    )]
    pub(crate) from: String,

    /// Where reading begins: earliest, latest, or a time such as 2026-01-05T08:00:00Z
    #[arg(
        long,
        value_name = "WHERE",
        env = "MINUTELY_START",
        default_value = "earliest",
        value_parser = start(),
        help_heading = "Source"
    )]
    pub(crate) start: Given<StartOption>,

    /// Stop at the present end of the source (file: implies it)
    #[arg(long, env = "MINUTELY_UNTIL_END", help_heading = "Source")]
    pub(crate) until_end: bool,

    /// The instant at which that end is taken [default: now]
    #[arg(long, value_name = "TIME", env = "MINUTELY_AS_OF", value_parser = instant(), help_heading = "Source")]
    pub(crate) as_of: Option<Given<EventTime>>,

    /// Stop after this many records
    #[arg(long, value_name = "N", env = "MINUTELY_LIMIT", value_parser = number::<u64>(1, u64::MAX), help_heading = "Source")]
    pub(crate) limit: Option<Given<u64>>,

    #[command(flatten)]
    pub(crate) shape: ShapeArgs,

    /// Records a second, at most
    #[arg(long, value_name = "N", env = "MINUTELY_RATE", value_parser = number::<u64>(1, 1_000_000_000), help_heading = "Pace")]
    pub(crate) rate: Option<Given<u64>>,

    /// Seconds of event time a second, for replays
    #[arg(long, value_name = "N", env = "MINUTELY_SPEED", value_parser = number::<u64>(1, 1_000_000), help_heading = "Pace")]
    pub(crate) speed: Option<Given<u64>>,

    /// Topic or streams: kafka://host:port[,…]/topic · rabbitmq://host/stream[,…]
    ///
    /// A topic that does not exist is created, with retention.ms=-1 if the source ends, and with --stamp broker so that the broker
    /// stamps its records.
    #[arg(long, value_name = "URI", env = "MINUTELY_TO", help_heading = "Kafka")]
    pub(crate) to: String,

    /// Field of the key of what is written, repeatable, joined by a slash [default: the record's own key]
    ///
    /// A name, a JSON pointer, @file, or @file/0 for the first part of the file's name.
    #[arg(long, value_name = "FIELD", env = "MINUTELY_KEY_FIELD", help_heading = "Kafka")]
    pub(crate) key_field: Vec<String>,

    /// Partition of a record
    #[arg(
        long,
        value_name = "BY",
        env = "MINUTELY_PARTITION_BY",
        default_value = "source",
        value_parser = choice(&PARTITION_BY),
        help_heading = "Kafka"
    )]
    pub(crate) partition_by: Given<PartitionBy>,

    /// Stamp of a record [default: event, but refuse a record that the topic's retention would delete at once]
    #[arg(long, value_name = "STAMP", env = "MINUTELY_STAMP", value_parser = choice(&STAMPS), help_heading = "Kafka")]
    pub(crate) stamp: Option<Given<Stamp>>,

    /// Property of librdkafka, repeatable; one that holds a secret is env:NAME or file:PATH
    #[arg(short = 'X', value_name = "KEY=VALUE", env = "MINUTELY_KAFKA_PROPERTIES", help_heading = "Kafka")]
    pub(crate) properties: Vec<String>,

    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `--partition-by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartitionBy {
    /// The source's partition.
    Source,
    /// Chosen by the key.
    Key,
}

const PARTITION_BY: [Choice<PartitionBy>; 2] = [
    ("source", "the source's", PartitionBy::Source),
    ("key", "chosen by its key (murmur2, as Java's clients do)", PartitionBy::Key),
];

/// `--stamp`: which stamp a record gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Not given: the source's stamp or the event time; a record that would be deleted at once is refused.
    Safe,
    /// `event`: the source's stamp or the event time, whatever the topic does with it.
    Event,
    /// `now`: when it is written.
    Now,
    /// `broker`: the one that the broker gives it (LogAppendTime).
    Broker,
}

const STAMPS: [Choice<Stamp>; 3] = [
    ("event", "the source's stamp, or else the event time", Stamp::Event),
    ("now", "the time of writing", Stamp::Now),
    ("broker", "the broker's own clock; the topic has message.timestamp.type=LogAppendTime", Stamp::Broker),
];
