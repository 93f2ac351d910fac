//! The general form of AES-SIV.

use core::fmt;

use aes::cipher::array::Array;
use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherEncBackend, BlockCipherEncClosure, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use aes::{Aes128Enc, Aes256Enc};
use zeroize::ZeroizeOnDrop;

use super::blocks::{Block, Subkeys, ctr, s2v};
use super::{release_if_equal, split_sealed};
use crate::wire::SIV_LEN;
use crate::{Error, KeyFault};

/// The most associated-data strings that RFC 5297, section 2.6, allows beside the plaintext.
pub const MAX_ASSOCIATED_DATA: usize = 126;

/// AES-SIV in its general form: separate keys for CMAC and CTR, any number of associated-data strings.
pub struct TwoKeySiv(Keys);

enum Keys {
    Aes128(Box<KeyPair<Aes128Enc>>),
    Aes256(Box<KeyPair<Aes256Enc>>),
}

#[derive(ZeroizeOnDrop)]
struct KeyPair<C: ZeroizeOnDrop> {
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
    /// As for [`SivKey::open`](super::SivKey::open), and [`Error::InvalidParameter`] for more than [`MAX_ASSOCIATED_DATA`] strings.
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

/// The ciphers and the subkeys are wiped by themselves.
impl ZeroizeOnDrop for TwoKeySiv {}

impl fmt::Debug for TwoKeySiv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TwoKeySiv").finish_non_exhaustive()
    }
}

impl<C: KeyInit + BlockCipherEncrypt<BlockSize = U16> + ZeroizeOnDrop> KeyPair<C> {
    /// `key` is two keys of the cipher, so both conversions hold by its length.
    fn new<const N: usize>(key: &[u8; N]) -> Box<Self> {
        const { assert!(N == 32 || N == 64) };
        let (mac, ctr) = key.split_at(N / 2);
        let cipher = |half: &[u8]| C::new(&Array::from_fn(|i| half[i]));
        let (mac, ctr) = (cipher(mac), cipher(ctr));
        let subkeys = Subkeys::new(|derive| mac.encrypt_with_backend(derive));
        Box::new(Self { mac, ctr, subkeys })
    }

    fn seal(&self, associated_data: &[&[u8]], plaintext: &[u8], siv: &mut Block, ciphertext: &mut [u8]) {
        self.mac.encrypt_with_backend(S2v {
            subkeys: &self.subkeys,
            associated_data,
            plaintext,
            result: siv,
        });
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

/// The marker is true only as long as this compiles.
const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<KeyPair<Aes128Enc>>();
    wiped::<KeyPair<Aes256Enc>>();
};

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
