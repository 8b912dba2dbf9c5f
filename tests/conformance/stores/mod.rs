//! One suite for every store: rules, many processes at once, kills, and all that goes wrong on the way to a server.

#![expect(clippy::print_stdout, reason = "a test of many parts says how far it came")]

mod servers;
pub(crate) mod proxy;
mod worker;
mod faults;
mod kills;
mod rounds;
mod errors;
#[path = "../../../src/store/tests/rules.rs"]
mod rules;

use std::sync::Arc;

use lifeboat::store::backend::{Backend, ObjectVersion, PutCondition, PutOutcome};
use lifeboat::store::error::StoreError;
use lifeboat::store::folder::FolderBackend;
use lifeboat::store::key::{KeyPrefix, SEALED, StoreKey};
use lifeboat::store::open::{ensure_fit, open};
use lifeboat::store::sealed::backend::{SealedBackend, SealedPlace};
use lifeboat::store::sealed::declared::StateEncryption;
use lifeboat::store::sealed::secret_key::{KeyRing, SecretKey};

use rules::RULES;
use servers::StoreServer;
use worker::contend;

/// What every store has to keep, from one process and from sixteen.
fn keeps_all_rules(server: &StoreServer) {
    let state = open(server.location(), "shop");
    for (name, rule) in RULES {
        println!("{name}");
        rule(&*state);
    }
    let other = open(server.location(), "blog@drill");
    let key = StoreKey::parse("a").unwrap();
    other.put(&key, b"a", PutCondition::Absent).unwrap();
    assert_eq!(state.get(&key).unwrap(), None, "states know nothing of each other");
    assert_eq!(other.neighbors().unwrap(), ["blog@drill"]);
    state.put(&key, b"b", PutCondition::Absent).unwrap();
    assert_eq!(state.neighbors().unwrap(), ["blog@drill", "shop"]);
    contend(server.location());
    ensure_fit(server.location(), "shop").unwrap();
    // The second time it remembers.
    ensure_fit(server.location(), "shop").unwrap();
    let mut left = state.list(&KeyPrefix::ROOT).unwrap();
    left.retain(|it| !it.as_str().starts_with("race"));
    assert_eq!(left, [key, StoreKey::parse("probed.json").unwrap()], "the probe is swept");
}

#[test]
fn versitygw_keeps_all_rules_of_a_store() {
    keeps_all_rules(&StoreServer::versitygw());
}

#[test]
fn s3_of_ministack_keeps_all_rules_of_a_store() {
    keeps_all_rules(&StoreServer::ministack_s3());
}

#[test]
fn dynamodb_of_ministack_keeps_all_rules_of_a_store() {
    keeps_all_rules(&StoreServer::ministack_table());
}

#[test]
fn dynamodb_of_the_sandbox_keeps_all_rules_of_a_store() {
    keeps_all_rules(&StoreServer::sandbox_table());
}

/// 32 bytes that are no secret.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The same of what is encrypted in them.
fn keeps_all_rules_encrypted(server: &StoreServer) {
    let keys = KeyRing::new(SecretKey::parse("KEY", KEY).unwrap(), Vec::new());
    let place = SealedPlace {
        state: "shop".into(),
        stack: "shop".into(),
        to: server.location().to_string(),
    };
    let declared = StateEncryption { key_env: "KEY".into(), old_key_env: Vec::new() };
    let inner = open(server.location(), "shop");
    let sealed = SealedBackend::new(Arc::clone(&inner), place, declared).with_keys(keys);
    for (name, rule) in RULES {
        println!("{name}");
        rule(&sealed);
    }
    let key = StoreKey::parse("head").unwrap();
    sealed.put(&key, b"what is secret", PutCondition::Always).unwrap();
    assert_eq!(sealed.get(&key).unwrap().unwrap(), b"what is secret");
    let stored = inner.get(&key.within(&SEALED)).unwrap().unwrap();
    assert!(!stored.windows(6).any(|it| it == b"secret"), "it is encrypted");
}

#[test]
fn versitygw_keeps_all_rules_of_an_encrypted_store() {
    keeps_all_rules_encrypted(&StoreServer::versitygw());
}

#[test]
fn dynamodb_of_ministack_keeps_all_rules_of_an_encrypted_store() {
    keeps_all_rules_encrypted(&StoreServer::ministack_table());
}

/// A folder, by the same processes; its rules are unit tests.
#[test]
fn folder_has_one_winner_among_processes() {
    let root = crate::process::Root::new();
    let folder = root.folder("state");
    FolderBackend::new(&folder).ensure_prefix(&KeyPrefix::ROOT).unwrap();
    worker::contend_in(&folder.display().to_string());
}

/// A suite in which no store fails is none: this one answers 412 to a second put, and grants a lease to many.
#[test]
fn s3s_fs_is_refused_by_the_probe() {
    let server = StoreServer::s3s();
    let why = ensure_fit(server.location(), "shop").unwrap_err();
    let told = why.to_string();
    assert!(told.starts_with("s3://shop-state/lifeboat cannot keep states: "), "{told}");
    // How many were lucky, and at which of the two, differs from run to run.
    assert!(told.contains(" of 16 simultaneous puts "), "{told}");
    assert!(why.advice().contains("conditional puts are atomic"), "{}", why.advice());
    let again = ensure_fit(server.location(), "shop").unwrap_err();
    assert!(matches!(again, StoreError::Unfit { .. }), "it is not remembered as fit: {again}");
}
