//! Messages: protect and unprotect, in SK and in PK mode, with the checks of the protocol's section 3 in its order.
//!
//! Times are arguments, in whole seconds since the Unix epoch. Which key belongs to which topic or signer is known
//! above.

mod many;

use core::fmt;

use subtle::ConstantTimeEq;
use zeroize::ZeroizeOnDrop;

use crate::curve::{PrivateKey, PublicKey};
use crate::hash::Id;
use crate::siv::{Engine, SivKey};
use crate::wire::{
    self, ID_LEN, KEY_LEN, PUB_OVERHEAD, PUB_SIV, SIGNATURE_LEN, SIV_LEN, SYM_OVERHEAD, SYM_SIV,
    TIMESTAMP_LEN,
};
use crate::{Error, KeyFault};

pub use many::{Incoming, Outgoing};

/// How far a message's timestamp may be from the clock, and how long a previous key is used; in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How far a timestamp may be ahead.
    pub max_ahead: u64,
    /// How old a message may be.
    pub max_age: u64,
    /// How long a previous key is used after the key that replaced it came.
    pub max_previous_age: u64,
}

impl Limits {
    /// Refuses a timestamp that is too far ahead, and then one that is too old.
    ///
    /// # Errors
    /// [`Error::TimestampInFuture`], [`Error::TimestampTooOld`].
    pub fn check(&self, timestamp: u64, now: u64) -> Result<(), Error> {
        if timestamp > now.saturating_add(self.max_ahead) {
            Err(Error::TimestampInFuture)
        } else if now.saturating_sub(timestamp) > self.max_age {
            Err(Error::TimestampTooOld)
        } else {
            Ok(())
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_ahead: wire::MAX_AHEAD, max_age: wire::MAX_AGE, max_previous_age: wire::MAX_PREVIOUS_AGE }
    }
}

/// An SK application message, or a command in either mode.
///
/// ```text
/// bytes:  ts(8) ‖ SIV(16) ‖ ciphertext(n)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SymMessage<'a> {
    timestamp: &'a [u8; TIMESTAMP_LEN],
    sealed: &'a [u8],
}

impl<'a> SymMessage<'a> {
    /// Finds the parts of a message.
    ///
    /// # Errors
    /// [`Error::Malformed`] under 24 bytes.
    pub fn parse(message: &'a [u8]) -> Result<Self, Error> {
        match message.split_first_chunk() {
            Some((timestamp, sealed)) if sealed.len() >= SIV_LEN => Ok(Self { timestamp, sealed }),
            _ => Err(Error::Malformed),
        }
    }

    /// When the message was protected, by the sender's word.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        u64::from_le_bytes(*self.timestamp)
    }

    /// Length of the payload, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.sealed.len() - SIV_LEN
    }
}

/// A PK application message. The signature covers everything before it.
///
/// ```text
/// bytes:  ts(8) ‖ id(16) ‖ SIV(16) ‖ ciphertext(n) ‖ signature(64)
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PubMessage<'a> {
    timestamp: &'a [u8; TIMESTAMP_LEN],
    signer: &'a [u8; ID_LEN],
    sealed: &'a [u8],
    signed: &'a [u8],
    signature: &'a [u8; SIGNATURE_LEN],
}

impl<'a> PubMessage<'a> {
    /// Finds the parts of a message.
    ///
    /// # Errors
    /// [`Error::Malformed`] under 104 bytes.
    pub fn parse(message: &'a [u8]) -> Result<Self, Error> {
        let (signed, signature) = message.split_last_chunk().ok_or(Error::Malformed)?;
        let (timestamp, rest) = signed.split_first_chunk().ok_or(Error::Malformed)?;
        let (signer, sealed) = rest.split_first_chunk().ok_or(Error::Malformed)?;
        if sealed.len() < SIV_LEN {
            return Err(Error::Malformed);
        }
        Ok(Self { timestamp, signer, sealed, signed, signature })
    }

    /// When the message was protected, by the sender's word.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        u64::from_le_bytes(*self.timestamp)
    }

    /// Whose signature the message bears, by the sender's word.
    #[must_use]
    pub fn signer(&self) -> Id {
        Id(*self.signer)
    }

    /// Length of the payload, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.sealed.len() - SIV_LEN
    }
}

/// The context of one symmetric key: a topic's, with the previous one during a transition, or a client's own.
pub struct SymKey {
    current: SivKey,
    previous: Option<Box<Previous>>,
    limits: Limits,
}

struct Previous {
    key: SivKey,
    since: u64,
}

impl SymKey {
    /// The context of a key, whose AES is `engine`'s.
    ///
    /// # Errors
    /// [`KeyFault::SymmetricLength`], [`KeyFault::SymmetricZero`].
    pub fn new(key: &[u8], limits: Limits, engine: Engine) -> Result<Self, Error> {
        let current = SivKey::new(check_symmetric_key(key)?, engine);
        Ok(Self { current, previous: None, limits })
    }

    /// Adds the key before it, which was replaced at the time `since`.
    ///
    /// # Errors
    /// [`KeyFault::SymmetricLength`], [`KeyFault::SymmetricZero`].
    pub fn with_previous(self, key: &[u8], since: u64) -> Result<Self, Error> {
        let key = SivKey::new(check_symmetric_key(key)?, self.current.engine());
        Ok(Self { previous: Some(Box::new(Previous { key, since })), ..self })
    }

    /// Protects a payload as an SK message or a command.
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `message` is 24 bytes longer than `payload`.
    pub fn protect(&self, payload: &[u8], timestamp: u64, message: &mut [u8]) -> Result<(), Error> {
        if message.len().checked_sub(SYM_OVERHEAD) != Some(payload.len()) {
            return Err(Error::OutputLength);
        }
        let timestamp = timestamp.to_le_bytes();
        let (head, sealed) = message.split_at_mut(SYM_SIV);
        head.copy_from_slice(&timestamp);
        self.current.seal(&timestamp, payload, sealed)
    }

    /// Checks an SK message or a command, and writes its payload. On an error `payload` holds nothing of it.
    ///
    /// # Errors
    /// The first of these that applies: [`Error::TimestampInFuture`], [`Error::TimestampTooOld`],
    /// [`Error::NotAuthentic`]; and [`Error::OutputLength`] unless `payload` has the message's
    /// [`payload_len`](SymMessage::payload_len).
    pub fn unprotect(&self, message: &SymMessage<'_>, now: u64, payload: &mut [u8]) -> Result<(), Error> {
        self.limits.check(message.timestamp(), now)?;
        self.open(message.timestamp, message.sealed, now, payload)
    }

    /// Protects a payload as a PK message, signed by `signer` under `id`.
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `message` is 104 bytes longer than `payload`.
    pub fn protect_signed(
        &self,
        signer: &PrivateKey,
        id: &Id,
        payload: &[u8],
        timestamp: u64,
        message: &mut [u8],
    ) -> Result<(), Error> {
        if message.len().checked_sub(PUB_OVERHEAD) != Some(payload.len()) {
            return Err(Error::OutputLength);
        }
        let timestamp = timestamp.to_le_bytes();
        let (signed, signature) = message.split_at_mut(message.len() - SIGNATURE_LEN);
        let (head, sealed) = signed.split_at_mut(PUB_SIV);
        let (head_timestamp, head_id) = head.split_at_mut(TIMESTAMP_LEN);
        head_timestamp.copy_from_slice(&timestamp);
        head_id.copy_from_slice(&id.0);
        self.current.seal(&timestamp, payload, sealed)?;
        signature.copy_from_slice(&signer.sign(signed));
        Ok(())
    }

    /// Checks a PK message and writes its payload. On an error `payload` holds nothing of it.
    ///
    /// `find` gives the signer's public key, or else its own error; it is asked once, after the timestamp has passed.
    ///
    /// # Errors
    /// The first of these that applies: [`Error::TimestampInFuture`], [`Error::TimestampTooOld`], the error of `find`,
    /// [`Error::InvalidSignature`], [`Error::NotAuthentic`]; and [`Error::OutputLength`] unless `payload` has the
    /// message's [`payload_len`](PubMessage::payload_len).
    pub fn unprotect_signed<K: AsRef<PublicKey>, E: From<Error>>(
        &self,
        message: &PubMessage<'_>,
        now: u64,
        find: impl FnOnce(&Id) -> Result<K, E>,
        payload: &mut [u8],
    ) -> Result<(), E> {
        self.limits.check(message.timestamp(), now)?;
        let public_key = find(&message.signer())?;
        public_key.as_ref().verify(message.signed, message.signature)?;
        Ok(self.open(message.timestamp, message.sealed, now, payload)?)
    }

    /// Opens under the current key, or else under the previous one.
    fn open(&self, timestamp: &[u8], sealed: &[u8], now: u64, payload: &mut [u8]) -> Result<(), Error> {
        let result = self.current.open(timestamp, sealed, payload);
        self.or_previous(result, timestamp, sealed, now, payload)
    }

    /// The result of opening under the current key, or else of opening under the previous one, if that is young enough.
    fn or_previous(
        &self,
        result: Result<(), Error>,
        timestamp: &[u8],
        sealed: &[u8],
        now: u64,
        payload: &mut [u8],
    ) -> Result<(), Error> {
        match &self.previous {
            Some(previous)
                if result == Err(Error::NotAuthentic)
                    && now.saturating_sub(previous.since) <= self.limits.max_previous_age =>
            {
                previous.key.open(timestamp, sealed, payload)
            }
            _ => result,
        }
    }
}

/// The contexts of both keys are wiped by themselves.
impl ZeroizeOnDrop for SymKey {}

impl fmt::Debug for SymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymKey").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Refuses a symmetric key that is not 32 bytes or is all zero.
///
/// # Errors
/// [`KeyFault::SymmetricLength`], [`KeyFault::SymmetricZero`].
pub fn check_symmetric_key(key: &[u8]) -> Result<&[u8; KEY_LEN], Error> {
    let key: &[u8; KEY_LEN] = key.try_into().map_err(|_| KeyFault::SymmetricLength)?;
    if bool::from(key.ct_eq(&[0; KEY_LEN])) {
        return Err(KeyFault::SymmetricZero.into());
    }
    Ok(key)
}
