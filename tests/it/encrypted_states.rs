//! A state that is encrypted: a whole life of it, its keys replaced, and nothing of it in plain text in any file.

use std::path::{Path, PathBuf};

use crate::harness::Home;
use crate::state_stores::{REGION, TABLE, act_on, make_table, served};

const TINY: &str = "stack: tiny

resources:
  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-known-text }
";

const SPARE: &str = "  spare: { kind: linode.nodebalancer, region: us-east, label: tiny-spare }\n";

const OLD: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "f0e0d0c0b0a090807060504030201000f1e1d1c1b1a191817161514131211101";

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files below the state that hold a text.
fn holding(home: &Home, text: &str) -> Vec<PathBuf> {
    let mut found = files(&home.path("state/tiny"));
    found.retain(|it| String::from_utf8_lossy(&std::fs::read(it).unwrap()).contains(text));
    found
}

fn is_for_its_owner_alone(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777 == 0o600
}

fn stack(home: &Home) -> String {
    std::fs::read_to_string(home.path("stacks/tiny/stack.yaml")).unwrap()
}

/// From the key in SHOP_KEY to the one in SHOP_KEY_2.
fn replace_the_key(home: &mut Home) {
    let declared = stack(home);
    home.set("SHOP_KEY_2", NEW);
    home.stack("tiny", declared.replace("key_env: SHOP_KEY }", "key_env: SHOP_KEY_2 }"));
    home.run(&["plan", "tiny"])
        .code(1)
        .says(&["which SHOP_KEY held", "SHOP_KEY_2 holds the key", "old_key_env: NAME"])
        .done();
    let both =
        declared.replace("key_env: SHOP_KEY }", "key_env: SHOP_KEY_2, old_key_env: SHOP_KEY }");
    home.stack("tiny", &both);
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.run(&["state", "rekey", "tiny"])
        .code(0)
        .says(&["in SHOP_KEY_2", "nothing is encrypted with the key in SHOP_KEY any more"])
        .done();
    home.run(&["state", "rekey", "tiny"]).code(0).says(&[", 0 of them anew"]).done();
    home.set("SHOP_KEY", "");
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.stack("tiny", declared.replace("key_env: SHOP_KEY }", "key_env: SHOP_KEY_2 }"));
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.set("SHOP_KEY_2", "secret-that-is-no-key");
    let said = home.run(&["plan", "tiny"]).code(1).says(&["64 hexadecimal digits"]).stderr;
    assert!(!said.contains("secret-that-is-no-key"), "{said}");
    home.set("SHOP_KEY_2", NEW);
}

fn go_back_to_plain_text(home: &mut Home) {
    // Edited by hand: neither form is taken for no state at all.
    let declared = stack(home);
    home.stack("tiny", format!("{TINY}{SPARE}"));
    home.run(&["apply", "tiny", "--yes"]).code(3).says(&["moved it to folder, encrypted"]).done();
    home.stack("tiny", &declared);
    let decrypt = ["state", "migrate", "tiny", "--to", "folder", "--no-encrypt", "--yes"];
    home.run(&decrypt).code(0).says(&["in plain text from then on"]).done();
    assert!(!stack(home).contains("state:"), "{}", stack(home));
    assert!(!holding(home, "tiny-known-text").is_empty());
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.stack("tiny", &declared);
    home.run(&["apply", "tiny", "--yes"]).code(3).says(&["moved it to folder"]).done();
    home.stack("tiny", format!("{TINY}{SPARE}"));
    // Once more, with a key that opened nothing before.
    home.set("SHOP_KEY_3", OLD);
    let again = ["state", "migrate", "tiny", "--to", "folder", "--encrypt", "SHOP_KEY_3", "--yes"];
    home.run(&again).code(0).done();
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.run(&decrypt).code(0).done();
    home.run(&["destroy", "tiny", "--yes", "--data-loss"]).code(0).done();
}

#[test]
fn encrypted_state_lives_a_whole_life_and_is_in_no_file_in_plain_text() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let mut home = Home::holding("tiny", TINY);
    act_on(&mut home, &address);
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    assert!(!holding(&home, "tiny-known-text").is_empty(), "in plain text it is found");
    assert!(files(&home.path("state/tiny")).iter().all(|it| is_for_its_owner_alone(it)));

    let encrypt = ["state", "migrate", "tiny", "--to", "folder", "--encrypt", "SHOP_KEY", "--yes"];
    home.run(&encrypt)
        .code(1)
        .says(&["SHOP_KEY, which should hold its key, is not set", "/dev/urandom | base64"])
        .done();
    assert_eq!(stack(&home), TINY, "nothing was changed");
    home.set("SHOP_KEY", OLD);
    home.run(&encrypt)
        .code(0)
        .says(&["keep the key where the state is not", "moved the state of tiny, serial 1"])
        .done();
    assert!(
        stack(&home).contains("\nstate:\n  encrypt: { key_env: SHOP_KEY }\n"),
        "{}",
        stack(&home)
    );
    assert_eq!(holding(&home, "tiny-known-text"), Vec::<PathBuf>::new());
    home.run(&encrypt).code(1).says(&["already"]).done();
    // Cut off before the stack file was written: the same command goes on.
    let written = stack(&home);
    home.stack("tiny", TINY);
    home.run(&["plan", "tiny"]).code(3).says(&["moved it to folder, encrypted"]).done();
    home.run(&encrypt).code(0).done();
    assert_eq!(stack(&home), written);
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.run(&["status", "tiny"]).code(0).shows(&["folder, encrypted"]).done();

    // A plan that is saved is encrypted as well, and carried out.
    home.stack("tiny", format!("{}{SPARE}", stack(&home)).replace("\n\nresources", "\nresources"));
    home.run(&["plan", "tiny", "--out", "next.plan"]).code(0).done();
    let plan = home.path("next.plan");
    assert!(!String::from_utf8_lossy(&std::fs::read(&plan).unwrap()).contains("tiny-spare"));
    assert!(is_for_its_owner_alone(&plan));
    home.run(&["plan", "tiny", "--out", "next.plan"]).code(0).done();
    home.run(&["show", "next.plan"]).code(0).shows(&["tiny-spare"]).done();
    home.run(&["apply", "next.plan", "--yes"]).code(0).done();
    home.run(&["state", "log", "tiny"]).code(0).shows(&["apply next.plan"]).done();
    home.run(&["state", "restore", "tiny", "--serial", "1", "--yes"]).code(0).done();
    home.run(&["state", "restore", "tiny", "--serial", "2", "--yes"]).code(0).done();
    for text in ["tiny-known-text", "tiny-spare", OLD] {
        assert_eq!(holding(&home, text), Vec::<PathBuf>::new(), "{text}");
    }
    assert!(files(&home.path("state/tiny")).iter().all(|it| is_for_its_owner_alone(it)));

    replace_the_key(&mut home);
    go_back_to_plain_text(&mut home);
    serving.signal("TERM");
    serving.end().code(0).done();
    assert!(world.world.is_empty().unwrap());
}

/// `encrypt` was written into the stack file, and nothing was moved.
#[test]
fn plan_refuses_a_plain_state_under_encrypt_and_tells_the_command() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let mut home = Home::holding("tiny", TINY);
    act_on(&mut home, &address);
    home.set("SHOP_KEY", OLD);
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    home.stack("tiny", format!("{TINY}state: {{ encrypt: {{ key_env: SHOP_KEY }} }}\n"));
    for command in [&["plan", "tiny"][..], &["apply", "tiny", "--yes"], &["state", "list", "tiny"]]
    {
        home.run(command)
            .code(3)
            .says(&["`lifeboat state migrate tiny --to folder --encrypt SHOP_KEY`"])
            .done();
    }
    home.run(&["state", "migrate", "tiny", "--to", "folder", "--encrypt", "SHOP_KEY", "--yes"])
        .code(0)
        .done();
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    assert_eq!(holding(&home, "tiny-known-text"), Vec::<PathBuf>::new());
    serving.signal("TERM");
    serving.end().code(0).done();
}

/// From the folder in plain text into a table in one move, read by another machine, and on into the folder.
#[test]
fn encrypted_state_moves_into_a_table_and_is_read_by_who_has_the_key() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let mut home = Home::holding("tiny", TINY);
    act_on(&mut home, &address);
    home.set("SHOP_KEY", OLD);
    home.run(&["apply", "tiny", "--yes"]).code(0).done();
    make_table(&world, REGION);
    let store = format!("dynamodb://{TABLE}?region={REGION}&endpoint={address}&fault_domain=local");
    let to = |to: &str| {
        home.run(&["state", "migrate", "tiny", "--to", to, "--encrypt", "SHOP_KEY", "--yes"])
    };
    to(&store)
        .code(0)
        .says(&["every checkout and every pipeline uses it", "needs the key in SHOP_KEY"])
        .done();
    assert_eq!(holding(&home, "tiny-known-text"), Vec::<PathBuf>::new());
    let query = serde_json::json!({ "TableName": TABLE });
    let items = world.dynamodb(REGION, "Scan", &query);
    let held = items["Items"].as_array().unwrap().iter().filter_map(|it| it["bytes"]["B"].as_str());
    let held: Vec<Vec<u8>> =
        held.map(|it| data_encoding::BASE64.decode(it.as_bytes()).unwrap()).collect();
    assert!(held.iter().any(|it| it.starts_with(b"lifeboat-sealed 1 ")), "{items}");
    assert!(!held.iter().any(|it| String::from_utf8_lossy(it).contains("tiny-known-text")));

    let mut second = Home::holding("tiny", stack(&home));
    act_on(&mut second, &address);
    second.run(&["plan", "tiny"]).code(1).says(&["SHOP_KEY, which should hold its key"]).done();
    second.set("SHOP_KEY", OLD);
    second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    // Without a flag the form stays.
    home.run(&["state", "migrate", "tiny", "--to", "folder", "--yes"]).code(0).done();
    assert!(stack(&home).contains("encrypt: { key_env: SHOP_KEY }"), "{}", stack(&home));
    assert_eq!(holding(&home, "tiny-known-text"), Vec::<PathBuf>::new());
    home.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    second.run(&["plan", "tiny"]).code(3).says(&["moved it to folder, encrypted"]).done();
    serving.signal("TERM");
    serving.end().code(0).done();
}
