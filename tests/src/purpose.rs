//! Why a document exists.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::Options;

/// What a document is made to provoke further down the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be written.
    Good,
    /// Not shipped: a mapping skips it.
    Skip,
    /// Something that must be there is missing: a mapping rejects it.
    Reject,
    /// Maps well, and the target refuses it.
    Refuse,
    /// Came in through the admin page; nobody knows.
    Given,
}

impl Purpose {
    pub fn text(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Skip => "skip",
            Self::Reject => "reject",
            Self::Refuse => "refuse",
            Self::Given => "given",
        }
    }

    /// By the shares that the options ask for.
    pub fn draw(chance: &mut ChaCha8Rng, options: &Options) -> Self {
        let roll = chance.random_range(0..100);
        let (skip, reject) = (options.skip_percent, options.skip_percent + options.reject_percent);
        match roll {
            roll if roll < skip => Self::Skip,
            roll if roll < reject => Self::Reject,
            roll if roll < reject + options.refuse_percent => Self::Refuse,
            _ => Self::Good,
        }
    }
}
