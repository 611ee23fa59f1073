//! What the windows of a series are called in a checkpoint: those of minutes by the symbol, coarser ones by the symbol, a character that
//! no symbol has (R2: no control characters), and their length.

use super::level::WindowLevel;
use std::borrow::Cow;

/// Between a symbol and a length: "unit separator".
const SEPARATOR: char = '\u{1f}';

/// The name of these windows of a series; `None`: of its minutes.
pub(crate) fn stored_name(symbol: &str, level: Option<WindowLevel>) -> Cow<'_, str> {
    match level {
        None => Cow::Borrowed(symbol),
        Some(level) => Cow::Owned(format!("{symbol}{SEPARATOR}{level}")),
    }
}

/// The symbol, and the length of a coarser window as it was written.
pub(crate) fn split_name(name: &str) -> (&str, Option<&str>) {
    name.split_once(SEPARATOR).map_or((name, None), |(symbol, level)| (symbol, Some(level)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_those_of_minutes_are_symbols() {
        for symbol in ["AAPL", "5m", "a+b 1d", "é\u{2028}"] {
            assert_eq!(split_name(&stored_name(symbol, None)), (symbol, None));
            for level in ["5m", "1d+9h30m"] {
                assert_eq!(split_name(&stored_name(symbol, level.parse().ok())), (symbol, Some(level)));
            }
        }
    }
}
