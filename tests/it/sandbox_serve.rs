//! The sandbox as a program of its own: it needs no stacks, says whose time it keeps, and fails as often as it is told to.

use lifeboat::sandbox::http::SandboxRequest;
use lifeboat::sandbox::world::core::SandboxReply;

use crate::harness::Home;

#[test]
fn sandbox_serve_needs_no_stacks() {
    let home = Home::new();
    std::fs::remove_dir(home.path("stacks")).unwrap();
    let mut served = home.start(&["sandbox", "serve", "--listen", "127.0.0.1:0"]);
    served.until_says("dates in the sandbox refer to it");
    served.signal("TERM");
    served.end().code(0).shows(&["serving the sandbox at http://127.0.0.1:"]).done();
}

/// Which of so many calls failed: `x`.
fn calls(home: &Home, count: usize) -> String {
    let request = SandboxRequest {
        method: "GET".into(),
        path: "/v4/regions".into(),
        ..SandboxRequest::default()
    };
    let one = |_| match home.world.handle(&request) {
        SandboxReply::Answer(answer) if answer.status == 200 => '.',
        _ => 'x',
    };
    (0..count).map(one).collect()
}

#[test]
fn sandbox_fault_fails_calls_as_often_as_was_said() {
    let fault = |home: &Home, more: &[&str]| {
        let words = ["sandbox", "fault", "500", "--path", "/regions", "--times", "0"];
        home.run(&[&words, more].concat())
    };
    let home = Home::new();
    fault(&home, &["--nth", "2", "--every", "3"])
        .code(0)
        .says(&[
            "calls of /regions fail with `500`, until it is taken back, from call 2 on, one call in 3",
            "`lifeboat sandbox heal` takes every fault back",
        ])
        .done();
    assert_eq!(calls(&home, 9), ".x..x..x.");
    let home = Home::new();
    fault(&home, &["--probability", "0.5"]).code(0).done();
    let failed = calls(&home, 200).matches('x').count();
    assert!((60..140).contains(&failed), "{failed} of 200");
    fault(&home, &["--probability", "1.5"]).code(64).says(&["1.5 is not a probability"]).done();
}
