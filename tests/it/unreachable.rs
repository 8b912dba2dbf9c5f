//! Clouds that do not answer as they should, credentials that are not right, and states that cannot be read.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use lifeboat::engine::plan::format::codec::FORMAT_VERSION;
use lifeboat::sandbox::ServingSandbox;

use crate::harness::Home;

const ZONE: &str = "stack: tiny\nresources:\n  zone: { kind: linode.domain, domain: example.com, soa_email: ops@example.com }\n";

const LB: &str = "stack: tiny\nresources:\n  lb: { kind: linode.nodebalancer, region: us-east, label: tiny-lb }\n";

/// Something that listens where Linode should, and gives every caller the same bytes.
struct Scripted(SocketAddr);

impl Scripted {
    /// It lives as long as the test's process; nobody else knows its port.
    fn new(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|it| it > 0)
                {
                    head.push(byte[0]);
                }
                // The caller may be gone already.
                stream.write_all(&answer).ok();
            }
        });
        Self(address)
    }

    fn saying(status: &str, kind: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n"
        );
        Self::new(format!("{head}\r\n{body}").into_bytes())
    }

    fn is_linode_for(&self, home: &mut Home) {
        home.set("LINODE_URL", &format!("http://{}/v4", self.0));
    }
}

/// The sandbox on a port, spoken to as if it were the real clouds; its requests are counted in the test's own process.
pub(crate) struct Cloud {
    pub(crate) home: Home,
    serving: Option<ServingSandbox>,
    runtime: tokio::runtime::Runtime,
}

impl Cloud {
    pub(crate) fn new(stack: &str) -> Self {
        let mut home = Home::holding("tiny", stack);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let serving =
            runtime.block_on(home.world.start(SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
        home.set("LINODE_URL", &format!("{}/v4", serving.url()));
        home.set("LINODE_TOKEN", "token");
        Self { home, serving: Some(serving), runtime }
    }

    fn plan(&self, code: i32, says: &[&str]) {
        self.home.run(&["plan", "tiny"]).code(code).says(says).done();
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            self.runtime.block_on(serving.stop());
        }
    }
}

#[test]
fn plan_without_a_token_says_what_to_set() {
    let home = Home::holding("tiny", ZONE);
    home.run(&["plan", "tiny"])
        .code(1)
        .says(&["LINODE_TOKEN", "add --sandbox", "without an account"])
        .done();
    home.run(&["apply", "tiny", "--yes"]).code(1).says(&["LINODE_TOKEN"]).done();
    assert!(!home.path("state/tiny/state.snapshot").exists());
}

#[test]
fn plan_with_a_wrong_token_names_the_request_and_the_setting() {
    let mut cloud = Cloud::new(ZONE);
    cloud.home.set("LINODE_TOKEN", "invalid");
    cloud.plan(1, &["GET http://127.0.0.1:", "/v4/", "401", "Invalid Token", "LINODE_TOKEN"]);
}

#[test]
fn plan_never_sends_a_token_in_clear() {
    let mut home = Home::holding("tiny", ZONE);
    home.set("LINODE_TOKEN", "very-secret-token");
    home.set("LINODE_URL", "http://linode.invalid/v4");
    let plan = home.run(&["plan", "tiny"]).code(1).says(&["linode.invalid", "https"]);
    assert!(!plan.stderr.contains("very-secret-token"), "{plan}");
}

#[test]
fn plan_and_apply_refuse_another_account() {
    let mut cloud = Cloud::new(ZONE);
    cloud.home.run(&["apply", "tiny", "--yes"]).code(0).done();
    cloud.plan(0, &[]);
    let other = r#"{"euuid": "AAAAAAAA-0000-4000-8000-00000000AAAA", "email": "x@example.com", "data": [], "page": 1, "pages": 1, "results": 0}"#;
    Scripted::saying("200 OK", "application/json", other).is_linode_for(&mut cloud.home);
    let before = cloud.home.shown();
    for command in
        [&["plan", "tiny"][..], &["apply", "tiny", "--yes"], &["destroy", "tiny", "--yes"]]
    {
        cloud.home.run(command).code(3).says(&["belongs to linode account", "AAAAAAAA"]).done();
    }
    assert_eq!(cloud.home.shown(), before);
}

/// What an endpoint can say that is no answer: a stranger's first plan ends with 1; one that knows its account with 5
/// when nobody spoke, and with 1 when what was said makes no sense.
#[test]
fn plan_tells_nonsense_from_the_endpoint_by_its_exit_code() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{\"data\": [{\"id\"".to_vec();
    let html = "<html><body>Sign in to the hotel's network</body></html>";
    // No port that the system gives away: another test's server would answer there a moment later.
    let closed = SocketAddr::from(([127, 0, 0, 1], 1));
    let answers = [
        ("html", Scripted::saying("200 OK", "text/html", html)),
        ("cut", Scripted::new(cut)),
        ("empty", Scripted::saying("200 OK", "application/json", "")),
        (
            "500",
            Scripted::saying(
                "500 Internal Server Error",
                "application/json",
                r#"{"errors":[{"reason":"Internal"}]}"#,
            ),
        ),
        ("nobody", Scripted(closed)),
    ];
    std::thread::scope(|scope| {
        for (name, answer) in &answers {
            scope.spawn(move || {
                let mut stranger = Home::holding("tiny", ZONE);
                stranger.set("LINODE_TOKEN", "token");
                answer.is_linode_for(&mut stranger);
                let plan = stranger.run(&["plan", "tiny"]);
                assert_eq!(plan.code, Some(1), "{name}: {plan}");
                assert!(
                    plan.stderr.contains("http://127.0.0.1:"),
                    "{name} names the endpoint: {plan}"
                );

                let mut cloud = Cloud::new(ZONE);
                cloud.home.run(&["apply", "tiny", "--yes"]).code(0).done();
                let state = cloud.home.path("state/tiny/state.snapshot");
                let before = std::fs::read(&state).unwrap();
                answer.is_linode_for(&mut cloud.home);
                let plan = cloud.home.run(&["plan", "tiny", "--detailed-exitcode"]);
                // Nonsense is a no of a sort, and no silence: the cause has to be mended.
                let code = if ["html", "empty"].contains(name) { 1 } else { 5 };
                assert_eq!(plan.code, Some(code), "{name}: unseen is not absent: {plan}");
                assert_eq!(std::fs::read(&state).unwrap(), before, "{name}: a plan writes nothing");
            });
        }
    });
}

/// Objects of a region that hangs are unseen, and unseen leads to nothing.
#[test]
fn plan_takes_nothing_in_a_lost_region_for_absent() {
    let home = Home::holding("tiny", LB);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.run(&["sandbox", "lose", "linode:us-east", "--how", "503"]).code(0).done();
    let plan = home.sandbox(&["plan", "tiny", "--detailed-exitcode"]);
    assert!(matches!(plan.code, Some(0 | 5)), "lists still answer: {plan}");
    assert!(!plan.stdout.contains("1 to delete") && !plan.stdout.contains("1 to create"), "{plan}");
    home.run(&["sandbox", "heal"]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

#[test]
fn plan_leaves_states_alone_that_cannot_be_read() {
    let home = Home::holding("tiny", ZONE);
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    let file = home.state_folder("tiny").join("state.snapshot");
    let whole = std::fs::read_to_string(&file).unwrap();
    let cases = [
        (
            "torn",
            whole.split_at(whole.len() / 2).0.to_owned(),
            "`lifeboat state restore tiny --sandbox`",
        ),
        (
            "damaged",
            whole.replacen("example.com", "examplf.com", 1),
            "`lifeboat state restore tiny --sandbox`",
        ),
        ("garbage", "\u{0}\u{1}not a state".to_owned(), "`lifeboat state restore tiny --sandbox`"),
        ("empty", String::new(), "`lifeboat state restore tiny --sandbox`"),
        ("future", future(&whole), "newer"),
    ];
    let commands = [
        &["plan", "tiny"][..],
        &["apply", "tiny", "--yes"],
        &["destroy", "tiny", "--yes"],
        &["state", "list", "tiny"],
    ];
    for (name, text, way_out) in cases {
        std::fs::write(&file, &text).unwrap();
        for command in commands {
            let refused = home.sandbox(command);
            assert_eq!(refused.code, Some(1), "{name}: {refused}");
            for part in ["state.snapshot", way_out, "nothing was changed"] {
                assert!(refused.stderr.contains(part), "{name} lacks {part:?}: {refused}");
            }
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{name}: left alone");
        }
    }
    std::fs::write(&file, &whole).unwrap();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
}

/// The same state as a later lifeboat would write it, its checksum included.
fn future(whole: &str) -> String {
    let (first, rest) = whole.split_once('\n').unwrap();
    let json = first.split_once(' ').unwrap().1;
    let newer = json.replacen("\"version\":1", "\"version\":99", 1);
    assert_ne!(newer, json, "the state says its version");
    let sum = <sha2::Sha256 as sha2::Digest>::digest(newer.as_bytes());
    format!("{} {newer}\n{rest}", data_encoding::HEXLOWER.encode(&sum[..4]))
}

#[test]
fn apply_refuses_plans_that_were_edited() {
    let home = Home::holding("tiny", ZONE);
    home.sandbox(&["plan", "tiny", "--out", "p.json"]).code(0).done();
    let plan = std::fs::read_to_string(home.path("p.json")).unwrap();
    home.write("edited.json", plan.replacen("example.com", "example.org", 1));
    let said = format!("\"format_version\": \"{FORMAT_VERSION}\"");
    assert!(plan.contains(&said));
    home.write("future.json", plan.replacen(&said, "\"format_version\": \"3.0\"", 1));
    home.write("cut.json", plan.split_at(plan.len() / 2).0);
    home.sandbox(&["apply", "edited.json", "--yes"])
        .code(1)
        .says(&["edited after it was created"])
        .done();
    home.sandbox(&["apply", "future.json", "--yes"]).code(1).says(&["version 3.0"]).done();
    home.sandbox(&["apply", "cut.json", "--yes"]).code(1).says(&["not a plan"]).done();
    home.run(&["show", "nothing.json"]).code(1).says(&["nothing.json"]).done();
    assert!(home.is_untouched());
    home.stack("tiny", ZONE.replace("ops@", "dns@"));
    home.sandbox(&["apply", "p.json", "--yes"]).code(3).says(&["stack.yaml has changed"]).done();
    home.stack("tiny", ZONE);
    home.sandbox(&["apply", "p.json", "--yes"]).code(0).done();
}
