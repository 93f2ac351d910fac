//! Argon2i: the vector of RFC 9106, agreement with the crate `argon2`, deployed passwords, and every error.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use argon2::{Algorithm, AssociatedData, ParamsBuilder, Version};
use common::{bytes, hex, list, parse};
use e4_core::Error;
use e4_core::curve::PrivateKey;
use e4_core::kdf::{Params, argon2i, key_from_password};
use serde_json::Value;

const PARAMS: Params<'_> =
    Params { time_cost: 1, memory_kib: 64, lanes: 2, salt: b"", secret: b"", associated_data: b"" };

#[test]
fn rfc_9106_vector() {
    let vector = &parse(common::RFC9106)["argon2i"];
    let number = |member: &str| u32::try_from(vector[member].as_u64().unwrap()).unwrap();
    let (salt, secret) = (hex(vector, "salt"), hex(vector, "secret"));
    let associated_data = hex(vector, "associated_data");
    let params = Params {
        time_cost: number("time_cost"),
        memory_kib: number("memory_kib"),
        lanes: number("lanes"),
        salt: &salt,
        secret: &secret,
        associated_data: &associated_data,
    };
    let mut tag = vec![0; number("length") as usize];
    argon2i(&hex(vector, "password"), &params, &mut tag).unwrap();
    assert_eq!(tag, hex(vector, "tag"));
}

#[test]
fn deployed_passwords() {
    let check = |vector: &Value| {
        let key = key_from_password(vector["password"].as_str().unwrap()).unwrap();
        assert_eq!(key.to_vec(), hex(vector, "sym_key"));
        let public = PrivateKey::from_seed(&key).public_key();
        assert_eq!([key.to_vec(), public.to_vec()].concat(), hex(vector, "ed25519_private"));
    };
    list(common::E4, "kdf").iter().for_each(check);
}

#[test]
fn agrees_with_argon2() {
    // Passes over the first, more than 128 blocks in a segment, memory that does not divide, more lanes than threads.
    let shapes = [
        (1, 8, 1),
        (1, 9, 1),
        (2, 16, 2),
        (3, 37, 3),
        (1, 600, 1),
        (2, 2100, 2),
        (4, 1031, 1),
        (1, 200, 24),
        (2, 320, 40),
        (1, 1029, 4),
    ];
    for (i, (time_cost, memory_kib, lanes)) in (0..).zip(shapes) {
        for (j, len) in (0..).zip([4, 31, 32, 33, 63, 64, 65, 95, 96, 97, 128, 1000]) {
            let (password, salt) = (bytes(i, len), bytes(j + 100, 8 + len));
            let secret = bytes(i + j, usize::try_from(j).unwrap() * 7);
            let associated_data = bytes(i * j, usize::try_from(i).unwrap() * 3);
            let mut builder = ParamsBuilder::new();
            builder.t_cost(time_cost).m_cost(memory_kib).p_cost(lanes).output_len(len);
            builder.data(AssociatedData::new(&associated_data).unwrap());
            let params = builder.build().unwrap();
            let theirs =
                argon2::Argon2::new_with_secret(&secret, Algorithm::Argon2i, Version::V0x13, params).unwrap();
            let mut expected = vec![0; len];
            theirs.hash_password_into(&password, &salt, &mut expected).unwrap();

            let (salt, secret, associated_data) = (&*salt, &*secret, &*associated_data);
            let params = Params { time_cost, memory_kib, lanes, salt, secret, associated_data };
            let mut tag = vec![0; len];
            argon2i(&password, &params, &mut tag).unwrap();
            assert_eq!(tag, expected, "t={time_cost} m={memory_kib} p={lanes} length={len}");
        }
    }
}

#[test]
fn every_input_matters() {
    let tag = |password: &[u8], params: Params<'_>, len| {
        let mut tag = vec![0; len];
        argon2i(password, &params, &mut tag).unwrap();
        tag
    };
    let base = tag(b"password", PARAMS, 32);
    assert_eq!(base, tag(b"password", PARAMS, 32));
    let others = [
        tag(b"passwore", PARAMS, 32),
        tag(b"", PARAMS, 32),
        tag(b"password", PARAMS, 33)[..32].to_vec(),
        tag(b"password", Params { time_cost: 2, ..PARAMS }, 32),
        tag(b"password", Params { memory_kib: 65, ..PARAMS }, 32),
        tag(b"password", Params { lanes: 1, ..PARAMS }, 32),
        tag(b"password", Params { salt: b"s", ..PARAMS }, 32),
        tag(b"password", Params { secret: b"s", ..PARAMS }, 32),
        tag(b"password", Params { associated_data: b"s", ..PARAMS }, 32),
    ];
    for (i, other) in others.iter().enumerate() {
        assert_ne!(&base, other);
        assert!(!others[..i].contains(other));
    }
}

#[test]
fn parameters_outside_the_rfc_are_refused() {
    let refused = |params: Params<'_>, len: usize| {
        matches!(argon2i(b"password", &params, &mut vec![0; len]), Err(Error::InvalidParameter(_)))
    };
    assert!(!refused(PARAMS, 4));
    assert!(refused(PARAMS, 3));
    assert!(refused(PARAMS, 0));
    assert!(refused(Params { time_cost: 0, ..PARAMS }, 32));
    assert!(refused(Params { lanes: 0, ..PARAMS }, 32));
    assert!(refused(Params { lanes: 1 << 24, memory_kib: u32::MAX, ..PARAMS }, 32));
    assert!(refused(Params { lanes: u32::MAX, memory_kib: u32::MAX, ..PARAMS }, 32));
    assert!(refused(Params { memory_kib: 15, ..PARAMS }, 32));
    assert!(refused(Params { memory_kib: 0, ..PARAMS }, 32));
}

#[test]
fn debug_shows_no_secret() {
    let params = Params { salt: b"abcdefgh", secret: b"secret", associated_data: b"data", ..PARAMS };
    assert_eq!(format!("{params:?}"), "Params { time_cost: 1, memory_kib: 64, lanes: 2, .. }");
}
