//! Many SK messages or commands at once, which is faster than one by one.

use super::{SymKey, SymMessage};
use crate::Error;
use crate::siv::{CtrText, LANES, release_if_equal};
use crate::wire::{SIV_LEN, SYM_OVERHEAD, SYM_SIV, TIMESTAMP_LEN};

/// A payload to protect among others.
#[derive(Debug)]
pub struct Outgoing<'a> {
    /// The payload.
    pub payload: &'a [u8],
    /// Where the message goes: 24 bytes longer than the payload.
    pub message: &'a mut [u8],
}

/// A message to unprotect among others.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// The message, as received.
    pub message: &'a [u8],
    /// Where the payload goes: 24 bytes shorter than the message; for one that is shorter than that, nothing.
    pub payload: &'a mut [u8],
}

impl Incoming<'_> {
    /// How long a payload must be for a message of this length.
    #[must_use]
    pub const fn payload_len(message_len: usize) -> usize {
        message_len.saturating_sub(SYM_OVERHEAD)
    }
}

impl SymKey {
    /// Protects payloads, each as [`SymKey::protect`] does, all with one timestamp.
    ///
    /// # Errors
    /// [`Error::OutputLength`] unless each message is 24 bytes longer than its payload; nothing is then written.
    pub fn protect_many(&self, outgoing: &mut [Outgoing<'_>], timestamp: u64) -> Result<(), Error> {
        let timestamp = timestamp.to_le_bytes();
        if outgoing.iter().any(|one| one.message.len().checked_sub(SYM_OVERHEAD) != Some(one.payload.len())) {
            return Err(Error::OutputLength);
        }
        let siv = &self.current;
        let [start, ..] = siv.starts(core::iter::once(&timestamp));
        for group in outgoing.chunks_mut(LANES) {
            let sivs = siv.sivs(group.iter().map(|one| (start, one.payload)));
            siv.ctr_many(group.iter_mut().zip(&sivs).filter_map(|(Outgoing { payload, message }, siv)| {
                let (head_timestamp, sealed) = message.split_first_chunk_mut::<TIMESTAMP_LEN>()?;
                let (head_siv, output) = sealed.split_first_chunk_mut::<SIV_LEN>()?;
                (*head_timestamp, *head_siv) = (timestamp, *siv);
                Some(CtrText { siv, input: payload, output })
            }));
        }
        Ok(())
    }

    /// Checks messages, each as [`SymKey::unprotect`] does, and writes their payloads; with an outcome for each, in
    /// order. On an error a `payload` holds nothing of it.
    #[must_use]
    pub fn unprotect_many(&self, incoming: &mut [Incoming<'_>], now: u64) -> Vec<Result<(), Error>> {
        let mut outcomes = Vec::with_capacity(incoming.len());
        for group in incoming.chunks_mut(LANES) {
            let start = outcomes.len();
            outcomes.extend(group.iter().map(|one| self.checked(one, now)));
            self.open_group(group, &mut outcomes[start..], now);
        }
        outcomes
    }

    fn checked(&self, Incoming { message, payload }: &Incoming<'_>, now: u64) -> Result<(), Error> {
        let message = SymMessage::parse(message)?;
        self.limits.check(message.timestamp(), now)?;
        if payload.len() == message.payload_len() { Ok(()) } else { Err(Error::OutputLength) }
    }

    /// Opens up to [`LANES`] messages whose outcome is good so far. The others are carried along untouched.
    fn open_group(&self, group: &mut [Incoming<'_>], outcomes: &mut [Result<(), Error>], now: u64) {
        let siv = &self.current;
        siv.ctr_many(group.iter_mut().zip(&*outcomes).filter_map(
            |(Incoming { message, payload }, outcome)| {
                let (_, siv, input) = parts(message).filter(|_| outcome.is_ok())?;
                Some(CtrText { siv, input, output: payload })
            },
        ));
        let starts = siv.starts(group.iter().map(|one| one.message.first_chunk().unwrap_or(&NO_TIMESTAMP)));
        let expected = siv.sivs(starts.into_iter().zip(&*group).map(|(start, one)| (start, &*one.payload)));
        for ((outcome, one), expected) in outcomes.iter_mut().zip(group).zip(&expected) {
            let Incoming { message, payload } = one;
            if outcome.is_ok()
                && let Some((timestamp, siv, _)) = parts(message)
            {
                let opened = release_if_equal(siv, expected, payload);
                let sealed = &message[SYM_SIV..];
                let opened = self.or_previous(opened, timestamp, sealed, now, payload);
                // Written only where it says something new: a copy of a whole outcome waits for its first byte.
                if opened.is_err() {
                    *outcome = opened;
                }
            }
        }
    }
}

const NO_TIMESTAMP: [u8; TIMESTAMP_LEN] = [0; TIMESTAMP_LEN];

/// Timestamp, synthetic IV and ciphertext.
fn parts(message: &[u8]) -> Option<(&[u8; TIMESTAMP_LEN], &[u8; SIV_LEN], &[u8])> {
    let (timestamp, sealed) = message.split_first_chunk()?;
    let (siv, ciphertext) = sealed.split_first_chunk()?;
    Some((timestamp, siv, ciphertext))
}
