//! Several texts at once, under one key or several.
//!
//! CMAC is a chain: each block waits for the one before, and meanwhile the processor's AES unit is mostly idle. Chains
//! of several texts, taken a block from each in turn, keep it busy. CTR has no chain, but a short text has few blocks:
//! there too several texts go together. See `engine` for how many.

use super::SivKey;
use super::blocks::{Block, Ends, split};
use super::engine::{Cipher, Lane};
use crate::wire::TIMESTAMP_LEN;

pub(crate) use super::engine::{CtrText, LANES};

/// The state of S2V after the associated data.
#[derive(Clone, Copy)]
pub(crate) struct Start(Block);

/// The parts of [`SivKey::seal`] and [`SivKey::open`], for up to [`LANES`] texts at once, with timestamps as their
/// associated data.
impl SivKey {
    /// S2V up to the plaintext.
    pub(crate) fn starts<'a>(
        &self,
        timestamps: impl Iterator<Item = &'a [u8; TIMESTAMP_LEN]>,
    ) -> [Start; LANES] {
        let mut lanes = Lanes::new();
        for timestamp in timestamps.take(LANES) {
            lanes.push(&[], |ends| ends.set_short(&self.subkeys, timestamp));
        }
        lanes.chains(&self.cipher).map(|cmac| Start(self.subkeys.after_one(cmac)))
    }

    /// The synthetic IVs.
    #[inline]
    pub(crate) fn sivs<'a>(&self, texts: impl Iterator<Item = (Start, &'a [u8])>) -> [Block; LANES] {
        let mut lanes = Lanes::new();
        for (Start(d), plaintext) in texts.take(LANES) {
            let (head, tail) = split(plaintext);
            lanes.push(head, |ends| ends.set(&self.subkeys, d, tail));
        }
        lanes.chains(&self.cipher)
    }

    /// Encrypts or decrypts, any number of texts.
    ///
    /// # Panics
    /// Where an output is not as long as its input.
    #[inline]
    pub(crate) fn ctr_many<'a>(&self, texts: impl Iterator<Item = CtrText<'a>>) {
        self.cipher.ctr_many(texts);
    }
}

/// Lanes, filled where they are: a copy would wait for the bytes that were just written.
struct Lanes<'a> {
    lanes: [Lane<'a>; LANES],
    count: usize,
}

impl<'a> Lanes<'a> {
    #[inline(always)]
    fn new() -> Self {
        Self { lanes: [Lane { head: &[], ends: Ends::NONE }; LANES], count: 0 }
    }

    #[inline(always)]
    fn push(&mut self, head: &'a [Block], ends: impl FnOnce(&mut Ends)) {
        let lane = &mut self.lanes[self.count];
        lane.head = head;
        ends(&mut lane.ends);
        self.count += 1;
    }

    fn chains(&mut self, cipher: &Cipher) -> [Block; LANES] {
        let mut results = [Block::default(); LANES];
        if self.count > 0 {
            // A lane too many costs nothing: it does what the first does, and nobody looks at its result.
            let first = self.lanes[0];
            self.lanes[self.count..].fill(first);
            cipher.chains(&self.lanes, self.count, &mut results);
        }
        results
    }
}
