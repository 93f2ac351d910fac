//! Commands: deployed bytes, exact lengths, and what `Debug` shows.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{array, bytes, hex, list};
use e4_core::Error;
use e4_core::command::{Command, IdKey, SecretBytes};
use e4_core::hash::{Id, TopicHash};
use e4_core::wire;

fn all() -> Vec<Command> {
    vec![
        Command::RemoveTopic(TopicHash(array(1))),
        Command::ResetTopics,
        Command::SetIdKey(IdKey::Symmetric(SecretBytes::new(&bytes(2, 32)).unwrap())),
        Command::SetIdKey(IdKey::Private(SecretBytes::new(&bytes(3, 64)).unwrap())),
        Command::SetTopicKey(SecretBytes::new(&bytes(4, 32)).unwrap(), TopicHash(array(5))),
        Command::RemovePubKey(Id(array(6))),
        Command::ResetPubKeys,
        Command::SetPubKey(array(7), Id(array(8))),
        Command::SetC2Key(array(9)),
    ]
}

#[test]
fn deployed_commands() {
    let names = |vector: &serde_json::Value| {
        let (bytes, name) = (hex(vector, "bytes"), vector["name"].as_str().unwrap());
        let command = Command::parse(&bytes).unwrap();
        assert_eq!(command.encode().to_vec(), bytes);
        let debug = format!("{command:?}").to_lowercase();
        assert!(debug.starts_with(&name.split('(').next().unwrap().to_lowercase()), "{debug} {name}");
        bytes[0]
    };
    let opcodes: Vec<_> = list(common::E4, "commands").iter().map(names).collect();
    assert_eq!(opcodes, [0, 1, 2, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn fields_and_encoding_are_inverses() {
    for command in all() {
        let (opcode, first, second) = command.fields();
        assert_eq!(Command::from_fields(opcode, first, second).unwrap(), command);
        let encoded = command.encode();
        assert_eq!(encoded.to_vec(), [&[opcode], first, second].concat());
        assert_eq!(Command::parse(&encoded).unwrap(), command);
    }
}

#[test]
fn fields_lie_in_wire_order() {
    let (key, id): ([u8; 32], [u8; 16]) = (array(1), array(2));
    let set = Command::parse(&[&[wire::SET_PUB_KEY], &key[..], &id[..]].concat()).unwrap();
    assert_eq!(set, Command::SetPubKey(key, Id(id)));
    let set = Command::parse(&[&[wire::SET_TOPIC_KEY], &key[..], &id[..]].concat()).unwrap();
    assert_eq!(set, Command::SetTopicKey(SecretBytes::new(&key).unwrap(), TopicHash(id)));
}

#[test]
fn lengths_are_exact() {
    let allowed = |opcode: u8, len: usize| match opcode {
        wire::REMOVE_TOPIC | wire::REMOVE_PUB_KEY => len == 16,
        wire::RESET_TOPICS | wire::RESET_PUB_KEYS => len == 0,
        wire::SET_ID_KEY => len == 32 || len == 64,
        wire::SET_TOPIC_KEY | wire::SET_PUB_KEY => len == 48,
        wire::SET_C2_KEY => len == 32,
        _ => false,
    };
    for opcode in 0..=255 {
        for len in 0..=100 {
            let data = [&[opcode], &bytes(1, len)[..]].concat();
            let expected = match allowed(opcode, len) {
                true => Ok(data.clone()),
                false if opcode <= wire::SET_C2_KEY => Err(Error::CommandLength),
                false => Err(Error::UnknownCommand),
            };
            assert_eq!(Command::parse(&data).map(|command| command.encode().to_vec()), expected);
        }
    }
    assert_eq!(Command::parse(&[]), Err(Error::UnknownCommand));
}

#[test]
fn fields_have_exact_lengths_each() {
    let from =
        |opcode, first, second| Command::from_fields(opcode, &bytes(1, first), &bytes(2, second)).map(|_| ());
    assert_eq!(from(wire::SET_TOPIC_KEY, 32, 16), Ok(()));
    assert_eq!(from(wire::SET_TOPIC_KEY, 16, 32), Err(Error::CommandLength));
    assert_eq!(from(wire::SET_TOPIC_KEY, 48, 0), Err(Error::CommandLength));
    assert_eq!(from(wire::SET_TOPIC_KEY, 0, 48), Err(Error::CommandLength));
    assert_eq!(from(wire::SET_ID_KEY, 32, 32), Err(Error::CommandLength));
    assert_eq!(from(wire::RESET_TOPICS, 0, 1), Err(Error::CommandLength));
    assert_eq!(from(8, 0, 0), Err(Error::UnknownCommand));
    assert_eq!(SecretBytes::<32>::new(&[0; 31]).unwrap_err(), Error::CommandLength);
}

#[test]
fn debug_shows_no_key() {
    for command in all() {
        let shown = format!("{command:?}");
        for window in command.fields().1.windows(2).filter(|_| command.fields().1.len() > 16) {
            assert!(!shown.contains(&format!("{}, {}", window[0], window[1])), "{shown}");
        }
    }
    let secret = SecretBytes::<32>::new(&[1; 32]).unwrap();
    assert_eq!(format!("{:?}", IdKey::Symmetric(secret)), "Symmetric((secret))");
}
