//! What is between the regions: journeys of writes, regions that are cut off, and groups that are frozen meanwhile.

use crate::dynamodb::tests::client::{Client, ORDERS, START};
use crate::dynamodb::tests::joining::add;
use crate::dynamodb::tests::leaving::delete;
use crate::dynamodb::{Links, LostRegion};
use crate::faults::state::GroupsMode;
use crate::http::Millis;

/// The same journey for every write: two seconds.
fn calm() -> Links {
    Links { lag: (2_000, 2_000), ..Links::default() }
}

fn without(region: &str, since: Millis, groups: GroupsMode) -> Links {
    let lost = [(region.to_owned(), LostRegion { since: START + since, groups })];
    Links { lost: lost.into(), ..calm() }
}

/// A group of us-east-1 and us-west-2.
fn pair() -> Client {
    let mut client = Client::new();
    client.play(&format!("{ORDERS}\n10s us-east-1 UpdateTable orders, {}\n= ok", add("us-west-2")));
    client.play("40s us-west-2 DescribeTable orders\n= Table.TableStatus \"ACTIVE\"");
    client.cloud.set_links(calm());
    client
}

#[test]
fn put_item_travels_and_the_last_writer_wins() {
    pair().play(
        r#"
        50s us-east-1 PutItem orders, "Item": {"id": {"S": "a"}, "n": {"N": "1"}}
        = ok
        51s us-west-2 GetItem orders, "Key": {"id": {"S": "a"}}
        = Item -
        52s us-west-2 GetItem orders, "Key": {"id": {"S": "a"}}
        = Item.n.N "1"
        60s us-east-1 PutItem orders, "Item": {"id": {"S": "a"}, "n": {"N": "2"}}
        = ok
        61s us-west-2 PutItem orders, "Item": {"id": {"S": "a"}, "n": {"N": "3"}}
        = ok
        62s us-west-2 GetItem orders, "Key": {"id": {"S": "a"}}
        = Item.n.N "3"
        63s us-east-1 GetItem orders, "Key": {"id": {"S": "a"}}
        = Item.n.N "3"
        64s us-west-2 DeleteItem orders, "Key": {"id": {"S": "a"}}
        = ok
        66s us-east-1 GetItem orders, "Key": {"id": {"S": "a"}}
        = Item -
        "#,
    );
}

#[test]
fn journey_varies_within_its_bounds_and_a_seed_repeats_it() {
    let links = |seed| Links { lag: (300, 1_800), seed, ..Links::default() };
    let journeys = |seed| (1..200).map(|it| links(seed).journey(it)).collect::<Vec<_>>();
    assert_eq!(journeys(1), journeys(1));
    assert_ne!(journeys(1), journeys(2));
    assert!(journeys(1).iter().all(|it| (300..=1_800).contains(it)));
    assert!(journeys(1).iter().min() < Some(&400) && journeys(1).iter().max() > Some(&1_700));
}

/// What had arrived before the loss is there; what was on its way in either direction waits, and loses against what was
/// written later.
#[test]
fn set_links_delivers_what_waited_when_a_region_recovers() {
    let mut client = pair();
    client.play(
        r#"
        50s us-east-1 PutItem orders, "Item": {"id": {"S": "arrived"}}
        = ok
        53s us-east-1 PutItem orders, "Item": {"id": {"S": "stranded"}}
        = ok
        53s us-east-1 PutItem orders, "Item": {"id": {"S": "both"}, "from": {"S": "east"}}
        = ok
        "#,
    );
    client.cloud.set_links(without("us-east-1", 54_000, GroupsMode::Frozen));
    client.play(
        r#"
        90s us-west-2 Scan orders
        = Items [{"id": {"S": "arrived"}}]
        91s us-west-2 PutItem orders, "Item": {"id": {"S": "both"}, "from": {"S": "west"}}
        = ok
        92s us-west-2 PutItem orders, "Item": {"id": {"S": "later"}}
        = ok
        "#,
    );
    client.cloud.set_links(calm());
    client.play(
        r#"
        200s us-west-2 GetItem orders, "Key": {"id": {"S": "stranded"}}
        = Item.id.S "stranded"
        200s us-west-2 GetItem orders, "Key": {"id": {"S": "both"}}
        = Item.from.S "west"
        200s us-east-1 GetItem orders, "Key": {"id": {"S": "both"}}
        = Item.from.S "west"
        200s us-east-1 GetItem orders, "Key": {"id": {"S": "later"}}
        = Item.id.S "later"
        "#,
    );
}

#[test]
fn update_table_gives_a_new_member_what_was_on_its_way() {
    let mut client = pair();
    client.play(&format!(
        r#"
        50s us-east-1 UpdateTable orders, {ireland}
        = ok
        69s us-east-1 PutItem orders, "Item": {{"id": {{"S": "a"}}}}
        = ok
        80s eu-west-1 GetItem orders, "Key": {{"id": {{"S": "a"}}}}
        = Item.id.S "a"
        "#,
        ireland = add("eu-west-1"),
    ));
}

#[test]
fn update_table_is_refused_in_a_group_with_a_lost_member() {
    let script = |answer: &str| {
        format!(
            r#"
            50s us-east-1 UpdateTable orders, {ireland}
            {answer}
            100s us-east-1 UpdateTable orders, "OnDemandThroughput": {{"MaxWriteRequestUnits": 9}}
            {answer}
            101s us-east-1 UpdateTimeToLive orders, "TimeToLiveSpecification": {{"Enabled": true, "AttributeName": "until"}}
            {answer}
            200s us-east-1 UpdateTable orders, {no_west}
            {answer}
            "#,
            ireland = add("eu-west-1"),
            no_west = delete("us-west-2"),
        )
    };
    let mut client = pair();
    client.cloud.set_links(without("us-west-2", 45_000, GroupsMode::Frozen));
    client.play(&script("! ValidationException: The sandbox refuses changes to all members of orders while the region us-west-2 is lost"));
    client.play(
        r#"
        300s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        = ok
        400s us-east-1 UpdateTable orders, "TableClass": "STANDARD_INFREQUENT_ACCESS"
        = ok
        500s us-east-1 UpdateContinuousBackups orders, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": true}
        = ok
        500s us-east-1 PutItem orders, "Item": {"id": {"S": "a"}}
        = ok
        "#,
    );
    let mut client = pair();
    client.cloud.set_links(without("us-west-2", 45_000, GroupsMode::Changeable));
    client.play(&script("= ok"));
}

#[test]
fn update_table_refuses_a_member_in_a_lost_region() {
    let mut client = Client::new();
    client.cloud.set_links(without("us-west-2", 0, GroupsMode::Frozen));
    client.play(&format!(
        "{ORDERS}
        10s us-east-1 UpdateTable orders, {}
        ! ValidationException: The sandbox refuses changes",
        add("us-west-2"),
    ));
}
