//! Several texts under one key at once.
//!
//! CMAC is a chain: each block waits for the one before, and meanwhile the processor's AES unit is mostly idle. Chains
//! of several texts, taken a block from each in turn, keep it busy. (CTR has no chain.)

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser};

use super::blocks::{Block, Subkeys, ctr, encrypt, s2v_end, s2v_start, split, xor};
use super::{SivKey, release_if_equal, split_sealed};
use crate::Error;

/// How many texts are taken at once, at most.
pub(crate) const LANES: usize = 8;

impl SivKey {
    /// The synthetic IVs of the first [`LANES`] plaintexts, all with the same associated data.
    pub(crate) fn sivs(&self, associated_data: &[u8], plaintexts: &[&[u8]]) -> [Block; LANES] {
        let mut sivs = [Block::default(); LANES];
        self.cipher.encrypt_with_backend(SivMany {
            subkeys: &self.subkeys,
            associated_data,
            plaintexts,
            sivs: &mut sivs,
        });
        sivs
    }

    /// The rest of sealing, given the synthetic IV of the plaintext and its associated data.
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `sealed` is 16 bytes longer than `plaintext`.
    pub(crate) fn seal_with(&self, siv: &Block, plaintext: &[u8], sealed: &mut [u8]) -> Result<(), Error> {
        let (head, ciphertext) = split_sealed(sealed, plaintext.len())?;
        *head = *siv;
        self.cipher.encrypt_with_backend(Ctr { siv, input: plaintext, output: ciphertext });
        Ok(())
    }

    /// Decrypts the first [`LANES`] texts and computes their synthetic IVs; [`Opening::verify`] must follow.
    pub(crate) fn open_many(&self, openings: &mut [Result<Opening<'_>, Error>]) {
        self.cipher.encrypt_with_backend(OpenMany { subkeys: &self.subkeys, openings });
    }
}

/// A sealed text while it is being opened among others.
pub(crate) struct Opening<'a> {
    pub(crate) associated_data: &'a [u8],
    pub(crate) sealed: &'a [u8],
    pub(crate) plaintext: &'a mut [u8],
    siv: &'a Block,
    ciphertext: &'a [u8],
    expected: Block,
}

impl<'a> Opening<'a> {
    /// # Errors
    /// [`Error::Malformed`] where `sealed` is shorter than 16 bytes, [`Error::OutputLength`] unless `plaintext` is 16
    /// bytes shorter than `sealed`.
    pub(crate) fn new(
        associated_data: &'a [u8],
        sealed: &'a [u8],
        plaintext: &'a mut [u8],
    ) -> Result<Self, Error> {
        let (siv, ciphertext) = sealed.split_first_chunk().ok_or(Error::Malformed)?;
        if plaintext.len() != ciphertext.len() {
            return Err(Error::OutputLength);
        }
        Ok(Self { associated_data, sealed, plaintext, siv, ciphertext, expected: Block::default() })
    }

    /// Compares the tags.
    ///
    /// # Errors
    /// [`Error::NotAuthentic`]; the plaintext is then zero.
    pub(crate) fn verify(&mut self) -> Result<(), Error> {
        release_if_equal(self.siv, &self.expected, self.plaintext)
    }
}

/// S2V of several plaintexts.
struct SivMany<'a> {
    subkeys: &'a Subkeys,
    associated_data: &'a [u8],
    plaintexts: &'a [&'a [u8]],
    sivs: &'a mut [Block; LANES],
}

impl BlockSizeUser for SivMany<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for SivMany<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let d = s2v_start(backend, self.subkeys, &[self.associated_data]);
        s2v_many(backend, self.subkeys, self.plaintexts.iter().map(|text| (d, *text)), self.sivs);
    }
}

/// CTR of one text.
struct Ctr<'a> {
    siv: &'a Block,
    input: &'a [u8],
    output: &'a mut [u8],
}

impl BlockSizeUser for Ctr<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Ctr<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        ctr(backend, *self.siv, self.input, self.output);
    }
}

/// CTR and S2V of several texts.
struct OpenMany<'a, 'b> {
    subkeys: &'a Subkeys,
    openings: &'a mut [Result<Opening<'b>, Error>],
}

impl BlockSizeUser for OpenMany<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for OpenMany<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for opening in self.openings.iter_mut().flatten() {
            ctr(backend, *opening.siv, opening.ciphertext, opening.plaintext);
        }
        let inputs = self.openings.iter().flatten().map(|opening| {
            let d = s2v_start(backend, self.subkeys, &[opening.associated_data]);
            (d, &*opening.plaintext)
        });
        let mut expected = [Block::default(); LANES];
        s2v_many(backend, self.subkeys, inputs, &mut expected);
        for (opening, expected) in self.openings.iter_mut().flatten().zip(expected) {
            opening.expected = expected;
        }
    }
}

/// The rest of S2V for the first [`LANES`] plaintexts, each with the sum `d` of what comes before it.
#[inline(always)]
fn s2v_many<'a, B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    subkeys: &Subkeys,
    inputs: impl Iterator<Item = (Block, &'a [u8])>,
    results: &mut [Block; LANES],
) {
    let mut lanes = [Lane { d: Block::default(), chain: Block::default(), head: &[], tail: &[] }; LANES];
    let mut count = 0;
    for (lane, (d, plaintext)) in lanes.iter_mut().zip(inputs) {
        let (head, tail) = split(plaintext);
        *lane = Lane { d, chain: Block::default(), head, tail };
        count += 1;
    }
    let lanes = &mut lanes[..count];
    let longest = lanes.iter().map(|lane| lane.head.len()).max().unwrap_or(0);
    for i in 0..longest {
        for lane in &mut *lanes {
            if let Some(block) = lane.head.get(i) {
                lane.chain = encrypt(backend, xor(lane.chain, *block));
            }
        }
    }
    for (result, lane) in results.iter_mut().zip(lanes) {
        *result = s2v_end(backend, subkeys, lane.d, lane.chain, lane.tail);
    }
}

/// One plaintext's state in S2V.
#[derive(Clone, Copy)]
struct Lane<'a> {
    d: Block,
    chain: Block,
    head: &'a [Block],
    tail: &'a [u8],
}
