//! Which implementation of AES runs, chosen once per key by what the processor has.
//!
//! The algorithms above are written once, over the block cipher's closures; an engine brings the block cipher, and
//! where that pays also the two loops over many texts: CMAC chains side by side, and CTR.

use aes::Aes256Enc;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use zeroize::ZeroizeOnDrop;

use super::blocks::{Block, Ends, ctr, encrypt, xor};
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::wire::KEY_LEN;

/// An implementation of AES-256 under AES-SIV. All give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The crate `aes`, in constant time on every processor: with the AES instructions of x86-64 and ARMv8 where they
    /// are there, and bit-sliced where they are not. Texts of a batch go 8 at a time.
    Portable,
    /// x86-64 with AES-NI: 8 texts of a batch at a time.
    AesNi,
    /// x86-64 with VAES and AVX-512: 32 texts of a batch at a time.
    Vaes,
}

impl Engine {
    /// Every engine, the fastest first.
    pub const ALL: [Self; 3] = [Self::Vaes, Self::AesNi, Self::Portable];

    /// The fastest that this processor can run.
    #[must_use]
    pub fn best() -> Self {
        Self::ALL.into_iter().find(|engine| engine.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor can run it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::AesNi => x86::Cipher::is_available(false),
            #[cfg(target_arch = "x86_64")]
            Self::Vaes => x86::Cipher::is_available(true),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Its name: `portable`, `aesni` or `vaes`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::AesNi => "aesni",
            Self::Vaes => "vaes",
        }
    }
}

/// How many texts are taken at once, at most.
pub(crate) const LANES: usize = 32;

/// How many of these the engines without a wide unit keep going at the same time.
const NARROW: usize = 8;

/// AES-256 under one key.
#[cfg_attr(
    target_arch = "x86_64",
    expect(
        clippy::large_enum_variant,
        reason = "the usual one is in place, which saves a load for each message"
    )
)]
pub(super) enum Cipher {
    Portable(Box<Aes256Enc>),
    #[cfg(target_arch = "x86_64")]
    X86(x86::Cipher),
}

impl Cipher {
    /// The key's schedule for an engine, or for the portable one where this processor cannot run that.
    pub(super) fn new(engine: Engine, key: &[u8; KEY_LEN]) -> Self {
        #[cfg(target_arch = "x86_64")]
        if engine != Engine::Portable
            && let Some(cipher) = x86::Cipher::new(key, engine == Engine::Vaes)
        {
            return Self::X86(cipher);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = engine;
        Self::Portable(Box::new(Aes256Enc::new(key.into())))
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Portable(_) => Engine::Portable,
            #[cfg(target_arch = "x86_64")]
            Self::X86(cipher) => {
                if cipher.is_wide() {
                    Engine::Vaes
                } else {
                    Engine::AesNi
                }
            }
        }
    }

    /// Runs a closure of the block cipher.
    #[inline(always)]
    pub(super) fn run(&self, closure: impl BlockCipherEncClosure<BlockSize = U16>) {
        match self {
            Self::Portable(cipher) => cipher.encrypt_with_backend(closure),
            #[cfg(target_arch = "x86_64")]
            Self::X86(cipher) => cipher.run(closure),
        }
    }

    /// CBC-MAC over the blocks of the first `count` lanes, each one's head and then its ends.
    pub(super) fn chains(&self, lanes: &[Lane<'_>; LANES], count: usize, results: &mut [Block; LANES]) {
        #[cfg(target_arch = "x86_64")]
        if let Self::X86(cipher) = self
            && cipher.is_wide()
        {
            return cipher.chains(lanes, count, results);
        }
        self.run(Chains { lanes: &lanes[..count], results });
    }

    /// CTR of several texts, each from its own synthetic IV.
    pub(super) fn ctr_many<'a>(&self, texts: impl Iterator<Item = CtrText<'a>>) {
        #[cfg(target_arch = "x86_64")]
        if let Self::X86(cipher) = self
            && cipher.is_wide()
        {
            return cipher.ctr_many(texts);
        }
        self.run(CtrMany { texts });
    }
}

/// The blocks over which one CMAC runs.
#[derive(Clone, Copy)]
pub(super) struct Lane<'a> {
    pub(super) head: &'a [Block],
    pub(super) ends: Ends,
}

/// A text for CTR.
pub(crate) struct CtrText<'a> {
    pub(crate) siv: &'a Block,
    pub(crate) input: &'a [u8],
    /// As long as `input`.
    pub(crate) output: &'a mut [u8],
}

struct Chains<'a, 'b> {
    lanes: &'a [Lane<'b>],
    results: &'a mut [Block; LANES],
}

impl BlockSizeUser for Chains<'_, '_> {
    type BlockSize = U16;
}

impl BlockCipherEncClosure for Chains<'_, '_> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for (lanes, results) in self.lanes.chunks(NARROW).zip(self.results.chunks_mut(NARROW)) {
            results.fill(Block::default());
            let longest = lanes.iter().map(|lane| lane.head.len()).max().unwrap_or(0);
            for i in 0..longest {
                for (lane, chain) in lanes.iter().zip(&mut *results) {
                    if let Some(block) = lane.head.get(i) {
                        *chain = encrypt(backend, xor(*chain, *block));
                    }
                }
            }
            for i in 0..2 {
                for (lane, chain) in lanes.iter().zip(&mut *results) {
                    if let Some(block) = lane.ends.blocks().get(i) {
                        *chain = encrypt(backend, xor(*chain, *block));
                    }
                }
            }
        }
    }
}

struct CtrMany<T> {
    texts: T,
}

impl<T> BlockSizeUser for CtrMany<T> {
    type BlockSize = U16;
}

impl<'a, T: Iterator<Item = CtrText<'a>>> BlockCipherEncClosure for CtrMany<T> {
    #[inline(always)]
    fn call<B: BlockCipherEncBackend<BlockSize = U16>>(self, backend: &B) {
        for text in self.texts {
            ctr(backend, *text.siv, text.input, text.output);
        }
    }
}

/// Each engine's schedule is wiped by itself; the markers are true only as long as this compiles.
impl ZeroizeOnDrop for Cipher {}

const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Aes256Enc>();
    #[cfg(target_arch = "x86_64")]
    wiped::<x86::Cipher>();
};
