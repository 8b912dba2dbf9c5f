//! Reports of switches beside the state: one file each, whole or not at all, the newest of them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::engine::recovery::report::codec::{decode, encode};
use crate::engine::recovery::report::summary::SwitchReport;
use crate::engine::text::redact::redactor;
use crate::store::error::{StoreError, io};
use crate::store::lock_record::remove;
use crate::store::private;

/// How many reports are kept per stack; the oldest go first. A guess: at a drill a week, this is close to four years.
pub const REPORTS_MAX: usize = 200;

/// How many reports may end in the same second, as they do where the clock of a sandbox stands still. A guess, far above use.
const SAME_MAX: usize = 1_000;

const EXTENSION: &str = "json";

/// Where the reports of one workspace are kept.
#[derive(Debug, Clone)]
pub struct Reports {
    folder: PathBuf,
}

/// A report under its name: the file's, without its ending.
#[derive(Debug, Clone)]
pub struct StoredReport {
    pub name: String,
    pub report: SwitchReport,
}

/// A file that should be a report and is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedReport {
    pub file: PathBuf,
    pub why: String,
}

impl Reports {
    /// Those beside the state in this folder.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join("reports") }
    }

    /// The folder of the reports.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a report under a new name, and removes the oldest where there are more than 200.
    pub fn write(&self, report: &SwitchReport) -> Result<PathBuf, StoreError> {
        std::fs::create_dir_all(&self.folder).map_err(io("make", &self.folder))?;
        let base = file_name(report);
        let new = self.folder.join(format!("{base}.{}.new", std::process::id()));
        let mut file = private::create(&new).map_err(io("write", &new))?;
        let text = encode(report);
        let text = redactor().hide(&text);
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io("write", &new))?;
        let linked = self.link(&new, &base);
        remove(&new)?;
        let path = linked?;
        private::sync_folder_of(&path).map_err(io("sync", &self.folder))?;
        self.prune()?;
        Ok(path)
    }

    /// Gives a whole file the first name that is free.
    fn link(&self, new: &Path, base: &str) -> Result<PathBuf, StoreError> {
        for number in 1..=SAME_MAX {
            let name = if number == 1 { base.to_owned() } else { format!("{base}-{number}") };
            let path = self.folder.join(format!("{name}.{EXTENSION}"));
            match std::fs::hard_link(new, &path) {
                Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => {}
                linked => return linked.map(|()| path.clone()).map_err(io("write", &path)),
            }
        }
        let path = self.folder.join(format!("{base}.{EXTENSION}"));
        let full = std::io::Error::other("too many reports have this name");
        Err(io("write", &path)(full))
    }

    /// The newest of them by its name, and when it ended: to the second.
    pub(super) fn newest(&self) -> Result<Option<(i64, PathBuf)>, StoreError> {
        let Some(file) = self.files()?.pop() else { return Ok(None) };
        let time = file.file_stem().and_then(|it| it.to_str()).and_then(|it| it.split('-').next());
        let time: Option<jiff::Timestamp> = time.and_then(|it| it.parse().ok());
        Ok(time.map(|it| (it.as_millisecond(), file)))
    }

    /// One of them.
    pub(super) fn read(file: &Path) -> Result<SwitchReport, String> {
        let text = std::fs::read_to_string(file).map_err(|why| why.to_string())?;
        decode(&text).map_err(|why| why.to_string())
    }

    /// Every report, the oldest first, and what is damaged: one bad file does not hide the others.
    pub fn list(&self) -> Result<(Vec<StoredReport>, Vec<DamagedReport>), StoreError> {
        let (mut kept, mut damaged) = (Vec::new(), Vec::new());
        for file in self.files()? {
            let read = match std::fs::read_to_string(&file) {
                Ok(text) => decode(&text).map_err(|why| why.to_string()),
                // Removed a moment ago, because there are newer ones.
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
                Err(why) => Err(why.to_string()),
            };
            match read {
                Ok(report) => {
                    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    kept.push(StoredReport { name, report });
                }
                Err(why) => damaged.push(DamagedReport { file, why }),
            }
        }
        kept.sort_by(|one, other| {
            (one.report.span.ended, &one.name).cmp(&(other.report.span.ended, &other.name))
        });
        Ok((kept, damaged))
    }

    fn files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(io("list", &self.folder))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(io("list", &self.folder))?.path();
            if path.extension().is_some_and(|it| it == EXTENSION) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// Names begin with their time, so the first are the oldest.
    fn prune(&self) -> Result<(), StoreError> {
        let files = self.files()?;
        let surplus = files.len().saturating_sub(REPORTS_MAX);
        files.iter().take(surplus).try_for_each(|it| remove(it))
    }
}

/// `20261124T110509Z-failover-failover_eu`: when it ended, what it was, where to.
fn file_name(report: &SwitchReport) -> String {
    let time = jiff::Timestamp::from_millisecond(report.span.ended).unwrap_or_default();
    let time = time.strftime("%Y%m%dT%H%M%SZ");
    let to = if report.to.is_empty() { "base".to_owned() } else { report.to.join("+") };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-+.".contains(it);
    let to: String = to.chars().map(|it| if is_plain(it) { it } else { '_' }).take(100).collect();
    format!("{time}-{}-{to}", report.kind.word())
}

#[cfg(test)]
mod tests {
    use super::{REPORTS_MAX, Reports};
    use crate::engine::recovery::report::phases::RunSpan;
    use crate::engine::recovery::report::summary::{RecoveryObjectives, SwitchKind, SwitchReport};

    fn report(ended: i64) -> SwitchReport {
        SwitchReport {
            kind: SwitchKind::Failback,
            stack: "shop".into(),
            instance: None,
            target: "sandbox".into(),
            from: vec!["eu".into()],
            to: Vec::new(),
            lost: Vec::new(),
            who: "ann".into(),
            command: "failback shop".into(),
            span: RunSpan { began: 0, recorded: 0, run_began: 0, ended },
            complete: true,
            goals: RecoveryObjectives::default(),
            earlier: None,
            idle: None,
            arrivals: Vec::new(),
            unchecked: Vec::new(),
            open: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn write_keeps_reports_of_the_same_second_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        assert!(reports.list().unwrap().0.is_empty(), "no folder, no reports");
        let first = reports.write(&report(1_000)).unwrap();
        reports.write(&report(1_001)).unwrap();
        let (kept, damaged) = reports.list().unwrap();
        let names: Vec<&str> = kept.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["19700101T000001Z-failback-base", "19700101T000001Z-failback-base-2"]);
        assert_eq!((kept[0].report.clone(), damaged.len()), (report(1_000), 0));
        assert!(first.ends_with("reports/19700101T000001Z-failback-base.json"));
        let files = std::fs::read_dir(reports.folder()).unwrap().count();
        assert_eq!(files, 2, "nothing half-written is left");
    }

    #[test]
    fn list_names_damaged_reports_and_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        let whole = reports.write(&report(1_000)).unwrap();
        let text = std::fs::read_to_string(&whole).unwrap();
        let torn = reports.folder().join("20260101T000000Z-drill-eu.json");
        std::fs::write(&torn, &text[..text.len() / 2]).unwrap();
        std::fs::write(reports.folder().join("notes.txt"), "mine").unwrap();
        let (kept, damaged) = reports.list().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(damaged.len(), 1);
        assert_eq!(damaged[0].file, torn);
        assert!(damaged[0].why.starts_with("it is not a report: "), "{}", damaged[0].why);
    }

    #[test]
    fn write_keeps_only_the_newest_reports() {
        let folder = tempfile::tempdir().unwrap();
        let reports = Reports::of(folder.path());
        for second in 0..=i64::try_from(REPORTS_MAX).unwrap() {
            reports.write(&report(second * 1_000)).unwrap();
        }
        let (kept, _) = reports.list().unwrap();
        assert_eq!((kept.len(), kept[0].report.span.ended), (REPORTS_MAX, 1_000));
    }
}
