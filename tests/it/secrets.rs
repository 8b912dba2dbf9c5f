//! Secrets in every place that may hold one, and a cloud that sends back whatever it was sent, in every encoding.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use crate::harness::{Home, Output};

/// Marks every canary, so that no form of one is missed.
const MARK: &str = "Canary";

const TOKEN: &str = "Canary-token-0123456789abcdef";
const PASSWORD: &str = "Canary-pass\"w%rd+/& <7>é\\1";
const DEFAULT: &str = "Canary-default-in-the-layer-22";
const LITERAL: &str = "Canary-literal-Root-Pass-33!";
const NUMBER: &str = "447711223344";
const FILED: &str = "Canary-of-a-variable-file-44";

const STACK: &str = "stack: birds
variables:
  password: { type: string, sensitive: true }
  fallback: { type: string, sensitive: true, default: Canary-default-in-the-layer-22 }
  number: { type: int, sensitive: true, default: 447711223344 }
  filed: { type: map, sensitive: true }
resources:
  web:
    kind: linode.instance
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: birds-web
    root_pass: '${vars.password + vars.fallback}'
    user_data: '${template(\"files/init.yaml\", {\"password\": vars.password, \"number\": vars.number, \"filed\": vars.filed.key})}'
  other:
    kind: linode.instance
    region: us-east
    type: g6-nanode-1
    image: linode/debian12
    label: birds-other
    root_pass: 'Canary-literal-Root-Pass-33!'
outputs: { password: '${vars.password}' }
";

/// A Linode API in which there is nothing and nothing can be made; it quotes what it was sent.
fn hostile() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    while let Some((head, body)) = request(&mut stream) {
        let (status, answer) = if head.starts_with("GET /v4/regions")
            || head.starts_with("GET /v4/linode/types")
            || head.starts_with("GET /v4/images")
        {
            ("404 Not Found", r#"{"errors":[{"reason":"Not found"}]}"#.to_owned())
        } else if head.starts_with("GET ") {
            let nothing = r#"{"data":[],"page":1,"pages":1,"results":0,"euuid":"E-1","username":"ann","restricted":false}"#;
            ("200 OK", nothing.to_owned())
        } else {
            let reason = quoted(&format!("{head}\n{}", String::from_utf8_lossy(&body)), &body);
            (
                "400 Bad Request",
                serde_json::json!({ "errors": [{ "field": "root_pass", "reason": reason }] })
                    .to_string(),
            )
        };
        let length = answer.len();
        let reply = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
        );
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn request(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head
        .lines()
        .find_map(|it| it.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// What it was sent: as it is, escaped, in URL encoding, in Base64 at each alignment, in hexadecimal.
fn quoted(all: &str, body: &[u8]) -> String {
    let mut told = format!("I was sent {all}; as JSON {}; ", serde_json::Value::from(all));
    write!(told, "as a URL {}; ", url(all.as_bytes())).unwrap();
    for pad in ["", "x", "xy"] {
        let padded = format!("{pad}{all}");
        write!(
            told,
            "{} {} ",
            BASE64.encode(padded.as_bytes()),
            BASE64URL_NOPAD.encode(padded.as_bytes())
        )
        .unwrap();
    }
    write!(told, "in hex {} {}; ", HEXLOWER.encode(body), HEXUPPER.encode(body)).unwrap();
    // Each member by itself, as clouds quote what they do not like.
    if let Ok(serde_json::Value::Object(map)) = serde_json::from_slice(body) {
        let text = serde_json::to_string(&map).unwrap();
        write!(told, "members {text}; ").unwrap();
        for (name, value) in map {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            write!(
                told,
                "{name} `{value}` {} {}; ",
                BASE64.encode(value.as_bytes()),
                url(value.as_bytes())
            )
            .unwrap();
        }
    }
    told
}

fn url(bytes: &[u8]) -> String {
    let byte = |it: &u8| {
        if it.is_ascii_alphanumeric() { char::from(*it).to_string() } else { format!("%{it:02X}") }
    };
    bytes.iter().map(byte).collect()
}

/// Every form of the canaries that a text could hold.
fn forms() -> Vec<String> {
    let mut forms = Vec::new();
    for canary in [TOKEN, PASSWORD, DEFAULT, LITERAL, NUMBER, FILED] {
        let json = serde_json::to_string(canary).unwrap();
        forms.extend([
            canary.to_owned(),
            json.trim_matches('"').to_owned(),
            url(canary.as_bytes()),
        ]);
        forms.extend([HEXLOWER.encode(canary.as_bytes()), HEXUPPER.encode(canary.as_bytes())]);
        for pad in 0..3 {
            // Without the characters that hold bits of what stands before and behind.
            let padded = [vec![b'x'; pad], canary.as_bytes().to_vec()].concat();
            let packed = BASE64.encode(&padded);
            forms.push(packed[4..padded.len() * 8 / 6].to_owned());
        }
    }
    forms.push(MARK.to_owned());
    forms
}

#[track_caller]
fn clean(what: &str, text: &str) {
    for form in forms() {
        assert!(!text.contains(&form), "{what} holds {form:?}:\n{text}");
    }
}

#[track_caller]
fn says_nothing(run: Output) {
    clean("stdout", &run.stdout);
    clean("stderr", &run.stderr);
}

fn everything(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { everything(&path, found) } else { found.push(path) }
    }
}

fn home() -> Home {
    let address = hostile();
    let mut home = Home::holding("birds", STACK);
    home.write(
        "stacks/birds/files/init.yaml",
        "password: {{ password }}\nnumber: {{ number }}\nfiled: {{ filed }}\n",
    );
    home.write("secrets.yaml", format!("filed: {{ key: {FILED} }}\n"));
    home.set("LINODE_TOKEN", TOKEN);
    home.set("LINODE_URL", &format!("http://user:{FILED}@{address}/v4"));
    home.set("LIFEBOAT_VAR_password", PASSWORD);
    home
}

#[test]
fn plan_and_apply_show_no_secret_whatever_a_cloud_sends_back() {
    let home = home();
    let layers = ["birds", "--var-file", "secrets.yaml"];
    let with = |words: &[&'static str], more: &[&'static str]| [words, &layers[..], more].concat();
    let runs = [
        home.run(&with(&["plan"], &["--out", "p.json"])).code(0),
        home.run(&with(&["plan"], &["--format", "json"])).code(0),
        home.run(&["show", "p.json", "--format", "html"]).code(0),
        home.run(&["show", "p.json", "--format", "markdown"]).code(0),
        home.run(&with(&["apply"], &["--yes"])).code(1).says(&["root_pass", "(sensitive)"]),
        home.run(&with(&["apply"], &["--yes"])).code(1),
        home.run(&["state", "log", "birds", "--entries"]).code(0),
        home.run(&["state", "pull", "birds"]).code(0),
        home.run(&["status", "birds", "--format", "json"]),
        home.run(&["render", "birds", "--var-file", "secrets.yaml"]),
        home.run(&["reports", "birds"]),
    ];
    for run in runs {
        // The layer itself holds these two, and `render` prints the layer.
        let told = |text: &str| text.replace(DEFAULT, "").replace(LITERAL, "").replace(NUMBER, "");
        let is_layer = run.stdout.starts_with("stack:");
        clean("stdout", &if is_layer { told(&run.stdout) } else { run.stdout.clone() });
        clean("stderr", &run.stderr);
    }
    let mut kept = vec![home.path("p.json")];
    everything(&home.path("state"), &mut kept);
    assert!(kept.iter().any(|it| it.ends_with("journal")), "{kept:?}");
    for file in kept {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
        clean(&file.display().to_string(), &text);
    }
}

/// Mistakes quote the layer: the line of a sensitive default is quoted without it.
#[test]
fn validate_shows_no_secret_in_a_mistake() {
    let home = home();
    let wrong = STACK
        .replace("default: Canary", "dfault: 1, default: Canary")
        .replace("root_pass: 'C", "rot_pass: 1\n    root_pass: 'C");
    home.stack("birds", wrong);
    home.write("secrets.yaml", format!("- {FILED}\n"));
    says_nothing(home.run(&["validate", "birds"]).code(1).says(&["dfault", "rot_pass"]));
    says_nothing(
        home.run(&["validate", "birds", "--var-file", "secrets.yaml"]).code(1).says(&["not a map"]),
    );
    home.write("secrets.yaml", format!("a: '{FILED}\n"));
    says_nothing(
        home.run(&["plan", "birds", "--var-file", "secrets.yaml"]).code(1).says(&["line"]),
    );
    says_nothing(home.run(&["plan", "birds", "--var", FILED]).code(64).says(&["no `=`"]));
    home.stack("birds", STACK.replace("${vars.password +", "${vars.filed[vars.password] +"));
    home.write("secrets.yaml", "filed: { key: x }\n");
    says_nothing(
        home.run(&["plan", "birds", "--var-file", "secrets.yaml"]).code(1).says(&["sensitive"]),
    );
}

/// No expression computes with a secret that this run does not know: what was made of it stays as it is, and what would have to
/// be made of it is refused before the first call, also where a template, a list, or a condition reads it.
#[test]
fn plan_without_a_secret_changes_nothing_that_was_made_of_it() {
    const MACHINE: &str =
        "kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12";
    let stack = |more: &str| {
        format!(
            "stack: tiny
variables: {{ pw: {{ type: string, sensitive: true }}, fixed: {{ type: string, sensitive: true, default: fixed-horse-7 }} }}
resources:
  lb: {{ kind: linode.nodebalancer, region: us-east }}
  one: {{ {MACHINE}, label: one, root_pass: 'correct-horse-9', user_data: '${{template(\"files/t\", {{\"p\": vars.pw}})}}' }}
  two: {{ {MACHINE}, label: two, root_pass: '${{vars.fixed}}', user_data: 'pw=${{vars.pw}} at ${{lb.ipv4}}' }}
  three: {{ {MACHINE}, label: three, root_pass: '${{vars.fixed}}', user_data: '${{[vars.fixed, lb.ipv4].join(\" \")}}' }}
{more}outputs:
  listed: '${{[one]}}'
  mapped: '${{ {{\"p\": two.root_pass, \"at\": lb.ipv4}} }}'
  joined: 'pw=${{vars.pw}} at ${{lb.ipv4}}'
"
        )
    };
    let home = Home::holding("tiny", stack(""));
    home.write("stacks/tiny/files/t", "PW={{ p }}\n");
    // A known secret beside what only applying tells is no missing one.
    home.sandbox(&["apply", "tiny", "--yes", "--var", "pw=Pferd-und-Wagen-3"]).code(0).done();
    let given = ["plan", "tiny", "--detailed-exitcode", "--var", "pw=Pferd-und-Wagen-3"];
    home.sandbox(&given).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).shows(&["No changes."]).done();
    let before = home.shown();
    for (user_data, why) in [
        ("'${template(\"files/t\", {\"p\": vars.pw})}'", "set `pw` with LIFEBOAT_VAR_pw"),
        ("'${[vars.pw][0]}'", "set `pw` with LIFEBOAT_VAR_pw"),
        ("'${one.user_data}'", "set `pw` with LIFEBOAT_VAR_pw"),
        ("'${one.user_data == \"a\" ? \"right\" : \"wrong\"}'", "set `pw` with LIFEBOAT_VAR_pw"),
    ] {
        let four = format!(
            "  four: {{ {MACHINE}, label: four, root_pass: '${{vars.fixed}}', user_data: {user_data} }}\n"
        );
        home.stack("tiny", stack(&four));
        let apply = home.sandbox(&["apply", "tiny", "--yes"]).code(1);
        apply.says(&["`four` cannot be created without its secret `user_data`", why]).done();
        assert_eq!(home.shown(), before, "nothing was changed for {user_data}");
    }
    // What the layers give is known, though state holds only its fingerprint.
    let right = "user_data: '${one.root_pass == \"correct-horse-9\" ? \"right\" : \"wrong\"}'";
    let four =
        format!("  four: {{ {MACHINE}, label: four, root_pass: '${{one.root_pass}}', {right} }}\n");
    home.stack("tiny", stack(&four));
    home.sandbox(&["apply", "tiny", "--yes"]).code(0).done();
    home.sandbox(&["plan", "tiny", "--detailed-exitcode"]).code(0).done();
    home.run(&["sandbox", "show"]).code(0).shows(&["user_data: right"]).done();
}

/// A gate or a `ready` condition over a secret is refused before the first call as well: the run would stop when machines are
/// made and users have not moved.
#[test]
fn apply_without_the_secret_of_a_condition_changes_nothing() {
    const MACHINE: &str =
        "kind: linode.instance, region: us-east, type: g6-nanode-1, image: linode/debian12";
    let stack = |target: &str, more: &str| {
        format!(
            "stack: gated
variables: {{ token: {{ type: string, sensitive: true }}, fixed: {{ type: string, sensitive: true, default: fixed-horse-7 }} }}
resources:
  one: {{ {MACHINE}, label: one, root_pass: '${{vars.fixed}}' }}
{more}  zone: {{ kind: linode.domain, domain: example.com, soa_email: a@example.com }}
  shop: {{ kind: linode.domain_record, domain: '${{zone}}', type: A, name: shop, target: '{target}', ttl_sec: 30, gate: {{ tcp: '${{one.ipv4}}:${{vars.token}}', within: 5m }} }}
"
        )
    };
    let home = Home::holding("gated", stack("192.0.2.1", ""));
    home.sandbox(&["apply", "gated", "--yes"])
        .code(1)
        .says(&["`shop` cannot be created without its secret `gate`"])
        .done();
    assert!(!home.shown().contains("one"), "nothing was made");
    // The gate waits for what its condition reads, which here is no target of the record.
    home.sandbox(&["apply", "gated", "--yes", "--var", "token=22"]).code(0).done();
    home.sandbox(&["plan", "gated", "--detailed-exitcode"]).code(0).done();
    let before = home.shown();
    let two = format!(
        "  two: {{ {MACHINE}, label: two, root_pass: '${{vars.fixed}}', ready: {{ tcp: '${{self.ipv4}}:${{vars.token}}', within: 5m }} }}\n"
    );
    for (target, more, why) in [
        ("192.0.2.2", "", "`shop` cannot be changed without its secret `gate`"),
        ("192.0.2.1", &*two, "`two` cannot be created without its secret `ready`"),
    ] {
        home.stack("gated", stack(target, more));
        let apply = home.sandbox(&["apply", "gated", "--yes"]).code(1);
        apply.says(&[why, "set `token` with LIFEBOAT_VAR_token"]).done();
        assert_eq!(home.shown(), before, "nothing was changed");
    }
}

/// What is lost stays as it is recorded, with a fingerprint of its secret: what the layers still give is known all the same.
#[test]
fn failover_makes_a_standby_with_the_secret_of_what_is_lost() {
    const MACHINE: &str = "kind: linode.instance, type: g6-nanode-1, image: linode/debian12";
    let home = Home::holding(
        "tiny",
        format!(
            "stack: tiny
variables: {{ pw: {{ type: string, sensitive: true }}, size: {{ type: int, default: 0 }} }}
resources:
  web: {{ {MACHINE}, region: us-east, label: web, root_pass: '${{vars.pw}}' }}
  standby: {{ {MACHINE}, region: eu-central, count: '${{vars.size}}', label: 'standby-${{each.index}}', root_pass: '${{web.root_pass}}' }}
"
        ),
    );
    home.overlay(
        "tiny",
        "eu",
        "overlay: eu\nassumes_lost: ['linode:us-east']\nvariables: { size: 1 }\n",
    );
    let given = ["--var", "pw=Pferd-und-Wagen-3", "--yes"];
    home.sandbox(&[&["apply", "tiny"], &given[..]].concat()).code(0).done();
    home.run(&["sandbox", "lose", "linode:us-east"]).code(0).done();
    let without = home.sandbox(&["failover", "tiny", "--to", "eu", "--yes"]).code(1);
    without.says(&["`standby[0]` cannot be created without its secret `root_pass`"]).done();
    let with = home.sandbox(&[&["failover", "tiny", "--to", "eu"], &given[..]].concat()).code(0);
    with.says(&["standby[0]: created"]).done();
}
