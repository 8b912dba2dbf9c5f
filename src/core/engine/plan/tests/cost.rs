//! What plans cost, by prices that a cloud told, would not tell, or told wrongly.

use serde_json::{Value as Json, json};

use crate::engine::plan::checks::offers::ReadOffers;
use crate::engine::plan::cost::{Prices, cost, price_lists};
use crate::engine::plan::planner::{PlanInputs, PlanOptions, plan_changes};
use crate::engine::plan::tests::{applied, order, stack};
use crate::kinds::builtin;
use crate::render::plan::cost::cost as told;

/// As `GET /linode/types` and its like tell them (linodego's recordings of 2026).
fn lists() -> Vec<(&'static str, Json)> {
    let elsewhere = |hourly: f64, monthly: f64| json!([{ "id": "br-gru", "hourly": hourly, "monthly": monthly }]);
    vec![
        (
            "/linode/types",
            json!([
                {
                    "id": "g6-standard-2",
                    "price": { "hourly": 0.036, "monthly": 24.0 },
                    "region_prices": elsewhere(0.05, 33.6),
                    "addons": { "backups": { "price": { "hourly": 0.008, "monthly": 5.0 }, "region_prices": [] } },
                },
                { "id": "g6-nanode-1", "price": { "hourly": 0.0075, "monthly": 5.0 }, "region_prices": [] },
                { "id": "g6-standard-8", "price": { "hourly": null, "monthly": -1.0 } },
            ]),
        ),
        (
            "/nodebalancers/types",
            json!([{ "id": "nodebalancer", "price": { "hourly": 0.015, "monthly": 10.0 }, "region_prices": [] }]),
        ),
        (
            "/volumes/types",
            json!([{ "id": "volume", "price": { "hourly": 0.00015, "monthly": 0.1 }, "region_prices": [] }]),
        ),
    ]
}

/// The words of what a stack costs that becomes another one, and the lists that were read for it.
fn between(before: &str, after: &str, lists: &[(&str, Json)]) -> String {
    let catalog = builtin();
    let (state, observed) = applied(&stack(before, &catalog), &catalog);
    let desired = stack(after, &catalog);
    let order = order(&desired);
    let worlds = PlanInputs {
        catalog: &catalog,
        stack: &desired,
        order: &order,
        state: Some(&state),
        observed: &observed,
    };
    let options = PlanOptions { now: 3_600_000, ..PlanOptions::default() };
    let plan = plan_changes(&worlds, &options).0;
    let wanted = price_lists(&plan, Some(&state), &catalog);
    let read: ReadOffers = wanted
        .into_iter()
        .map(|it| {
            let rows = lists.iter().find(|list| list.0 == it.path);
            let rows = rows.and_then(|it| it.1.as_array()).cloned();
            (it, rows.ok_or_else(|| "503".to_owned()))
        })
        .collect();
    let paths: Vec<&str> = read.keys().map(|it| it.path.as_str()).collect();
    let cost = cost(&plan, Some(&state), Prices { catalog: &catalog, read: &read });
    let said = cost.as_ref().map_or_else(|| "nothing".to_owned(), told);
    format!("{said} [{}]", paths.join(" "))
}

const NOTHING: &str =
    "  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }";
const WEB: &str = "  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  web: { kind: linode.instance, count: 2, region: us-east, type: g6-standard-2, image: linode/debian12, label: 'web-${each.index}', authorized_users: [ops], backups_enabled: true }
  lb: { kind: linode.nodebalancer, region: us-east }
  disk: { kind: linode.volume, region: us-east, size: 20 }";

#[test]
fn cost_adds_up_what_is_made_and_what_goes() {
    insta::assert_snapshot!(between(NOTHING, WEB, &lists()), @"Cost: +$70.00 a month (+$0.11 an hour) [/linode/types /nodebalancers/types /volumes/types]");
    insta::assert_snapshot!(between(WEB, NOTHING, &lists()), @"Cost: -$70.00 a month (-$0.11 an hour) [/linode/types /nodebalancers/types /volumes/types]");
    let change = |from: &str, to: &str| between(WEB, &WEB.replace(from, to), &lists());
    insta::assert_snapshot!(change("count: 2", "count: 3"), @"Cost: +$29.00 a month (+$0.044 an hour) [/linode/types]");
    insta::assert_snapshot!(change("size: 20", "size: 50"), @"Cost: +$3.00 a month (+$0.0045 an hour) [/volumes/types]");
    insta::assert_snapshot!(change("backups_enabled: true", "backups_enabled: false"), @"Cost: -$10.00 a month (-$0.016 an hour) [/linode/types]");
    insta::assert_snapshot!(change("region: us-east, type", "region: br-gru, type"), @"Cost: +$19.20 a month (+$0.028 an hour) [/linode/types]");
    insta::assert_snapshot!(change("image: linode/debian12", "image: linode/debian13"), @"nothing [/linode/types]");
    // Nothing that is billed changes: nothing is read.
    insta::assert_snapshot!(change("soa_email: ops", "soa_email: dns"), @"nothing []");
    insta::assert_snapshot!(between(WEB, WEB, &lists()), @"nothing []");
}

/// Unknown is said, and never counted as nothing.
#[test]
fn cost_says_what_it_does_not_know() {
    let with = |from: &str, to: &str| between(NOTHING, &WEB.replace(from, to), &lists());
    insta::assert_snapshot!(with("g6-standard-2", "g6-standard-8"), @"Cost: +$12.00 a month (+$0.018 an hour); not counted: backups of web[0], web[1]: no such price of `g6-standard-8` is listed; instance of web[0], web[1]: no price of `g6-standard-8` in us-east is listed [/linode/types /nodebalancers/types /volumes/types]");
    insta::assert_snapshot!(with("g6-standard-2", "g6-standard-4"), @"Cost: +$12.00 a month (+$0.018 an hour); not counted: backups of web[0], web[1]: no price of `g6-standard-4` is listed; instance of web[0], web[1]: no price of `g6-standard-4` is listed [/linode/types /nodebalancers/types /volumes/types]");
    insta::assert_snapshot!(with("g6-standard-2", "g6-nanode-1"), @"Cost: +$22.00 a month (+$0.033 an hour); not counted: backups of web[0], web[1]: no such price of `g6-nanode-1` is listed [/linode/types /nodebalancers/types /volumes/types]");
    insta::assert_snapshot!(between(NOTHING, WEB, &lists()[..1]), @"Cost: +$58.00 a month (+$0.088 an hour); not counted: NodeBalancer of lb: the prices could not be read: 503; storage of disk: the prices could not be read: 503 [/linode/types /nodebalancers/types /volumes/types]");
    insta::assert_snapshot!(between(NOTHING, WEB, &[]), @"Cost: unknown; NodeBalancer of lb: the prices could not be read: 503; backups of web[0], web[1]: the prices could not be read: 503; instance of web[0], web[1]: the prices could not be read: 503; storage of disk: the prices could not be read: 503 [/linode/types /nodebalancers/types /volumes/types]");
}

/// What nobody could tell before and cannot tell after is another amount all the same.
#[test]
fn cost_of_a_change_between_unknown_prices_is_unknown() {
    let change = |from: &str, to: &str| between(WEB, &WEB.replace(from, to), &[]);
    insta::assert_snapshot!(change("g6-standard-2", "g6-standard-4"), @"Cost: unknown; backups of web[0], web[1]: the prices could not be read: 503; instance of web[0], web[1]: the prices could not be read: 503 [/linode/types]");
    insta::assert_snapshot!(change("size: 20", "size: 50"), @"Cost: unknown; storage of disk: the prices could not be read: 503 [/volumes/types]");
    insta::assert_snapshot!(change("image: linode/debian12", "image: linode/debian13"), @"nothing [/linode/types]");
}

const TABLES: &str = "  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }
  orders: { kind: dynamodb.table, region: us-east-1, name: orders, attributes: { id: S }, hash_key: id, point_in_time_recovery: true }
  orders_eu: { kind: dynamodb.replica, table: '${orders}', region: eu-west-1 }
  carts: { kind: dynamodb.table, region: us-east-1, name: carts, attributes: { id: S }, hash_key: id, billing_mode: PROVISIONED, read_capacity: 10, write_capacity: 5 }";

#[test]
fn cost_of_tables_is_that_of_their_capacity_and_unknown_otherwise() {
    insta::assert_snapshot!(between(NOTHING, TABLES, &[]), @"Cost: +$3.32 a month (+$0.00455 an hour); not counted: continuous backups of orders: it depends on use: $0.2 per GB and month; requests of orders_eu: it depends on use, and lifeboat knows no prices of DynamoDB in eu-west-1; requests of orders: it depends on use: $0.125 per million reads, $0.625 per million writes; storage of orders_eu: it depends on use, and lifeboat knows no prices of DynamoDB in eu-west-1; and 1 more (prices of DynamoDB 2025-07-21) []");
    let change = |from: &str, to: &str| between(TABLES, &TABLES.replace(from, to), &[]);
    insta::assert_snapshot!(change("read_capacity: 10", "read_capacity: 20"), @"Cost: +$0.95 a month (+$0.0013 an hour) (prices of DynamoDB 2025-07-21) []");
    let on_demand = "billing_mode: PROVISIONED, read_capacity: 10, write_capacity: 5";
    insta::assert_snapshot!(change(on_demand, "billing_mode: PAY_PER_REQUEST"), @"Cost: -$3.32 a month (-$0.00455 an hour); not counted: requests of carts: it depends on use: $0.125 per million reads, $0.625 per million writes (prices of DynamoDB 2025-07-21) []");
    insta::assert_snapshot!(change("name: orders, ", "name: orders, tags: { a: b }, "), @"nothing []");
}
