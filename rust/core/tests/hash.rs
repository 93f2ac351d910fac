//! SHA3-256 and the hashes that name clients and topics.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{hex, list};
use e4_core::hash::{Id, TopicHash, sha3_256};

#[test]
fn fips_202_vectors() {
    for vector in list(common::FIPS202, "sha3_256") {
        let times = usize::try_from(vector["repeated"].as_u64().unwrap()).unwrap();
        assert_eq!(sha3_256(&hex(&vector, "message").repeat(times)).to_vec(), hex(&vector, "digest"));
    }
}

#[test]
fn deployed_names() {
    for vector in list(common::E4, "hashes") {
        let name = String::from_utf8(hex(&vector, "in")).unwrap();
        assert_eq!(TopicHash::of_topic(&name).0.to_vec(), hex(&vector, "topic_hash"));
        let id = Id::of_name(&name);
        assert_eq!(id.0.to_vec(), hex(&vector, "client_id"));
        assert_eq!(id.control_topic(), vector["control_topic"].as_str().unwrap());
    }
}
