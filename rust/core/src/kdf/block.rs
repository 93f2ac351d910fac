//! The 1024-byte block of Argon2 and its compression function G (RFC 9106, sections 3.5 and 3.6).

use zeroize::Zeroize;

/// Length of a block, in bytes.
pub(super) const BLOCK_LEN: usize = 1024;

/// 64-bit words in a block.
const WORDS: usize = BLOCK_LEN / 8;

/// A block: 128 words, which G sees as an 8 × 8 matrix of registers of two words each.
#[derive(Clone)]
#[repr(align(64))]
pub(super) struct Block(pub(super) [u64; WORDS]);

impl Block {
    pub(super) const ZERO: Self = Self([0; WORDS]);

    pub(super) fn from_bytes(bytes: &[u8; BLOCK_LEN]) -> Self {
        let (words, _) = bytes.as_chunks();
        Self(core::array::from_fn(|i| u64::from_le_bytes(words[i])))
    }

    pub(super) fn to_bytes(&self) -> zeroize::Zeroizing<[u8; BLOCK_LEN]> {
        let mut bytes = zeroize::Zeroizing::new([0; BLOCK_LEN]);
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    pub(super) fn xor_in(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word ^= other;
        }
    }

    /// G(x, y) = P by columns (P by rows (x ⊕ y)) ⊕ x ⊕ y.
    pub(super) fn compress(x: &Self, y: &Self) -> Self {
        let mut result = Self(core::array::from_fn(|i| x.0[i] ^ y.0[i]));
        result.permute();
        for ((word, x), y) in result.0.iter_mut().zip(&x.0).zip(&y.0) {
            *word ^= x ^ y;
        }
        result
    }

    fn permute(&mut self) {
        let words = &mut self.0;
        for row in words.as_chunks_mut::<16>().0 {
            let mut v = *row;
            permutation(&mut v);
            *row = v;
        }
        for column in 0..8 {
            let at = |i: usize| i / 2 * 16 + 2 * column + i % 2;
            let mut v = core::array::from_fn(|i| words[at(i)]);
            permutation(&mut v);
            for (i, word) in v.into_iter().enumerate() {
                words[at(i)] = word;
            }
        }
    }
}

impl Zeroize for Block {
    fn zeroize(&mut self) {
        self.0.fill(0);
        zeroize::optimization_barrier(&self.0);
    }
}

/// P: one round of BLAKE2b, with multiplications in it, over 16 words.
#[inline(always)]
fn permutation(v: &mut [u64; 16]) {
    mix(v, [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]);
    mix(v, [0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14]);
}

/// GB over four quadruples of words at once, each step for all four, so that the compiler can use vectors.
#[inline(always)]
fn mix(v: &mut [u64; 16], a: [usize; 4], b: [usize; 4], c: [usize; 4], d: [usize; 4]) {
    let [mut a4, mut b4, mut c4, mut d4] = [a, b, c, d].map(|index| index.map(|i| v[i]));
    for rotations in [[32, 24], [16, 63]] {
        for i in 0..4 {
            a4[i] = multiply_add(a4[i], b4[i]);
        }
        for i in 0..4 {
            d4[i] = (d4[i] ^ a4[i]).rotate_right(rotations[0]);
        }
        for i in 0..4 {
            c4[i] = multiply_add(c4[i], d4[i]);
        }
        for i in 0..4 {
            b4[i] = (b4[i] ^ c4[i]).rotate_right(rotations[1]);
        }
    }
    for i in 0..4 {
        (v[a[i]], v[b[i]], v[c[i]], v[d[i]]) = (a4[i], b4[i], c4[i], d4[i]);
    }
}

/// x + y + 2·(x mod 2^32)·(y mod 2^32), mod 2^64.
#[inline(always)]
fn multiply_add(x: u64, y: u64) -> u64 {
    let low = |word: u64| word & 0xffff_ffff;
    x.wrapping_add(y).wrapping_add((low(x) * low(y)) << 1)
}
