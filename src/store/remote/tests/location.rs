//! Addresses and settings of stores, good ones and mistakes.

use std::collections::BTreeMap;

use crate::store::remote::location::{DeclaredStores, StoreLocation, StoreProtocol};

fn parse(text: &str) -> StoreLocation {
    text.parse().unwrap_or_else(|why| panic!("{text}: {why}"))
}

fn refused(text: &str) -> String {
    match text.parse::<StoreLocation>() {
        Ok(it) => panic!("{text} is {it:?}"),
        Err(why) => why.to_string(),
    }
}

#[test]
fn store_location_is_written_as_it_is_read() {
    for text in [
        "s3://shop-state?region=eu-central-1",
        "s3://shop-state/lifeboat?profile=state&region=eu-central-1",
        "s3://shop-state/a/b?endpoint=https://us-east-1.linodeobjects.com&fault_domain=linode:us-east",
        "s3://shop-state?access_key_env=A&endpoint=http://127.0.0.1:9000&fault_domain=local&secret_key_env=B&session_token_env=C",
        "dynamodb://Shop_state?prefix=lifeboat&region=eu-west-1",
        "dynamodb://shop-state?region=eu-west-1&role_arn=arn:aws:iam::123456789012:role/state",
        "s3://shop-state?endpoint=https://s3.eu-west-1.amazonaws.com&region=eu-west-1",
    ] {
        let location = parse(text);
        assert_eq!(location.to_string(), text);
        let json = serde_json::to_value(&location).unwrap();
        assert_eq!(serde_json::from_value::<StoreLocation>(json).unwrap(), location);
    }
}

#[test]
fn store_location_derives_fault_domain_and_address() {
    let s3 = parse("s3://shop-state/lifeboat?region=eu-central-1");
    assert_eq!(s3.fault_domain, "aws:eu-central-1");
    assert_eq!(s3.address(), "https://s3.eu-central-1.amazonaws.com");
    assert_eq!(s3.name(), "s3://shop-state/lifeboat");
    let table = parse("dynamodb://shop-state?region=cn-north-1&prefix=x");
    assert_eq!(table.address(), "https://dynamodb.cn-north-1.amazonaws.com.cn");
    assert_eq!(
        (table.name().as_str(), table.protocol),
        ("dynamodb://shop-state/x", StoreProtocol::DynamoDb)
    );
    let own = parse("s3://shop-state?endpoint=http://127.0.0.1:9000/&fault_domain=local");
    assert_eq!((own.fault_domain.as_str(), own.region.as_str()), ("local", "us-east-1"));
    assert!(own.is_plain() && !s3.is_plain());
}

#[test]
fn store_location_refuses_what_it_cannot_keep() {
    let all = [
        "",
        "shop-state",
        "https://shop-state",
        "s3://?region=eu-west-1",
        "s3://Shop-State?region=eu-west-1",
        "s3://shop-state",
        "s3://shop-state?region=Frankfurt!",
        "s3://shop-state/a//b?region=eu-west-1",
        "s3://shop-state/a/../b?region=eu-west-1",
        "s3://shop-state/a/%2E/b?region=eu-west-1",
        "s3://shop-state?region=eu-west-1&prefix=a",
        "s3://shop-state?region=eu-west-1&region=eu-west-2",
        "s3://shop-state?regoin=eu-west-1",
        "s3://shop-state?region=eu-west-1&bukcet=x",
        "s3://shop-state:9000?region=eu-west-1",
        "s3://AKIAEXAMPLE:secret-canary@shop-state?region=eu-west-1",
        "s3://shop-state?endpoint=https://AKIA:secret-canary@h&fault_domain=x",
        "s3://shop-state?endpoint=https://storage.example.com",
        "s3://shop-state?endpoint=http://storage.example.com&fault_domain=x",
        "s3://shop-state?endpoint=https://storage.example.com/path&fault_domain=x",
        "s3://shop-state?endpoint=storage.example.com&fault_domain=x",
        "s3://shop-state?endpoint=https://storage.example.com&fault_domain=X Y",
        "s3://shop-state?region=eu-west-1&fault_domain=aws:eu-west-2",
        "s3://shop-state?region=eu-west-1&access_key_env=A",
        "s3://shop-state?region=eu-west-1&access_key_env=A&secret_key_env=secret/canary%2B",
        "s3://shop-state?region=eu-west-1&access_key_env=A&secret_key_env=B&profile=p",
        "s3://shop-state?region=eu-west-1&role_arn=state",
        "s3://shop-state?endpoint=https://h.example.com&fault_domain=x&role_arn=arn:aws:iam::1:role/x",
        "dynamodb://ab?region=eu-west-1",
        "dynamodb://shop-state/prefix?region=eu-west-1",
    ];
    let told: Vec<String> = all.iter().map(|it| format!("{it}\n  {}", refused(it))).collect();
    let told = told.join("\n");
    let said: Vec<&str> = told.lines().filter(|it| it.starts_with("  ")).collect();
    assert!(!said.join("").contains("canary"), "{said:#?}");
    insta::assert_snapshot!(told);
}

#[test]
fn declared_stores_are_read_from_a_stack() {
    let declared = |yaml: &str| serde_yaml::from_str::<DeclaredStores>(yaml);
    let all = declared(
        "s3: { bucket: shop-state, prefix: lifeboat, region: eu-central-1, profile: state }\n\
         mirror: { dynamodb: { table: shop-state, region: us-west-2 } }\n\
         witness: { s3: { bucket: shop-witness, region: us-east-1 } }\n",
    );
    let all = all.unwrap();
    assert_eq!(all.primary, parse("s3://shop-state/lifeboat?profile=state&region=eu-central-1"));
    assert_eq!(all.mirror, Some(parse("dynamodb://shop-state?region=us-west-2")));
    assert_eq!(all.witness.unwrap().fault_domain, "aws:us-east-1");
    let wrong = [
        "{}",
        "s3: { bucket: shop-state, region: eu-west-1 }\nmiror: {}",
        "s3: { bucket: shop-state, region: eu-west-1 }\ndynamodb: { table: shop, region: eu-west-1 }",
        "s3: { buket: shop-state, region: eu-west-1 }",
        "s3: { bucket: 12345, region: eu-west-1 }",
        "s3: { bucket: shop-state, region: eu-west-1 }\nmirror: { s3: { bucket: shop-state, region: eu-west-1 } }",
        "s3: { bucket: shop-state, region: eu-west-1 }\nmirror: { gcs: { bucket: shop-state } }",
    ];
    let told = wrong.map(|it| format!("{it}\n  {}", declared(it).unwrap_err()));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn settings_name_what_is_written() {
    let location = parse("s3://shop-state/a?region=eu-west-1");
    let settings: BTreeMap<String, String> = location.settings();
    assert_eq!(
        settings.into_iter().collect::<Vec<_>>(),
        [
            ("bucket".to_owned(), "shop-state".to_owned()),
            ("prefix".into(), "a".into()),
            ("region".into(), "eu-west-1".into()),
        ]
    );
}
