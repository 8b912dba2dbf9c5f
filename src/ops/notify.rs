//! Events for webhooks: put into a queue and posted beside the run, which never waits for them but a moment at its end.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Map, Value as Json};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::cloud::clock::WallClock;
use crate::cloud::http::webhook::{WebhookClient, WebhookPost};
use crate::cloud::retry::with_retry;
use crate::cloud::settings::is_loopback;
use crate::engine::lang::merge::variables::RememberedVariables;
use crate::engine::lang::model::{NotifyTopic, Stack};
use crate::engine::lang::webhook::{ResolvedWebhook, resolve_webhook};
use crate::engine::retry::RetryPolicy;
use crate::engine::text::plain::json as escaped;
use crate::engine::text::redact::redactor;
use crate::ops::load::layers;
use crate::ops::load::session::Session;
use crate::ops::load::sides::{PlanRequest, overlays_of};

/// How many events wait for one webhook; what comes when it is full is not posted. A guess: a switch of a hundred steps has about three
/// hundred events, and a receiver that is so far behind tells nobody in time.
const QUEUE: usize = 512;
/// How long a command waits at its end for what is not posted yet, on the wall's clock. A guess: one attempt of a receiver that is well
/// takes less than a second.
const PATIENCE: Duration = Duration::from_secs(3);
/// Four attempts within a minute. A guess: a receiver restarts in seconds, and events that are minutes old mislead.
const NOTIFYING: RetryPolicy = RetryPolicy {
    attempts: 4,
    within: Duration::from_secs(60),
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(8),
};

/// Who is told what could not be posted, in a sentence.
pub type TellProblem = Arc<dyn Fn(&str) + Send + Sync>;

enum QueuedPost {
    Post(Box<WebhookPost>),
    /// Everything before it was posted, or given up.
    Over(oneshot::Sender<()>),
}

struct WebhookQueue {
    hook: ResolvedWebhook,
    queue: mpsc::Sender<QueuedPost>,
    waiting: Arc<AtomicUsize>,
    dropped: AtomicUsize,
}

/// The webhooks of one command; they end with this value.
pub struct Notifier {
    hooks: Vec<WebhookQueue>,
    tell: TellProblem,
    _tasks: JoinSet<()>,
}

impl Notifier {
    /// Those of a stack; `None`: it has none that can be posted to. The sandbox posts to this machine only.
    pub fn of(session: &Session, stack: &Stack, tell: &TellProblem) -> Option<Arc<Self>> {
        let (mut hooks, mut tasks) = (Vec::new(), JoinSet::new());
        let client = WebhookClient::beside(&session.prober);
        for declared in &stack.notify {
            let place = stack.sources.line(declared.span);
            // What is wrong with one was told when the layers were read.
            let Ok(resolved) = resolve_webhook(stack, &session.catalog, declared) else { continue };
            let Some(hook) = resolved else {
                tell(&format!(
                    "warning: no events are posted to the webhook at {place}: a sensitive variable that it uses was not given"
                ));
                continue;
            };
            if session.target.is_sandbox() && !is_loopback(&hook.url) {
                tell(&format!(
                    "no events are posted to {} ({place}): the sandbox posts to loopback addresses only",
                    hook.shown()
                ));
                continue;
            }
            let (queue, posts) = mpsc::channel(QUEUE);
            let (waiting, dropped) = (Arc::default(), AtomicUsize::new(0));
            tasks.spawn(deliver(client.clone(), posts, Arc::clone(&waiting), Arc::clone(tell)));
            hooks.push(WebhookQueue { hook, queue, waiting, dropped });
        }
        let tell = Arc::clone(tell);
        (!hooks.is_empty()).then(|| Arc::new(Self { hooks, tell, _tasks: tasks }))
    }

    /// Those of the layers that a request names, read for this alone; what cannot be read is posted to nobody.
    pub fn read(session: &Session, ask: &PlanRequest, tell: &TellProblem) -> Option<Arc<Self>> {
        let state = session.store(&ask.place).load().ok().flatten();
        let overlays = overlays_of(ask.overlays.as_deref(), state.as_ref());
        let nothing = RememberedVariables::none();
        let remembered = state.as_ref().map_or(nothing, |it| it.remembered(&overlays));
        let catalog = &session.catalog;
        let desired = layers::desired(&ask.place, &overlays, &ask.given, remembered, catalog);
        Self::of(session, &desired.ok()?.stack, tell)
    }

    /// Puts an event into the queues of those that want it. Never waits.
    pub fn post(&self, topic: NotifyTopic, line: &Map<String, Json>) {
        let event = line.get("event").and_then(Json::as_str).unwrap_or_default();
        for it in self.hooks.iter().filter(|it| it.hook.topics.contains(&topic)) {
            let delivery = Uuid::new_v4().to_string();
            let mut body = Map::new();
            body.insert("delivery".into(), delivery.as_str().into());
            body.insert("topic".into(), topic.word().into());
            body.extend(line.clone());
            let body = escaped(&redactor().redact(&Json::Object(body).to_string()));
            let post = WebhookPost {
                url: it.hook.url.clone(),
                shown: it.hook.shown(),
                event: event.to_owned(),
                delivery,
                signature: it.hook.signature(body.as_bytes()),
                body,
            };
            it.waiting.fetch_add(1, Relaxed);
            if it.queue.try_send(QueuedPost::Post(Box::new(post))).is_err() {
                it.waiting.fetch_sub(1, Relaxed);
                if it.dropped.fetch_add(1, Relaxed) == 0 {
                    let shown = it.hook.shown();
                    (self.tell)(&format!(
                        "warning: {QUEUE} events wait for {shown}, so new ones are not posted"
                    ));
                }
            }
        }
    }

    /// Waits a moment for what is not posted yet, and says what stays so.
    pub async fn finish(&self) {
        let over = self.hooks.iter().map(|it| async move {
            let (done, over) = oneshot::channel();
            if it.queue.send(QueuedPost::Over(done)).await.is_ok() {
                over.await.ok();
            }
        });
        let over = over.map(|it| tokio::time::timeout(PATIENCE, it));
        for (it, over) in self.hooks.iter().zip(join_all(over).await) {
            if over.is_err() {
                let (count, shown) = (it.waiting.load(Relaxed), it.hook.shown());
                let seconds = PATIENCE.as_secs();
                (self.tell)(&format!(
                    "warning: events not posted to {shown} within {seconds} s after the end: {count}"
                ));
            }
        }
    }
}

/// One after the other, in the order in which they happened. What fails is told once, until one arrives again.
async fn deliver(
    client: WebhookClient,
    mut posts: mpsc::Receiver<QueuedPost>,
    waiting: Arc<AtomicUsize>,
    tell: TellProblem,
) {
    let mut is_failing = false;
    while let Some(queued) = posts.recv().await {
        let post = match queued {
            QueuedPost::Post(post) => post,
            QueuedPost::Over(done) => {
                done.send(()).ok();
                continue;
            }
        };
        let posted = with_retry(&WallClock, NOTIFYING, &|_| {}, |_| client.post(&post)).await;
        waiting.fetch_sub(1, Relaxed);
        if let Err(why) = &posted
            && !is_failing
        {
            tell(&format!("warning: the event {} was not posted: {why}", post.event));
        }
        is_failing = posted.is_err();
    }
}
