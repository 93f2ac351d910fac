//! Many SK messages or commands at once, which is faster than one by one.

use zeroize::{Zeroize, Zeroizing};

use super::{SymKey, SymMessage};
use crate::Error;
use crate::siv::{LANES, Opening};
use crate::wire::{SIV_LEN, SYM_OVERHEAD, SYM_SIV, TIMESTAMP_LEN};

/// A message that is as good as protected: [`write`](Pending::write) gives its bytes.
#[derive(Debug)]
pub struct Pending<'a> {
    key: &'a SymKey,
    timestamp: [u8; TIMESTAMP_LEN],
    siv: [u8; SIV_LEN],
    payload: &'a [u8],
}

impl Pending<'_> {
    /// Length of the message, in bytes.
    #[must_use]
    pub fn message_len(&self) -> usize {
        self.payload.len() + SYM_OVERHEAD
    }

    /// Writes the message, with the bytes that [`SymKey::protect`] gives.
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless `message` has the [`message_len`](Pending::message_len).
    pub fn write(&self, message: &mut [u8]) -> Result<(), Error> {
        if message.len() != self.message_len() {
            return Err(Error::OutputLength);
        }
        let (head, sealed) = message.split_at_mut(SYM_SIV);
        head.copy_from_slice(&self.timestamp);
        self.key.current.seal_with(&self.siv, self.payload, sealed)
    }
}

impl SymKey {
    /// Protects payloads, all with one timestamp, and hands them to `each` in their order.
    ///
    /// # Errors
    /// The first error of `each`, which ends it.
    pub fn protect_many<E>(
        &self,
        payloads: &[&[u8]],
        timestamp: u64,
        mut each: impl FnMut(&Pending<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let timestamp = timestamp.to_le_bytes();
        for group in payloads.chunks(LANES) {
            for (payload, siv) in group.iter().zip(self.current.sivs(&timestamp, group)) {
                each(&Pending { key: self, timestamp, siv, payload })?;
            }
        }
        Ok(())
    }

    /// Checks messages as [`SymKey::unprotect`] does, and hands the payload or the error of each to `each`, in their
    /// order. A payload is wiped after `each` has seen it.
    ///
    /// # Errors
    /// The first error of `each`, which ends it.
    pub fn unprotect_many<E>(
        &self,
        messages: &[&[u8]],
        now: u64,
        mut each: impl FnMut(Result<&[u8], Error>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scratch = Zeroizing::new(Vec::new());
        for group in messages.chunks(LANES) {
            let checked = group.iter().map(|message| self.checked(message, now)).collect::<Vec<_>>();
            let total = checked.iter().flatten().map(SymMessage::payload_len).sum();
            if scratch.len() < total {
                // Wiped first, for a growing vector leaves its old memory behind.
                scratch.zeroize();
                scratch.resize(total, 0);
            }
            let mut free = scratch.as_mut_slice();
            let mut openings = Vec::with_capacity(LANES);
            for message in checked {
                openings.push(message.and_then(|message| {
                    let (payload, rest) = core::mem::take(&mut free).split_at_mut(message.payload_len());
                    free = rest;
                    Opening::new(message.timestamp, message.sealed, payload)
                }));
            }
            self.current.open_many(&mut openings);
            for opening in &mut openings {
                match opening {
                    Ok(opening) => each(self.verified(opening, now))?,
                    Err(error) => each(Err(*error))?,
                }
            }
        }
        Ok(())
    }

    fn checked<'a>(&self, message: &'a [u8], now: u64) -> Result<SymMessage<'a>, Error> {
        let message = SymMessage::parse(message)?;
        self.limits.check(message.timestamp(), now)?;
        Ok(message)
    }

    fn verified<'a>(&self, opening: &'a mut Opening<'_>, now: u64) -> Result<&'a [u8], Error> {
        let result = opening.verify();
        self.or_previous(result, opening.associated_data, opening.sealed, now, opening.plaintext)?;
        Ok(opening.plaintext)
    }
}
