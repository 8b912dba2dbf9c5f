//! A cloud in memory, a clock that jumps, and one line for each thing that happens, so that tests of ops take milliseconds.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cloud::clock::Clock;
use crate::cloud::driver::{Driver, Reply, Tried};
use crate::cloud::error::ProviderError;
use crate::cloud::http::identity::identity;
use crate::cloud::read::{Created, MemberRead, ReadQuery, ReadResult};
use crate::engine::observed::{Candidate, Neighbor, Observation};
use crate::engine::retry::ErrorClass;
use crate::engine::schema::{Catalog, Kind};
use crate::engine::value::{Attributes, Value};

/// 2026-11-24T12:00:00Z.
pub(crate) const NOON: i64 = 1_795_521_600_000;

/// Who sleeps sets it forward and goes on: no test waits.
#[derive(Debug)]
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(NOON)))
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_millis()).unwrap(), SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> i64 {
        self.0.load(SeqCst)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            self.advance(duration);
            tokio::task::yield_now().await;
        })
    }
}

/// What happened, in its order: `began create zone`, `create`, `ended zone recorded`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// How often exactly this happened.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.lines().iter().filter(|it| *it == line).count()
    }

    /// Calls that change something, or would have.
    pub(crate) fn changes(&self) -> usize {
        ["create", "update", "delete", "write"].iter().map(|it| self.count(it)).sum()
    }
}

/// What goes wrong with one call, or with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It was carried out, and the reply never came.
    LostReply,
    /// It was cut off before it was carried out, which nobody can tell from the other.
    CutOff,
    /// 503: the cloud is not well, and says that it did nothing.
    Unwell,
    /// 429, with a time to wait.
    Throttled(Duration),
    /// Nobody answers.
    Silent,
    /// 404.
    Missing,
    /// 400.
    Refused,
    /// 403.
    Denied,
    /// Carried out after so long.
    Slow(Duration),
    /// Carried out, and the reply takes for ever: whoever waits for it is killed.
    Never,
    /// Carried out, and then the driver panics.
    Panics,
}

#[derive(Debug, Clone)]
pub(crate) struct CloudObject {
    pub kind: String,
    pub id: String,
    pub attributes: Attributes,
    pub mark: Option<String>,
    pub created: i64,
}

#[derive(Default)]
struct Heap {
    objects: Vec<CloudObject>,
    /// By verb, for the next calls.
    next: BTreeMap<&'static str, VecDeque<Fault>>,
    /// By verb, for every call.
    always: BTreeMap<&'static str, Fault>,
    made: u32,
    /// So many milliseconds lists lack what was made.
    lag: i64,
    account: Option<String>,
    /// Where an item was written last, and where it was read.
    probed: Option<(Attributes, Attributes)>,
    /// Done once, before a call of this verb.
    before: BTreeMap<&'static str, Box<dyn FnOnce() + Send>>,
}

/// Objects by kind and id, and what is to go wrong.
pub(crate) struct MemoryDriver {
    heap: Mutex<Heap>,
    clock: Arc<ManualClock>,
    pub log: Log,
}

impl MemoryDriver {
    pub(crate) fn new(clock: Arc<ManualClock>, log: Log) -> Arc<Self> {
        Arc::new(Self { heap: Mutex::default(), clock, log })
    }

    /// The next call of this verb goes so; several in their order.
    pub(crate) fn next(&self, verb: &'static str, fault: Fault) {
        self.heap.lock().unwrap().next.entry(verb).or_default().push_back(fault);
    }

    /// Every call of this verb goes so.
    pub(crate) fn always(&self, verb: &'static str, fault: Fault) {
        self.heap.lock().unwrap().always.insert(verb, fault);
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        let mut heap = self.heap.lock().unwrap();
        heap.next.clear();
        heap.always.clear();
    }

    /// Lists lack for so long what was made.
    pub(crate) fn lag(&self, lag: Duration) {
        self.heap.lock().unwrap().lag = i64::try_from(lag.as_millis()).unwrap();
    }

    /// Whose credentials these are from now on.
    pub(crate) fn belongs_to(&self, account: &str) {
        self.heap.lock().unwrap().account = Some(account.to_owned());
    }

    /// Before the next call of this verb, once.
    pub(crate) fn before(&self, verb: &'static str, work: impl FnOnce() + Send + 'static) {
        self.heap.lock().unwrap().before.insert(verb, Box::new(work));
    }

    /// An object that stands there, whoever made it.
    pub(crate) fn put(&self, kind: &str, attributes: &Attributes, mark: Option<&str>) -> String {
        self.heap.lock().unwrap().put(kind, attributes, mark, self.clock.now())
    }

    pub(crate) fn remove(&self, id: &str) {
        self.heap.lock().unwrap().objects.retain(|it| it.id != id);
    }

    /// Where an item was written last, and where it was read.
    pub(crate) fn probed(&self) -> Option<(Attributes, Attributes)> {
        self.heap.lock().unwrap().probed.clone()
    }

    pub(crate) fn objects(&self) -> Vec<CloudObject> {
        self.heap.lock().unwrap().objects.clone()
    }

    /// Notes the call, waits and fails as is scripted; `work` is what it does where it is carried out.
    async fn go<T>(
        &self,
        verb: &'static str,
        work: impl FnOnce(&mut Heap) -> Result<T, ProviderError> + Send,
    ) -> Result<T, ProviderError> {
        self.log.note(verb);
        let before = self.heap.lock().unwrap().before.remove(verb);
        if let Some(before) = before {
            before();
        }
        let fault = {
            let mut heap = self.heap.lock().unwrap();
            let next = heap.next.get_mut(verb).and_then(VecDeque::pop_front);
            next.or(heap.always.get(verb).copied())
        };
        let failed = |class, words: &str| Err(ProviderError::new(class, verb, words));
        let work = || work(&mut self.heap.lock().unwrap());
        match fault {
            None => work(),
            Some(Fault::LostReply) => {
                work()?;
                failed(ErrorClass::UnknownOutcome, "the connection was closed")
            }
            Some(Fault::CutOff) => failed(ErrorClass::UnknownOutcome, "the connection was closed"),
            Some(Fault::Unwell) => {
                failed(ErrorClass::Transient, "it is not well").map_err(|it| it.status(503))
            }
            Some(Fault::Throttled(pause)) => {
                failed(ErrorClass::Throttled, "too many").map_err(|it| it.after(Some(pause)))
            }
            Some(Fault::Silent) => failed(ErrorClass::Unreachable, "no route"),
            Some(Fault::Missing) => failed(ErrorClass::Missing, "not found"),
            Some(Fault::Refused) => failed(ErrorClass::Rejected, "it is refused"),
            Some(Fault::Denied) => failed(ErrorClass::Denied, "it is not allowed"),
            Some(Fault::Slow(pause)) => {
                self.clock.sleep(pause).await;
                work()
            }
            Some(Fault::Never) => {
                work()?;
                std::future::pending().await
            }
            Some(Fault::Panics) => {
                work()?;
                panic!("a bug in the driver")
            }
        }
    }
}

impl Heap {
    fn put(
        &mut self,
        kind: &str,
        attributes: &Attributes,
        mark: Option<&str>,
        created: i64,
    ) -> String {
        self.made += 1;
        let id = format!("{}", 100 + self.made);
        let (kind, mark) = (kind.to_owned(), mark.map(str::to_owned));
        let attributes = attributes.clone();
        self.objects.push(CloudObject { kind, id: id.clone(), attributes, mark, created });
        id
    }

    fn of(&self, kind: &Kind, id: &str) -> Option<&CloudObject> {
        self.objects.iter().find(|it| it.kind == kind.kind && it.id == id)
    }

    /// What lists show of a kind.
    fn listed<'a>(&'a self, kind: &'a Kind, now: i64) -> impl Iterator<Item = &'a CloudObject> {
        let is_listed = move |it: &&CloudObject| it.created + self.lag <= now || self.lag == 0;
        self.objects.iter().filter(|it| it.kind == kind.kind).filter(is_listed)
    }

    fn same<'a>(&'a self, kind: &'a Kind, like: &Attributes, now: i64) -> Vec<&'a CloudObject> {
        let wanted = identity(kind, like);
        self.listed(kind, now).filter(|it| identity(kind, &it.attributes) == wanted).collect()
    }

    /// What is read of an object.
    fn shown(of: &CloudObject) -> Attributes {
        let mut attributes = of.attributes.clone();
        attributes.retain(|name, _| !name.contains('.'));
        attributes.insert("id".into(), Value::text(&of.id));
        attributes
    }
}

impl Driver for MemoryDriver {
    fn provider(&self) -> &'static str {
        "linode"
    }

    fn cloud(&self) -> &'static str {
        "linode"
    }

    fn at_once(&self) -> usize {
        2
    }

    fn is_local(&self) -> bool {
        true
    }

    fn account<'a>(&'a self, _bound: Option<&'a str>) -> Tried<'a, String> {
        Box::pin(
            self.go("account", |heap| {
                Ok(heap.account.clone().unwrap_or_else(|| "memory".to_owned()))
            }),
        )
    }

    fn observe<'a>(
        &'a self,
        questions: &'a [ReadQuery<'a>],
        _catalog: &'a Catalog,
    ) -> Reply<'a, (Vec<Observation>, Vec<Neighbor>)> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut answers = Vec::new();
            for it in questions {
                let seen = self.go("observe", |heap| {
                    let found = match it.id {
                        Some(id) => heap.of(it.kind, id),
                        None => heap.same(it.kind, it.attributes, now).first().copied(),
                    };
                    Ok(found.map(Heap::shown))
                });
                answers.push(match seen.await {
                    Ok(Some(attributes)) => Observation::Exists { attributes, ready: true },
                    Ok(None) => Observation::Absent,
                    Err(why) => Observation::Unknown(why.unseen()),
                });
            }
            (answers, Vec::new())
        })
    }

    fn inside<'a>(
        &'a self,
        kind: &'a Kind,
        _attributes: &'a Attributes,
    ) -> Tried<'a, Vec<(String, Attributes)>> {
        let now = self.clock.now();
        Box::pin(self.go("inside", move |heap| {
            Ok(heap.listed(kind, now).map(|it| (it.id.clone(), Heap::shown(it))).collect())
        }))
    }

    fn alike<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
    ) -> Tried<'a, Vec<Candidate>> {
        Box::pin(self.go("alike", move |heap| {
            let candidate = |it: &CloudObject| Candidate {
                id: it.id.clone(),
                created: Some(it.created),
                mark: it.mark.clone(),
                foreign: false,
            };
            let same = heap.same(kind, attributes, self.clock.now());
            Ok(same.into_iter().map(candidate).collect())
        }))
    }

    fn create<'a>(
        &'a self,
        kind: &'a Kind,
        attributes: &'a Attributes,
        mark: Option<&'a str>,
    ) -> Tried<'a, Created> {
        Box::pin(self.go("create", move |heap| {
            let now = self.clock.now();
            let is_taken = |it: &CloudObject| {
                it.kind == kind.kind && identity(kind, &it.attributes) == identity(kind, attributes)
            };
            if kind.identity.unique && heap.objects.iter().any(is_taken) {
                return Err(ProviderError::new(ErrorClass::Conflict, "create", "it is taken"));
            }
            let id = heap.put(&kind.kind, attributes, mark, now);
            let attributes = heap.of(kind, &id).map(Heap::shown).unwrap();
            Ok(Created { id, attributes })
        }))
    }

    fn update<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        attributes: &'a Attributes,
        _group: &'a str,
        changed: &'a [String],
        _mark: Option<&'a str>,
    ) -> Tried<'a, Attributes> {
        Box::pin(self.go("update", move |heap| {
            let found = heap.objects.iter_mut().find(|it| it.kind == kind.kind && it.id == id);
            let missing = || ProviderError::new(ErrorClass::Missing, "update", "not found");
            let object = found.ok_or_else(missing)?;
            for name in changed {
                let value = attributes.get(name).cloned().unwrap_or_default();
                object.attributes.insert(name.clone(), value);
            }
            Ok(heap.of(kind, id).map(Heap::shown).unwrap())
        }))
    }

    fn delete<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        _attributes: &'a Attributes,
    ) -> Tried<'a, ()> {
        Box::pin(self.go("delete", move |heap| {
            heap.objects.retain(|it| it.kind != kind.kind || it.id != id);
            Ok(())
        }))
    }

    fn look<'a>(
        &'a self,
        kind: &'a Kind,
        id: &'a str,
        _attributes: &'a Attributes,
        _told: &'a [String],
    ) -> Tried<'a, ReadResult> {
        Box::pin(self.go("look", move |heap| {
            Ok(heap.of(kind, id).map_or(ReadResult::Absent, |it| ReadResult::Exists {
                attributes: Heap::shown(it),
                ready: true,
                why_not: None,
            }))
        }))
    }

    fn replicates<'a>(
        &'a self,
        writer: MemberRead<'a>,
        reader: MemberRead<'a>,
        _within: Duration,
    ) -> Tried<'a, Duration> {
        Box::pin(self.go("write", move |heap| {
            heap.probed = Some((writer.attributes.clone(), reader.attributes.clone()));
            Ok(Duration::from_millis(7))
        }))
    }
}
