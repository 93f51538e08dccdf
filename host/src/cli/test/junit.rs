//! The report as JUnit's XML, as far as CI systems agree on it: a suite, its cases, and the failures' stories.

use std::io::{self, Write};

use super::{Report, story};

pub fn print(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    let suite = escaped(&report.module.description().name);
    let failed = report.runs.iter().filter(|run| !report.passed(run)).count();
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(out, "<testsuite name=\"{suite}\" tests=\"{}\" failures=\"{failed}\">", report.runs.len())?;
    for run in report.runs {
        let us = run.used.map_or(0, |used| used.elapsed_us);
        let name = escaped(&run.name);
        write!(
            out,
            "  <testcase classname=\"{suite}\" name=\"{name}\" time=\"{}.{:06}\"",
            us / 1_000_000,
            us % 1_000_000
        )?;
        let told = story(run, report.above(run), report.margin);
        match told.first() {
            None => writeln!(out, "/>")?,
            Some(first) => {
                writeln!(out, ">")?;
                writeln!(out, "    <failure message=\"{}\">{}</failure>", escaped(first), escaped(&told.join("\n")))?;
                writeln!(out, "  </testcase>")?;
            }
        }
    }
    writeln!(out, "</testsuite>")
}

/// XML 1.0 has no way to write most control characters, not even escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        assert_eq!(escaped("<a b=\"&\">\n\x1b中"), "&lt;a b=&quot;&amp;&quot;&gt;&#10;\u{fffd}中");
    }
}
