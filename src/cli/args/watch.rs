//! The words of `lifeboat watch`.

use clap::Args;

/// What is watched, when it is down, and what is done then.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// `NAME`, `NAME@WORKSPACE` or the path of a stack's folder
    pub stack: String,
    /// The overlay that is switched to
    #[arg(long, value_name = "OVERLAY")]
    pub to: String,
    /// What users open: http or https, without following redirects
    #[arg(long)]
    pub url: String,
    /// The status of a good answer
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub expect: u16,
    /// A text that the body of a good answer holds, within its first 64 KiB
    #[arg(long, value_name = "TEXT")]
    pub body: Option<String>,
    /// From the start of one round to the start of the next
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub interval: String,
    /// Down: N of the last M rounds failed
    #[arg(long, value_name = "N/M", default_value = "3/5")]
    pub down: String,
    /// Up again: N good rounds in a row
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub up: u32,
    /// How long one probe may take, on the wall's clock
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub timeout: String,
    /// Warn when the certificate ends within so many days; 0: never
    #[arg(long, value_name = "DAYS", default_value = "14")]
    pub tls_days: u16,
    /// Something elsewhere (http, https or tcp://HOST:PORT) that shows whether this observer is cut off; of several, one that answers is enough
    #[arg(long = "control", value_name = "URL")]
    pub controls: Vec<String>,
    /// From one switch to the next at least
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub cooldown: String,
    /// Run this shell command when it is down; without it and --failover, only report
    #[arg(long, value_name = "CMD", conflicts_with = "failover")]
    pub exec: Option<String>,
    /// Also give the command of --exec this secret of the environment: a cloud's credential, or a LIFEBOAT_VAR_
    #[arg(long, value_name = "NAME", requires = "exec")]
    pub pass: Vec<String>,
    /// Run `lifeboat failover STACK --to OVERLAY --yes` when it is down
    #[arg(long)]
    pub failover: bool,
    /// Hand --lost to the failover; without, the overlay's `assumes_lost` holds
    #[arg(long = "lost", value_name = "FAULT_DOMAIN", requires = "failover")]
    pub lost: Vec<String>,
    /// How long a switch may take before it is killed, on the wall's clock
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub within: String,
    /// Stop after so many rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: Option<u64>,
    /// One round, for cron: the same as --rounds 1
    #[arg(long, conflicts_with = "rounds")]
    pub once: bool,
}

/// The manual of the command; what it prints on stdout is documented here.
pub const MANUAL: &str = "\
Probe a URL from outside, and switch the stack to an overlay when it is down.

It takes the place of a cron script that probes and rewrites DNS. Each round opens a new connection to --url and looks at status, body and certificate; an https URL whose certificate is not valid counts as failed. When N of the last M rounds failed, it is down; when N rounds in a row were good, it is up. Rounds that are older than four windows, and at least an hour, are no evidence.

With --control, a round counts only when a control target answers too: otherwise this observer may be cut off, and it refuses to decide. An answer from 500 on, or 407, is one of a proxy, not of the control.

When it is down it switches: at most once in --cooldown, and never back. If state says that the overlay is active already, or if another switch is at it, it does not switch. A switch that failed is tried again after 1, 2, 4, 8 and then every 15 minutes as long as the URL is down: that is the same switch. Any number of watchers make one switch.

What it remembers (history, counters, the last switch) is in `watch-OVERLAY.json` beside the stack's state; it survives restarts. At its first start the URL must answer well once, or it refuses to start; with --failover, the failover is planned at each start, and a first start is refused if that fails.

--exec runs `sh -c CMD` with these variables: LIFEBOAT_ROOT, LIFEBOAT_STACK, LIFEBOAT_OVERLAY, LIFEBOAT_URL, LIFEBOAT_SINCE (when it went down), LIFEBOAT_LAST_GOOD (when it last answered well), LIFEBOAT_DETAIL (what the last probe met), LIFEBOAT_ATTEMPT, and LIFEBOAT_SANDBOX=1 with --sandbox. It inherits the environment without its secrets: LINODE_TOKEN, LINODE_CLI_TOKEN, the AWS_ variables that hold or lead to credentials, and LIFEBOAT_VAR_*, unless --pass NAME names them. It runs in a process group of its own, which is killed as a whole when --within is over. Exit 0 of CMD means done, 4 that another is at it, all else that it failed.

stdout is one JSON object on a line for each event, with `time`, `event`, `stack`, `overlay`, `url` (without credentials), `detail` (a sentence) and, by event:

  started              active, remembers
  unready              a failover would be refused; a first start exits instead
  probe-failed         failed, of
  probe-ok             good, of: the first good round after a failed one
  undecided            no control target answers, or state cannot be read
  certificate-expires  days, until: once a day
  down                 since, failed, of
  up                   since, good
  cooldown             last_switch, until: it would switch
  already-switched     the overlay is active
  switching            attempt
  switched             seconds
  switch-held          somebody else is at it, or has turned it: then it is not tried again before the cooldown is over
  switch-failed        exit, again (when it is tried again)
  not-saved            its memory could not be written
  stopped              the last line

What a command says goes to stderr. SIGINT, SIGTERM and SIGHUP stop it, also while it waits; a switch that began is seen to its end first. It exits 0 after --rounds, 1 if the last switch failed then, 64 for a wrong command line, 128 + N for a signal.";
