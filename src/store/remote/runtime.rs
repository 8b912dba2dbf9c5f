//! A thread on which requests run, so that whoever waits for one may be on any thread, of a runtime or of none.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use tokio::runtime::{Builder, Runtime};

/// The runtime of one store; made with the first request.
#[derive(Debug, Default)]
pub(super) struct StoreRuntime(OnceLock<io::Result<Runtime>>);

impl StoreRuntime {
    /// Runs to the end. The thread that asks sleeps meanwhile, as it does while a file is written: no runtime that it may belong
    /// to is asked to do anything.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> io::Result<T> {
        let made = self.0.get_or_init(|| {
            Builder::new_multi_thread().worker_threads(1).thread_name("store").enable_all().build()
        });
        let runtime = made.as_ref().map_err(|why| io::Error::new(why.kind(), why.to_string()))?;
        let (tell, told) = sync_channel(1);
        runtime.spawn(async move {
            // Nobody waits any more only where the whole process ends.
            tell.send(work.await).ok();
        });
        told.recv().map_err(|_| io::Error::other("the request ended without an answer"))
    }
}

impl Drop for StoreRuntime {
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.0.take() {
            // It may be dropped on a thread of another runtime, which must not wait.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::StoreRuntime;

    #[test]
    fn run_is_called_from_every_kind_of_thread() {
        let plain = StoreRuntime::default();
        assert_eq!(plain.run(async { 1 }).unwrap(), 1);
        for mut builder in [
            tokio::runtime::Builder::new_current_thread(),
            tokio::runtime::Builder::new_multi_thread(),
        ] {
            let runtime = builder.enable_all().build().unwrap();
            let seen = runtime.block_on(async {
                let inner = StoreRuntime::default();
                let asleep = async {
                    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    2
                };
                inner.run(asleep).unwrap()
            });
            assert_eq!(seen, 2);
        }
        let died = plain.run(async { panic!("in the request") });
        assert_eq!(died.unwrap_err().to_string(), "the request ended without an answer");
    }
}
