//! Who runs programs and sends requests: the real one, or a test's.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::cloud::http::connection::Connections;
use crate::cloud::http::request::{TaskCall, TaskReply, send};
use crate::cloud::settings::is_loopback;
use crate::engine::task::TaskRequest;
use crate::ops::tasks::exec::{ProgramCall, TaskAnswer, TaskResult, exec};

/// The pause before a request is sent again; it doubles each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest of these pauses.
const PAUSE_MAX: Duration = Duration::from_secs(15);

pub type TaskFuture<'a> = Pin<Box<dyn Future<Output = TaskAnswer> + Send + 'a>>;

/// A request with its values.
#[derive(Debug, Clone)]
pub struct RequestCall {
    /// Secrets in clear.
    pub request: TaskRequest<String>,
    pub within: Duration,
    /// It may be sent again where nobody knows what became of it.
    pub is_safe: bool,
}

/// Does what tasks say.
pub trait TaskRunner: Send + Sync {
    fn exec<'a>(
        &'a self,
        call: &'a ProgramCall,
        stop: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a>;

    fn request<'a>(
        &'a self,
        call: &'a RequestCall,
        stop: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a>;
}

/// Starts processes, and sends over connections of its own.
pub struct ProcessRunner {
    pub connections: Arc<Connections>,
    /// Requests go to loopback addresses alone: whoever rehearses in the sandbox purges no real cache.
    pub only_loopback: bool,
}

impl TaskRunner for ProcessRunner {
    fn exec<'a>(
        &'a self,
        call: &'a ProgramCall,
        stop: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a> {
        Box::pin(exec(call, stop))
    }

    fn request<'a>(
        &'a self,
        call: &'a RequestCall,
        mut stop: watch::Receiver<Option<String>>,
    ) -> TaskFuture<'a> {
        Box::pin(async move {
            if let Some(why) = stop.borrow_and_update().clone() {
                return TaskResult::NotStarted(format!("it was stopped: {why}")).into();
            }
            if self.only_loopback && !is_loopback(&call.request.url) {
                let why = "the sandbox sends requests to loopback addresses only";
                return TaskResult::NotStarted(why.to_owned()).into();
            }
            tokio::select! {
                answer = sent(&self.connections, call) => answer,
                Ok(()) = stop.changed() => {
                    let why = stop.borrow().clone().unwrap_or_default();
                    TaskResult::Unknown(format!("it was stopped: {why}")).into()
                }
            }
        })
    }
}

/// Sends a request; again, while there is time, where that is safe.
async fn sent(connections: &Connections, call: &RequestCall) -> TaskAnswer {
    let began = tokio::time::Instant::now();
    let mut pause = PAUSE;
    loop {
        let left = call.within.saturating_sub(began.elapsed());
        let (answer, is_definite) = once(connections, call, left).await;
        let left = call.within.saturating_sub(began.elapsed());
        let is_over = answer.result == TaskResult::Done || !call.is_safe || left <= pause;
        if is_over || is_definite {
            return answer;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether a server that answers so would answer the same again: its faults pass, and so does what it says of the moment.
fn is_definite(status: u16) -> bool {
    // 408 Request Timeout (RFC 9110), 425 Too Early (RFC 8470), 429 Too Many Requests (RFC 6585).
    !matches!(status, 408 | 425 | 429 | 500..)
}

/// One request, and whether its answer is a definite one.
async fn once(connections: &Connections, call: &RequestCall, left: Duration) -> (TaskAnswer, bool) {
    let it = &call.request;
    let asked = TaskCall {
        method: &it.method,
        url: &it.url,
        headers: &it.headers,
        body: it.body.as_deref(),
        within: left,
    };
    match send(connections, asked).await {
        Ok(TaskReply { status, body: output }) => {
            let result = if it.is_done_by(status) {
                TaskResult::Done
            } else {
                TaskResult::Failed(format!("the answer was {status}"))
            };
            (TaskAnswer { result, output }, is_definite(status))
        }
        Err(why) if why.is_sent => (TaskResult::Unknown(why.words).into(), false),
        Err(why) => (TaskResult::NotStarted(why.words).into(), false),
    }
}
