//! Ed25519 (RFC 8032), X25519 (RFC 7748), and the conversion of keys from the one to the other.
//!
//! Keys are checked when they are parsed and cannot be had unchecked. Knows nothing of messages.

use core::fmt;

use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hash::sha3_256;
use crate::wire::{KEY_LEN, PRIVATE_KEY_LEN, PUBLIC_KEY_LEN, SEED_LEN, SIGNATURE_LEN};
use crate::{Error, KeyFault};

/// An Ed25519 private key with what signing needs computed once. Its public half is known to match its seed.
///
/// ```text
/// bytes:  seed(32) ‖ public(32)
/// ```
pub struct PrivateKey {
    seed: Zeroizing<[u8; SEED_LEN]>,
    expanded: ExpandedSecretKey,
    public: VerifyingKey,
}

impl PrivateKey {
    /// The key pair that grows from a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; SEED_LEN]) -> Self {
        let expanded = ExpandedSecretKey::from(seed);
        let public = VerifyingKey::from(&expanded);
        Self { seed: Zeroizing::new(*seed), expanded, public }
    }

    /// Parses seed ‖ public, and compares the public half in constant time with what the seed gives.
    ///
    /// # Errors
    /// [`KeyFault::PrivateLength`] unless it is 64 bytes, [`KeyFault::PublicHalf`] where the halves do not match.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: &[u8; PRIVATE_KEY_LEN] = bytes.try_into().map_err(|_| KeyFault::PrivateLength)?;
        let (seed, public) = bytes.split_first_chunk().ok_or(KeyFault::PrivateLength)?;
        let key = Self::from_seed(seed);
        if !bool::from(key.public.as_bytes()[..].ct_eq(public)) {
            return Err(KeyFault::PublicHalf.into());
        }
        Ok(key)
    }

    /// The encoded public key.
    #[must_use]
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_LEN] {
        self.public.to_bytes()
    }

    /// The Ed25519 signature of a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_LEN] {
        raw_sign::<Sha512>(&self.expanded, message, &self.public).to_bytes()
    }

    /// The X25519 private key of the same pair: `clamp(SHA-512(seed)[0:32])`.
    #[must_use]
    pub fn to_x25519(&self) -> Zeroizing<[u8; KEY_LEN]> {
        let mut hash = Sha512::digest(self.seed.as_slice());
        let scalar = Zeroizing::new(clamp_integer(core::array::from_fn(|i| hash[i])));
        hash.as_mut_slice().zeroize();
        scalar
    }
}

/// The seed and the expanded key are wiped by themselves.
impl ZeroizeOnDrop for PrivateKey {}

const _: () = {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<Zeroizing<[u8; SEED_LEN]>>();
    wiped::<ExpandedSecretKey>();
};

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

/// An Ed25519 public key: a point of the curve, not of small order, decompressed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Parses an encoded point. As in deployed Go clients, an encoding need not be canonical.
    ///
    /// # Errors
    /// [`KeyFault::PublicLength`] unless it is 32 bytes, [`KeyFault::NotOnCurve`], [`KeyFault::SmallOrder`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: &[u8; PUBLIC_KEY_LEN] = bytes.try_into().map_err(|_| KeyFault::PublicLength)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyFault::NotOnCurve)?;
        if key.is_weak() {
            return Err(KeyFault::SmallOrder.into());
        }
        Ok(Self(key))
    }

    /// The key as it was encoded.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_LEN] {
        self.0.as_bytes()
    }

    /// Verifies a signature by the equation without the cofactor, like deployed clients.
    ///
    /// # Errors
    /// [`Error::InvalidSignature`] where it does not verify or is not 64 bytes.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        Signature::from_slice(signature)
            .and_then(|signature| self.0.verify(message, &signature))
            .map_err(|_| Error::InvalidSignature)
    }

    /// The X25519 public key of the same pair: the u-coordinate of the point's birational image.
    #[must_use]
    pub fn to_x25519(&self) -> [u8; PUBLIC_KEY_LEN] {
        self.0.to_montgomery().to_bytes()
    }
}

impl AsRef<PublicKey> for PublicKey {
    fn as_ref(&self) -> &PublicKey {
        self
    }
}

/// X25519: the secret shared by a private key and the other side's public key.
///
/// # Errors
/// [`KeyFault::X25519PrivateLength`], [`KeyFault::X25519PublicLength`], and [`KeyFault::ZeroSharedSecret`] where the
/// public key is of low order.
pub fn x25519(private_key: &[u8], public_key: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let scalar = x25519_private(private_key)?;
    let point = MontgomeryPoint(x25519_public(public_key)?);
    let shared = Zeroizing::new(point.mul_clamped(*scalar).to_bytes());
    if bool::from(shared.ct_eq(&[0; KEY_LEN])) {
        return Err(KeyFault::ZeroSharedSecret.into());
    }
    Ok(shared)
}

/// The X25519 public key of a private key.
///
/// # Errors
/// [`KeyFault::X25519PrivateLength`] unless it is 32 bytes.
pub fn x25519_public_key(private_key: &[u8]) -> Result<[u8; PUBLIC_KEY_LEN], Error> {
    let scalar = x25519_private(private_key)?;
    Ok(MontgomeryPoint::mul_base_clamped(*scalar).to_bytes())
}

/// Checks that an X25519 public key gives no all-zero shared secret.
///
/// # Errors
/// [`KeyFault::X25519PublicLength`], [`KeyFault::ZeroSharedSecret`].
pub fn check_x25519_public_key(public_key: &[u8]) -> Result<(), Error> {
    // Every clamped scalar is a multiple of 8 and of no large prime order, so any one of them tells: here 2^254.
    x25519(&[0; KEY_LEN], public_key).map(|_| ())
}

/// The key of PK-mode commands between a client and C2: SHA3-256 of the X25519 shared secret (protocol, section 3).
///
/// # Errors
/// As for [`x25519`].
pub fn c2_shared_key(private_key: &[u8], public_key: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let shared = x25519(private_key, public_key)?;
    Ok(Zeroizing::new(sha3_256(shared.as_slice())))
}

fn x25519_private(bytes: &[u8]) -> Result<Zeroizing<[u8; KEY_LEN]>, Error> {
    let bytes: [u8; KEY_LEN] = bytes.try_into().map_err(|_| KeyFault::X25519PrivateLength)?;
    Ok(Zeroizing::new(bytes))
}

fn x25519_public(bytes: &[u8]) -> Result<[u8; PUBLIC_KEY_LEN], Error> {
    bytes.try_into().map_err(|_| KeyFault::X25519PublicLength.into())
}
