//! AES-SIV: the vectors of RFC 5297, agreement with the crate `aes-siv`, and every error.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use aes_siv::KeyInit;
use aes_siv::siv::{Aes128Siv, Aes256Siv};
use common::{array, bytes, hex, list};
use e4_core::siv::{Engine, MAX_ASSOCIATED_DATA, SivKey, TwoKeySiv};
use e4_core::{Error, KeyFault};

fn seal(siv: &TwoKeySiv, associated_data: &[&[u8]], plaintext: &[u8]) -> Vec<u8> {
    let mut sealed = vec![0xee; plaintext.len() + 16];
    siv.seal(associated_data, plaintext, &mut sealed).unwrap();
    sealed
}

fn open(siv: &TwoKeySiv, associated_data: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let mut plaintext = vec![0xee; sealed.len() - 16];
    siv.open(associated_data, sealed, &mut plaintext).map(|()| plaintext)
}

#[test]
fn rfc_5297_vectors() {
    for vector in list(common::RFC5297, "aes_siv") {
        let siv = TwoKeySiv::new(&hex(&vector, "key")).unwrap();
        let strings = vector["associated_data"].as_array().unwrap();
        let strings: Vec<_> = strings.iter().map(|s| hex::decode(s.as_str().unwrap()).unwrap()).collect();
        let strings: Vec<_> = strings.iter().map(Vec::as_slice).collect();
        let (plaintext, output) = (hex(&vector, "plaintext"), hex(&vector, "output"));
        assert_eq!(seal(&siv, &strings, &plaintext), output);
        assert_eq!(open(&siv, &strings, &output).unwrap(), plaintext);
    }
}

#[test]
fn agrees_with_aes_siv_at_all_lengths() {
    // Beyond 64 blocks every AES implementation takes its widest path at least once.
    for len in (0..=200).chain([1023, 1024, 1025, 1040, 2048, 2049, 5000]) {
        let (plaintext, data) = (bytes(1, len), bytes(2, len % 40));
        for associated_data in [&[][..], &[&data[..]][..], &[&data[..], b"", &[0; 16], &[7; 33]][..]] {
            let key = array::<32>(len as u64);
            let ours = seal(&TwoKeySiv::new(&key).unwrap(), associated_data, &plaintext);
            let theirs = Aes128Siv::new(&key.into()).encrypt(associated_data, &plaintext).unwrap();
            assert_eq!(ours, theirs, "AES-128, {len} bytes");

            let key = array::<64>(len as u64);
            let siv = TwoKeySiv::new(&key).unwrap();
            let ours = seal(&siv, associated_data, &plaintext);
            let theirs = Aes256Siv::new(&key.into()).encrypt(associated_data, &plaintext).unwrap();
            assert_eq!(ours, theirs, "AES-256, {len} bytes");
            assert_eq!(open(&siv, associated_data, &ours).unwrap(), plaintext);
        }
    }
}

#[test]
fn one_key_is_that_key_twice() {
    for len in (0..=200).chain([1024, 3000]) {
        let key = array::<32>(len as u64 + 1000);
        let (one, two) = (SivKey::new(&key, Engine::best()), TwoKeySiv::new(&[key, key].concat()).unwrap());
        let plaintext = bytes(3, len);
        for data_len in [0, 1, 8, 15, 16, 17, 40] {
            let data = bytes(4, data_len);
            let mut sealed = vec![0xee; len + 16];
            one.seal(&data, &plaintext, &mut sealed).unwrap();
            assert_eq!(sealed, seal(&two, &[&data], &plaintext));
            let mut opened = vec![0xee; len];
            one.open(&data, &sealed, &mut opened).unwrap();
            assert_eq!(opened, plaintext);
        }
    }
}

#[test]
fn the_counter_starts_with_two_bits_cleared() {
    // Sealings whose SIV has bit 31 or bit 63 set, where a plain CTR would differ.
    let (key, mut with_both) = (array::<32>(9), 0);
    let ours = TwoKeySiv::new(&key).unwrap();
    let mut theirs = Aes128Siv::new(&key.into());
    for seed in 0..64 {
        let plaintext = bytes(seed, 64);
        let sealed = seal(&ours, &[], &plaintext);
        assert_eq!(sealed, theirs.encrypt([b""; 0], &plaintext).unwrap());
        with_both += u32::from(sealed[8] & sealed[12] & 0x80 != 0);
    }
    assert!(with_both > 0);
}

#[test]
fn every_changed_bit_is_noticed_and_nothing_is_released() {
    let key = array::<32>(5);
    let siv = SivKey::new(&key, Engine::best());
    for len in [0, 1, 16, 33] {
        let plaintext = bytes(6, len);
        let mut sealed = vec![0; len + 16];
        siv.seal(b"12345678", &plaintext, &mut sealed).unwrap();
        for bit in 0..sealed.len() * 8 {
            sealed[bit / 8] ^= 1 << (bit % 8);
            let mut opened = vec![0xee; len];
            assert_eq!(siv.open(b"12345678", &sealed, &mut opened), Err(Error::NotAuthentic));
            assert_eq!(opened, vec![0; len]);
            sealed[bit / 8] ^= 1 << (bit % 8);
        }
        let mut opened = vec![0xee; len];
        assert_eq!(siv.open(b"12345679", &sealed, &mut opened), Err(Error::NotAuthentic));
        assert_eq!(siv.open(b"", &sealed, &mut opened), Err(Error::NotAuthentic));
        assert_eq!(opened, vec![0; len]);
        siv.open(b"12345678", &sealed, &mut opened).unwrap();
        assert_eq!(opened, plaintext);
    }
    let two = TwoKeySiv::new(&[key, key].concat()).unwrap();
    let mut opened = [0xee; 4];
    assert_eq!(two.open(&[], &[1; 20], &mut opened), Err(Error::NotAuthentic));
    assert_eq!(opened, [0; 4]);
}

#[test]
fn lengths_are_checked() {
    let one = SivKey::new(&array(7), Engine::best());
    let two = TwoKeySiv::new(&array::<64>(7)).unwrap();
    for wrong in [0, 15, 16, 19, 21] {
        let mut out = vec![0; wrong];
        assert_eq!(one.seal(b"", &[0; 4], &mut out), Err(Error::OutputLength));
        assert_eq!(two.seal(&[], &[0; 4], &mut out), Err(Error::OutputLength));
        assert_eq!(one.open(b"", &[0; 20], &mut out), Err(Error::OutputLength));
        assert_eq!(two.open(&[], &[0; 20], &mut out), Err(Error::OutputLength));
    }
    for short in 0..16 {
        assert_eq!(one.open(b"", &vec![0; short], &mut []), Err(Error::Malformed));
        assert_eq!(two.open(&[], &vec![0; short], &mut []), Err(Error::Malformed));
    }
    for wrong in [0, 16, 31, 33, 48, 63, 65, 128] {
        let error = TwoKeySiv::new(&vec![1; wrong]).unwrap_err();
        assert_eq!(error, Error::InvalidKey(KeyFault::SivLength));
    }
}

#[test]
fn the_number_of_strings_is_limited() {
    let key = array::<32>(8);
    let siv = TwoKeySiv::new(&key).unwrap();
    let strings = vec![&b"string"[..]; MAX_ASSOCIATED_DATA + 1];
    let allowed = &strings[1..];
    let sealed = seal(&siv, allowed, b"text");
    assert_eq!(sealed, Aes128Siv::new(&key.into()).encrypt(allowed, b"text").unwrap());
    assert_eq!(open(&siv, allowed, &sealed).unwrap(), b"text");

    let mut out = [0; 20];
    assert!(matches!(siv.seal(&strings, b"text", &mut out), Err(Error::InvalidParameter(_))));
    assert!(matches!(siv.open(&strings, &sealed, &mut out[..4]), Err(Error::InvalidParameter(_))));
}
