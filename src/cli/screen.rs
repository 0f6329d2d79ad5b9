//! What a command prints once, or again and again until a signal ends it.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::interrupt::interrupted;
use crate::error::EXIT_FAILED;

/// Prints `text` on stdout.
///
/// # Errors
/// When nobody takes it; a reader that has seen enough and left is one that nothing needs to be told of.
fn print(text: &str) -> Result<(), ExitCode> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => {
            eprintln!("cannot write: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    })
}

/// Where the text goes.
struct Screen {
    /// On a terminal each picture takes the place of the one before.
    picture: Option<ProgressBar>,
}

impl Screen {
    fn open(in_place: bool) -> Self {
        let picture = (in_place && io::stdout().is_terminal()).then(|| {
            let picture = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            picture
                .set_style(ProgressStyle::with_template("{msg}").expect("the template is one of the library's form"));
            picture
        });
        Self { picture }
    }

    fn show(&self, text: &str) -> Result<(), ExitCode> {
        match &self.picture {
            Some(picture) => {
                picture.set_message(text.trim_end().to_owned());
                Ok(())
            }
            None => print(text),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The last picture stays.
        if let Some(picture) = &self.picture {
            picture.abandon();
        }
    }
}

/// One line of JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).expect("what is printed has text keys only");
    format!("{text}\n")
}

/// A text for stdout, or one for stderr; with the exit code.
pub(super) type Said = (Result<String, String>, u8);

/// Asks and prints once, or with `pause` until SIGINT or SIGTERM, which is a good end whatever was said; `in_place` lets
/// a terminal show the latest text alone.
pub(super) async fn run(
    command: &str,
    pause: Option<Duration>,
    in_place: bool,
    mut ask: impl AsyncFnMut() -> Said,
) -> ExitCode {
    let screen = Screen::open(pause.is_some() && in_place);
    let rounds = async {
        loop {
            let (said, code) = ask().await;
            let shown = match said {
                Ok(text) => screen.show(&text),
                Err(why) if screen.picture.is_some() => screen.show(&format!("phaselab {command}: {why}")),
                Err(why) => {
                    eprintln!("phaselab {command}: {why}");
                    Ok(())
                }
            };
            match (shown, pause) {
                (Err(code), _) => return code,
                (Ok(()), None) => return ExitCode::from(code),
                (Ok(()), Some(pause)) => tokio::time::sleep(pause).await,
            }
        }
    };
    tokio::select! {
        code = rounds => code,
        // Without a pause one waits for an answer, and there is none.
        asked = interrupted() => match asked {
            Ok(()) if pause.is_some() => ExitCode::SUCCESS,
            Ok(()) => {
                eprintln!("phaselab {command}: interrupted");
                ExitCode::from(EXIT_FAILED)
            }
            Err(error) => {
                eprintln!("phaselab {command}: cannot listen for signals: {error}");
                ExitCode::from(EXIT_FAILED)
            }
        },
    }
}
