//! Messages: deployed bytes, the order of the checks, their edges, and the previous key.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{array, bytes, hex, list, parse};
use e4_core::curve::{PrivateKey, PublicKey};
use e4_core::hash::Id;
use e4_core::message::{Incoming, Limits, Outgoing, PubMessage, SymKey, SymMessage, check_symmetric_key};
use e4_core::siv::{Engine, SivKey, TwoKeySiv};
use e4_core::wire::{PUB_OVERHEAD, SYM_OVERHEAD};
use e4_core::{Error, KeyFault};
use zeroize::ZeroizeOnDrop;

const NOW: u64 = 1_588_888_888;
const STRICT: Limits = Limits { max_ahead: 0, max_age: 0, max_previous_age: 0 };

fn key(seed: u64) -> SymKey {
    SymKey::new(&array::<32>(seed), Limits::default(), Engine::best()).unwrap()
}

fn protect(key: &SymKey, payload: &[u8], timestamp: u64) -> Vec<u8> {
    let mut message = vec![0xee; payload.len() + SYM_OVERHEAD];
    key.protect(payload, timestamp, &mut message).unwrap();
    message
}

/// Whatever the outcome, nothing but a payload is ever written: on an error the buffer is as before, or zero.
fn unprotect(key: &SymKey, message: &[u8], now: u64) -> Result<Vec<u8>, Error> {
    let message = SymMessage::parse(message)?;
    let mut payload = vec![0xee; message.payload_len()];
    let result = key.unprotect(&message, now, &mut payload);
    let untouched = payload.iter().all(|&byte| byte == 0xee) || payload.iter().all(|&byte| byte == 0);
    assert!(result.is_ok() || untouched);
    result.map(|()| payload)
}

fn protect_many(key: &SymKey, payloads: &[Vec<u8>], timestamp: u64) -> Vec<Vec<u8>> {
    let mut messages: Vec<_> =
        payloads.iter().map(|payload| vec![0xee; payload.len() + SYM_OVERHEAD]).collect();
    let mut outgoing: Vec<_> =
        payloads.iter().zip(&mut messages).map(|(payload, message)| Outgoing { payload, message }).collect();
    key.protect_many(&mut outgoing, timestamp).unwrap();
    messages
}

/// Whatever the outcomes, nothing but payloads is ever written.
fn unprotect_many(key: &SymKey, messages: &[Vec<u8>], now: u64) -> Vec<Result<Vec<u8>, Error>> {
    let mut payloads: Vec<_> =
        messages.iter().map(|message| vec![0xee; Incoming::payload_len(message.len())]).collect();
    let mut incoming: Vec<_> =
        messages.iter().zip(&mut payloads).map(|(message, payload)| Incoming { message, payload }).collect();
    let outcomes = key.unprotect_many(&mut incoming, now);
    assert_eq!(outcomes.len(), payloads.len());
    let opened = outcomes.into_iter().zip(payloads).map(|(outcome, payload)| {
        let untouched = payload.iter().all(|&byte| byte == 0xee) || payload.iter().all(|&byte| byte == 0);
        assert!(outcome.is_ok() || untouched);
        outcome.map(|()| payload)
    });
    opened.collect()
}

struct Signer {
    key: PrivateKey,
    id: Id,
}

impl Signer {
    fn new(seed: u64) -> Self {
        Self { key: PrivateKey::from_seed(&array(seed)), id: Id(array(seed + 1)) }
    }

    fn public(&self) -> PublicKey {
        PublicKey::from_bytes(&self.key.public_key()).unwrap()
    }

    fn protect(&self, key: &SymKey, payload: &[u8], timestamp: u64) -> Vec<u8> {
        let mut message = vec![0xee; payload.len() + PUB_OVERHEAD];
        key.protect_signed(&self.key, &self.id, payload, timestamp, &mut message).unwrap();
        message
    }
}

fn unprotect_signed(key: &SymKey, known: &[&Signer], message: &[u8], now: u64) -> Result<Vec<u8>, Error> {
    let message = PubMessage::parse(message)?;
    let mut payload = vec![0xee; message.payload_len()];
    let find = |id: &Id| {
        let signer = known.iter().find(|signer| signer.id == *id);
        signer.map(|signer| signer.public()).ok_or(Error::PublicKeyMissing)
    };
    key.unprotect_signed(&message, now, find, &mut payload).map(|()| payload)
}

#[test]
fn deployed_sk_messages() {
    let timestamp = parse(common::E4)["timestamp"].as_u64().unwrap();
    for vector in list(common::E4, "sym_protected") {
        let key = SymKey::new(&hex(&vector, "topic_key"), STRICT, Engine::best()).unwrap();
        let (payload, message) = (hex(&vector, "pt"), hex(&vector, "protected"));
        assert_eq!(protect(&key, &payload, timestamp), message);
        assert_eq!(unprotect(&key, &message, timestamp).unwrap(), payload);
        assert_eq!(SymMessage::parse(&message).unwrap().timestamp(), timestamp);
    }
    for vector in list(common::E4, "aes_siv") {
        let key = SivKey::new(hex(&vector, "key")[..].try_into().unwrap(), Engine::best());
        let mut sealed = vec![0; hex(&vector, "ct").len()];
        key.seal(&hex(&vector, "ad"), &hex(&vector, "pt"), &mut sealed).unwrap();
        assert_eq!(sealed, hex(&vector, "ct"));
    }
}

#[test]
fn deployed_pk_messages() {
    let timestamp = parse(common::E4)["timestamp"].as_u64().unwrap();
    for vector in list(common::E4, "pub_protected") {
        let topic_key = SymKey::new(&hex(&vector, "topic_key"), STRICT, Engine::best()).unwrap();
        let signer = Signer {
            key: PrivateKey::from_seed(hex(&vector, "seed")[..].try_into().unwrap()),
            id: Id(hex(&vector, "id")[..].try_into().unwrap()),
        };
        let (payload, message) = (hex(&vector, "pt"), hex(&vector, "protected"));
        assert_eq!(signer.protect(&topic_key, &payload, timestamp), message);
        assert_eq!(unprotect_signed(&topic_key, &[&signer], &message, timestamp).unwrap(), payload);
        let parsed = PubMessage::parse(&message).unwrap();
        assert_eq!((parsed.timestamp(), parsed.signer()), (timestamp, signer.id));
    }
}

#[test]
fn any_payload_comes_back() {
    let (key, signer) = (key(1), Signer::new(2));
    for len in (0..100).chain([1000, 70_000]) {
        let payload = bytes(3, len);
        let message = protect(&key, &payload, NOW);
        assert_eq!(message.len(), len + 24);
        assert_eq!(unprotect(&key, &message, NOW).unwrap(), payload);
        let message = signer.protect(&key, &payload, NOW);
        assert_eq!(message.len(), len + 104);
        assert_eq!(unprotect_signed(&key, &[&signer], &message, NOW).unwrap(), payload);
    }
}

#[test]
fn short_messages_are_malformed() {
    let (key, signer) = (key(1), Signer::new(2));
    for len in 0..SYM_OVERHEAD {
        assert_eq!(unprotect(&key, &vec![0xff; len], NOW), Err(Error::Malformed));
    }
    assert_eq!(unprotect(&key, &[0xff; SYM_OVERHEAD], NOW), Err(Error::TimestampInFuture));
    for len in 0..PUB_OVERHEAD {
        assert_eq!(unprotect_signed(&key, &[&signer], &vec![0xff; len], NOW), Err(Error::Malformed));
    }
    let long = [0xff; PUB_OVERHEAD];
    assert_eq!(unprotect_signed(&key, &[&signer], &long, NOW), Err(Error::TimestampInFuture));
}

#[test]
fn the_limits_of_time_are_inclusive() {
    let limits = Limits { max_ahead: 60, max_age: 600, max_previous_age: 3600 };
    assert_eq!(limits, Limits::default());
    let check = |timestamp, now| limits.check(timestamp, now);
    assert_eq!(check(1000 + 60, 1000), Ok(()));
    assert_eq!(check(1000 + 61, 1000), Err(Error::TimestampInFuture));
    assert_eq!(check(1000, 1600), Ok(()));
    assert_eq!(check(1000, 1601), Err(Error::TimestampTooOld));
    // No time of 64 bits overflows.
    assert_eq!(check(0, 0), Ok(()));
    assert_eq!(check(u64::MAX, 0), Err(Error::TimestampInFuture));
    assert_eq!(check(0, u64::MAX), Err(Error::TimestampTooOld));
    assert_eq!(check(u64::MAX, u64::MAX), Ok(()));
    assert_eq!(check(u64::MAX, u64::MAX - 60), Ok(()));
    assert_eq!(check(u64::MAX, u64::MAX - 61), Err(Error::TimestampInFuture));
    let endless = Limits { max_ahead: u64::MAX, max_age: u64::MAX, max_previous_age: 0 };
    assert_eq!(endless.check(u64::MAX, 0), Ok(()));
    assert_eq!(endless.check(0, u64::MAX), Ok(()));
}

#[test]
fn checks_on_an_sk_message_come_in_order() {
    let (key, other) = (key(1), key(2));
    let future = protect(&other, b"payload", NOW + 61);
    let old = protect(&other, b"payload", NOW - 601);
    let foreign = protect(&other, b"payload", NOW);
    assert_eq!(unprotect(&key, &future, NOW), Err(Error::TimestampInFuture));
    assert_eq!(unprotect(&key, &old, NOW), Err(Error::TimestampTooOld));
    assert_eq!(unprotect(&key, &foreign, NOW), Err(Error::NotAuthentic));
    // The timestamp is authenticated: moved to a time that would pass, the message is not authentic.
    let mut moved = protect(&key, b"payload", NOW);
    assert_eq!(unprotect(&key, &moved, NOW + 601), Err(Error::TimestampTooOld));
    moved[..8].copy_from_slice(&(NOW + 601).to_le_bytes());
    assert_eq!(unprotect(&key, &moved, NOW + 601), Err(Error::NotAuthentic));
}

#[test]
fn checks_on_a_pk_message_come_in_order() {
    let (key, other) = (key(1), key(2));
    let (alice, eve) = (Signer::new(10), Signer::new(20));
    let spoiled = |mut message: Vec<u8>| {
        let last = message.len() - 1;
        message[last] ^= 1;
        message
    };
    // Each message fails this check and all after it.
    let future = spoiled(eve.protect(&other, b"payload", NOW + 61));
    let old = spoiled(eve.protect(&other, b"payload", NOW - 601));
    let unknown = spoiled(eve.protect(&other, b"payload", NOW));
    let forged = spoiled(alice.protect(&other, b"payload", NOW));
    let foreign = alice.protect(&other, b"payload", NOW);
    let outcome = |message: &[u8]| unprotect_signed(&key, &[&alice], message, NOW);
    assert_eq!(outcome(&future), Err(Error::TimestampInFuture));
    assert_eq!(outcome(&old), Err(Error::TimestampTooOld));
    assert_eq!(outcome(&unknown), Err(Error::PublicKeyMissing));
    assert_eq!(outcome(&forged), Err(Error::InvalidSignature));
    assert_eq!(outcome(&foreign), Err(Error::NotAuthentic));
    // The signature covers every byte before it.
    let good = alice.protect(&key, b"payload", NOW);
    assert_eq!(outcome(&good).unwrap(), b"payload");
    for i in (0..1).chain(24..good.len()) {
        let mut bad = good.clone();
        bad[i] ^= 1;
        assert_eq!(outcome(&bad), Err(Error::InvalidSignature), "byte {i}");
    }
    // Another signer's id over alice's signature.
    let mut claimed = good;
    claimed[8..24].copy_from_slice(&eve.id.0);
    assert_eq!(unprotect_signed(&key, &[&alice, &eve], &claimed, NOW), Err(Error::InvalidSignature));
}

#[test]
fn the_previous_key_opens_for_its_time() {
    let since = NOW - 3600;
    let (old, newest) = (key(1), array::<32>(2));
    let context = SymKey::new(&newest, Limits::default(), Engine::best()).unwrap();
    let context = context.with_previous(&array::<32>(1), since).unwrap();
    let by_old = |timestamp| protect(&old, b"by the old key", timestamp);
    assert_eq!(unprotect(&context, &by_old(NOW), NOW).unwrap(), b"by the old key");
    assert_eq!(unprotect(&context, &by_old(NOW), NOW + 1), Err(Error::NotAuthentic));
    // The clock was set back: the key is not older than its time.
    assert_eq!(unprotect(&context, &by_old(since - 5), since - 5).unwrap(), b"by the old key");
    // What is protected is protected with the current key.
    let by_new = protect(&context, b"by the new key", NOW);
    assert_eq!(
        by_new,
        protect(&SymKey::new(&newest, STRICT, Engine::best()).unwrap(), b"by the new key", NOW)
    );
    assert_eq!(unprotect(&context, &by_new, NOW + 1).unwrap(), b"by the new key");
    // Neither key.
    assert_eq!(unprotect(&context, &protect(&key(3), b"", NOW), NOW), Err(Error::NotAuthentic));
    // A message in PK mode likewise.
    let alice = Signer::new(10);
    let signed = alice.protect(&old, b"signed", NOW);
    assert_eq!(unprotect_signed(&context, &[&alice], &signed, NOW).unwrap(), b"signed");
    assert_eq!(unprotect_signed(&context, &[&alice], &signed, NOW + 1), Err(Error::NotAuthentic));
}

#[test]
fn many_are_protected_as_one_by_one() {
    let key = key(1);
    for count in [0, 1, 2, 7, 8, 9, 16, 40] {
        // Of equal lengths, of all lengths around a block, and of very different ones.
        for len in [|_| 64, |i| i, |i| i * i * 7 % 3000] {
            let payloads: Vec<_> = (0..count).map(|i| bytes(i as u64, len(i))).collect();
            let messages = protect_many(&key, &payloads, NOW);
            let expected: Vec<_> = payloads.iter().map(|payload| protect(&key, payload, NOW)).collect();
            assert_eq!(messages, expected);

            assert_eq!(
                unprotect_many(&key, &messages, NOW),
                payloads.into_iter().map(Ok).collect::<Vec<_>>()
            );
        }
    }
}

#[test]
fn many_are_unprotected_as_one_by_one() {
    let limits = Limits::default();
    let context = SymKey::new(&array::<32>(2), limits, Engine::best()).unwrap();
    let context = context.with_previous(&array::<32>(1), NOW - 10).unwrap();
    let keys = [key(1), key(2), key(3)];
    // Good ones under either key, foreign ones, early, late and short ones, in a disorder that is always the same.
    let messages: Vec<_> = (0..200_u64)
        .map(|i| {
            let choice = bytes(i, 2);
            let timestamp = [NOW, NOW, NOW, NOW + 61, NOW - 601][usize::from(choice[0]) % 5];
            let mut message =
                protect(&keys[usize::from(choice[1]) % 3], &bytes(i, (i % 70) as usize), timestamp);
            message.truncate(if i % 13 == 0 { 23 } else { usize::MAX });
            message
        })
        .collect();
    let outcomes = unprotect_many(&context, &messages, NOW);
    let expected: Vec<_> = messages.iter().map(|message| unprotect(&context, message, NOW)).collect();
    assert_eq!(outcomes, expected);
    let errors = [Error::Malformed, Error::TimestampInFuture, Error::TimestampTooOld, Error::NotAuthentic];
    assert!(errors.iter().all(|error| outcomes.contains(&Err(*error))));
    assert!(outcomes.iter().filter(|outcome| outcome.is_ok()).count() > 50);
    // Later the previous key has had its time.
    let outcomes = unprotect_many(&context, &messages, NOW + 3591);
    let expected: Vec<_> = messages.iter().map(|message| unprotect(&context, message, NOW + 3591)).collect();
    assert_eq!(outcomes, expected);
}

#[test]
fn many_with_a_wrong_output_length() {
    let key = key(1);
    let (mut right, mut wrong) = ([0xee; 25], [0xee; 24]);
    let mut outgoing =
        [Outgoing { payload: b"x", message: &mut right }, Outgoing { payload: b"x", message: &mut wrong }];
    assert_eq!(key.protect_many(&mut outgoing, NOW), Err(Error::OutputLength));
    assert_eq!((right, wrong), ([0xee; 25], [0xee; 24]));

    let message = &protect(&key, b"x", NOW)[..];
    let (mut right, mut wrong) = ([0; 1], [0; 2]);
    let mut incoming = [Incoming { message, payload: &mut wrong }, Incoming { message, payload: &mut right }];
    assert_eq!(key.unprotect_many(&mut incoming, NOW), [Err(Error::OutputLength), Ok(())]);
    assert_eq!((right, wrong), (*b"x", [0; 2]));
}

#[test]
fn keys_are_checked() {
    for len in [0, 16, 31, 33, 64] {
        let refused = Error::InvalidKey(KeyFault::SymmetricLength);
        assert_eq!(SymKey::new(&vec![1; len], STRICT, Engine::best()).unwrap_err(), refused);
        assert_eq!(key(1).with_previous(&vec![1; len], 0).unwrap_err(), refused);
    }
    let refused = Error::InvalidKey(KeyFault::SymmetricZero);
    assert_eq!(SymKey::new(&[0; 32], STRICT, Engine::best()).unwrap_err(), refused);
    assert_eq!(key(1).with_previous(&[0; 32], 0).unwrap_err(), refused);
    assert_eq!(check_symmetric_key(&[0; 32]), Err(refused));
    for i in 0..32 {
        let mut one_bit = [0; 32];
        one_bit[i] = 1;
        assert_eq!(check_symmetric_key(&one_bit), Ok(&one_bit));
    }
}

#[test]
fn output_lengths_are_checked() {
    let (key, signer) = (key(1), Signer::new(2));
    let message = protect(&key, b"1234", NOW);
    let signed = signer.protect(&key, b"1234", NOW);
    let (parsed, parsed_signed) = (SymMessage::parse(&message).unwrap(), PubMessage::parse(&signed).unwrap());
    let find = |_: &Id| Ok::<_, Error>(signer.public());
    for wrong in [0, 3, 5, 23, 24, 27, 29, 103, 104, 107, 109] {
        let mut out = vec![0; wrong];
        assert_eq!(key.protect(b"1234", NOW, &mut out), Err(Error::OutputLength));
        let result = key.protect_signed(&signer.key, &signer.id, b"1234", NOW, &mut out);
        assert_eq!(result, Err(Error::OutputLength));
        assert_eq!(key.unprotect(&parsed, NOW, &mut out), Err(Error::OutputLength));
        assert_eq!(key.unprotect_signed(&parsed_signed, NOW, find, &mut out), Err(Error::OutputLength));
    }
}

#[test]
fn secrets_are_wiped_and_not_shown() {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<SymKey>();
    wiped::<SivKey>();
    wiped::<TwoKeySiv>();
    wiped::<PrivateKey>();
    assert_eq!(format!("{:?}", SivKey::new(&[0x41; 32], Engine::best())), "SivKey { .. }");
    assert_eq!(format!("{:?}", TwoKeySiv::new(&[0x41; 32]).unwrap()), "TwoKeySiv { .. }");
    let shown = format!("{:?}", SymKey::new(&[0x41; 32], STRICT, Engine::best()).unwrap());
    assert_eq!(shown, format!("SymKey {{ limits: {STRICT:?}, .. }}"));
}

#[test]
fn errors_have_texts_without_secrets() {
    let errors = [
        (Error::Malformed, "message is too short"),
        (Error::TimestampInFuture, "timestamp is in the future"),
        (Error::TimestampTooOld, "timestamp is too old"),
        (Error::PublicKeyMissing, "public key not found"),
        (Error::InvalidSignature, "signature is not valid"),
        (Error::NotAuthentic, "message is not authentic"),
        (Error::InvalidKey(KeyFault::SymmetricZero), "symmetric key is all zero"),
        (Error::InvalidParameter("this one"), "this one"),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
    }
}
