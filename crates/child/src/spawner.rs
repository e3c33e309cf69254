//! Starts child processes from one thread that lives as long as this process.

use std::{io, sync::OnceLock, thread};

use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::{mpsc, oneshot},
};

struct Request {
    command: Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<Child>>,
}

/// Starts a program on a thread that never ends: the wish to die with the parent (prctl(2), `PR_SET_PDEATHSIG`) is granted when the *thread*
/// ends that has started the program, and the threads of a runtime come and go.
///
/// # Errors
/// Those of the system.
pub async fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    let (answer, answered) = oneshot::channel();
    let request = Request { command, runtime: Handle::current(), answer };
    spawner()?.send(request).map_err(|_| ended())?;
    answered.await.map_err(|_| ended())?
}

fn ended() -> io::Error {
    io::Error::other("the thread that starts programs has ended")
}

/// The way to the thread, which is started with the first request.
fn spawner() -> io::Result<&'static mpsc::UnboundedSender<Request>> {
    static SPAWNER: OnceLock<mpsc::UnboundedSender<Request>> = OnceLock::new();
    if let Some(spawner) = SPAWNER.get() {
        return Ok(spawner);
    }
    // Each waits for its answer, so there are never more requests than tasks that start programs.
    let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
    thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        while let Some(Request { mut command, runtime, answer }) = requests.blocking_recv() {
            let _entered = runtime.enter();
            // Nobody may wait for it any more.
            let _ = answer.send(command.spawn());
        }
    })?;
    // Of two threads that were started at once one ends here, since nobody holds its sender.
    Ok(SPAWNER.get_or_init(|| sender))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_started_and_waited_for() {
        let mut child = spawn_from_lasting_thread(Command::new("true")).await.unwrap();
        assert!(child.wait().await.unwrap().success());
        assert!(spawn_from_lasting_thread(Command::new("/nonexistent/program")).await.is_err());
    }
}
