//! A rejected letter as a record that the run reads: what the letters' options make of it, written so that the run's own give the same event.

use super::path::PayloadPath;
use super::plan::FieldMap;
use super::raw::RawObject;
use crate::amend::{LetterPlace, one_event, wrapped};
use crate::dead_letter_line::DeadLetterLine;
use minutely_dataflows::decimal::Decimal;
use minutely_dataflows::decode::{DecodedEvent, Decoder, FieldNames};
use minutely_dataflows::edge::Halt;
use minutely_dataflows::escape::shortened;
use minutely_dataflows::record::Record;
use minutely_dataflows::time::EventTime;

/// Fields, and what decodes by them.
pub(super) struct DecodingRule<'a> {
    pub(super) fields: &'a FieldNames,
    pub(super) decoder: Decoder,
}

/// A record that counts where a letter did not.
#[derive(Clone, Debug)]
pub(super) struct CorrectedLetter {
    pub(super) place: LetterPlace,
    /// JSON.
    pub(super) payload: String,
    pub(super) key: Option<Vec<u8>>,
    /// Of the letter's record, where the log still has it.
    pub(super) timestamp: Option<EventTime>,
    pub(super) event: DecodedEvent<'static>,
}

/// What letters are read by, and what the run reads.
pub(super) struct Corrector<'a> {
    pub(super) letters: DecodingRule<'a>,
    pub(super) run: DecodingRule<'a>,
    pub(super) maps: &'a [FieldMap],
}

impl Corrector<'_> {
    /// Corrects a letter; else why it still cannot count, in words. `timestamp`: that of its record, where it is known.
    ///
    /// # Errors
    /// A registry of schemas does not answer.
    pub(super) fn correct(
        &self,
        place: LetterPlace,
        line: &DeadLetterLine<'_>,
        timestamp: Option<EventTime>,
    ) -> Result<Result<CorrectedLetter, String>, Halt> {
        let Some(raw) = line.raw.as_deref() else { return Ok(Err("has no payload".into())) };
        if line.raw_of_bytes.is_some() {
            return Ok(Err("is longer than the letter has of it".into()));
        }
        let (key, offset) = (line.key.as_deref(), place.offset);
        // (A symbol may be of the log's name.)
        let letters = self.letters.decoder.for_partition(&place.partition);
        let run = self.run.decoder.for_partition(&place.partition);
        let mapped = match self.mapped(raw) {
            Ok(mapped) => mapped,
            Err(why) => return Ok(Err(why)),
        };
        let at = Record { offset, timestamp, key, ..Record::default() };
        let of = place.element.is_some();
        let alone = self.letters.fields.each.as_deref().filter(|_| of).map(|each| wrapped(each, &mapped));
        let element = self.letters.fields.each.is_some().then_some(0);
        let event = match one_event(&letters, &with(at, alone.as_deref().unwrap_or(&mapped)), element)? {
            Ok(event) => event,
            Err(why) => return Ok(Err(why)),
        };
        let event = match self.at_the_scale_of_the_run(event) {
            Ok(event) => event,
            Err(why) => return Ok(Err(why)),
        };
        let text = std::str::from_utf8(&mapped).ok().filter(|text| RawObject::parse(text).is_some());
        let plain = text.unwrap_or("{}").to_owned();
        for text in [Some(plain.clone()), self.rewritten(&plain, &event)].into_iter().flatten() {
            let payload = match &self.run.fields.each {
                Some(each) => String::from_utf8(wrapped(each, text.as_bytes())).expect("text around text"),
                None => text,
            };
            let element = self.run.fields.each.is_some().then_some(0);
            let read = one_event(&run, &with(at, payload.as_bytes()), element)?;
            if read.is_ok_and(|read| is_same(&read, &event)) {
                let key = line.key.as_deref().map(<[u8]>::to_vec);
                return Ok(Ok(CorrectedLetter { place, payload, key, timestamp, event }));
            }
        }
        Ok(Err(
            "can be read, and not be written so that the run's own options read the same: give a --map for each field"
                .into(),
        ))
    }

    /// What the letters' options read is an integer of their scale. Nothing is rounded: the letter is told instead.
    fn at_the_scale_of_the_run<'b>(&self, event: DecodedEvent<'b>) -> Result<DecodedEvent<'b>, String> {
        let (from, to) = (self.letters.decoder.scales(), self.run.decoder.scales());
        let same = |number: Decimal, (from, to): (u8, u8), (what, option): (&str, &str)| {
            number.rescaled(from, to).map_err(|_| {
                format!(
                    "its {what} does not fit {option} {to} of this job, and a job's decimals cannot change: a new job \
                     counts it"
                )
            })
        };
        let value = same(event.value, (from.value, to.value), ("value", "--decimals"))?;
        let weight = event.weight.map(|weight| same(weight, (from.weight, to.weight), ("weight", "--weight-decimals")));
        Ok(DecodedEvent { value, weight: weight.transpose()?, ..event })
    }

    /// The payload with each mapped field.
    fn mapped(&self, raw: &[u8]) -> Result<Vec<u8>, String> {
        if self.maps.is_empty() {
            return Ok(raw.to_vec());
        }
        let text = std::str::from_utf8(raw).map_err(|_| "is not UTF-8, so --map finds nothing in it".to_owned())?;
        if serde_json::from_str::<&serde_json::value::RawValue>(text).is_err() {
            return Err("is no JSON, so --map finds nothing in it".to_owned());
        }
        let mut all = text.to_owned();
        for map in self.maps {
            let value = map.from.get(text).ok_or_else(|| format!("--map {}: there is no such value", map.shown))?;
            let field = PayloadPath::of_field(&map.name);
            let set = field.and_then(|field| field.set(&all, &value));
            all = set.ok_or_else(|| format!("--map {}: the field cannot be put there", map.shown))?;
        }
        Ok(all.into_bytes())
    }

    /// The payload with the fields of this event as the run has them; none where a field is not of the payload.
    fn rewritten(&self, payload: &str, event: &DecodedEvent<'_>) -> Option<String> {
        let FieldNames { symbol, value, time, times, weight, numbers, .. } = self.run.fields;
        let scales = self.run.decoder.scales();
        let mut text = payload.to_owned();
        let mut set = |field: &str, to: &str| {
            let path = PayloadPath::of_field(field)?;
            text = path.set(&text, to)?;
            Some(())
        };
        if let [symbol] = symbol.as_slice() {
            // (One of the key or of the log's name is what it was.)
            let name = serde_json::Value::String(event.symbol.to_string()).to_string();
            let _of_the_payload = set(symbol, &name);
        }
        let exact = event.value.with_decimals(scales.value).to_string();
        set(value, &unscaled(&exact, &numbers.value_scale.to_string())?)?;
        if let ([time], None) = (time.as_slice(), &times.format) {
            let _of_the_payload = set(time, &in_unit(event.time, times.unit.nanoseconds()));
        }
        if let (Some(field), Some(weight)) = (weight, event.weight) {
            set(field, &weight.with_decimals(scales.weight).to_string())?;
        }
        Some(text)
    }
}

/// A record with this payload.
fn with<'a>(record: Record<'a>, payload: &'a [u8]) -> Record<'a> {
    Record { payload: Some(payload), ..record }
}

/// Does the run read what the letters' options read?
fn is_same(read: &DecodedEvent<'_>, event: &DecodedEvent<'_>) -> bool {
    let numbers = |event: &DecodedEvent<'_>| (event.value, event.time, event.weight, event.weight_beyond);
    read.symbol == event.symbol && read.id == event.id && numbers(read) == numbers(event)
}

/// A number of units, with all its digits.
fn in_unit(time: EventTime, unit: i64) -> String {
    let (whole, rest) = (time.0 / unit, (time.0 % unit).abs());
    let sign = if time.0 < 0 && whole == 0 { "-" } else { "" };
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let digits = unit.ilog10() as usize;
    format!("{sign}{whole}.{}", format!("{rest:0digits$}").trim_end_matches('0'))
}

/// What times a power of ten is this number; none for another factor.
fn unscaled(number: &str, factor: &str) -> Option<String> {
    if factor == "1" {
        return Some(number.to_owned());
    }
    let (whole, part) = factor.split_once('.').unwrap_or((factor, ""));
    let power = match (whole.trim_end_matches('0'), part) {
        ("1", "") => -i64::try_from(whole.len() - 1).ok()?,
        ("", part) if part.trim_start_matches('0') == "1" => i64::try_from(part.len()).ok()?,
        _ => return None,
    };
    Some(format!("{number}e{power}"))
}

/// For messages: the beginning of a payload.
pub(super) fn shown(line: &DeadLetterLine<'_>) -> String {
    let raw = line.raw.as_deref().unwrap_or_default();
    shortened(&String::from_utf8_lossy(&raw[..raw.len().min(1000)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_all_their_digits() {
        assert_eq!(in_unit(EventTime(1_500_000_000), 1_000_000_000), "1.5");
        assert_eq!(in_unit(EventTime(-1_500_000_001), 1_000_000), "-1500.000001");
        assert_eq!(in_unit(EventTime(-5), 1_000), "-0.005");
        assert_eq!(in_unit(EventTime(7), 1), "7");
        assert_eq!(unscaled("12.5", "1").unwrap(), "12.5");
        assert_eq!(unscaled("12.5", "0.01").unwrap(), "12.5e2");
        assert_eq!(unscaled("12.5", "1000").unwrap(), "12.5e-3");
        assert_eq!((unscaled("12.5", "0.3"), unscaled("12.5", "20")), (None, None));
    }
}
