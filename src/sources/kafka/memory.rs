//! How much each partition may hold of what is fetched and not read yet. librdkafka's bounds are for each partition queue and
//! are fixed when a client is made, so one budget for the process is divided by the partitions that it reads at its start.
//!
//! A queue is filled while it is below two bounds, messages and bytes of payload, by fetches of a bounded size (as the broker
//! keeps them: compressed). A message costs librdkafka some 400 bytes beside its payload, and one fetch may come on top of the
//! bounds, unpacked; a broker sends one batch at least, however large. The figures are those of a measurement:
//! `experiments/2026-11-29-debian12-2core-fetch-memory`.

use rdkafka::config::ClientConfig;

/// Bytes that a message takes in a queue, with its payload.
const MESSAGE: u64 = 512;
/// More is of no use: some 10 ms of reading at full speed, so that the fetcher keeps ahead of the reader.
const MOST_MESSAGES: u64 = 20_000;
const MOST_KBYTES: u64 = 8192;
/// The default of 1 MB overshoots the bounds by one fetch a partition.
const MOST_FETCH: u64 = 262_144;
/// Less costs more requests than it saves memory.
const LEAST_MESSAGES: u64 = 100;
const LEAST_FETCH: u64 = 16_384;

/// The properties that bound a partition's queue.
pub(super) const BOUNDS: [&str; 3] = ["queued.min.messages", "queued.max.messages.kbytes", "fetch.message.max.bytes"];

/// Their values, in the order of [`BOUNDS`], where `partitions` of them share `budget` bytes.
fn bounds(budget: u64, partitions: usize) -> [u64; 3] {
    let each = budget / u64::try_from(partitions.max(1)).unwrap_or(u64::MAX);
    [
        (each / MESSAGE).clamp(LEAST_MESSAGES, MOST_MESSAGES),
        (each / 1000).clamp(LEAST_FETCH / 1000, MOST_KBYTES),
        (each / 32).clamp(LEAST_FETCH, MOST_FETCH),
    ]
}

/// Sets the bounds that the user has not set.
pub(super) fn divide(config: &mut ClientConfig, given: &[(String, String)], budget: u64, partitions: usize) {
    for (name, value) in BOUNDS.into_iter().zip(bounds(budget, partitions)) {
        let alias = name == "fetch.message.max.bytes" && is_given(given, "max.partition.fetch.bytes");
        if !is_given(given, name) && !alias {
            config.set(name, value.to_string());
        }
    }
}

/// A warning where the user has set a bound.
pub(super) fn warning(given: &[(String, String)]) -> Option<String> {
    let name = BOUNDS.into_iter().find(|name| is_given(given, name))?;
    Some(format!("-X {name} is taken as given, for each partition: --fetch-memory does not bound what is fetched"))
}

fn is_given(given: &[(String, String)], name: &str) -> bool {
    given.iter().any(|(given, _)| given == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 256_000_000;

    #[test]
    fn a_budget_is_divided_between_what_is_useful_and_what_is_needed() {
        assert_eq!(bounds(BUDGET, 1), [20_000, 8192, 262_144]);
        assert_eq!(bounds(BUDGET, 20), [20_000, 8192, 262_144], "as much as is of use");
        assert_eq!(bounds(BUDGET, 100), [5000, 2560, 80_000]);
        assert_eq!(bounds(BUDGET, 1000), [500, 256, 16_384]);
        assert_eq!(bounds(BUDGET, 1_000_000), [100, 16, 16_384]);
        assert_eq!(bounds(4 * BUDGET, 1000), bounds(BUDGET, 250));
        assert_eq!(bounds(BUDGET, 0), bounds(BUDGET, 1));
    }

    #[test]
    fn what_the_user_has_set_stays() {
        let given =
            [("queued.min.messages".to_owned(), "7".to_owned()), ("max.partition.fetch.bytes".into(), "9".into())];
        let mut config = crate::kafka::consumer_config(None, &given);
        divide(&mut config, &given, BUDGET, 100);
        let bounds = BOUNDS.map(|name| config.get(name));
        assert_eq!(bounds, [Some("7"), Some("2560"), None]);
        assert!(warning(&given).unwrap().starts_with("-X queued.min.messages is taken as given"));
        assert_eq!(warning(&[]), None);
    }
}
