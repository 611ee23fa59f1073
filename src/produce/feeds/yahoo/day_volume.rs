//! The volume between two quotes, from totals of a day that only grow.
//!
//! The first total of a symbol, and the first of each day, is no volume between two quotes: it is unknown. A day begins
//! where the total falls (Yahoo says of no quote which day it counts), or after a silence that no market has within a day.

use std::collections::HashMap;

/// The longest silence within a trading day: the pauses at noon in Asia are shorter, nights are longer.
const LONGEST_PAUSE_MS: i64 = 3 * 3_600_000;

/// The last total of each symbol, and of when it is.
#[derive(Debug, Default)]
pub(super) struct DayVolumes {
    last: HashMap<String, (i64, i64)>,
}

impl DayVolumes {
    /// What was traded since the quote before; none where that is not known.
    pub(super) fn since_last(&mut self, symbol: &str, total: i64, time_ms: i64) -> Option<i64> {
        let Some((before, at)) = self.last.get_mut(symbol) else {
            self.last.insert(symbol.to_owned(), (total, time_ms));
            return None;
        };
        let passed = time_ms.saturating_sub(*at);
        if passed < 0 {
            return None; // an older quote: its total is in the newer one
        }
        let traded = total.checked_sub(*before).filter(|traded| *traded >= 0 && passed <= LONGEST_PAUSE_MS);
        (*before, *at) = (total, time_ms);
        traded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_differenced_within_a_day() {
        let (mut volumes, second) = (DayVolumes::default(), 1000);
        let mut traded = |total, at| volumes.since_last("A", total, at * second);
        assert_eq!(traded(1000, 0), None, "the first");
        assert_eq!((traded(1250, 5), traded(1250, 6)), (Some(250), Some(0)));
        assert_eq!(traded(1200, 3), None, "an older quote");
        assert_eq!(traded(1300, 7), Some(50), "and it changed nothing");
        assert_eq!(traded(40, 8), None, "a new day");
        assert_eq!(traded(90, 3 * 3600 + 8), Some(50));
        assert_eq!(traded(500_000, 16 * 3600), None, "after a night");
        assert_eq!(traded(500_001, 16 * 3600), Some(1));
        assert_eq!(volumes.since_last("B", 7, 0), None, "each symbol by itself");
        assert_eq!(volumes.since_last("A", i64::MIN, 16 * 3600 * second), None);
    }
}
