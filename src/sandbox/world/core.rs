//! Everything that exists, and the one way in: a request and the time give a reply and changed rows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::clock::WorldClock;
use crate::dynamodb::{self, DynamoDb, Items, Links, LostRegion};
use crate::faults::state::{Effect, Faults, LostHow};
use crate::http::{Millis, SandboxAnswer, SandboxRequest};
use crate::linode::dns::targets::Users;
use crate::linode::{self, LinodeWorld};
use crate::requests::gateway::{bad_gateway, caller_identity, refusal};
use crate::requests::received::{Received, ReceivedOutcome};
use crate::requests::verdicts::{ToldVerdicts, VerdictNews};
use crate::rows::change::Rows;
use crate::world::folder::RowChange;

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum SandboxReply {
    Answer(SandboxAnswer),
    /// Answered after so many milliseconds on the wall.
    Late(u64, SandboxAnswer),
    /// The connection stays open and says nothing.
    Hang,
    /// The connection is closed without an answer.
    Closed,
    /// The answer breaks off in the middle of its body.
    Truncated(SandboxAnswer),
}

impl SandboxReply {
    /// The answer as the world gave it; `None` when there is none.
    pub fn answer(&self) -> Option<&SandboxAnswer> {
        match self {
            Self::Answer(answer) | Self::Late(_, answer) | Self::Truncated(answer) => Some(answer),
            Self::Hang | Self::Closed => None,
        }
    }

    fn outcome(&self) -> ReceivedOutcome {
        match self {
            Self::Answer(answer) | Self::Late(_, answer) => {
                ReceivedOutcome::Answered(answer.status)
            }
            Self::Hang => ReceivedOutcome::Hung,
            Self::Closed => ReceivedOutcome::Closed,
            Self::Truncated(_) => ReceivedOutcome::BrokenOff,
        }
    }

    fn word(&self) -> String {
        match self {
            Self::Answer(answer) | Self::Late(_, answer) => answer.status.to_string(),
            Self::Hang => "hang".into(),
            Self::Closed => "closed".into(),
            Self::Truncated(_) => "truncated".into(),
        }
    }
}

/// The shortest and the longest time that a write takes to other regions, unless others are set. AWS says that it usually
/// takes less than a second (developer guide, global tables); the longest is a guess that keeps code from relying on that.
const LAG: (Millis, Millis) = (300, 1_800);

/// The state of the sandbox under an outside clock.
pub struct SandboxWorld {
    facts: Rows<String, Value>,
    pub faults: Faults,
    pub linode: LinodeWorld,
    dynamodb: DynamoDb,
    items: Option<Items>,
    items_folder: Option<PathBuf>,
    counts: BTreeMap<String, u64>,
    record: Option<Vec<String>>,
    received: Vec<Received>,
    told: ToldVerdicts,
}

impl SandboxWorld {
    /// An empty world; items of tables are kept in `items_folder`, which is touched when a table needs it, or in memory.
    pub fn new(items_folder: Option<PathBuf>) -> Self {
        Self {
            facts: Rows::default(),
            faults: Faults::default(),
            linode: LinodeWorld::default(),
            dynamodb: DynamoDb::default(),
            items: None,
            items_folder,
            counts: BTreeMap::new(),
            record: None,
            received: Vec::new(),
            told: ToldVerdicts::default(),
        }
    }

    pub fn clock(&self) -> Option<WorldClock> {
        self.facts
            .get(&"clock".to_owned())
            .cloned()
            .and_then(|row| serde_json::from_value(row).ok())
    }

    pub fn set_clock(&mut self, clock: &WorldClock) {
        self.facts.put("clock".into(), json!(clock));
    }

    pub fn seed(&self) -> u64 {
        self.facts.get(&"seed".to_owned()).and_then(Value::as_u64).unwrap_or(0)
    }

    pub fn set_seed(&mut self, seed: u64) {
        self.facts.put("seed".into(), json!(seed));
    }

    /// The shortest and the longest journey of a write between regions, in world time.
    pub fn lag(&self) -> (Millis, Millis) {
        let stored = self.facts.get(&"lag".to_owned()).cloned();
        stored.and_then(|row| serde_json::from_value(row).ok()).unwrap_or(LAG)
    }

    pub fn set_lag(&mut self, least: Millis, most: Millis) {
        self.facts.put("lag".into(), json!([least, most.max(least)]));
    }

    /// Whether every process writes down the requests that it receives.
    pub fn is_logging(&self) -> bool {
        self.facts.get(&"logging".to_owned()) == Some(&Value::Bool(true))
    }

    /// A log that begins says where all users are.
    pub fn set_logging(&mut self, on: bool) {
        self.told.forget();
        self.facts.put("logging".into(), on.into());
    }

    /// What is to be logged since the last call.
    pub fn take_received(&mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }

    /// Where users are now.
    pub fn users(&self, now: Millis) -> Users {
        linode::dns::targets::users(&self.linode, &self.faults, now)
    }

    /// What became of users since the log was told last, while someone wants that.
    fn news(&mut self, now: Millis) -> VerdictNews {
        if !self.is_logging() {
            return VerdictNews::default();
        }
        let users = self.users(now);
        self.told.news(&users)
    }

    /// Notes a look from outside, while someone wants that.
    pub fn note(&mut self, received: Received) {
        if self.is_logging() {
            let before = self.news(received.at);
            self.received.push(Received { before, ..received });
        }
    }

    /// Carries out one request, unless something is wrong with the world.
    pub fn handle(&mut self, now: Millis, request: &SandboxRequest) -> SandboxReply {
        let mut concerned = self.fault_domains(request);
        let before = self.news(now);
        let reply = self.decide(now, request, &concerned);
        if self.is_logging() {
            // An object that the call deleted was named all the same.
            concerned.extend(linode::dependence::looked_for(&self.linode, request));
            let received = Received::new(now, request, concerned, reply.outcome());
            let by_it = self.news(now);
            self.received.push(Received { before, by_it, ..received });
        }
        let name = name(request);
        *self.counts.entry(template(request)).or_default() += 1;
        if let Some(record) = &mut self.record {
            record.push(format!("{name} {}", reply.word()));
        }
        reply
    }

    fn decide(
        &mut self,
        now: Millis,
        request: &SandboxRequest,
        concerned: &[String],
    ) -> SandboxReply {
        if let Some(how) = concerned.iter().find_map(|it| self.faults.lost(it)) {
            return match how {
                LostHow::Hang => SandboxReply::Hang,
                LostHow::Refuse => SandboxReply::Closed,
                LostHow::Unavailable => {
                    SandboxReply::Answer(refusal(request, 503, "Service Unavailable"))
                }
            };
        }
        match self.faults.strike(self.seed(), request) {
            None => SandboxReply::Answer(self.carry_out(now, request)),
            Some(Effect::StaleList { milliseconds }) => {
                let until = now.saturating_sub(i64::try_from(milliseconds).unwrap_or(i64::MAX));
                SandboxReply::Answer(self.carry_out_as_of(now, until, request))
            }
            Some(Effect::TooManyRequests { retry_after }) => {
                let answer = refusal(request, 429, "Too many requests");
                SandboxReply::Answer(answer.with("retry-after", retry_after))
            }
            Some(Effect::InternalError) => {
                SandboxReply::Answer(refusal(request, 500, "Internal Server Error"))
            }
            Some(Effect::Unavailable) => {
                SandboxReply::Answer(refusal(request, 503, "Service Unavailable"))
            }
            Some(Effect::Unauthenticated) => {
                SandboxReply::Answer(refusal(request, 401, "Invalid Token"))
            }
            Some(Effect::Forbidden) => SandboxReply::Answer(refusal(
                request,
                403,
                "You are not authorized to use this resource.",
            )),
            Some(Effect::Html502) => SandboxReply::Answer(bad_gateway()),
            Some(Effect::LostReply) => {
                self.carry_out(now, request);
                SandboxReply::Closed
            }
            Some(Effect::Slow { milliseconds }) => {
                SandboxReply::Late(milliseconds, self.carry_out(now, request))
            }
            Some(Effect::Hang) => SandboxReply::Hang,
            Some(Effect::Truncated) => SandboxReply::Truncated(self.carry_out(now, request)),
            Some(Effect::Empty200) => {
                let headers = self.carry_out(now, request).headers;
                SandboxReply::Answer(SandboxAnswer { status: 200, headers, body: Vec::new() })
            }
        }
    }

    /// What a request names, or whose endpoint it calls.
    fn fault_domains(&self, request: &SandboxRequest) -> Vec<String> {
        if is_linode(request) {
            return linode::dependence::fault_domains(&self.linode, request);
        }
        dynamodb::region_of(request).map(|region| format!("aws:{region}")).into_iter().collect()
    }

    /// Acts on the tables and their items, which are opened when first needed.
    pub fn with_items<R>(
        &mut self,
        act: impl FnOnce(&mut DynamoDb, &mut Items) -> R,
    ) -> Result<R, String> {
        let lost = self.faults.all_lost().filter_map(|(name, it)| {
            let away = LostRegion { since: it.since, groups: it.groups };
            Some((name.strip_prefix("aws:")?.to_owned(), away))
        });
        let links = Links { lost: lost.collect(), lag: self.lag(), seed: self.seed() };
        self.dynamodb.set_links(links);
        let items = match (self.items.take(), &self.items_folder) {
            (Some(items), _) => items,
            (None, None) => Items::memory(),
            (None, Some(folder)) => Items::open(folder)?,
        };
        Ok(act(&mut self.dynamodb, self.items.insert(items)))
    }

    fn carry_out(&mut self, now: Millis, request: &SandboxRequest) -> SandboxAnswer {
        self.carry_out_as_of(now, now, request)
    }

    /// `listed`: what was made later is missing from lists.
    fn carry_out_as_of(
        &mut self,
        now: Millis,
        listed: Millis,
        request: &SandboxRequest,
    ) -> SandboxAnswer {
        if request.header("x-amz-target").is_some() {
            let answer =
                self.with_items(|tables, items| tables.handle_as_of(now, listed, request, items));
            return answer.unwrap_or_else(|why| refusal(request, 500, &why));
        }
        if is_linode(request) {
            return linode::auth::handle(&mut self.linode, &self.faults, (now, listed), request);
        }
        if request.method == "POST"
            && String::from_utf8_lossy(&request.body).contains("Action=GetCallerIdentity")
        {
            return caller_identity();
        }
        SandboxAnswer::json(
            404,
            "application/json",
            &json!({ "errors": [{ "reason": "Not found" }] }),
        )
    }

    pub fn tables(&self) -> &DynamoDb {
        &self.dynamodb
    }

    /// True when nothing that was made by a request exists any more.
    pub fn is_empty(&self, now: Millis) -> bool {
        self.linode.is_empty() && self.dynamodb.is_empty_at(now)
    }

    /// A readable summary; empty collections are left out.
    pub fn show(&self, now: Millis) -> Value {
        let mut all = Map::new();
        let linode = linode::show::show(&self.linode, &self.faults, now);
        if linode.as_object().is_some_and(|it| !it.is_empty()) {
            all.insert("linode".into(), linode);
        }
        let tables = self.dynamodb.show(now);
        if tables.as_object().is_some_and(|it| !it.is_empty()) {
            all.insert("dynamodb".into(), tables);
        }
        if !self.faults.is_empty() {
            all.insert("faults".into(), self.faults.show());
        }
        Value::Object(all)
    }

    /// Calls so far in this process, by method and path template.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Starts a new record of requests.
    pub fn start_record(&mut self) {
        self.record = Some(Vec::new());
    }

    /// What was recorded: `METHOD path status`.
    pub fn recorded(&self) -> Vec<String> {
        self.record.clone().unwrap_or_default()
    }

    pub fn take_changes(&mut self) -> Vec<RowChange> {
        let mut changes = Vec::new();
        changes.extend(
            self.facts.take_changes().into_iter().map(|(key, row)| ("world".to_owned(), key, row)),
        );
        for (table, rows) in
            [("names", self.told.names.take_changes()), ("sets", self.told.sets.take_changes())]
        {
            changes.extend(rows.into_iter().map(|(key, row)| (format!("told.{table}"), key, row)));
        }
        let faults = self.faults.take_changes().into_iter();
        changes.extend(faults.map(|(table, key, row)| (format!("faults.{table}"), key, row)));
        let linode = self.linode.take_changes().into_iter();
        changes.extend(linode.map(|(table, key, row)| (format!("linode.{table}"), key, row)));
        let dynamodb = self.dynamodb.take_changes().into_iter();
        changes.extend(dynamodb.map(|(table, key, row)| (format!("dynamodb.{table}"), key, row)));
        changes
    }

    /// Takes over a change that another process made; false when it makes no sense.
    #[must_use]
    pub fn apply(&mut self, (table, key, row): RowChange) -> bool {
        match table.split_once('.') {
            None if table == "world" => self.facts.apply(&key, row),
            Some(("told", "names")) => self.told.names.apply(&key, row),
            Some(("told", "sets")) => self.told.sets.apply(&key, row),
            Some(("faults", table)) => self.faults.apply(table, &key, row),
            Some(("linode", table)) => self.linode.apply(table, &key, row),
            Some(("dynamodb", table)) => self.dynamodb.apply(table, &key, row),
            _ => false,
        }
    }

    /// Every row, for a snapshot.
    pub fn all(&mut self) -> Vec<RowChange> {
        let mut rows: Vec<RowChange> = Vec::new();
        rows.extend(
            self.facts.all().into_iter().map(|(key, row)| ("world".to_owned(), key, Some(row))),
        );
        for (table, all) in [("names", self.told.names.all()), ("sets", self.told.sets.all())] {
            let all = all.into_iter();
            rows.extend(all.map(|(key, row)| (format!("told.{table}"), key, Some(row))));
        }
        let faults = self.faults.all().into_iter();
        rows.extend(faults.map(|(table, key, row)| (format!("faults.{table}"), key, Some(row))));
        let linode = self.linode.all().into_iter();
        rows.extend(linode.map(|(table, key, row)| (format!("linode.{table}"), key, Some(row))));
        let dynamodb = self.dynamodb.all().into_iter();
        rows.extend(
            dynamodb.map(|(table, key, row)| (format!("dynamodb.{table}"), key, Some(row))),
        );
        rows
    }

    /// Forgets all rows, before they are loaded again.
    pub fn forget(&mut self) {
        let (counts, record) = (std::mem::take(&mut self.counts), self.record.take());
        let received = std::mem::take(&mut self.received);
        let empty = Self::new(std::mem::take(&mut self.items_folder));
        *self = Self { counts, record, received, ..empty };
    }

    /// Deletes everything but the clock, the seed, the lag, and whether requests are logged and what the log was told.
    pub fn reset(&mut self) -> Result<(), (PathBuf, std::io::Error)> {
        let facts = std::mem::take(&mut self.facts);
        let told = std::mem::take(&mut self.told);
        self.forget();
        self.facts = facts;
        self.told = told;
        let Some(folder) = &self.items_folder else { return Ok(()) };
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err((folder.clone(), error))
            }
            _ => Ok(()),
        }
    }
}

fn is_linode(request: &SandboxRequest) -> bool {
    linode::auth::segments(&request.path).is_some()
}

/// `METHOD path`; DynamoDB's one path is told by operation and region.
fn name(request: &SandboxRequest) -> String {
    match request.header("x-amz-target").and_then(|target| target.rsplit('.').next()) {
        Some(operation) => {
            format!(
                "{} {operation}@{}",
                request.method,
                dynamodb::region_of(request).unwrap_or("nowhere")
            )
        }
        None => format!("{} {}", request.method, request.path),
    }
}

fn template(request: &SandboxRequest) -> String {
    match linode::auth::segments(&request.path) {
        Some(segments) => format!("{} {}", request.method, linode::auth::template(&segments)),
        None => name(request),
    }
}
