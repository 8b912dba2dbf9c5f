//! The words of `lifeboat watch`.

use clap::Args;

/// What is watched, when it is down, and what is done then.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Stack as `NAME`, `NAME@WORKSPACE`, or the path to its folder
    pub stack: String,
    /// Overlay to fail over to
    #[arg(long, value_name = "OVERLAY")]
    pub to: String,
    /// URL to probe (http or https; redirects are not followed)
    #[arg(long, required_unless_present = "heartbeat_only")]
    pub url: Option<String>,
    /// Status code of a healthy response
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = clap::value_parser!(u16).range(100..=599))]
    pub expect: u16,
    /// Text that the body of a healthy response contains in its first 64 KiB
    #[arg(long, value_name = "TEXT")]
    pub body: Option<String>,
    // The defaults of interval, down and up are guesses: three failed probes in five, 30 s apart, notice an outage after 60 to
    // 90 s, and forgive two lost packets or one restart of the site. Shorter would switch for a hiccup, which costs more.
    /// Time between the starts of two probes
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub interval: String,
    /// Down when N of the last M probes failed
    #[arg(long, value_name = "N/M", default_value = "3/5")]
    pub down: String,
    /// Up again after N healthy probes in a row
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub up: u32,
    // As long as a probe of a gate: a page that takes longer does not serve its users. A guess.
    /// Timeout of one probe, in wall-clock time. Default: 5s, or the interval where that is shorter
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    // A guess: renewals of certificates of 90 days are due 30 days before the end, so by then one has failed.
    /// Warn when the certificate expires within N days (0 = never)
    #[arg(long, value_name = "DAYS", default_value = "14")]
    pub tls_days: u16,
    /// Control target (http, https, or tcp://HOST:PORT) that proves this host has connectivity (repeatable; any one suffices)
    #[arg(long = "control", value_name = "URL")]
    pub controls: Vec<String>,
    // A guess: a second outage within a day is rarely one that the same switch would cure, and somebody is awake by then.
    /// Minimum time between two switches
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub cooldown: String,
    /// Run this shell command when the URL is down; without --exec and --failover, only report
    #[arg(long, value_name = "CMD", conflicts_with = "failover")]
    pub exec: Option<String>,
    /// Pass this secret environment variable (a cloud credential or a LIFEBOAT_VAR_) to the --exec command (repeatable)
    #[arg(long, value_name = "NAME", requires = "exec")]
    pub pass: Vec<String>,
    /// Run `lifeboat failover STACK --to OVERLAY --yes` when the URL is down
    #[arg(long)]
    pub failover: bool,
    /// Fault domain to pass to the failover as --lost (repeatable). Default: the overlay's `assumes_lost`
    #[arg(long = "lost", value_name = "FAULT_DOMAIN", requires = "failover")]
    pub lost: Vec<String>,
    /// At every probe, also write one item into each table with a replica that has a replication gate; an unplanned failover then
    /// reports how much data may be missing at most
    #[arg(long)]
    pub heartbeat: bool,
    /// Write these items and do nothing else
    #[arg(long, conflicts_with_all = ["url", "heartbeat", "failover", "exec", "controls", "body"])]
    pub heartbeat_only: bool,
    // A guess: longer than switches take that create no replica (a replica with items may take longer, and then needs more).
    /// Timeout after which a running switch is killed, in wall-clock time
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    pub within: String,
    /// Exit after N probes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub rounds: Option<u64>,
    /// Probe once and exit, for cron; the same as --rounds 1
    #[arg(long, conflicts_with = "rounds")]
    pub once: bool,
}

/// The manual of the command; what it prints on stdout is documented here.
pub const MANUAL: &str = "\
Probe a URL from outside and fail the stack over to an overlay when it is down.

It replaces a cron script that probes a site and rewrites DNS. Each probe opens a new connection to --url and checks the status code, body, and certificate; an https URL with an invalid certificate counts as failed. The URL is down when N of the last M probes failed, and up again after N healthy probes in a row. Probes older than four windows, and at least an hour, are ignored.

With --control, a probe counts only if a control target answers, too: otherwise this host may have lost its own connectivity, and watch makes no decision. A 5xx or 407 response counts as a proxy error, not as the control answering.

When the URL is down, watch fails over: at most once per --cooldown, and never back. It does nothing if the overlay is already active, or while another switch is in progress. It retries a failed switch after 1, 2, 4, 8, and then every 15 minutes while the URL is down; retries count as the same switch. Several watchers of one stack make only one switch. The first healthy probe after the switch ends its report.

The history, the counters, and the last switch are kept in `watch-OVERLAY.json` beside the stack's state and survive restarts. On its first start, watch refuses to start unless the URL is healthy. With --failover, it also plans the failover on each start, and refuses the first start if that plan fails.

--exec runs `sh -c CMD` with these variables: LIFEBOAT_ROOT, LIFEBOAT_STACK, LIFEBOAT_OVERLAY, LIFEBOAT_URL, LIFEBOAT_SINCE (when the URL went down), LIFEBOAT_LAST_GOOD (when it was last healthy), LIFEBOAT_DETAIL (the result of the last probe), LIFEBOAT_ATTEMPT, and LIFEBOAT_SANDBOX=1 with --sandbox. The command inherits the environment without its secrets: LINODE_TOKEN, LINODE_CLI_TOKEN, the AWS_ variables that hold or lead to credentials, and LIFEBOAT_VAR_* are removed unless --pass NAME names them. It runs in its own process group, which is killed as a whole after --within. CMD exits with 0 for done, 4 if another switch is in progress, and any other code for a failure.

With --heartbeat, and with --heartbeat-only where something else probes the site, watch writes one item per --interval into each table that has a replica with a replication gate: in the region that the overlay assumes lost, always the same item, named lifeboat-heartbeat, with its time. It takes no lease, writes nothing to a region that is recorded as lost, and nothing while the overlay is active. A failover under loss reads the item from the surviving replica and reports how much data may be missing at most.

On stdout, watch prints one JSON object per line for each event, with `time`, `event`, `stack`, `overlay`, `url` (without credentials), `detail` (a sentence) and, by event:

  started              active, remembers
  unready              a failover would be refused; on a first start, watch exits instead
  probe-failed         failed, of
  probe-ok             good, of: the first healthy probe after a failed one
  undecided            no control target answers, or the state cannot be read
  certificate-expires  days, until: once a day
  down                 since, failed, of
  up                   since, good
  cooldown             last_switch, until: it would switch if the cooldown were over
  already-switched     the overlay is already active
  switching            attempt
  switched             seconds, phase
  answered             seconds: the first healthy probe after a switch; its report is completed with it
  switch-held          another switch is in progress, or this one was superseded; if superseded, it is not retried before the cooldown is over
  switch-failed        exit, again (when it is retried)
  not-saved            the history could not be written
  heartbeat            groups: from now on heartbeats are written
  no-heartbeat         from now on not every heartbeat is written; said once
  stopped              the last line

The output of the commands goes to stderr. SIGINT, SIGTERM, and SIGHUP stop watch, even while it waits; a switch that is running finishes first. It exits with 0 after --rounds, 1 if the last switch failed, 64 for a usage error, and 128 + N for a signal.";
