//! A state in two tables of two regions: one of them is lost, the other one goes on, and the lost one is never believed again.

use crate::harness::Home;
use crate::state_stores::{TABLE, act_on, make_table, served};

const HOME: &str = "eu-west-1";
const AWAY: &str = "us-west-2";

const TINY: &str = "stack: tiny
resources:
  us: { kind: linode.nodebalancer, region: us-east, label: tiny-us }
  eu: { kind: linode.nodebalancer, region: eu-central, label: tiny-eu }
  zone: { kind: linode.domain, domain: example.com, type: master, soa_email: ops@example.com }
  shop: { kind: linode.domain_record, domain: '${zone}', type: A, name: shop, target: '${us.ipv4}' }
";

const AWAY_OVERLAY: &str = "assumes_lost: ['aws:eu-west-1', 'linode:us-east']
resources:
  shop: { target: '${eu.ipv4}' }
";

fn store(region: &str, address: &str) -> String {
    format!(
        "dynamodb://{TABLE}?region={region}&endpoint={address}&fault_domain=aws:{region}\
         &access_key_env=AWS_ACCESS_KEY_ID&secret_key_env=AWS_SECRET_ACCESS_KEY"
    )
}

fn stack(home: &Home) -> String {
    std::fs::read_to_string(home.path("stacks/tiny/stack.yaml")).unwrap()
}

#[test]
fn state_in_two_stores_outlives_the_region_of_the_primary_one() {
    let world = Home::new();
    let (serving, address) = served(&world);
    let (mut first, mut second) = (Home::holding("tiny", TINY), Home::new());
    for home in [&mut first, &mut second] {
        act_on(home, &address);
        home.stack("tiny", TINY);
        home.overlay("tiny", "away", AWAY_OVERLAY);
    }
    first.run(&["apply", "tiny", "--yes"]).code(0).done();
    make_table(&world, HOME);
    make_table(&world, AWAY);
    let (primary, mirror) = (store(HOME, &address), store(AWAY, &address));
    let migrate = ["state", "migrate", "tiny", "--to", &primary];
    let near = store(HOME, &address).replace(TABLE, "other");
    first
        .run(&[&migrate[..], &["--mirror", &near, "--yes"]].concat())
        .code(64)
        .says(&["are both in the fault domain aws:eu-west-1"])
        .done();

    // First into one store; the mirror comes later.
    first.run(&[&migrate[..], &["--yes"]].concat()).code(0).done();
    let alone = stack(&first);
    first.run(&[&migrate[..], &["--mirror", &mirror, "--yes"]].concat()).code(0).done();
    let both = stack(&first);
    assert!(both.contains("\n  mirror: { dynamodb: { table: tiny-state,"), "{both}");
    first
        .run(&["status", "tiny"])
        .code(0)
        .shows(&["mirror dynamodb://tiny-state", "up to date"])
        .done();

    // A second machine; an old commit names fewer stores.
    second.stack("tiny", &alone);
    for command in [&["plan", "tiny"][..], &["apply", "tiny", "--yes"], &["state", "list", "tiny"]]
    {
        second.run(command).code(3).says(&["names other stores", "git pull"]).done();
    }
    second.stack("tiny", &both);
    second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();

    // The region of the primary store, and nobody said so yet.
    world.sandbox(&["sandbox", "lose", "aws:eu-west-1", "linode:us-east"]).code(0).done();
    second
        .run(&["state", "list", "tiny"])
        .code(5)
        .shows(&["shop"])
        .says(&["cannot be reached"])
        .done();
    second
        .run(&["apply", "tiny", "--yes"])
        .code(5)
        .says(&["the primary store cannot be reached", "`lifeboat failover tiny`"])
        .done();
    second.run(&["failover", "tiny", "--to", "away", "--yes"]).code(0).done();
    let status = second.run(&["status", "tiny"]).code(0);
    assert!(status.stdout.contains("aws:eu-west-1 is declared lost"), "{status}");
    second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();

    // Back, and behind: whoever sees both believes the one that went on, and the next run makes them equal.
    world.sandbox(&["sandbox", "heal"]).code(0).done();
    for domain in ["aws:eu-west-1", "linode:us-east"] {
        second.run(&["recovered", "tiny", domain]).code(0).done();
    }
    second.run(&["apply", "tiny", "--yes"]).code(0).done();
    first.run(&["status", "tiny"]).code(0).shows(&["away", "up to date"]).done();

    // Without the mirror, by a person's word, and with it again.
    world.sandbox(&["sandbox", "lose", "aws:us-west-2"]).code(0).done();
    first
        .run(&["apply", "tiny", "--yes"])
        .code(5)
        .says(&["the mirror store cannot be reached", "`lifeboat state mirror suspend tiny`"])
        .done();
    first.run(&["state", "mirror", "suspend", "tiny"]).code(0).done();
    first.run(&["apply", "tiny", "--yes"]).code(0).says(&["somebody suspended the mirror"]).done();
    first.run(&["state", "mirror", "resume", "tiny"]).code(5).done();
    world.sandbox(&["sandbox", "heal"]).code(0).done();
    first.run(&["state", "mirror", "resume", "tiny"]).code(0).done();
    second.run(&["status", "tiny"]).code(0).shows(&["up to date"]).done();
    first
        .run(&["state", "resolve", "tiny", "--keep", "mirror", "--yes"])
        .code(3)
        .says(&["nothing to resolve"])
        .done();

    // And without a mirror again: layers that name it are refused.
    first.run(&[&migrate[..], &["--yes"]].concat()).code(0).done();
    assert_eq!(stack(&first), alone);
    second.run(&["plan", "tiny"]).code(3).says(&["names other stores"]).done();
    second.stack("tiny", &alone);
    second.run(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    first
        .run(&["state", "mirror", "suspend", "tiny"])
        .code(1)
        .says(&["has no mirror store"])
        .done();
    serving.signal("TERM");
    serving.end().code(0).done();
}
