//! Reports of switches beside the state: one file each, whole or not at all, the newest of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::recovery::report::codec::{decode, encode};
use crate::engine::recovery::report::summary::SwitchReport;
use crate::engine::text::redact::redactor;
use crate::store::backend::{Backend, PutCondition};
use crate::store::error::{StoreError, io as io_error};
use crate::store::key::{REPORTS, StoreKey};

/// How many reports are kept per stack; the oldest go first. A guess: at a drill a week, this is close to four years.
pub const REPORTS_MAX: usize = 200;

/// How many reports may end in the same second, as they do where the clock of a sandbox stands still. A guess, far above use.
const SAME_MAX: usize = 1_000;

const ENDING: &str = "json";

/// Where the reports of one workspace are kept.
#[derive(Debug, Clone)]
pub struct Reports {
    backend: Arc<dyn Backend>,
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
    /// Those beside the state in this store.
    pub fn of(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// Where they are, as messages name it.
    pub fn folder(&self) -> PathBuf {
        self.backend.place_below(&REPORTS)
    }

    /// Writes a report under a new name, durable when this returns, and removes the oldest where there are more than 200.
    pub fn write(&self, report: &SwitchReport) -> Result<PathBuf, StoreError> {
        self.backend.ensure_prefix(&REPORTS)?;
        let text = encode(report);
        let text = redactor().hide(&text);
        let key = self.put(&report_name(report), text.as_bytes())?;
        self.prune()?;
        Ok(self.backend.place(&key))
    }

    /// Writes a report that is kept again, under its name.
    pub fn replace(&self, name: &str, report: &SwitchReport) -> Result<(), StoreError> {
        let key = REPORTS.key(&format!("{name}.{ENDING}"));
        let text = encode(report);
        let text = redactor().hide(&text);
        self.backend.put(&key, text.as_bytes(), PutCondition::Always).map(drop)
    }

    /// Under the first name that is free.
    fn put(&self, base: &str, text: &[u8]) -> Result<StoreKey, StoreError> {
        let taken: BTreeSet<StoreKey> = self.backend.list(&REPORTS)?.into_iter().collect();
        for number in 1..=SAME_MAX {
            let name = if number == 1 { base.to_owned() } else { format!("{base}-{number}") };
            let key = REPORTS.key(&format!("{name}.{ENDING}"));
            if !taken.contains(&key)
                && self.backend.put(&key, text, PutCondition::Absent)?.is_written()
            {
                return Ok(key);
            }
        }
        let key = REPORTS.key(&format!("{base}.{ENDING}"));
        let full = std::io::Error::other("too many reports have this name");
        Err(io_error("write", &self.backend.place(&key))(full))
    }

    /// The newest of them by its name, and when it ended: to the second.
    pub(super) fn newest(&self) -> Result<Option<(i64, StoreKey)>, StoreError> {
        let Some(key) = self.keys()?.pop() else { return Ok(None) };
        let time: Option<jiff::Timestamp> =
            key.stem().split('-').next().and_then(|it| it.parse().ok());
        Ok(time.map(|it| (it.as_millisecond(), key)))
    }

    /// One of them; `None` if it is gone.
    pub(super) fn read(&self, key: &StoreKey) -> Option<Result<SwitchReport, String>> {
        let text = self.text(key).transpose()?;
        Some(text.and_then(|it| decode(&it).map_err(|why| why.to_string())))
    }

    /// Every report, the oldest first, and what is damaged: one bad file does not hide the others.
    pub fn list(&self) -> Result<(Vec<StoredReport>, Vec<DamagedReport>), StoreError> {
        let (mut kept, mut damaged) = (Vec::new(), Vec::new());
        for key in self.keys()? {
            match self.read(&key) {
                // Removed a moment ago, because there are newer ones.
                None => {}
                Some(Ok(report)) => kept.push(StoredReport { name: key.stem().into(), report }),
                Some(Err(why)) => {
                    damaged.push(DamagedReport { file: self.backend.place(&key), why });
                }
            }
        }
        kept.sort_by(|one, other| {
            (one.report.span.ended, &one.name).cmp(&(other.report.span.ended, &other.name))
        });
        Ok((kept, damaged))
    }

    fn text(&self, key: &StoreKey) -> Result<Option<String>, String> {
        let bytes = self.backend.get(key).map_err(|why| why.cause())?;
        let text = bytes.map(String::from_utf8).transpose();
        text.map_err(|_| "it is not UTF-8".into())
    }

    fn keys(&self) -> Result<Vec<StoreKey>, StoreError> {
        let mut keys = self.backend.list(&REPORTS)?;
        keys.retain(|it| it.ending() == Some(ENDING));
        Ok(keys)
    }

    /// Names begin with their time, so the first are the oldest. The new one is written by then: what cannot be removed is tried
    /// again with the next.
    fn prune(&self) -> Result<(), StoreError> {
        let keys = self.keys()?;
        let surplus = keys.len().saturating_sub(REPORTS_MAX);
        for key in keys.iter().take(surplus) {
            if let Err(why) = self.backend.delete(key) {
                tracing::warn!(%why, "an old report stays");
            }
        }
        Ok(())
    }
}

/// `20261124T110509Z-failover-failover_eu`: when it ended, what it was, where to.
fn report_name(report: &SwitchReport) -> String {
    let time = jiff::Timestamp::from_millisecond(report.span.ended).unwrap_or_default();
    let time = time.strftime("%Y%m%dT%H%M%SZ");
    let to = if report.to.is_empty() { "base".to_owned() } else { report.to.join("+") };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-+.".contains(it);
    let to: String = to.chars().map(|it| if is_plain(it) { it } else { '_' }).take(100).collect();
    format!("{time}-{}-{to}", report.kind.word())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{REPORTS_MAX, Reports};
    use crate::engine::recovery::report::summary::{SwitchKind, SwitchReport};
    use crate::store::folder::FolderBackend;

    fn beside(state: &Path) -> Reports {
        Reports::of(Arc::new(FolderBackend::new(state)))
    }

    fn report(ended: i64) -> SwitchReport {
        let failover = crate::store::tests::report(0, ended);
        SwitchReport { kind: SwitchKind::Failback, to: Vec::new(), ..failover }
    }

    #[test]
    fn write_keeps_reports_of_the_same_second_side_by_side() {
        let folder = tempfile::tempdir().unwrap();
        let reports = beside(folder.path());
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
        let reports = beside(folder.path());
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
        let reports = beside(folder.path());
        for second in 0..=i64::try_from(REPORTS_MAX).unwrap() {
            reports.write(&report(second * 1_000)).unwrap();
        }
        let (kept, _) = reports.list().unwrap();
        assert_eq!((kept.len(), kept[0].report.span.ended), (REPORTS_MAX, 1_000));
    }
}
