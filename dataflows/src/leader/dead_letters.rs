//! Dead letters of committed cuts on their way to where they are kept.

use crate::edge::{DeadLetterPort, Halt};
use crate::record::DeadLetter;
use crate::time::Epoch;
use std::collections::VecDeque;

/// See the module.
pub(super) struct DeadLetters {
    port: Box<dyn DeadLetterPort>,
    /// Cuts whose dead letters had no room yet, oldest first.
    waiting: VecDeque<(Epoch, Vec<DeadLetter>)>,
    /// The newest cut whose dead letters the place has accepted, and the newest whose dead letters it has stored.
    offered: Option<Epoch>,
    stored: Option<Epoch>,
    /// How long its file was when those of `stored` were stored, in bytes.
    position: Option<u64>,
}

impl DeadLetters {
    pub(super) fn new(port: Box<dyn DeadLetterPort>) -> Self {
        DeadLetters { port, waiting: VecDeque::new(), offered: None, stored: None, position: None }
    }

    /// How long the file was, in bytes, when an earlier run ended.
    pub(super) fn resume(&mut self, position: Option<u64>) {
        self.position = position;
    }

    /// The newest cut whose dead letters are stored, with those of all before it.
    pub(super) fn stored(&self) -> Option<Epoch> {
        self.stored
    }

    /// How long the file was then, in bytes.
    pub(super) fn position(&self) -> Option<u64> {
        self.position
    }

    /// A manifest is committed that says that the place has this position.
    pub(super) fn committed(&mut self, position: Option<u64>) {
        self.port.committed(position);
    }

    /// The dead letters of a committed cut are to be stored.
    pub(super) fn add(&mut self, cut: Epoch, dead_letters: Vec<DeadLetter>) {
        if !dead_letters.is_empty() {
            self.waiting.push_back((cut, dead_letters));
        }
    }

    /// Hands on what there is room for. How many cuts have dead letters that are not stored yet.
    pub(super) fn pump(&mut self) -> Result<usize, Halt> {
        while let Some((cut, dead_letters)) = self.waiting.pop_front() {
            if let Err(dead_letters) = self.port.offer(cut, dead_letters) {
                self.waiting.push_front((cut, dead_letters));
                break;
            }
            self.offered = Some(cut);
        }
        if let Some(stored) = self.port.stored()?.filter(|stored| Some(stored.at) > self.stored) {
            (self.stored, self.position) = (Some(stored.at), stored.position);
        }
        Ok(self.waiting.len() + usize::from(self.offered > self.stored))
    }
}
