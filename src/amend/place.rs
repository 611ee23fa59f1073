//! Where a letter's record stands, as an amended row names it: `ticks/3@4711`, or `ticks/3@4711#2` of its element 2.

use crate::dead_letter_line::DeadLetterPlace;
use minutely_dataflows::oracle::Position;
use minutely_dataflows::record::PartitionName;
use std::fmt;

/// In this order letters are listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LetterPlace {
    pub(crate) partition: PartitionName,
    pub(crate) offset: i64,
    /// Where records are taken apart (`--each`).
    pub(crate) element: Option<u32>,
}

impl LetterPlace {
    /// Of a line; none where it names no log.
    pub(crate) fn of(line: &DeadLetterPlace<'_>) -> Option<Self> {
        let log = line.topic.as_ref().or(line.path.as_ref())?.to_string();
        let partition = PartitionName { log, number: line.partition };
        Some(LetterPlace { partition, offset: line.offset, element: line.element })
    }

    /// From its text, of one of these partitions.
    pub(crate) fn parse<'p>(text: &str, partitions: impl IntoIterator<Item = &'p PartitionName>) -> Option<Self> {
        let (name, place) = text.rsplit_once('@')?;
        let (offset, element) = match place.split_once('#') {
            Some((offset, element)) => (offset, Some(element.parse().ok()?)),
            None => (place, None),
        };
        let partition = partitions.into_iter().find(|known| escaped(&known.to_string()) == name)?.clone();
        Some(LetterPlace { partition, offset: offset.parse().ok()?, element })
    }

    /// As the oracle knows it.
    pub(crate) fn position(&self) -> Position {
        (self.partition.identity(), self.offset, self.element)
    }
}

/// A name without blanks, which stand between places; a `%` is written so, too.
fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_whitespace() || c.is_control() || c == '%' {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| text.push_str(&format!("%{byte:02X}")));
        } else {
            text.push(c);
        }
    }
    text
}

impl fmt::Display for LetterPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", escaped(&self.partition.to_string()), self.offset)?;
        self.element.map_or(Ok(()), |element| write!(f, "#{element}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_whatever_the_log_is_called() {
        let name = |log: &str, number| PartitionName { log: log.into(), number };
        let names =
            [name("ticks", Some(3)), name("ticks", Some(13)), name("a b@7#1%20.jsonl", None), name("é\n", None)];
        for (partition, element) in names.iter().flat_map(|name| [(name, None), (name, Some(2))]) {
            let place = LetterPlace { partition: partition.clone(), offset: 4711, element };
            let text = place.to_string();
            assert!(!text.contains(char::is_whitespace), "{text}");
            assert_eq!(LetterPlace::parse(&text, &names), Some(place), "{text}");
        }
        assert_eq!(LetterPlace { partition: names[0].clone(), offset: 5, element: Some(1) }.to_string(), "ticks/3@5#1");
        for bad in ["", "ticks/3", "ticks/3@", "ticks/3@x", "ticks/3@5#", "other/3@5"] {
            assert_eq!(LetterPlace::parse(bad, &names), None, "{bad}");
        }
    }
}
