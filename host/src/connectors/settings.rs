//! From a table of the configuration to a connector's settings, with all that is wrong with it at once.

use std::fmt;

use serde::de::DeserializeOwned;

/// One thing to change in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// Where it stands: `connection.app_key`.
    pub path: String,
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl SettingProblem {
    pub fn new(path: impl Into<String>, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.path, self.message, self.remedy)
    }
}

/// Reads `table` as `T`. serde stops at the first problem, so what is unknown or unusable is taken out, what is missing
/// is stood in for, and the rest is read again, until nothing new is wrong.
///
/// `required` names the required text fields: their stand-ins let the other fields be checked too.
pub fn read<T: DeserializeOwned>(
    path: &str,
    mut table: toml::Table,
    required: &[&str],
) -> Result<T, Vec<SettingProblem>> {
    let mut problems = Vec::new();
    for name in required {
        if !table.contains_key(*name) {
            problems.push(SettingProblem::new(format!("{path}.{name}"), "is missing", "set it"));
            table.insert((*name).to_owned(), stand_in());
        } else if table[*name].as_str().is_some_and(|text| text.trim().is_empty()) {
            problems.push(SettingProblem::new(format!("{path}.{name}"), "is empty", "set it"));
        }
    }
    loop {
        let error = match table.clone().try_into::<T>() {
            Ok(settings) if problems.is_empty() => return Ok(settings),
            Ok(_) => return Err(problems),
            Err(error) => error,
        };
        let text = error.to_string();
        let field = unknown_field(&text);
        match field.filter(|name| table.contains_key(*name)) {
            Some(name) => {
                let known = text.split_once("expected ").map_or("", |(_, known)| known.lines().next().unwrap_or(""));
                let remedy = format!("remove it, or spell it as expected: {known}");
                problems.push(SettingProblem::new(format!("{path}.{name}"), "is not a setting of this system", remedy));
                table.remove(name);
            }
            None => {
                let place = located(&text);
                let at = place.map_or_else(|| path.to_owned(), |place| format!("{path}.{place}"));
                problems.push(SettingProblem::new(
                    at,
                    text.lines().next().unwrap_or("is unusable"),
                    "correct the value",
                ));
                let name = place.and_then(|place| place.split('.').next()).unwrap_or("");
                // Nothing to take out, or the stand-in itself does not fit: reading on would not end.
                if table.remove(name).is_none_or(|value| value == stand_in()) {
                    return Err(problems);
                }
                if required.contains(&name) {
                    table.insert(name.to_owned(), stand_in());
                }
            }
        }
    }
}

fn unknown_field(text: &str) -> Option<&str> {
    text.split_once("unknown field `")?.1.split_once('`').map(|(name, _)| name)
}

fn stand_in() -> toml::Value {
    toml::Value::String("missing".into())
}

/// toml says where a value stands in a last line of its own: ``in `limits.burst` ``.
fn located(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'))
}

/// The one address a connector talks to: http or https, with a host, without a user, a password or a query, for those
/// would be credentials in a place that gets logged.
pub fn check_base_url(path: &str, text: &str) -> Result<url::Url, SettingProblem> {
    let problem = |message: &str| {
        SettingProblem::new(path, message, "write it as the vendor gives it, such as https://host.example/path/")
    };
    let url = url::Url::parse(text).map_err(|error| problem(&format!("is not an address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(problem("is not an http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(problem("must not carry a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(problem("must not carry a query or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        name: String,
        #[serde(default)]
        count: u32,
    }

    #[test]
    fn names_everything_unknown_and_missing_at_once() {
        let table: toml::Table = toml::from_str("nmae = \"x\"\ncolour = 1\ncount = 2").unwrap();
        let problems = read::<Sample>("connection", table, &["name"]).unwrap_err();
        let mut paths: Vec<_> = problems.iter().map(|p| p.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["connection.colour", "connection.name", "connection.nmae"], "{problems:?}");
        assert!(problems.iter().any(|p| p.remedy.contains("`count`")), "{problems:?}");
    }

    #[test]
    fn says_where_a_value_of_the_wrong_kind_stands() {
        let table: toml::Table = toml::from_str("name = \"x\"\ncount = \"many\"").unwrap();
        let problems = read::<Sample>("connection", table, &["name"]).unwrap_err();
        assert_eq!(problems[0].path, "connection.count", "{problems:?}");
        let good: toml::Table = toml::from_str("name = \"x\"").unwrap();
        let sample = read::<Sample>("connection", good, &["name"]).unwrap();
        assert_eq!((sample.name.as_str(), sample.count), ("x", 0));
    }

    #[test]
    fn an_address_carries_no_credentials() {
        for bad in ["", "host/path", "ftp://h/", "http://u:p@h/", "https://h/?token=1", "https://h/#x"] {
            assert!(check_base_url("base_url", bad).is_err(), "{bad} was taken");
        }
        assert!(check_base_url("base_url", "http://127.0.0.1:1/k3cloud/").is_ok());
    }
}
