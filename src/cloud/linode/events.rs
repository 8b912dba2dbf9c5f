//! What is under way in an account, read once for everybody who waits: its own list of events tells of all objects.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use crate::cloud::error::ProviderError;
use crate::cloud::linode::client::LinodeApi;
use crate::engine::retry::ErrorClass;

/// Events that are older than an hour are over. Terraform's provider for Linode waits an hour at most for the update of an
/// instance, which may resize or migrate it and is its longest job.
const SINCE_MILLISECONDS: i64 = 3_600_000;

/// The events of the last hour, as one run reads them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Option<SeenEvents>>>);

#[derive(Debug)]
struct SeenEvents {
    /// When the request was sent, in milliseconds.
    at: i64,
    /// `None`: the token may not see events.
    rows: Option<Arc<Vec<Json>>>,
}

impl Events {
    /// What of an object is scheduled or started, in words, in a list that is at most `age` old. Whoever asks while another
    /// reads waits for that answer, if it was asked for late enough.
    pub(crate) async fn under_way(
        &self,
        linode: &LinodeApi,
        entity: &str,
        id: &str,
        age: Duration,
    ) -> Result<Option<String>, ProviderError> {
        let clock = &linode.connections.settings.clock;
        let asked = clock.now();
        // Who wants to know how it is now is not told how it was.
        let age = if age.is_zero() { age } else { age.max(clock.grain()) };
        let age = i64::try_from(age.as_millis()).unwrap_or(0);
        let mut seen = self.0.lock().await;
        let rows = match &*seen {
            Some(it) if asked - it.at <= age => it.rows.clone(),
            _ => {
                let at = clock.now();
                let rows = read(linode, at).await?;
                *seen = Some(SeenEvents { at, rows: rows.clone() });
                rows
            }
        };
        drop(seen);
        Ok(rows.and_then(|rows| rows.iter().find_map(|row| busy(row, entity, id))))
    }
}

async fn read(linode: &LinodeApi, now: i64) -> Result<Option<Arc<Vec<Json>>>, ProviderError> {
    let since = jiff::Timestamp::from_millisecond(now - SINCE_MILLISECONDS).unwrap_or_default();
    // The API writes and reads UTC without saying so.
    let since = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let filter = json!({ "created": { "+gte": since }, "+order_by": "created", "+order": "desc" });
    match linode.list("/account/events", Some(&filter)).await {
        Ok(rows) => Ok(Some(Arc::new(rows))),
        // A token that may not see events: then the object's own status has to do.
        Err(error) if error.fault == ErrorClass::Denied => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a row says of an object that is at work.
fn busy(row: &Json, entity: &str, id: &str) -> Option<String> {
    let of = row.get("entity")?;
    let own = match of.get("id")? {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        _ => return None,
    };
    let text = |name: &str| row.get(name).and_then(Json::as_str);
    let status = text("status").filter(|it| ["scheduled", "started"].contains(it))?;
    let is_own = own == id && of.get("type").and_then(Json::as_str) == Some(entity);
    is_own.then(|| format!("its {} is {status}", text("action").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::busy;

    #[test]
    fn busy_counts_only_events_under_way_of_the_object_itself() {
        let row = |id: u32, of: &str, status: &str| json!({ "action": "linode_boot", "status": status, "entity": { "id": id, "type": of } });
        let told = |row| busy(&row, "linode", "7");
        assert_eq!(
            told(row(7, "linode", "started")).as_deref(),
            Some("its linode_boot is started")
        );
        for other in [
            row(7, "linode", "finished"),
            row(7, "linode", "failed"),
            row(8, "linode", "started"),
            row(7, "disk", "scheduled"),
            json!({ "status": "started", "entity": null }),
        ] {
            assert_eq!(told(other.clone()), None, "{other}");
        }
    }
}
