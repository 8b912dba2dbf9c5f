//! Which places answer: the endpoint of a region, or the objects of a fault domain behind one API.
//!
//! One that says nothing is given up for everyone who waits for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::error::ProviderError;
use crate::engine::retry::ErrorClass;

/// Silence is counted in steps of this length, so that a process that gets no CPU time blames nobody for saying nothing: a
/// late step counts once. Short against a first contact of a second or more.
const STEP: Duration = Duration::from_millis(50);
/// The longest time to wait for the first answer of a place, however slow other places are. A guess: a plan has to appear
/// within seconds while a region hangs, and a healthy API answers a handshake and a read well within this.
const LONGEST: Duration = Duration::from_secs(5);
/// How long it counts that a place answered, or did not. A guess: long enough that one refresh asks a silent place once; a
/// longer memory would keep a place unread that has come back.
const FRESH: Duration = Duration::from_secs(15);

/// A place that can be lost as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `aws:us-east-1`, `linode:us-east`.
    pub name: String,
    /// The address under which it is reached.
    pub endpoint: String,
}

/// What places said to one run.
#[derive(Debug)]
pub(crate) struct Breakers {
    /// How long a place may say nothing at first.
    first_contact: Duration,
    seen: Mutex<Contact>,
}

#[derive(Debug, Default)]
struct Contact {
    places: BTreeMap<String, (Instant, BreakerState)>,
    /// Answers from anywhere.
    answers: u64,
    /// The slowest of them: others may be as slow.
    slowest: Duration,
}

#[derive(Debug, Clone)]
enum BreakerState {
    Answered,
    Silent(SilentEndpoint),
}

/// Why a place is given up: the parts of the error that everyone gets.
#[derive(Debug, Clone)]
struct SilentEndpoint {
    fault: ErrorClass,
    endpoint: String,
    words: String,
}

impl SilentEndpoint {
    fn error(self) -> ProviderError {
        ProviderError::new(self.fault, self.endpoint, self.words)
    }
}

impl Breakers {
    pub(crate) fn new(first_contact: Duration) -> Self {
        Self { first_contact, seen: Mutex::default() }
    }

    /// Asks a place. One that has said nothing for the time of a first contact is silent: this call and all others that
    /// wait for it end with the same reason, and so do later ones for a while. One that has answered is given all the
    /// patience, repeats included, that the call brings along.
    pub(crate) async fn ask<T>(
        &self,
        place: &Endpoint,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        if let Some(BreakerState::Silent(silence)) = self.standing(place) {
            return Err(silence.error());
        }
        tokio::select! {
            biased;
            answer = call => {
                self.judge(place, &answer);
                answer
            }
            silence = self.silence(place) => Err(silence.error()),
        }
    }

    /// Notes that something was answered, if only that one should come again later, by which place and after how long.
    pub(crate) fn note<T>(
        &self,
        place: Option<&str>,
        answer: &Result<T, ProviderError>,
        took: Duration,
    ) {
        if !said_something(answer) {
            return;
        }
        let mut seen = self.seen();
        seen.answers += 1;
        seen.slowest = seen.slowest.max(took);
        if let Some(place) = place {
            seen.places.insert(place.to_owned(), (Instant::now(), BreakerState::Answered));
        }
    }

    fn seen(&self) -> MutexGuard<'_, Contact> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing(&self, place: &Endpoint) -> Option<BreakerState> {
        let seen = self.seen();
        let (at, standing) = seen.places.get(&place.name)?;
        (at.elapsed() < FRESH).then(|| standing.clone())
    }

    fn judge<T>(&self, place: &Endpoint, answer: &Result<T, ProviderError>) {
        let standing = match answer {
            Err(error) if error.is_silence() => BreakerState::Silent(SilentEndpoint {
                fault: error.fault,
                endpoint: error.endpoint.clone(),
                words: error.words.clone(),
            }),
            _ if said_something(answer) => BreakerState::Answered,
            // It was never asked: no credentials, a request that makes no sense.
            _ => return,
        };
        self.seen().places.insert(place.name.clone(), (Instant::now(), standing));
    }

    /// Ends when the place is silent. As long as others answer it is given more time: then it is the network that is slow.
    async fn silence(&self, place: &Endpoint) -> SilentEndpoint {
        let (mut quiet, mut waited) = (Duration::ZERO, Duration::ZERO);
        let mut answers = self.seen().answers;
        loop {
            tokio::time::sleep(STEP).await;
            match self.standing(place) {
                Some(BreakerState::Silent(silence)) => return silence,
                Some(BreakerState::Answered) => continue,
                None => {}
            }
            let (now, slowest) = {
                let seen = self.seen();
                (seen.answers, seen.slowest)
            };
            quiet = if now == answers { quiet + STEP } else { Duration::ZERO };
            answers = now;
            waited += STEP;
            let patience = self.first_contact.max(slowest * 2).min(LONGEST);
            if quiet >= patience || waited >= LONGEST {
                let silence = SilentEndpoint {
                    fault: ErrorClass::Transient,
                    endpoint: format!("{} at {}", place.name, place.endpoint),
                    words: format!("no answer within {:.1} s", waited.as_secs_f64()),
                };
                tracing::info!(
                    place = place.name,
                    why = silence.words,
                    "the circuit breaker is open"
                );
                let standing = (Instant::now(), BreakerState::Silent(silence.clone()));
                self.seen().places.insert(place.name.clone(), standing);
                return silence;
            }
        }
    }
}

/// An answer is whatever came with a status.
fn said_something<T>(answer: &Result<T, ProviderError>) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) => error.status.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use super::{Breakers, Endpoint};
    use crate::cloud::error::ProviderError;
    use crate::engine::retry::ErrorClass;

    fn place(name: &str) -> Endpoint {
        Endpoint { name: name.into(), endpoint: "http://here".into() }
    }

    fn contacts() -> Breakers {
        Breakers::new(Duration::from_millis(100))
    }

    #[tokio::test]
    async fn ask_ends_all_who_wait_for_a_silent_place_with_one_reason() {
        let contacts = contacts();
        let (lost, well) = (place("aws:us-east-1"), place("aws:eu-west-1"));
        let hanging = || contacts.ask(&lost, pending::<Result<(), ProviderError>>());
        let (one, other, living) =
            tokio::join!(hanging(), hanging(), contacts.ask(&well, async { Ok(1) }));
        let (one, other) = (one.unwrap_err().to_string(), other.unwrap_err().to_string());
        assert_eq!(one, other);
        assert!(one.starts_with("aws:us-east-1 at http://here: no answer within 0."), "{one}");
        assert_eq!(living.unwrap(), 1);
        let asked = async { panic!("it is not called again") };
        let again = contacts.ask::<()>(&lost, asked).await.unwrap_err().to_string();
        assert_eq!(again, one);
    }

    #[tokio::test]
    async fn ask_ends_the_others_on_a_refused_connection() {
        let contacts = contacts();
        let lost = place("linode:us-east");
        let broken =
            async { Err::<(), _>(ProviderError::new(ErrorClass::Unreachable, "GET x", "refused")) };
        let (one, other) =
            tokio::join!(contacts.ask(&lost, pending()), contacts.ask::<()>(&lost, broken));
        let other = other.unwrap_err().to_string();
        assert_eq!(other, "GET x could not be reached: refused");
        assert_eq!(one.map(|()| 0).unwrap_err().to_string(), other);
    }

    #[tokio::test]
    async fn ask_gives_a_place_that_answered_all_the_time_it_takes() {
        let contacts = contacts();
        let slow = place("linode:us-east");
        let refused = ProviderError::new(ErrorClass::Denied, "GET x", "no").status(403);
        assert!(contacts.ask::<()>(&slow, async { Err(refused) }).await.is_err());
        let (done, wait) = tokio::sync::oneshot::channel();
        let later = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            done.send(()).unwrap();
        };
        let answer = contacts.ask(&slow, async { wait.await.map_err(|_| unreachable!()) });
        let (answer, ()) = tokio::join!(answer, later);
        answer.unwrap();
    }

    #[tokio::test]
    async fn ask_blames_no_place_while_others_still_answer() {
        let contacts = contacts();
        let slow = place("linode:us-east");
        let others = async {
            for _ in 0..6 {
                tokio::time::sleep(Duration::from_millis(60)).await;
                contacts.note(None, &Ok::<(), ProviderError>(()), Duration::ZERO);
            }
        };
        let answer = async {
            tokio::time::sleep(Duration::from_millis(350)).await;
            Ok(())
        };
        let (answer, ()) = tokio::join!(contacts.ask(&slow, answer), others);
        answer.unwrap();
    }
}
