//! The log of received requests on disk: appended to by every process that shares the world, while someone wants it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::linode::dns::targets::Users;
use crate::requests::received::Received;

/// The log ends at this size, in bytes: earlier requests are worth more than later ones, and it is marked as full, so that no
/// test misses what was dropped. A guess.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The requests since the log was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    pub received: Vec<Received>,
    /// It was full, and later requests are not in it.
    pub is_full: bool,
}

impl Requests {
    /// Each request, with where users were before and after it.
    pub fn watched(&self) -> impl Iterator<Item = WatchedLog<'_>> {
        let mut users = Users::default();
        self.received.iter().map(move |request| {
            request.before.tell(&mut users);
            let before = users.clone();
            request.by_it.tell(&mut users);
            WatchedLog { request, before, after: users.clone() }
        })
    }
}

/// A request and where users were.
#[derive(Debug, Clone)]
pub struct WatchedLog<'a> {
    pub request: &'a Received,
    pub before: Users,
    pub after: Users,
}

/// Where the log of a world in `folder` is.
pub fn place(folder: &Path) -> PathBuf {
    folder.join("requests.log")
}

/// Begins anew.
pub fn clear(file: &Path) -> io::Result<()> {
    File::create(file).map(drop)
}

/// Appends while there is room. Call only while holding the world, so that lines stand in the order of the requests.
pub fn append(file: &Path, received: &[Received]) -> io::Result<()> {
    let mut log = OpenOptions::new().read(true).append(true).create(true).open(file)?;
    let length = log.metadata()?.len();
    if length >= LARGEST {
        return Ok(());
    }
    let mut lines = Vec::new();
    if length > 0 {
        // A torn line must not take the next one with it.
        let mut last = [b'\n'];
        log.seek(SeekFrom::End(-1))?;
        log.read_exact(&mut last)?;
        lines.extend((last != [b'\n']).then_some(b'\n'));
    }
    for it in received {
        serde_json::to_writer(&mut lines, it)?;
        lines.push(b'\n');
    }
    log.write_all(&lines)
}

/// Everything in it; a torn last line, of a process that was killed, is left out.
pub fn read(file: &Path) -> io::Result<Requests> {
    let mut text = String::new();
    match File::open(file) {
        Ok(mut log) => log.read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Requests::default()),
        Err(error) => return Err(error),
    };
    let received = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok(Requests { received, is_full: text.len() as u64 >= LARGEST })
}

#[cfg(test)]
mod tests {
    use super::{append, clear, read};
    use crate::http::SandboxRequest;
    use crate::requests::received::{Received, ReceivedOutcome};

    fn request(path: &str) -> Received {
        let request =
            SandboxRequest { method: "GET".into(), path: path.into(), ..SandboxRequest::default() };
        Received::new(7, &request, vec!["linode:us-east".into()], ReceivedOutcome::Hung)
    }

    #[test]
    fn read_skips_a_torn_line_and_says_when_the_log_is_full() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("requests.log");
        assert_eq!(read(&file).unwrap().received, []);
        append(&file, &[request("/v4/a"), request("/v4/b")]).unwrap();
        let whole = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{whole}{{\"at\":7,\"meth")).unwrap();
        assert_eq!(read(&file).unwrap().received, [request("/v4/a"), request("/v4/b")]);
        append(&file, &[request("/v4/c")]).unwrap();
        let whole = ["/v4/a", "/v4/b", "/v4/c"].map(request);
        assert_eq!(read(&file).unwrap().received, whole, "the torn line takes no other with it");

        clear(&file).unwrap();
        let long = request(&"x".repeat(33 * 1024 * 1024));
        append(&file, std::slice::from_ref(&long)).unwrap();
        append(&file, &[request("/v4/c")]).unwrap();
        let full = read(&file).unwrap();
        assert!(full.is_full);
        assert_eq!(full.received.len(), 1, "nothing is added, and nothing is dropped");
    }
}
