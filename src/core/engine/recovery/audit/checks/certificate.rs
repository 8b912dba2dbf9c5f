//! How long certificates are good for.

use x509_cert::Certificate;

use crate::engine::recovery::audit::finding::{AuditRule, AuditSection, Finding, Level};
use crate::engine::recovery::audit::side::{Side, SideItem};
use crate::engine::text::plain::counted;
use crate::engine::value::Value;

const DAY_SECONDS: i64 = 86_400;
/// Fewer days than this are a warning: somebody has to order a new one. A guess: Let's Encrypt recommends renewing its
/// certificates of 90 days with 30 days left, so one with three weeks left was not renewed in time.
const WARNING_DAYS: i64 = 21;
/// Fewer days than this are an error: it may end during a recovery. A guess: a week.
const ERROR_DAYS: i64 = 7;

pub static EXPIRING: AuditRule = AuditRule {
    id: "certificate-expiring",
    level: Level::Warning,
    title: "A certificate expires soon",
    remedy: "renew it now, at home and at the standby: both use it",
};
pub static UNREADABLE: AuditRule = AuditRule {
    id: "certificate-unreadable",
    level: Level::Warning,
    title: "A certificate cannot be read",
    remedy: "set it to PEM text: the certificate first, followed by its chain",
};

pub fn check(side: &Side<'_>, now: i64, out: &mut AuditSection) {
    for item in side.items() {
        for (name, _) in item.kind.settable().filter(|(_, it)| it.certificate) {
            let value = item.value(name).map(Value::exposed);
            match value {
                Some(Value::Text(pem)) => certificate(side, item, name, &pem, now, out),
                Some(it) if it.has_unknown() => {
                    out.fact(
                        "certificate",
                        format!("`{name}` of `{}` is not known yet", item.address),
                    );
                }
                _ => {}
            }
        }
    }
}

fn certificate(
    side: &Side<'_>,
    item: SideItem<'_>,
    name: &str,
    pem: &str,
    now: i64,
    out: &mut AuditSection,
) {
    let place = Some(side.place_of(item, name));
    let ends = match ends(pem) {
        Ok(ends) => ends,
        Err(why) => {
            let why = format!("`{name}` of `{}`: {why}", item.address);
            out.findings.push(Finding::new(&UNREADABLE, place, why).about(item.address));
            return;
        }
    };
    let left = (ends - now / 1000).div_euclid(DAY_SECONDS);
    let text = if left < 0 {
        format!("`{name}` of `{}` expired {} ago", item.address, counted(-left, "day"))
    } else {
        format!("`{name}` of `{}` is valid for {}", item.address, counted(left, "day"))
    };
    if left < WARNING_DAYS {
        let level = if left < ERROR_DAYS { Level::Error } else { Level::Warning };
        let finding = Finding::new(&EXPIRING, place, text.clone());
        out.findings.push(finding.about(item.address).at_level(level));
    }
    out.fact("certificate", text);
}

/// When the first certificate of a chain ends, in seconds since the Unix epoch.
pub fn ends(pem: &str) -> Result<i64, String> {
    let chain = Certificate::load_pem_chain(pem.as_bytes()).map_err(|why| why.to_string())?;
    let ends = chain.iter().map(|it| {
        let not_after = it.tbs_certificate().validity().not_after;
        i64::try_from(not_after.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
    });
    ends.min().ok_or_else(|| "it contains no certificate".to_owned())
}
