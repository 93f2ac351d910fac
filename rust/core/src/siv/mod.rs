//! AES-SIV (RFC 5297) over a key context that is computed once: AES schedule, CMAC subkeys, CMAC of the zero block.
//!
//! [`SivKey`] is E4's form, in which one 32-byte key serves CMAC and CTR; [`TwoKeySiv`] is the general form of the
//! RFC. Both run the same code. Knows nothing of messages.
//!
//! A whole message runs inside one closure of the block cipher, so the choice of the AES implementation is made once
//! per message and the rounds are inlined; the functions of that path are therefore `inline(always)`.

use core::fmt;

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::typenum::Unsigned;
use aes::cipher::{
    BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit, ParBlocks,
};
use aes::{Aes128Enc, Aes256Enc};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::wire::{KEY_LEN, SIV_LEN};
use crate::{Error, KeyFault};

/// The most associated-data strings that RFC 5297, section 2.6, allows beside the plaintext.
pub const MAX_ASSOCIATED_DATA: usize = 126;

const BLOCK_LEN: usize = 16;

type Block = [u8; BLOCK_LEN];

/// The context of one 32-byte key k, used as k‖k (protocol, section 2).
pub struct SivKey {
    cipher: Aes256Enc,
    subkeys: Subkeys,
}

impl SivKey {
    /// Computes the context.
    #[must_use]
    pub fn new(key: &[u8; KEY_LEN]) -> Self {
        let cipher = Aes256Enc::new(key.into());
        let subkeys = Subkeys::new(&cipher);
        Self { cipher, subkeys }
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
        cipher.encrypt_with_backend(Seal { subkeys, associated_data, plaintext, siv, ciphertext });
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
        self.cipher.encrypt_with_backend(Open {
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

impl fmt::Debug for SivKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SivKey").finish_non_exhaustive()
    }
}

/// AES-SIV in its general form: separate keys for CMAC and CTR, any number of associated-data strings.
pub struct TwoKeySiv(Keys);

enum Keys {
    Aes128(Box<KeyPair<Aes128Enc>>),
    Aes256(Box<KeyPair<Aes256Enc>>),
}

struct KeyPair<C> {
    mac: C,
    ctr: C,
    subkeys: Subkeys,
}

impl TwoKeySiv {
    /// Computes the context of MAC key ‖ CTR key: 32 bytes (AES-128) or 64 bytes (AES-256).
    ///
    /// # Errors
    /// [`KeyFault::SivLength`] for a key of another length.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        if let Ok(key) = <&[u8; 32]>::try_from(key) {
            Ok(Self(Keys::Aes128(KeyPair::new(key))))
        } else if let Ok(key) = <&[u8; 64]>::try_from(key) {
            Ok(Self(Keys::Aes256(KeyPair::new(key))))
        } else {
            Err(KeyFault::SivLength.into())
        }
    }

    /// Encrypts and authenticates to SIV(16) ‖ ciphertext(n).
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `sealed` is 16 bytes longer than `plaintext`; [`Error::InvalidParameter`] for
    /// more than [`MAX_ASSOCIATED_DATA`] strings.
    pub fn seal(&self, associated_data: &[&[u8]], plaintext: &[u8], sealed: &mut [u8]) -> Result<(), Error> {
        check_count(associated_data)?;
        let (siv, ciphertext) = split_sealed(sealed, plaintext.len())?;
        match &self.0 {
            Keys::Aes128(keys) => keys.seal(associated_data, plaintext, siv, ciphertext),
            Keys::Aes256(keys) => keys.seal(associated_data, plaintext, siv, ciphertext),
        }
        Ok(())
    }

    /// Decrypts and verifies.
    ///
    /// # Errors
    /// As for [`SivKey::open`], and [`Error::InvalidParameter`] for more than [`MAX_ASSOCIATED_DATA`] strings.
    pub fn open(&self, associated_data: &[&[u8]], sealed: &[u8], plaintext: &mut [u8]) -> Result<(), Error> {
        check_count(associated_data)?;
        let (siv, ciphertext) = sealed.split_first_chunk().ok_or(Error::Malformed)?;
        if plaintext.len() != ciphertext.len() {
            return Err(Error::OutputLength);
        }
        let expected = match &self.0 {
            Keys::Aes128(keys) => keys.open(associated_data, siv, ciphertext, plaintext),
            Keys::Aes256(keys) => keys.open(associated_data, siv, ciphertext, plaintext),
        };
        release_if_equal(siv, &expected, plaintext)
    }
}

impl fmt::Debug for TwoKeySiv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoKeySiv").finish_non_exhaustive()
    }
}

impl<C: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> KeyPair<C> {
    /// `key` is two keys of the cipher, so both conversions hold by its length.
    fn new<const N: usize>(key: &[u8; N]) -> Box<Self> {
        const { assert!(N == 32 || N == 64) };
        let (mac, ctr) = key.split_at(N / 2);
        let cipher = |half: &[u8]| C::new(&Array::from_fn(|i| half[i]));
        let (mac, ctr) = (cipher(mac), cipher(ctr));
        let subkeys = Subkeys::new(&mac);
        Box::new(Self { mac, ctr, subkeys })
    }

    fn seal(&self, associated_data: &[&[u8]], plaintext: &[u8], siv: &mut Block, ciphertext: &mut [u8]) {
        self.mac.encrypt_with_backend(S2v { subkeys: &self.subkeys, associated_data, plaintext, result: siv });
        self.ctr.encrypt_with_backend(Ctr { siv, input: plaintext, output: ciphertext });
    }

    fn open(&self, associated_data: &[&[u8]], siv: &Block, ciphertext: &[u8], plaintext: &mut [u8]) -> Block {
        let mut expected = [0; SIV_LEN];
        let (subkeys, result) = (&self.subkeys, &mut expected);
        self.ctr.encrypt_with_backend(Ctr { siv, input: ciphertext, output: plaintext });
        self.mac.encrypt_with_backend(S2v { subkeys, associated_data, plaintext, result });
        expected
    }
}

fn check_count(associated_data: &[&[u8]]) -> Result<(), Error> {
    if associated_data.len() > MAX_ASSOCIATED_DATA {
        return Err(Error::InvalidParameter("AES-SIV takes at most 126 associated-data strings"));
    }
    Ok(())
}

fn split_sealed(sealed: &mut [u8], plaintext_len: usize) -> Result<(&mut Block, &mut [u8]), Error> {
    match sealed.split_first_chunk_mut() {
        Some((siv, ciphertext)) if ciphertext.len() == plaintext_len => Ok((siv, ciphertext)),
        _ => Err(Error::OutputLength),
    }
}

fn release_if_equal(siv: &Block, expected: &Block, plaintext: &mut [u8]) -> Result<(), Error> {
    if bool::from(siv.ct_eq(expected)) {
        Ok(())
    } else {
        plaintext.zeroize();
        Err(Error::NotAuthentic)
    }
}

/// What CMAC and S2V need beside the cipher itself; it depends on the key alone.
#[derive(ZeroizeOnDrop)]
struct Subkeys {
    /// CMAC: added to a last block that is full (RFC 4493, K1).
    full: Block,
    /// CMAC: added to a last block that was padded (RFC 4493, K2).
    padded: Block,
    /// S2V: CMAC of the zero block.
    zero: Block,
    /// S2V: the same, doubled.
    zero_doubled: Block,
}

impl Subkeys {
    fn new(cipher: &(impl BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>)) -> Self {
        let mut result = Self { full: [0; 16], padded: [0; 16], zero: [0; 16], zero_doubled: [0; 16] };
        cipher.encrypt_with_backend(Derive { subkeys: &mut result });
        result
    }
}

struct Derive<'a> {
    subkeys: &'a mut Subkeys,
}

impl BlockSizeUser for Derive<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Derive<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        let subkeys = self.subkeys;
        subkeys.full = double(encrypt(backend, [0; BLOCK_LEN]));
        subkeys.padded = double(subkeys.full);
        subkeys.zero = cmac(backend, subkeys, &[0; BLOCK_LEN]);
        subkeys.zero_doubled = double(subkeys.zero);
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

/// S2V alone, under the MAC key of the two-key form.
struct S2v<'a> {
    subkeys: &'a Subkeys,
    associated_data: &'a [&'a [u8]],
    plaintext: &'a [u8],
    result: &'a mut Block,
}

impl BlockSizeUser for S2v<'_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for S2v<'_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        *self.result = s2v(backend, self.subkeys, self.associated_data, self.plaintext);
    }
}

/// CTR alone, under the CTR key of the two-key form.
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

/// S2V of RFC 5297, section 2.4. The plaintext is always there, if only as the empty string.
#[inline(always)]
fn s2v<B: BlockCipherEncBackend<BlockSize = U16>>(
    backend: &B,
    subkeys: &Subkeys,
    associated_data: &[&[u8]],
    plaintext: &[u8],
) -> Block {
    let mut d = subkeys.zero;
    for (i, data) in associated_data.iter().enumerate() {
        let doubled = if i == 0 { subkeys.zero_doubled } else { double(d) };
        d = xor(doubled, cmac(backend, subkeys, data));
    }
    let Some((_, last)) = plaintext.split_last_chunk() else {
        return encrypt(backend, xor(xor(double(d), pad(plaintext)), subkeys.full));
    };
    // CMAC of the plaintext, whose last 16 bytes have d added ("xorend").
    let last = xor(*last, d);
    let rest = plaintext.len() % BLOCK_LEN;
    if rest == 0 {
        let chain = chain(backend, &plaintext[..plaintext.len() - BLOCK_LEN]);
        return encrypt(backend, xor(xor(chain, last), subkeys.full));
    }
    // The last 16 bytes lie across two blocks, of which the second is padded.
    let (head, tail) = plaintext.split_at(plaintext.len() - BLOCK_LEN - rest);
    let chain = chain(backend, head);
    let mut end = [0; 2 * BLOCK_LEN];
    end[..BLOCK_LEN].copy_from_slice(&tail[..BLOCK_LEN]);
    end[rest..rest + BLOCK_LEN].copy_from_slice(&last);
    end[rest + BLOCK_LEN] = PADDING;
    let [first, second] = [0, BLOCK_LEN].map(|start| core::array::from_fn(|i| end[start + i]));
    let chain = encrypt(backend, xor(chain, first));
    encrypt(backend, xor(xor(chain, second), subkeys.padded))
}

/// AES-CMAC (RFC 4493).
#[inline(always)]
fn cmac<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, subkeys: &Subkeys, message: &[u8]) -> Block {
    let (head, last) = message.split_at(message.len().saturating_sub(1) / BLOCK_LEN * BLOCK_LEN);
    let chain = chain(backend, head);
    let last = match last.try_into() {
        Ok(full) => xor(full, subkeys.full),
        Err(_) => xor(pad(last), subkeys.padded),
    };
    encrypt(backend, xor(chain, last))
}

/// CBC-MAC over whole blocks.
#[inline(always)]
fn chain<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, blocks: &[u8]) -> Block {
    let mut chain = [0; BLOCK_LEN];
    for block in blocks.as_chunks().0 {
        chain = encrypt(backend, xor(chain, *block));
    }
    chain
}

/// CTR of RFC 5297, section 2.5: from the SIV with two bits cleared, counting in all 128.
#[inline(always)]
fn ctr<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, siv: Block, input: &[u8], output: &mut [u8]) {
    let mut counter = u128::from_be_bytes(siv) & !(1 << 63 | 1 << 31);
    let mut next = || {
        let block = counter.to_be_bytes();
        counter = counter.wrapping_add(1);
        block
    };
    let (input, input_rest) = input.as_chunks();
    let (output, output_rest) = output.as_chunks_mut();
    let parallel = B::ParBlocksSize::USIZE;
    let split = input.len() / parallel * parallel;
    let (wide_input, narrow_input) = input.split_at(split);
    let (wide_output, narrow_output) = output.split_at_mut(split);
    for (from, to) in wide_input.chunks_exact(parallel).zip(wide_output.chunks_exact_mut(parallel)) {
        let mut keystream: ParBlocks<B> = Array::from_fn(|_| Array(next()));
        backend.encrypt_par_blocks_inplace(&mut keystream);
        for ((to, from), key) in to.iter_mut().zip(from).zip(&keystream) {
            *to = xor(*from, key.0);
        }
    }
    // Independent blocks in a loop: a processor with AES instructions overlaps them by itself.
    for (to, from) in narrow_output.iter_mut().zip(narrow_input) {
        *to = xor(*from, encrypt(backend, next()));
    }
    if !input_rest.is_empty() {
        let key = encrypt(backend, next());
        for ((to, from), key) in output_rest.iter_mut().zip(input_rest).zip(key) {
            *to = from ^ key;
        }
    }
}

#[inline(always)]
fn encrypt<B: BlockCipherEncBackend<BlockSize = U16>>(backend: &B, block: Block) -> Block {
    let mut block = Array(block);
    backend.encrypt_block_inplace(&mut block);
    block.0
}

#[inline(always)]
fn xor(a: Block, b: Block) -> Block {
    core::array::from_fn(|i| a[i] ^ b[i])
}

/// Doubling in GF(2^128) with the polynomial of RFC 5297, section 2.3; in constant time.
#[inline(always)]
fn double(block: Block) -> Block {
    let value = u128::from_be_bytes(block);
    let carry = 0_u128.wrapping_sub(value >> 127) & 0x87;
    (value << 1 ^ carry).to_be_bytes()
}

const PADDING: u8 = 0x80;

/// Fewer than 16 bytes, then one bit, then zeros.
#[inline(always)]
fn pad(partial: &[u8]) -> Block {
    let mut block = [0; BLOCK_LEN];
    block[..partial.len()].copy_from_slice(partial);
    block[partial.len()] = PADDING;
    block
}
