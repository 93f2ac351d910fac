//! Ed25519 and X25519: RFC 8032, RFC 7748, deployed keys, what is accepted and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod common;

use common::{array, bytes, hex, list, parse};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use e4_core::curve::{
    PrivateKey, PublicKey, c2_shared_key, check_x25519_public_key, x25519, x25519_public_key,
};
use e4_core::{Error, KeyFault};
use sha2::{Digest, Sha512};

fn private(seed: &[u8]) -> PrivateKey {
    PrivateKey::from_seed(seed.try_into().unwrap())
}

fn fault<T: std::fmt::Debug>(result: Result<T, Error>) -> KeyFault {
    match result {
        Err(Error::InvalidKey(fault)) => fault,
        other => panic!("expected a key fault, got {other:?}"),
    }
}

#[test]
fn rfc_8032_vectors() {
    for vector in list(common::RFC8032, "ed25519") {
        let (key, message) = (private(&hex(&vector, "seed")), hex(&vector, "message"));
        assert_eq!(key.public_key().to_vec(), hex(&vector, "public"));
        assert_eq!(key.sign(&message).to_vec(), hex(&vector, "signature"));
        let public = PublicKey::from_bytes(&hex(&vector, "public")).unwrap();
        public.verify(&message, &hex(&vector, "signature")).unwrap();
    }
}

#[test]
fn deployed_signatures() {
    for vector in list(common::E4, "ed25519") {
        let key = PrivateKey::from_bytes(&[hex(&vector, "seed"), hex(&vector, "pub")].concat()).unwrap();
        let (message, signature) = (hex(&vector, "msg"), hex(&vector, "sig"));
        assert_eq!(key.sign(&message).to_vec(), signature);
        PublicKey::from_bytes(&key.public_key()).unwrap().verify(&message, &signature).unwrap();
    }
}

#[test]
fn rfc_7748_vectors() {
    for vector in list(common::RFC7748, "x25519") {
        let shared = x25519(&hex(&vector, "scalar"), &hex(&vector, "u")).unwrap();
        assert_eq!(shared.to_vec(), hex(&vector, "output"));
    }
    let file = parse(common::RFC7748);
    let iterated = &file["iterated"];
    let (mut k, mut u) = (hex(iterated, "start"), hex(iterated, "start"));
    for i in 1..=1000 {
        let next = x25519(&k, &u).unwrap().to_vec();
        (k, u) = (next, k);
        if i == 1 || i == 1000 {
            assert_eq!(k, hex(iterated, &format!("after_{i}")));
        }
    }
    let dh = &file["diffie_hellman"];
    for (own, other) in [("alice", "bob"), ("bob", "alice")] {
        let own_private = hex(dh, &format!("{own}_private"));
        assert_eq!(x25519_public_key(&own_private).unwrap().to_vec(), hex(dh, &format!("{own}_public")));
        let shared = x25519(&own_private, &hex(dh, &format!("{other}_public"))).unwrap();
        assert_eq!(shared.to_vec(), hex(dh, "shared"));
    }
}

#[test]
fn deployed_conversions_and_shared_keys() {
    for vector in list(common::E4, "x25519") {
        let key = private(&hex(&vector, "ed_seed"));
        assert_eq!(key.public_key().to_vec(), hex(&vector, "ed_pub"));
        let converted = PublicKey::from_bytes(&key.public_key()).unwrap().to_x25519();
        assert_eq!(key.to_x25519().to_vec(), hex(&vector, "x_priv"));
        assert_eq!(converted.to_vec(), hex(&vector, "x_pub_converted"));
        assert_eq!(x25519_public_key(key.to_x25519().as_slice()).unwrap(), converted);
        let (c2_private, c2_public) = (hex(&vector, "c2_priv"), hex(&vector, "c2_pub"));
        assert_eq!(x25519_public_key(&c2_private).unwrap().to_vec(), c2_public);
        let point = x25519(key.to_x25519().as_slice(), &c2_public).unwrap();
        assert_eq!(point.to_vec(), hex(&vector, "shared_point"));
        for (private, public) in [(key.to_x25519().to_vec(), c2_public), (c2_private, converted.to_vec())] {
            let shared = c2_shared_key(&private, &public).unwrap();
            assert_eq!(shared.to_vec(), hex(&vector, "shared_key_sha3"));
        }
    }
}

#[test]
fn private_keys_are_checked() {
    let key = private(&bytes(1, 32));
    let mut encoded = [bytes(1, 32), key.public_key().to_vec()].concat();
    assert_eq!(PrivateKey::from_bytes(&encoded).unwrap().sign(b"m"), key.sign(b"m"));
    for i in 0..64 {
        encoded[i] ^= 1;
        assert_eq!(fault(PrivateKey::from_bytes(&encoded)), KeyFault::PublicHalf);
        encoded[i] ^= 1;
    }
    for len in [0, 32, 63, 65] {
        assert_eq!(fault(PrivateKey::from_bytes(&vec![1; len])), KeyFault::PrivateLength);
    }
    assert_eq!(format!("{key:?}"), "PrivateKey { .. }");
}

#[test]
fn public_keys_of_small_order_are_refused() {
    let mut encodings: Vec<_> = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    // The same points in encodings that are not canonical: y or y + p, and any sign where x is zero.
    let y_and_p = |low: u8, high: u8| {
        let mut y = [0xff; 32];
        (y[0], y[31]) = (low, high);
        y
    };
    encodings.extend([0xed, 0xee].map(|low| y_and_p(low, 0x7f)));
    encodings.extend([0xec, 0xed, 0xee].map(|low| y_and_p(low, 0xff)));
    let mut one = [0; 32];
    (one[0], one[31]) = (1, 0x80);
    encodings.push(one);
    for encoding in encodings {
        assert_eq!(
            fault(PublicKey::from_bytes(&encoding)),
            KeyFault::SmallOrder,
            "{}",
            hex::encode(encoding)
        );
    }
}

#[test]
fn public_keys_off_the_curve_or_of_another_length_are_refused() {
    let mut two = [0; 32];
    two[0] = 2;
    assert_eq!(fault(PublicKey::from_bytes(&two)), KeyFault::NotOnCurve);
    for len in [0, 31, 33, 64] {
        assert_eq!(fault(PublicKey::from_bytes(&vec![1; len])), KeyFault::PublicLength);
    }
    // About half of all encodings are points; none of them panics.
    let accepted = (0..200).filter(|&seed| PublicKey::from_bytes(&array::<32>(seed)).is_ok()).count();
    assert!((60..140).contains(&accepted));
}

#[test]
fn a_key_with_a_part_of_small_order_is_accepted() {
    // Go and ref10 accept it, and a signature by it where the parts of small order cancel out.
    let a = Scalar::from_bytes_mod_order(array(3));
    let mixed = (B * a + EIGHT_TORSION[1]).compress();
    let public = PublicKey::from_bytes(mixed.as_bytes()).unwrap();
    assert_eq!(public.as_bytes(), mixed.as_bytes());
    let outcomes: Vec<_> = (0..64_u64)
        .map(|i| {
            let message = i.to_le_bytes();
            let signature = signature(a, EdwardsPoint::default(), mixed.as_bytes(), &message);
            let k = challenge(&signature, mixed.as_bytes(), &message);
            let cancels = EIGHT_TORSION[1] * k == EdwardsPoint::default();
            assert_eq!(public.verify(&message, &signature).is_ok(), cancels);
            cancels
        })
        .collect();
    assert!(outcomes.contains(&true) && outcomes.contains(&false));
}

#[test]
fn verification_takes_no_cofactor() {
    let a = Scalar::from_bytes_mod_order(array(4));
    let key = (B * a).compress().to_bytes();
    let public = PublicKey::from_bytes(&key).unwrap();
    let good = signature(a, EdwardsPoint::default(), &key, b"message");
    public.verify(b"message", &good).unwrap();
    for torsion in &EIGHT_TORSION[1..] {
        // With the cofactor this equation would hold.
        let bad = signature(a, *torsion, &key, b"message");
        assert_eq!(public.verify(b"message", &bad), Err(Error::InvalidSignature));
    }
    // R of small order is no reason to refuse: here R is the identity, and s = k·a.
    let mut signature = [0; 64];
    signature[0] = 1;
    let s = challenge(&signature, &key, b"message") * a;
    signature[32..].copy_from_slice(s.as_bytes());
    public.verify(b"message", &signature).unwrap();
}

#[test]
fn signatures_are_refused() {
    let key = private(&bytes(5, 32));
    let public = PublicKey::from_bytes(&key.public_key()).unwrap();
    let good = key.sign(b"message");
    public.verify(b"message", &good).unwrap();
    assert_eq!(public.verify(b"messagf", &good), Err(Error::InvalidSignature));
    assert_eq!(public.verify(b"", &good), Err(Error::InvalidSignature));
    for i in 0..64 {
        let mut bad = good;
        bad[i] ^= 0x10;
        assert_eq!(public.verify(b"message", &bad), Err(Error::InvalidSignature));
    }
    for len in [0, 63, 65, 128] {
        assert_eq!(public.verify(b"message", &vec![0; len]), Err(Error::InvalidSignature));
    }
    // s + L is the same scalar, and refused: it is not less than L.
    let mut order = (Scalar::ZERO - Scalar::ONE).to_bytes();
    order[0] += 1;
    let mut carry = 0;
    let mut malleable = good;
    for (byte, order) in malleable[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(public.verify(b"message", &malleable), Err(Error::InvalidSignature));
}

#[test]
fn x25519_refuses_low_order_points() {
    let low_order = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in low_order {
        let mut point = hex::decode(point).unwrap();
        for high_bit in [0, 0x80] {
            point[31] ^= high_bit;
            assert_eq!(fault(check_x25519_public_key(&point)), KeyFault::ZeroSharedSecret);
            for seed in 0..4 {
                assert_eq!(fault(x25519(&bytes(seed, 32), &point)), KeyFault::ZeroSharedSecret);
                assert_eq!(fault(c2_shared_key(&bytes(seed, 32), &point)), KeyFault::ZeroSharedSecret);
            }
        }
    }
    // Any other 32 bytes are a point of the curve or of its twist.
    for seed in 0..50 {
        check_x25519_public_key(&bytes(seed, 32)).unwrap();
    }
}

#[test]
fn x25519_lengths_are_checked() {
    for len in [0, 31, 33, 64] {
        let (bad, good) = (vec![9; len], [9; 32]);
        assert_eq!(fault(x25519(&bad, &good)), KeyFault::X25519PrivateLength);
        assert_eq!(fault(x25519(&good, &bad)), KeyFault::X25519PublicLength);
        assert_eq!(fault(c2_shared_key(&bad, &good)), KeyFault::X25519PrivateLength);
        assert_eq!(fault(x25519_public_key(&bad)), KeyFault::X25519PrivateLength);
        assert_eq!(fault(check_x25519_public_key(&bad)), KeyFault::X25519PublicLength);
    }
}

/// A signature by the scalar `a`, with a point added to R.
fn signature(a: Scalar, added: EdwardsPoint, key: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let r = Scalar::from_bytes_mod_order(array(77));
    let mut signature = [0; 64];
    signature[..32].copy_from_slice((B * r + added).compress().as_bytes());
    let s = r + challenge(&signature, key, message) * a;
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

/// k of RFC 8032: SHA-512(R ‖ A ‖ message) mod L.
fn challenge(signature: &[u8; 64], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(&signature[..32]).chain_update(key).chain_update(message);
    Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
}
