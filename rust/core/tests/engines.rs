//! Every engine that this processor can run gives the same bytes: as the crate `aes-siv`, and as each other.
//!
//! Over a million texts in all: every length to 1,100 bytes one by one, and batches of 1 to 300 with ragged lengths.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use aes_siv::KeyInit;
use aes_siv::siv::Aes256Siv;
use common::{array, bytes};
use e4_core::Error;
use e4_core::message::{Incoming, Limits, Outgoing, SymKey};
use e4_core::siv::{Engine, SivKey};
use e4_core::wire::{SYM_OVERHEAD, SYM_SIV};

const NOW: u64 = 1_588_888_888;

fn engines() -> impl Iterator<Item = Engine> {
    Engine::ALL.into_iter().filter(|engine| engine.is_available())
}

/// A small generator for shapes; the texts are slices of one long text.
struct Shapes(u64);

impl Shapes {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

#[test]
fn names_are_apart_and_the_portable_one_is_always_there() {
    assert!(Engine::Portable.is_available());
    assert!(Engine::best().is_available());
    let mut names = Engine::ALL.map(Engine::name).to_vec();
    names.dedup();
    assert_eq!(names, ["vaes", "aesni", "portable"]);
    for engine in Engine::ALL {
        let made = SivKey::new(&[1; 32], engine).engine();
        assert_eq!(made, if engine.is_available() { engine } else { Engine::Portable });
    }
}

#[test]
fn one_by_one_as_aes_siv() {
    let text = bytes(1, 1100);
    for engine in engines() {
        for len in 0..=text.len() {
            let key = array::<32>(len as u64);
            let data = bytes(2, len % 40);
            let (ours, mut theirs) =
                (SivKey::new(&key, engine), Aes256Siv::new(&[key, key].concat()[..].try_into().unwrap()));
            let mut sealed = vec![0xee; len + 16];
            ours.seal(&data, &text[..len], &mut sealed).unwrap();
            assert_eq!(sealed, theirs.encrypt([&data], &text[..len]).unwrap(), "{engine:?}, {len} bytes");
            let mut opened = vec![0xee; len];
            ours.open(&data, &sealed, &mut opened).unwrap();
            assert_eq!(opened, text[..len]);
        }
    }
}

#[test]
fn batches_as_one_by_one() {
    let text = bytes(3, 1100);
    let mut shapes = Shapes(4);
    let mut texts = 0;
    let mut batch = 0;
    while texts < 1_000_000 {
        batch += 1;
        // Mostly short and of one length, as in life; often ragged; now and then long.
        let count = 1 + shapes.next(300);
        let longest = [1, 17, 65, 65, 130, 300, 1101][shapes.next(7)];
        let same = shapes.next(3) == 0;
        let first = shapes.next(longest);
        let lens: Vec<_> = (0..count).map(|_| if same { first } else { shapes.next(longest) }).collect();
        let payloads: Vec<_> = lens
            .iter()
            .map(|len| {
                let start = shapes.next(1101 - len);
                &text[start..start + len]
            })
            .collect();
        let key = array::<32>(batch);
        let mut expected: Option<Vec<Vec<u8>>> = None;
        for engine in engines() {
            let key = SymKey::new(&key, Limits::default(), engine).unwrap();
            let mut messages: Vec<_> = lens.iter().map(|len| vec![0xee; len + SYM_OVERHEAD]).collect();
            let mut outgoing: Vec<_> = payloads
                .iter()
                .zip(&mut messages)
                .map(|(payload, message)| Outgoing { payload, message })
                .collect();
            key.protect_many(&mut outgoing, NOW).unwrap();
            match &expected {
                Some(expected) => assert_eq!(&messages, expected, "{engine:?}, batch {batch}"),
                None => {
                    // One of each batch by the other crate, and all of it one by one.
                    let mut one = Vec::new();
                    for (payload, message) in payloads.iter().zip(&messages) {
                        one.resize(message.len(), 0xee);
                        key.protect(payload, NOW, &mut one).unwrap();
                        assert_eq!(&one, message, "{engine:?}, batch {batch}");
                    }
                    let at = shapes.next(count);
                    let double = [array::<32>(batch), array::<32>(batch)].concat();
                    let mut theirs = Aes256Siv::new(&double[..].try_into().unwrap());
                    let sealed = theirs.encrypt([NOW.to_le_bytes()], payloads[at]).unwrap();
                    assert_eq!(messages[at][SYM_SIV..], sealed);
                }
            }
            texts += count;
            // One of them changed: it alone is refused, and leaves nothing.
            let changed = shapes.next(count);
            let bit = SYM_SIV * 8 + shapes.next((messages[changed].len() - SYM_SIV) * 8);
            let mut received = messages.clone();
            received[changed][bit / 8] ^= 1 << (bit % 8);
            let mut opened: Vec<_> = lens.iter().map(|len| vec![0xee; *len]).collect();
            let mut incoming: Vec<_> = received
                .iter()
                .zip(&mut opened)
                .map(|(message, payload)| Incoming { message, payload })
                .collect();
            let outcomes = key.unprotect_many(&mut incoming, NOW);
            for (i, (outcome, payload)) in outcomes.iter().zip(&opened).enumerate() {
                if i == changed {
                    assert_eq!(*outcome, Err(Error::NotAuthentic));
                    assert!(payload.iter().all(|&byte| byte == 0));
                } else {
                    assert_eq!((*outcome, &payload[..]), (Ok(()), payloads[i]));
                }
            }
            expected.get_or_insert(messages);
        }
    }
}
