//! Files for their owner alone, and the one way in which a whole one takes the place of another: state holds the key of the fingerprints, and what the world looks like is nobody else's business.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Only the owner may read and write: plans and states hold addresses, ids and the key of the fingerprints.
const MODE: u32 = 0o600;

/// A file that was not there.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

/// A file that may be there, to be locked.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(MODE).open(path)
}

/// Puts a whole file in place of one of this name, durably: a reader, or a crash, meets the old one or the new one. Whatever
/// stands beside it under a name that could be taken for a draft of it is left alone.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let draft = path.with_file_name(name);
    let written = create_new(&draft)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&draft, path));
    if written.is_err() {
        // It was made by us a moment ago.
        std::fs::remove_file(&draft).ok();
        return written;
    }
    sync_folder_of(path)
}

/// Makes the names in the folder of a file durable.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|it| it.sync_all())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::{create_new, replace};

    #[test]
    fn replace_follows_no_link_and_writes_for_the_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let at = |it: &str| root.path().join(it);
        std::fs::write(at("victim"), "mine").unwrap();
        symlink("victim", at("p.json.new")).unwrap();
        symlink("victim", at("made")).unwrap();
        replace(&at("p.json"), b"one").unwrap();
        replace(&at("p.json"), b"two").unwrap();
        assert!(create_new(&at("made")).is_err());
        assert_eq!(std::fs::read(at("p.json")).unwrap(), b"two");
        assert_eq!(std::fs::read(at("victim")).unwrap(), b"mine");
        assert_eq!(std::fs::metadata(at("p.json")).unwrap().permissions().mode() & 0o777, 0o600);
        replace(&at("folder/x"), b"x").unwrap_err();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 4);
    }
}
