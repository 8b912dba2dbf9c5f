//! Writers that are killed between any two of their requests, before a request is carried out and after it.

use lifeboat::store::open::open;

use crate::stores::proxy::{FaultProxy, HoldPoint};
use crate::stores::servers::StoreServer;
use crate::stores::worker::{Heard, Worker, check_written, key, write};

/// More requests than the steps of a writer take.
const REQUESTS_MAX: usize = 60;

fn survives_kills(server: &StoreServer) {
    let proxy = FaultProxy::before(server.server.address());
    let through = server.through(proxy.address()).to_string();
    let direct = open(server.location(), "shop");
    let mut kills = 0;
    for at in 0..REQUESTS_MAX {
        let mut is_held = false;
        for point in [HoldPoint::Before(at), HoldPoint::After(at)] {
            let held = proxy.hold(point);
            let mut writer = Worker::start("write", &through);
            let mut over = Vec::new();
            // Either the writer is held at this request, or it ends without having had so many.
            loop {
                if held.try_recv().is_ok() {
                    is_held = true;
                    break;
                }
                match writer.hear_soon() {
                    Heard::Said(step) => over.push(step),
                    Heard::Nothing => {}
                    Heard::Ended => break,
                }
            }
            writer.kill();
            over.extend(writer.rest());
            proxy.let_go();
            check_written(&*direct, &over);
            // Whoever comes next goes on from there.
            write(&*direct, &mut |_| {});
            check_written(&*direct, &["removed".to_owned()]);
            let all = ["doc", "large", "entries/1", "entries/2"].map(key);
            direct.delete_all(&all).unwrap();
            kills += usize::from(is_held);
        }
        if !is_held {
            assert!(kills > 10, "it was killed {kills} times only");
            return;
        }
    }
    panic!("a writer has more than {REQUESTS_MAX} requests");
}

#[test]
fn versitygw_survives_the_kill_of_a_writer_between_any_two_calls() {
    survives_kills(&StoreServer::versitygw());
}

#[test]
fn dynamodb_survives_the_kill_of_a_writer_between_any_two_calls() {
    survives_kills(&StoreServer::sandbox_table());
}
