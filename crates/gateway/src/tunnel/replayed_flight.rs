//! Sends a held first flight to a node and checks the answer before the client sees it.

use std::{future::Future, sync::Arc};

use bytes::BytesMut;
use hezar_core::Stage;
use hezar_engine::{BoxStream, Cause, Prefixed};
use parking_lot::Mutex;
use tokio::{io::AsyncWriteExt, sync::watch};

use crate::{
    AttemptError,
    failover::{Exchange, ExchangeError, FormChoice, Wait},
    relay::read_some,
    replay::{AnswerState, Expectation, ReplayBuffer, ReplayView},
};

/// How much of a wrong answer is compared with another node's.
const SAMPLE: usize = 64;

/// The answers of nodes that no server of the protocol would give.
type Wrong = Arc<Mutex<Vec<BytesMut>>>;

/// Asking one node after the other.
#[derive(Debug)]
pub(super) struct ReplayedFlight {
    flight: watch::Receiver<ReplayView>,
    expect: Expectation,
    wrong: Wrong,
}

/// A node that has answered, or that goes on alone because nothing more is held.
pub(super) struct Answered {
    pub node: Prefixed<BoxStream>,
    answered: bool,
}

impl ReplayedFlight {
    pub(super) fn new(held: &ReplayBuffer) -> Self {
        Self { flight: held.follow(), expect: held.expect(), wrong: Wrong::default() }
    }
}

impl Exchange for ReplayedFlight {
    type Answer = Answered;
    type Unsent = ();

    fn wait(&self) -> Wait {
        if self.expect == Expectation::Tls { Wait::Hello } else { Wait::Head }
    }

    fn repeatable(&self) -> bool {
        !self.flight.borrow().released
    }

    /// A tunnel has no deadline of its own once it stands: its client decides how long it waits.
    fn outlives_deadline(&self) -> bool {
        true
    }

    fn proves(answer: &Answered) -> bool {
        answer.answered
    }

    fn send(
        &mut self,
        stream: BoxStream,
        _: FormChoice,
    ) -> impl Future<Output = Result<Answered, ExchangeError<()>>> + Send + 'static {
        let (flight, expect, wrong) = (self.flight.clone(), self.expect, self.wrong.clone());
        async move { send_flight(stream, flight, expect, &wrong).await.map_err(ExchangeError::from) }
    }

    fn put_back(&mut self, (): ()) {}
}

async fn send_flight(
    mut stream: BoxStream,
    mut flight: watch::Receiver<ReplayView>,
    expect: Expectation,
    wrong: &Wrong,
) -> Result<Answered, AttemptError> {
    let failed = |error: std::io::Error| AttemptError::from_stream(Stage::Exchange, &error);
    let mut front = BytesMut::new();
    let (mut sent, mut ended) = (0, false);
    loop {
        let view = flight.borrow_and_update().clone();
        let more = view.bytes.get(sent..).unwrap_or_default();
        if !more.is_empty() {
            stream.write_all(more).await.map_err(failed)?;
            stream.flush().await.map_err(failed)?;
            sent = view.bytes.len();
        }
        if view.ended && !ended {
            stream.shutdown().await.map_err(failed)?;
            ended = true;
        }
        if view.released {
            return Ok(Answered { node: Prefixed::new(front.freeze(), stream), answered: false });
        }
        tokio::select! {
            biased;
            read = read_some(&mut stream, &mut front) => {
                if read.map_err(failed)? == 0 {
                    return Err(AttemptError::new(Stage::Exchange, &Cause::Closed, false));
                }
                if check_answer(&front, expect, wrong)? {
                    return Ok(Answered { node: Prefixed::new(front.freeze(), stream), answered: true });
                }
            }
            // The flight lives as long as the race that this try is part of.
            Ok(()) = flight.changed() => {}
        }
    }
}

/// Whether the answer is whole. A wrong one is only believed when two nodes give the same: then it is the target's.
fn check_answer(front: &BytesMut, expect: Expectation, wrong: &Wrong) -> Result<bool, AttemptError> {
    match expect.check(front) {
        AnswerState::Whole => Ok(true),
        AnswerState::Partial => Ok(false),
        AnswerState::Wrong => {
            let sample = BytesMut::from(front.get(..SAMPLE).unwrap_or(front));
            let mut others = wrong.lock();
            if others.iter().any(|other| other.iter().zip(&sample).all(|(a, b)| a == b)) {
                return Ok(true);
            }
            others.push(sample);
            let cause = Cause::Protocol("the answer is none to what was asked");
            Err(AttemptError::new(Stage::Exchange, &cause, false))
        }
    }
}
