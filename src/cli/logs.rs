//! Logs on stderr, for whoever wants to see what a command does: `-v`, `-vv`, `-vvv`, or the directives of `LIFEBOAT_LOG`.

use std::io;
use std::str::FromStr as _;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{MakeWriter, layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::out;
use crate::ops::error::OpsError;

/// The variable that says what is logged where no flag does: `info`, or `lifeboat=debug,aws_config=info`.
const VARIABLE: &str = "LIFEBOAT_LOG";

/// From now on what is asked for is logged. Without a flag and without the variable nothing is.
pub(super) fn begin(verbose: u8) -> Result<(), OpsError> {
    let directives = match verbose {
        0 => std::env::var(VARIABLE).unwrap_or_default(),
        1 => "lifeboat=info".to_owned(),
        2 => "lifeboat=debug".to_owned(),
        _ => "lifeboat=trace,aws_config=debug,aws_smithy_runtime=debug,hyper_util=debug".to_owned(),
    };
    if directives.trim().is_empty() {
        return Ok(());
    }
    let targets = Targets::from_str(&directives).map_err(|why| {
        OpsError::usage(
            format!("cannot parse `{VARIABLE}`: {why}"),
            "write a level (error, warn, info, debug, trace), or TARGET=LEVEL with commas between them, such as lifeboat=debug",
        )
    })?;
    let lines = layer().with_ansi(false).with_target(false).with_writer(Stderr);
    // A second one in the same process would be a test's.
    tracing_subscriber::registry().with(targets).with(lines).try_init().ok();
    Ok(())
}

/// Lines go where messages go: through the redactor and the escaper, and above the bars.
struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine(Vec::new())
    }
}

/// One event, written when it is whole: a secret may be torn over two writes.
struct LogLine(Vec<u8>);

impl io::Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        out::log(String::from_utf8_lossy(&self.0).trim_end());
    }
}
