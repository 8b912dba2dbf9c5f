//! Members that leave: timing, protection, and the region that fed another.

use crate::dynamodb::tests::client::{ORDERS, check};
use crate::dynamodb::tests::joining::add;

pub(super) fn delete(region: &str) -> String {
    format!(r#""ReplicaUpdates": [{{"Delete": {{"RegionName": "{region}"}}}}]"#)
}

#[test]
fn update_table_removes_a_member_in_steps() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {add}
        = ok
        11s us-east-1 UpdateTable orders, {delete}
        ! ValidationException: Update global table operation failed because one or more replicas were not part of the global table. Please retry the request without these replicas: [us-west-2].
        100s us-east-1 UpdateTable orders, {delete}
        = TableDescription.TableStatus "UPDATING"
        101s us-west-2 DescribeTable orders
        = Table.TableStatus "DELETING"
        101s us-east-1 UpdateTable orders, "DeletionProtectionEnabled": true
        ! ResourceInUseException: The resource which you are attempting to change is in use.
        140s us-east-1 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas [{{"RegionName": "us-west-2", "ReplicaStatus": "DELETING"}}]
        140s us-east-1 DeleteTable orders
        ! ValidationException: Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in the last 24 hours.
        225s us-east-1 DescribeTable orders
        = Table.Replicas -
        = Table.GlobalTableVersion -
        = Table.StreamSpecification.StreamEnabled true
        226s us-east-1 UpdateTable orders, {add}
        ! ValidationException: Failed to create a the new replica of table with name: ‘orders’ because one or more replicas already existed as tables.
        244s us-west-2 DescribeTable orders
        = Table.TableStatus "DELETING"
        245s us-west-2 DescribeTable orders
        ! ResourceNotFoundException
        246s us-east-1 UpdateTable orders, {add}
        = ok
        "#,
        add = add("us-west-2"),
        delete = delete("us-west-2"),
    ));
}

#[test]
fn update_table_removes_a_member_with_items_more_slowly() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {add}
        = ok
        40s us-east-1 PutItem orders, "Item": {{"id": {{"S": "a"}}}}
        = ok
        100s us-east-1 UpdateTable orders, {delete}
        = ok
        309s us-east-1 DescribeTable orders
        = Table.Replicas.0.ReplicaStatus "DELETING"
        310s us-east-1 DescribeTable orders
        = Table.Replicas -
        329s us-west-2 DescribeTable orders
        = Table.TableStatus "DELETING"
        330s us-west-2 DescribeTable orders
        ! ResourceNotFoundException
        331s us-east-1 Scan orders
        = Count 1
        "#,
        add = add("us-west-2"),
        delete = delete("us-west-2"),
    ));
}

#[test]
fn delete_table_refuses_a_source_region_before_its_members() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {west}
        = ok
        60s us-west-2 UpdateTable orders, {ireland}
        = ok
        120s us-east-1 UpdateTable orders, {no_west}
        ! ValidationException: Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table in the last 24 hours.
        120s us-west-2 DeleteTable orders
        ! ValidationException: Replica cannot be deleted because it has acted as a source region
        120s us-east-1 DeleteTable orders
        ! ValidationException: Replica cannot be deleted because it has acted as a source region
        120s us-east-1 UpdateTable orders, {no_ireland}
        = ok
        300s us-east-1 UpdateTable orders, {no_west}
        = ok
        500s us-east-1 DeleteTable orders
        = TableDescription.TableStatus "DELETING"
        "#,
        west = add("us-west-2"),
        ireland = add("eu-west-1"),
        no_west = delete("us-west-2"),
        no_ireland = delete("eu-west-1"),
    ));
}

#[test]
fn delete_table_lets_a_source_region_go_after_a_day() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {west}
        = ok
        24h9s us-east-1 DeleteTable orders
        ! ValidationException
        24h10s us-east-1 DeleteTable orders
        = TableDescription.TableStatus "DELETING"
        24h11s us-west-2 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.Replicas [{{"RegionName": "us-east-1", "ReplicaStatus": "DELETING"}}]
        25h us-west-2 DescribeTable orders
        = Table.Replicas -
        25h us-east-1 DescribeTable orders
        ! ResourceNotFoundException
        25h us-west-2 DeleteTable orders
        = ok
        "#,
        west = add("us-west-2"),
    ));
}

#[test]
fn delete_table_obeys_the_protection_of_each_region() {
    check(&format!(
        r#"{ORDERS}
        10s us-east-1 UpdateTable orders, {west}
        = ok
        40s us-west-2 UpdateTable orders, "DeletionProtectionEnabled": true
        = TableDescription.TableStatus "UPDATING"
        = TableDescription.DeletionProtectionEnabled false
        41s us-east-1 UpdateTable orders, "BillingMode": "PAY_PER_REQUEST"
        ! ResourceInUseException: The resource which you are attempting to change is in use.
        76s us-west-2 DescribeTable orders
        = Table.TableStatus "ACTIVE"
        = Table.DeletionProtectionEnabled true
        76s us-east-1 DescribeTable orders
        = Table.DeletionProtectionEnabled false
        77s us-east-1 UpdateTable orders, {no_west}
        ! ValidationException: Cannot delete table orders in region us-west-2 because it has deletion protection enabled. Disable deletion protection first.
        77s us-west-2 DeleteTable orders
        ! ValidationException: Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.
        "#,
        west = add("us-west-2"),
        no_west = delete("us-west-2"),
    ));
}
