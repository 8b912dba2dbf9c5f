//! GitHub, GitLab and Gitea as far as `lifeboat ci` asks them, on loopback; GitHub's side is held against its published description.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use serde_json::{Value, json};

/// The token of every job; it must be in no output.
pub(crate) const TOKEN: &str = "hush-token-of-the-job-4711";
pub(crate) const HEAD: &str = "1111111111111111111111111111111111111111";
pub(crate) const MERGED: &str = "2222222222222222222222222222222222222222";
/// The pull request of every job, unless others are opened.
pub(crate) const PULL: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    GitHub,
    GitLab,
    Gitea,
}

/// A comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    id: u64,
    /// Of which pull request or issue.
    pub(crate) number: u64,
    login: String,
    pub(crate) body: String,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    number: u64,
    login: String,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) is_open: bool,
}

/// A pull request.
#[derive(Debug, Clone)]
struct Pull {
    number: u64,
    /// Its last commit.
    head: String,
    is_open: bool,
    /// The commit by which it came.
    merged: Option<String>,
}

/// What was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    token: String,
    body: Value,
}

/// Status, the page that follows, and the answer.
type Answered = (u16, Option<u64>, Value);

struct World {
    kind: Kind,
    /// By which name the token of the job writes.
    me: &'static str,
    /// Who asks whose token it is gets 403.
    is_hidden: bool,
    comments: Vec<Said>,
    issues: Vec<Opened>,
    pulls: Vec<Pull>,
    /// Method, part of the path, status, times.
    broken: Vec<(&'static str, &'static str, u16, usize)>,
    asked: Vec<Asked>,
    /// What does not keep to the API's description.
    wrong: Vec<String>,
}

/// The host; what was wrong with its requests is told when it goes.
pub(crate) struct Host {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    over: Arc<AtomicBool>,
}

impl Host {
    pub(crate) fn new(kind: Kind) -> Self {
        let (me, is_hidden) = match kind {
            Kind::GitHub => ("github-actions[bot]", true),
            Kind::GitLab => ("project_7_bot", false),
            Kind::Gitea => ("gitea-actions", true),
        };
        let world = World {
            kind,
            me,
            is_hidden,
            comments: Vec::new(),
            issues: Vec::new(),
            pulls: vec![Pull {
                number: PULL,
                head: HEAD.into(),
                is_open: true,
                merged: Some(MERGED.into()),
            }],
            broken: Vec::new(),
            asked: Vec::new(),
            wrong: Vec::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, over) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let (served, ends) = (Arc::clone(&world), Arc::clone(&over));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(asked) = read(&stream) else { continue };
                let (status, headers, body) = served.lock().unwrap().answer(asked);
                let head = format!("content-length: {}\r\nconnection: close", body.len());
                write!(stream, "HTTP/1.1 {status} x\r\n{headers}{head}\r\n\r\n{body}").ok();
            }
        });
        Self { address, world, over }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.world().kind
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    pub(crate) fn comments(&self) -> Vec<Said> {
        self.world().comments.clone()
    }

    /// The only comment that the job wrote.
    #[track_caller]
    pub(crate) fn own_comment(&self) -> String {
        let me = self.world().me;
        let own: Vec<Said> = self.comments().into_iter().filter(|it| it.login == me).collect();
        assert_eq!(own.len(), 1, "{own:#?}");
        own[0].body.clone()
    }

    pub(crate) fn issues(&self) -> Vec<Opened> {
        self.world().issues.clone()
    }

    pub(crate) fn says(&self, login: &str, body: &str) {
        self.world().says(PULL, login, body);
    }

    /// The only comment of this pull request; empty: there is none.
    #[track_caller]
    pub(crate) fn comment_of(&self, number: u64) -> String {
        let mut all = self.comments();
        all.retain(|it| it.number == number);
        assert!(all.len() < 2, "{all:#?}");
        all.pop().map(|it| it.body).unwrap_or_default()
    }

    pub(crate) fn delete_comments(&self) {
        self.world().comments.clear();
    }

    /// So many requests of this method whose path holds this are answered so.
    pub(crate) fn breaks(
        &self,
        method: &'static str,
        part: &'static str,
        status: u16,
        times: usize,
    ) {
        self.world().broken.push((method, part, status, times));
    }

    pub(crate) fn heals(&self) {
        self.world().broken.clear();
    }

    /// The pull request gets another commit, or is closed.
    pub(crate) fn pull_is(&self, head: &str, is_open: bool) {
        self.of_pull(PULL, |it| {
            head.clone_into(&mut it.head);
            it.is_open = is_open;
        });
    }

    /// A pull request is opened, or gets another commit.
    pub(crate) fn opens(&self, number: u64, head: &str) {
        self.of_pull(number, |it| {
            *it = Pull { number, head: head.into(), is_open: true, merged: None };
        });
    }

    /// A pull request is merged by this commit.
    pub(crate) fn merges(&self, number: u64, by: &str) {
        self.of_pull(number, |it| {
            it.is_open = false;
            it.merged = Some(by.into());
        });
    }

    pub(crate) fn closes_pull(&self) {
        self.of_pull(PULL, |it| it.is_open = false);
    }

    fn of_pull(&self, number: u64, change: impl FnOnce(&mut Pull)) {
        let mut world = self.world();
        if world.pull(number).is_none() {
            let none = Pull { number, head: String::new(), is_open: false, merged: None };
            world.pulls.push(none);
        }
        change(world.pulls.iter_mut().find(|it| it.number == number).unwrap());
    }

    /// Requests by method, whose path holds this.
    pub(crate) fn asked(&self, method: &str, part: &str) -> usize {
        let world = self.world();
        world.asked.iter().filter(|it| it.method == method && it.path.contains(part)).count()
    }

    pub(crate) fn api(&self) -> String {
        let prefix = match self.world().kind {
            Kind::GitHub => "",
            Kind::GitLab => "/api/v4",
            Kind::Gitea => "/api/v1",
        };
        format!("http://{}{prefix}", self.address)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // Wakes the thread up, so that it sees it.
        TcpStream::connect(self.address).ok();
        let wrong = std::mem::take(&mut self.world().wrong);
        assert!(wrong.is_empty() || std::thread::panicking(), "{}", wrong.join("\n"));
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| {
        let line = head.lines().find(|it| it.to_lowercase().starts_with(&format!("{name}: ")));
        line.and_then(|it| it.split_once(": ")).map(|it| it.1.to_owned())
    };
    let length = header("content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let mut words = head.lines().next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let pairs = query.split('&').filter_map(|it| it.split_once('='));
    let plain = |it: &str| it.replace("%5B", "[").replace("%5D", "]");
    Some(Asked {
        method,
        path: path.to_owned(),
        query: pairs.map(|(name, value)| (name.to_owned(), plain(value))).collect(),
        token: header("authorization").unwrap_or_default(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}

impl World {
    fn pull(&self, number: u64) -> Option<&Pull> {
        self.pulls.iter().find(|it| it.number == number)
    }

    fn says(&mut self, number: u64, login: &str, body: &str) -> Said {
        let id = 100 + self.comments.last().map_or(0, |it| it.id);
        self.comments.push(Said { id, number, login: login.into(), body: body.into() });
        self.comments[self.comments.len() - 1].clone()
    }

    fn user(&self, login: &str) -> Value {
        let id = if login == self.me { 41 } else { 7 };
        match self.kind {
            Kind::GitLab => json!({ "id": id, "username": login }),
            Kind::GitHub | Kind::Gitea => json!({ "id": id, "login": login }),
        }
    }

    fn comment(&self, it: &Said) -> Value {
        let who = if self.kind == Kind::GitLab { "author" } else { "user" };
        json!({ "id": it.id, "body": it.body, "system": false, who: self.user(&it.login) })
    }

    fn issue(&self, it: &Opened) -> Value {
        match self.kind {
            Kind::GitLab => {
                let author = self.user(&it.login);
                json!({ "iid": it.number, "title": it.title, "description": it.body, "author": author })
            }
            Kind::GitHub | Kind::Gitea => {
                json!({ "number": it.number, "title": it.title, "body": it.body, "user": self.user(&it.login) })
            }
        }
    }

    fn answer(&mut self, asked: Asked) -> (u16, String, String) {
        let scheme = if self.kind == Kind::Gitea { "token" } else { "Bearer" };
        if asked.token != format!("{scheme} {TOKEN}") {
            self.wrong
                .push(format!("{} {} comes with {:?}", asked.method, asked.path, asked.token));
        }
        self.asked.push(asked.clone());
        let is_it = |it: &&mut (&str, &str, u16, usize)| {
            it.0 == asked.method && asked.path.contains(it.1) && it.3 > 0
        };
        if let Some(it) = self.broken.iter_mut().find(is_it) {
            it.3 -= 1;
            return (
                it.2,
                String::new(),
                json!({ "message": "Resource not accessible" }).to_string(),
            );
        }
        let (status, next, body) = self.does(&asked);
        let wrong = match self.kind {
            Kind::GitHub => described(&asked, status, &body),
            Kind::GitLab => documented(&asked, "/api/v4", &GITLAB),
            Kind::Gitea => documented(&asked, "/api/v1", &GITEA),
        };
        self.wrong.extend(wrong.err());
        let next = next.map(|it| match self.kind {
            Kind::GitLab => format!("x-next-page: {it}\r\n"),
            _ => format!("link: <http://x/y?page={it}>; rel=\"next\"\r\n"),
        });
        let body = if body.is_null() { String::new() } else { body.to_string() };
        (status, next.unwrap_or_default(), body)
    }

    fn does(&mut self, asked: &Asked) -> Answered {
        let all: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        let prefix = match self.kind {
            Kind::GitHub => &["repos", "shop", "infra"][..],
            Kind::GitLab => &["api", "v4", "projects", "7"],
            Kind::Gitea => &["api", "v1", "repos", "shop", "infra"],
        };
        if asked.method == "GET" && all.last() == Some(&"user") {
            if self.is_hidden {
                return (403, None, json!({ "message": "Resource not accessible by integration" }));
            }
            return (200, None, self.user(self.me));
        }
        let Some(below) = all.strip_prefix(prefix) else { return (404, None, json!({})) };
        let method = asked.method.as_str();
        let found = self
            .of_pulls(method, below)
            .or_else(|| self.of_comments(method, below, asked))
            .or_else(|| self.of_issues(method, below, asked));
        found.unwrap_or_else(|| (404, None, json!({ "message": "Not Found" })))
    }

    fn of_pulls(&self, method: &str, below: &[&str]) -> Option<Answered> {
        let answer = match (method, below) {
            ("GET", ["pulls" | "merge_requests", number]) => {
                let Pull { number, head, is_open, .. } = self.pull(number.parse().ok()?)?;
                let state = match (is_open, self.kind) {
                    (true, Kind::GitLab) => "opened",
                    (true, _) => "open",
                    (false, Kind::GitLab) => "merged",
                    (false, _) => "closed",
                };
                let head = json!({ "sha": head, "repo": { "full_name": "shop/infra" } });
                json!({ "number": number, "iid": number, "state": state, "sha": head["sha"], "head": head, "merged": !is_open })
            }
            (
                "GET",
                ["commits", sha, "pulls"] | ["repository", "commits", sha, "merge_requests"],
            ) => {
                let other = json!({ "number": 4, "iid": 4, "state": "opened", "merged_at": null, "merge_commit_sha": null });
                let own = self.merged_by(sha).map(|it| {
                    json!({ "number": it.number, "iid": it.number, "state": "merged", "merged_at": "2026-11-28T09:00:00Z", "merge_commit_sha": sha })
                });
                own.map_or_else(|| json!([]), |own| json!([other, own]))
            }
            ("GET", ["commits", sha, "pull"]) => json!({ "number": self.merged_by(sha)?.number }),
            _ => return None,
        };
        Some((200, None, answer))
    }

    fn merged_by(&self, commit: &str) -> Option<&Pull> {
        self.pulls.iter().find(|it| it.merged.as_deref() == Some(commit))
    }

    fn of_comments(&mut self, method: &str, below: &[&str], asked: &Asked) -> Option<Answered> {
        let body = asked.body["body"].as_str();
        match (method, below) {
            ("GET", ["issues", number, "comments"] | ["merge_requests", number, "notes"]) => {
                Some(self.page(asked, number.parse().ok()?))
            }
            (
                "POST",
                ["merge_requests", number, "notes"] | ["issues", number, "comments" | "notes"],
            ) => {
                let made = self.says(number.parse().ok()?, self.me, body?);
                Some((201, None, self.comment(&made)))
            }
            ("PATCH", ["issues", "comments", id]) | ("PUT", ["merge_requests", _, "notes", id]) => {
                let found = self.comments.iter_mut().find(|it| it.id.to_string() == *id)?;
                body?.clone_into(&mut found.body);
                let found = found.clone();
                Some((200, None, self.comment(&found)))
            }
            ("DELETE", ["issues", "comments", id] | ["merge_requests", _, "notes", id]) => {
                self.comments.retain(|it| it.id.to_string() != *id);
                Some((204, None, Value::Null))
            }
            _ => None,
        }
    }

    fn of_issues(&mut self, method: &str, below: &[&str], asked: &Asked) -> Option<Answered> {
        let name = if self.kind == Kind::GitLab { "description" } else { "body" };
        let body = asked.body[name].as_str().map(str::to_owned);
        match (method, below) {
            ("GET", ["issues"]) => {
                let query = &asked.query;
                let by = ["creator", "created_by"].iter().find_map(|it| query.get(*it));
                let is_theirs = |it: &&Opened| match by {
                    Some(login) => *login == it.login,
                    None => query["author_id"] == "41",
                };
                let open = self.issues.iter().filter(|it| it.is_open).filter(is_theirs);
                Some((200, None, open.map(|it| self.issue(it)).collect()))
            }
            ("POST", ["issues"]) => {
                let made = Opened {
                    number: self.issues.len() as u64 + 1,
                    login: self.me.into(),
                    title: asked.body["title"].as_str()?.into(),
                    body: body?,
                    is_open: true,
                };
                self.issues.push(made.clone());
                Some((201, None, self.issue(&made)))
            }
            ("PATCH" | "PUT", ["issues", number]) => {
                let found = self.issues.iter_mut().find(|it| it.number.to_string() == *number)?;
                found.body = body.unwrap_or(found.body.clone());
                let closes = match self.kind {
                    Kind::GitLab => asked.body["state_event"] == "close",
                    Kind::GitHub | Kind::Gitea => asked.body["state"] == "closed",
                };
                found.is_open &= !closes;
                let found = found.clone();
                Some((200, None, self.issue(&found)))
            }
            _ => None,
        }
    }

    /// Two comments a page, whatever is asked for: hosts give fewer where they like.
    fn page(&self, asked: &Asked, number: u64) -> Answered {
        let page: usize = asked.query["page"].parse().unwrap();
        let first = (page - 1) * 2;
        let all = self.comments.iter().filter(|it| it.number == number);
        let found = all.clone().skip(first).take(2).map(|it| self.comment(it));
        let next = (first + 2 < all.count()).then_some(page as u64 + 1);
        (200, next, found.collect())
    }
}

/// Method, path, what may stand in the query, and what in the body.
type Documented = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// What lifeboat asks of GitLab, as <https://docs.gitlab.com/api/notes/>, `issues`, `merge_requests`, `commits` and `users` say.
const GITLAB: [Documented; 11] = [
    ("GET", "/user", &[], &[]),
    ("GET", "/projects/{}/merge_requests/{}", &[], &[]),
    ("GET", "/projects/{}/merge_requests/{}/notes", &["page", "per_page", "sort", "order_by"], &[]),
    ("POST", "/projects/{}/merge_requests/{}/notes", &[], &["body"]),
    ("PUT", "/projects/{}/merge_requests/{}/notes/{}", &[], &["body"]),
    ("DELETE", "/projects/{}/merge_requests/{}/notes/{}", &[], &[]),
    (
        "GET",
        "/projects/{}/repository/commits/{}/merge_requests",
        &["page", "per_page", "state"],
        &[],
    ),
    (
        "GET",
        "/projects/{}/issues",
        &["page", "per_page", "state", "author_id", "author_username"],
        &[],
    ),
    ("POST", "/projects/{}/issues", &[], &["title", "description"]),
    ("PUT", "/projects/{}/issues/{}", &[], &["description", "state_event"]),
    ("POST", "/projects/{}/issues/{}/notes", &[], &["body"]),
];

/// What lifeboat asks of Gitea and Forgejo, as their `swagger.v1.json` says.
const GITEA: [Documented; 10] = [
    ("GET", "/user", &[], &[]),
    ("GET", "/repos/{}/{}/pulls/{}", &[], &[]),
    ("GET", "/repos/{}/{}/commits/{}/pull", &[], &[]),
    ("GET", "/repos/{}/{}/issues/{}/comments", &["page", "limit"], &[]),
    ("POST", "/repos/{}/{}/issues/{}/comments", &[], &["body"]),
    ("PATCH", "/repos/{}/{}/issues/comments/{}", &[], &["body"]),
    ("DELETE", "/repos/{}/{}/issues/comments/{}", &[], &[]),
    ("GET", "/repos/{}/{}/issues", &["page", "limit", "state", "type", "created_by"], &[]),
    ("POST", "/repos/{}/{}/issues", &[], &["title", "body"]),
    ("PATCH", "/repos/{}/{}/issues/{}", &[], &["body", "state"]),
];

fn fits(described: &str, path: &str) -> bool {
    let (a, b): (Vec<_>, Vec<_>) = (described.split('/').collect(), path.split('/').collect());
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a == b || a.starts_with('{'))
}

/// Whether a request keeps to what is documented.
fn documented(asked: &Asked, prefix: &str, all: &[Documented]) -> Result<(), String> {
    let name = format!("{} {}", asked.method, asked.path);
    let path = asked.path.strip_prefix(prefix).ok_or_else(|| format!("{name} is no API"))?;
    let found = all.iter().find(|it| it.0 == asked.method && fits(it.1, path));
    let (_, _, query, body) = found.ok_or_else(|| format!("{name} is not documented"))?;
    let given = asked.body.as_object().map(|it| it.keys().collect()).unwrap_or_default();
    let given: Vec<&String> = given;
    let unknown = asked.query.keys().find(|it| !query.contains(&it.as_str()));
    match unknown.or(given.into_iter().find(|it| !body.contains(&it.as_str()))) {
        Some(unknown) => Err(format!("{name} takes no {unknown}")),
        None => Ok(()),
    }
}

static OPERATIONS: LazyLock<Value> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = root.join("tests/fixtures/github/operations.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
});

/// Whether GitHub describes this request, and this answer to it.
fn described(asked: &Asked, status: u16, answer: &Value) -> Result<(), String> {
    let all = OPERATIONS["operations"].as_array().unwrap();
    let is_it = |it: &&Value| {
        it["method"] == asked.method.as_str() && fits(it["path"].as_str().unwrap(), &asked.path)
    };
    let operation = all
        .iter()
        .find(is_it)
        .ok_or_else(|| format!("GitHub has no {} {}", asked.method, asked.path))?;
    let id = &operation["id"];
    let valid = |schema: &Value, it: &Value, what: &str| {
        let validator = jsonschema::validator_for(schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(it).map(|it| it.to_string()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("{id}: {what}: {}", wrong.join("; "))) }
    };
    for (name, value) in &asked.query {
        let schema = &operation["query"][name];
        let value = value.parse::<u64>().map_or_else(|_| json!(value), |it| json!(it));
        if schema.is_null() {
            return Err(format!("{id} takes no {name}"));
        }
        valid(schema, &value, name)?;
    }
    if !operation["body"].is_null() || !asked.body.is_null() {
        valid(&operation["body"], &asked.body, "the body")?;
        let known = operation["body"]["properties"].as_object().unwrap();
        let unknown = asked.body.as_object().unwrap().keys().find(|it| !known.contains_key(*it));
        if let Some(name) = unknown {
            return Err(format!("{id} takes no {name} in its body"));
        }
    }
    let statuses = operation["statuses"].as_array().unwrap();
    if !statuses.iter().any(|it| it == status.to_string().as_str()) {
        return Err(format!("{id} never answers {status}"));
    }
    match &operation["responses"][status.to_string()] {
        Value::Null => Ok(()),
        schema => valid(schema, answer, "the pretended answer"),
    }
}

#[test]
fn described_refuses_what_github_does_not_take() {
    let asked = |method: &str, path: &str, body: Value| Asked {
        method: method.into(),
        path: path.into(),
        query: BTreeMap::new(),
        token: String::new(),
        body,
    };
    let comment = json!({ "id": 1, "user": { "login": "x", "id": 7 } });
    let comments = "/repos/shop/infra/issues/5/comments";
    assert_eq!(described(&asked("POST", comments, json!({ "body": "x" })), 201, &comment), Ok(()));
    for (asked, status, answer) in [
        (asked("PUT", comments, Value::Null), 200, &comment),
        (asked("POST", comments, json!({})), 201, &comment),
        (asked("POST", comments, json!({ "body": "x", "text": "y" })), 201, &comment),
        (asked("POST", comments, json!({ "body": "x" })), 200, &comment),
        (asked("POST", comments, json!({ "body": "x" })), 201, &json!({ "id": "1" })),
        (asked("PATCH", "/repos/shop/infra/issues/5", json!({ "state": "close" })), 200, &comment),
    ] {
        assert!(described(&asked, status, answer).is_err(), "{asked:?}");
    }
    for (method, path, body, is_right) in [
        ("PUT", "/api/v4/projects/7/issues/1", json!({ "state_event": "close" }), true),
        ("PUT", "/api/v4/projects/7/issues/1", json!({ "state": "closed" }), false),
        ("PATCH", "/api/v4/projects/7/issues/1", json!({ "state_event": "close" }), false),
        ("GET", "/projects/7/issues", Value::Null, false),
    ] {
        let told = documented(&asked(method, path, body), "/api/v4", &GITLAB);
        assert_eq!(told.is_ok(), is_right, "{method} {path}: {told:?}");
    }
    let paged = Asked {
        query: [("limit".into(), "7".into())].into(),
        ..asked("GET", comments, Value::Null)
    };
    assert!(described(&paged, 200, &json!([])).unwrap_err().contains("takes no limit"));
}
