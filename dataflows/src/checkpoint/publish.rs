//! How a manifest comes into the chain: effects on the store, one after the other, and what their answers mean. Pure.
//!
//! ```text
//!   create ── created ──────────────────────> find newest ── it is ──> collect: the manifest is committed
//!     └ exists ──> read back ── ours (a reply     └ it is not, or the manifest is another run's ──> fenced
//!                               was lost) ──^
//! ```
//!
//! A run that was taken over creates a number that another has created, or one that was collected since; then others have
//! followed it. So the second look is needed: the manifest that is the newest *after* it was created is what all later ones
//! build upon, and the run of any other has committed nothing and may touch nothing any more. To look whether the parent is
//! still there would be less: the first manifest has none, a run that died between its two steps leaves a parent that
//! no run collects, and a zombie's useless manifest would pass for the parent of the next.

use crate::mutants::{self, Mutant};

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishStep {
    /// Create the manifest, if nothing has its number.
    Create,
    /// Read what has its number.
    ReadBack,
    /// Look for the newest manifest.
    FindNewest,
    /// It is committed: what its parent needed and it does not may go, and so may the oldest manifests.
    Collect,
    /// Another run has continued the chain, and this one ends; why.
    Fenced(String),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreReply {
    /// [`PublishStep::Create`]: it was created.
    Created,
    /// [`PublishStep::Create`]: something has its number.
    Exists,
    /// [`PublishStep::ReadBack`]: are these its bytes?
    Ours(bool),
    /// [`PublishStep::FindNewest`]: its number.
    Newest(u64),
}

impl PublishStep {
    /// The step after a reply, for manifest `seq`.
    ///
    /// # Panics
    /// When the reply is not one to this step.
    #[must_use]
    pub fn after(&self, seq: u64, reply: StoreReply) -> PublishStep {
        match (self, reply) {
            (PublishStep::Create, StoreReply::Created) if mutants::on(Mutant::FollowersIgnored) => PublishStep::Collect,
            (PublishStep::Create, StoreReply::Created) | (PublishStep::ReadBack, StoreReply::Ours(true)) => {
                PublishStep::FindNewest
            }
            (PublishStep::Create, StoreReply::Exists) => PublishStep::ReadBack,
            (PublishStep::ReadBack, StoreReply::Ours(false)) => {
                PublishStep::Fenced(format!("manifest {seq} is another run's"))
            }
            (PublishStep::FindNewest, StoreReply::Newest(newest)) if newest == seq => PublishStep::Collect,
            (PublishStep::FindNewest, StoreReply::Newest(newest)) => {
                PublishStep::Fenced(format!("manifest {newest} has followed {seq}"))
            }
            (step, reply) => panic!("{reply:?} is no reply to {step:?}"),
        }
    }

    /// Does a run that has come to this step delete what is old?
    pub fn collects(&self) -> bool {
        match self {
            PublishStep::Collect => true,
            PublishStep::Fenced(_) => mutants::on(Mutant::ZombieCollects),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes all the way; what is asked of the store, and where it ends.
    fn way(seq: u64, replies: &[StoreReply]) -> (Vec<PublishStep>, PublishStep) {
        let mut step = PublishStep::Create;
        let mut asked = Vec::new();
        for reply in replies {
            asked.push(step.clone());
            step = step.after(seq, *reply);
        }
        (asked, step)
    }

    #[test]
    fn only_who_created_it_and_is_the_newest_has_committed() {
        use StoreReply::{Created, Exists, Newest, Ours};
        assert_eq!(way(1, &[Created, Newest(1)]).1, PublishStep::Collect);
        assert_eq!(way(7, &[Exists, Ours(true), Newest(7)]).1, PublishStep::Collect, "the reply was lost");
        for replies in [&[Created, Newest(9)][..], &[Exists, Ours(false)], &[Exists, Ours(true), Newest(8)]] {
            let (asked, end) = way(7, replies);
            assert!(matches!(end, PublishStep::Fenced(_)) && !end.collects(), "{asked:?}");
        }
    }
}
