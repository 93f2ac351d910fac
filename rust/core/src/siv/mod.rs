//! AES-SIV (RFC 5297) over a key context that is computed once: AES schedule, CMAC subkeys, CMAC of the zero block.
//!
//! [`SivKey`] is E4's form, in which one 32-byte key serves CMAC and CTR; [`TwoKeySiv`] is the general form of the
//! RFC. Both run the same code. Knows nothing of messages.
//!
//! A whole message runs inside one closure of the block cipher, so the choice of the AES implementation is made once
//! per message and the rounds are inlined; the functions of that path are therefore `inline(always)`.

mod blocks;
mod engine;
mod many;
mod two_key;
#[cfg(target_arch = "x86_64")]
mod x86;

use core::fmt;

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockSizeUser};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;
use crate::wire::{KEY_LEN, SIV_LEN};
use blocks::{Block, Subkeys, ctr, s2v};
use engine::Cipher;

pub use engine::Engine;
pub(crate) use many::{CtrText, LANES};
pub use two_key::{MAX_ASSOCIATED_DATA, TwoKeySiv};

/// The context of one 32-byte key k, used as k‖k (protocol, section 2).
pub struct SivKey {
    cipher: Cipher,
    subkeys: Subkeys,
}

impl SivKey {
    /// Computes the context for an engine; for the portable one where this processor cannot run that.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN], engine: Engine) -> Self {
        let cipher = Cipher::new(engine, key);
        let subkeys = Subkeys::new(|derive| cipher.run(derive));
        Self { cipher, subkeys }
    }

    /// The engine of this context.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.cipher.engine()
    }

    /// Encrypts and authenticates.
    ///
    /// ```text
    /// sealed:  SIV(16) ‖ ciphertext(n)
    /// ```
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `sealed` is 16 bytes longer than `plaintext`.
    pub fn seal(&self, associated_data: &[u8], plaintext: &[u8], sealed: &mut [u8]) -> Result<(), Error> {
        let (siv, ciphertext) = split_sealed(sealed, plaintext.len())?;
        let (cipher, subkeys) = (&self.cipher, &self.subkeys);
        cipher.run(Seal { subkeys, associated_data, plaintext, siv, ciphertext });
        Ok(())
    }

    /// Decrypts and verifies; in constant time as far as the tag is concerned.
    ///
    /// # Errors
    /// [`Error::Malformed`] where `sealed` is shorter than 16 bytes, [`Error::OutputLength`] unless `plaintext` is 16
    /// bytes shorter than `sealed`, [`Error::NotAuthentic`] where the tag does not verify; `plaintext` is then zero.
    pub fn open(&self, associated_data: &[u8], sealed: &[u8], plaintext: &mut [u8]) -> Result<(), Error> {
        let (siv, ciphertext) = sealed.split_first_chunk().ok_or(Error::Malformed)?;
        if plaintext.len() != ciphertext.len() {
            return Err(Error::OutputLength);
        }
        let mut expected = [0; SIV_LEN];
        self.cipher.run(Open {
            subkeys: &self.subkeys,
            associated_data,
            siv,
            ciphertext,
            plaintext,
            expected: &mut expected,
        });
        release_if_equal(siv, &expected, plaintext)
    }
}

/// The cipher and the subkeys are wiped by themselves.
impl ZeroizeOnDrop for SivKey {}

impl fmt::Debug for SivKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SivKey").finish_non_exhaustive()
    }
}

/// The marker is true only as long as this compiles.
const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Cipher>();
    wiped::<Subkeys>();
};

fn split_sealed(sealed: &mut [u8], plaintext_len: usize) -> Result<(&mut Block, &mut [u8]), Error> {
    match sealed.split_first_chunk_mut() {
        Some((siv, ciphertext)) if ciphertext.len() == plaintext_len => Ok((siv, ciphertext)),
        _ => Err(Error::OutputLength),
    }
}

/// Compares a message's synthetic IV with the one that its plaintext has; in constant time.
///
/// # Errors
/// [`Error::NotAuthentic`]; the plaintext is then zero.
pub(crate) fn release_if_equal(siv: &Block, expected: &Block, plaintext: &mut [u8]) -> Result<(), Error> {
    // As two words: byte by byte, this would take as long as a block.
    let words = |tag: &Block| [0, 8].map(|at| u64::from_ne_bytes(core::array::from_fn(|i| tag[at + i])));
    if bool::from(words(siv).as_slice().ct_eq(&words(expected))) {
        Ok(())
    } else {
        plaintext.zeroize();
        Err(Error::NotAuthentic)
    }
}

/// One-key sealing: S2V and CTR in one closure.
struct Seal<'a> {
    subkeys: &'a Subkeys,
    associated_data: &'a [u8],
    plaintext: &'a [u8],
    siv: &'a mut Block,
    ciphertext: &'a mut [u8],
}

impl BlockSizeUser for Seal<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Seal<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let siv = s2v(backend, self.subkeys, &[self.associated_data], self.plaintext);
        *self.siv = siv;
        ctr(backend, siv, self.plaintext, self.ciphertext);
    }
}

/// One-key opening: CTR and S2V in one closure.
struct Open<'a> {
    subkeys: &'a Subkeys,
    associated_data: &'a [u8],
    siv: &'a Block,
    ciphertext: &'a [u8],
    plaintext: &'a mut [u8],
    expected: &'a mut Block,
}

impl BlockSizeUser for Open<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Open<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        ctr(backend, *self.siv, self.ciphertext, self.plaintext);
        *self.expected = s2v(backend, self.subkeys, &[self.associated_data], self.plaintext);
    }
}
