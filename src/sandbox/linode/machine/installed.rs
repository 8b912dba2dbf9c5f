//! Which application runs on which machine: its revision is told by a text in the user data or the image.

use crate::linode::data::apps::App;
use crate::linode::data::model::LinodeInstance;
use crate::linode::data::store::LinodeWorld;

/// What is known of the application on this machine: of all machines, overlaid with what is known of those whose user data
/// or image holds a text.
pub fn of(cloud: &LinodeWorld, machine: &LinodeInstance) -> App {
    let mut app = App::default();
    let mut revision: Option<String> = None;
    for (text, row) in cloud.apps.iter() {
        let told = revision.get_or_insert_with(|| revision_of(machine));
        if told.contains(text.as_str()) {
            app = app.overlaid(row);
        }
    }
    app
}

/// What tells one revision from another: the image, and the user data in clear.
fn revision_of(machine: &LinodeInstance) -> String {
    let bytes =
        machine.user_data.as_ref().and_then(|it| data_encoding::BASE64.decode(it.as_bytes()).ok());
    let text = String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    format!("{}\n{text}", machine.image.as_deref().unwrap_or_default())
}

/// Changes what is known of the application where a text is found; an empty text is found everywhere.
pub fn set(cloud: &mut LinodeWorld, text: &str, change: impl FnOnce(&mut App)) {
    let key = text.to_owned();
    let mut app = cloud.apps.get(&key).cloned().unwrap_or_default();
    change(&mut app);
    if app.is_empty() {
        cloud.apps.remove(&key);
    } else {
        cloud.apps.put(key, app);
    }
}

/// The labels of the machines on which a text is found.
pub fn machines(cloud: &LinodeWorld, text: &str) -> Vec<String> {
    let found = cloud.instances.iter().filter(|(_, it)| revision_of(it).contains(text));
    found.map(|(_, it)| it.label.clone()).collect()
}
