//! The log: lines on stderr, as text for a person or as JSON for a collector.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Why the log cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    #[error("{0}")]
    Level(String),
    #[error("the log is already set up")]
    Already,
}

/// Sends every log line of this process to stderr. Once.
pub fn init(format: LogFormat, level: &str) -> Result<(), InitError> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = subscriber(format, level, colour, std::io::stderr).map_err(InitError::Level)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| InitError::Already)?;
    // Text that is cut in the wrong place panics with the text: a document's, where it was a document.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{}", panic_line(panic.payload(), panic.location()))));
    Ok(())
}

fn panic_line(payload: &dyn std::any::Any, place: Option<&std::panic::Location<'_>>) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    let place = place.map(ToString::to_string).unwrap_or_default();
    format!("a defect of Crossdock's, panicked at {place}: {}", super::mask_text(text))
}

/// Whether `level` is a filter that [`init`] takes: `info`, `crossdock=debug,info`.
pub fn check_level(level: &str) -> Result<(), String> {
    filter(level).map(drop)
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    // A bare word that is no level would be taken for the name of a module, and silence everything.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let bare = level.split(',').map(str::trim).filter(|part| !part.contains('='));
    for word in bare {
        if !levels.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(format!("{word:?} is not a log level"));
        }
    }
    EnvFilter::builder().parse(level).map_err(|error| format!("{level:?} is not a log filter: {error}"))
}

fn subscriber<W>(
    format: LogFormat,
    level: &str,
    colour: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(builder.with_ansi(colour).finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_is_said_without_the_customers_number() {
        let payload = "index 3 is inside '张' of `{\"receiver_mobile\":\"13812345678\"}`".to_owned();
        let line = panic_line(&payload, Some(std::panic::Location::caller()));
        assert!(line.contains("log.rs") && line.contains("index 3"), "{line}");
        assert!(!line.contains("13812345678"), "{line}");
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, level, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(scheme = "saleout", documents = 3, "page committed");
            tracing::debug!("not for everybody");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields_at_the_top() {
        let logged = logged(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(logged.trim_end()).unwrap();
        assert_eq!((&line["message"], &line["scheme"]), (&"page committed".into(), &"saleout".into()), "{logged}");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_text_line_says_the_same_and_debug_stays_out_of_info() {
        let logged = logged(LogFormat::Text, "info");
        assert!(logged.contains("page committed") && logged.contains("saleout"), "{logged}");
        assert!(!logged.contains("not for everybody") && !logged.contains('\x1b'), "{logged}");
        assert!(self::logged(LogFormat::Text, "debug").contains("not for everybody"));
    }

    #[test]
    fn a_level_that_is_none_is_refused_instead_of_silencing_everything() {
        for level in ["verbose", "inof", "info,crossdock=verbose"] {
            assert!(check_level(level).is_err(), "{level}");
        }
        for level in ["info", "off", "crossdock=debug,info", "WARN"] {
            assert_eq!(check_level(level), Ok(()), "{level}");
        }
    }
}
