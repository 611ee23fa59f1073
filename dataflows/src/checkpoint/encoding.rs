//! A manifest as bytes, and the first manifest of a run, which names the bytes before it.

use super::damage::{Damage, FORMAT, hash};
use super::manifest::Manifest;
use super::valid;
use crate::mutants::{self, Mutant};
use serde::Deserialize;

impl Manifest {
    /// As bytes: JSON, and a last line with its hash.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("memory takes it, and keys are text");
        bytes.push(b'\n');
        let last_line = hash(&bytes);
        bytes.extend_from_slice(last_line.as_bytes());
        bytes.push(b'\n');
        bytes
    }

    /// From bytes.
    ///
    /// # Errors
    /// When the bytes are damaged, or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        const LINE: usize = 33;
        let (body, last_line) = bytes.split_at_checked(bytes.len().wrapping_sub(LINE)).unwrap_or((bytes, b""));
        if last_line.strip_suffix(b"\n") != Some(hash(body).as_bytes()) {
            return Err(Damage::new("its last line is not the hash of the others: it is damaged, or was changed"));
        }
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let damage = |e: serde_json::Error| Damage::new(format!("its hash is right and its content is not: {e}"));
        let Versioned { format } = serde_json::from_slice(body).map_err(damage)?;
        if format > FORMAT {
            return Err(Damage::newer(format));
        }
        let manifest = serde_json::from_slice(body).map_err(damage)?;
        valid::check(&manifest)?;
        Ok(manifest)
    }

    /// The manifest that a run publishes before anything else: this one, of the next generation. (Its sinks are the run's by
    /// then: [`Manifest::sinks_of_run`].) `run` is a name that no other run has.
    #[must_use]
    pub fn restarted(&self, run: &str) -> Self {
        Manifest {
            generation: self.generation + u64::from(!mutants::on(Mutant::EpochReused)),
            run: run.to_owned(),
            seq: self.seq + 1,
            parent: (self.seq > 0).then(|| hash(&self.encode())),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{ObjectRef, PartTrail, SinkState, TrailRef, TrailStart, WorkerObjects};
    use crate::time::{EventTime, WindowStart};

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let manifest = Manifest {
            format: FORMAT,
            semantics: [("--window".to_owned(), "1m".to_owned())].into(),
            seq: 7,
            parts: vec![WorkerObjects {
                objects: vec![ObjectRef::of("a", b"abc", 1)],
                retired_before: Some(WindowStart(-60)),
                ids: vec![ObjectRef::of("b", b"abc", 2)],
                folds: vec![ObjectRef::of("c", b"abc", 3)],
                index: vec![ObjectRef::of("d", b"abc", 4)],
                trail: Some(PartTrail {
                    start: TrailStart { seq: 3, at: EventTime(8) },
                    objects: vec![TrailRef {
                        object: ObjectRef::of("e", b"abc", 5),
                        from: EventTime(8),
                        until: EventTime(9),
                        last: 6,
                    }],
                    deltas: Vec::new(),
                }),
            }],
            ..Manifest::default()
        };
        let bytes = manifest.encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(Manifest::decode(&changed).is_err(), "bit {bit} of byte {at}");
            }
            assert!(Manifest::decode(&bytes[..at]).is_err());
        }
        let newer = Manifest { format: FORMAT + 1, ..manifest }.encode();
        assert!(Manifest::decode(&newer).unwrap_err().to_string().contains("format 2"));
        assert!(ObjectRef::of("a", b"abc", 1).check(b"abd").is_err());
    }

    /// Fields are named by the glossary here, and as format 1 has them on disk.
    #[test]
    fn names_on_disk_are_those_of_format_1() {
        let sink = SinkState { name: "csv:a".into(), stored_before: Some(WindowStart(60)), ..SinkState::default() };
        let part = WorkerObjects { retired_before: Some(WindowStart(120)), ..WorkerObjects::default() };
        let manifest = Manifest { parts: vec![part], sinks: vec![sink], ..Manifest::default() };
        let bytes = manifest.encode();
        let json: serde_json::Value = serde_json::from_slice(&bytes[..bytes.len() - 33]).unwrap();
        assert_eq!((&json["parts"][0]["line"], &json["sinks"][0]["line"]), (&120.into(), &60.into()));
        assert!(json["letters"]["name"].is_string());
    }
}
