//! Frontier: how far something is complete, as a lower bound of the epochs that may still come.

use crate::time::Epoch;
use timely::progress::frontier::AntichainRef;

/// How far something is complete. In order: a later frontier is the greater one, and [`Frontier::Done`] the greatest.
/// The default says that no epoch is known to be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frontier {
    /// Epochs before this are complete. This one may still get more.
    At(Epoch),
    /// Nothing will come any more.
    Done,
}

impl Default for Frontier {
    fn default() -> Self {
        Frontier::At(0)
    }
}

impl Frontier {
    /// As timely tells it: the one least epoch, or none when all is done.
    pub(crate) fn of(frontier: AntichainRef<'_, Epoch>) -> Self {
        frontier.first().map_or(Frontier::Done, |epoch| Frontier::At(*epoch))
    }

    /// Is this epoch complete?
    pub fn passed(self, epoch: Epoch) -> bool {
        self > Frontier::At(epoch)
    }

    /// Are all epochs before this one complete?
    pub fn reached(self, epoch: Epoch) -> bool {
        self >= Frontier::At(epoch)
    }

    /// How many epochs before this one may still get more.
    pub fn open_before(self, epoch: Epoch) -> u64 {
        match self {
            Frontier::At(least) => epoch.saturating_sub(least),
            Frontier::Done => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_complete_once_the_frontier_is_beyond_it() {
        let at = Frontier::At(7);
        assert_eq!((at.passed(6), at.passed(7), at.reached(7), at.reached(8)), (true, false, true, false));
        assert_eq!((at.open_before(7), at.open_before(9)), (0, 2));
        assert!(Frontier::Done > Frontier::At(Epoch::MAX));
        assert_eq!((Frontier::Done.passed(Epoch::MAX), Frontier::Done.open_before(9)), (true, 0));
    }

    #[test]
    fn by_default_nothing_is_known_to_be_complete() {
        assert!(!Frontier::default().passed(0));
        assert_eq!(Frontier::default(), Frontier::of(AntichainRef::new(&[0])));
        assert_eq!(Frontier::Done, Frontier::of(AntichainRef::new(&[])));
    }
}
