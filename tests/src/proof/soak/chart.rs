//! Figures over time as a picture: small panels one below the other, written as SVG by hand. A library for this would be
//! larger than all that is drawn.

use std::fmt::Write as _;

/// One panel: what is drawn, its unit, and lines over the same seconds.
pub struct Panel<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    pub lines: Vec<Line<'a>>,
}

pub struct Line<'a> {
    pub name: &'a str,
    /// Second and value.
    pub points: Vec<(u64, u64)>,
}

const WIDTH: u64 = 900;
const PANEL_HEIGHT: u64 = 130;
const LEFT: u64 = 90;
const RIGHT: u64 = 150;
const TOP: u64 = 30;
const PLOT_HEIGHT: u64 = PANEL_HEIGHT - 45;
/// Told apart by those who see few colours too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

pub fn svg(title: &str, panels: &[Panel<'_>]) -> String {
    let height = TOP + PANEL_HEIGHT * panels.len() as u64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"10\" y=\"18\" font-size=\"14\">{}</text>\n",
        escaped(title)
    );
    for (at, panel) in panels.iter().enumerate() {
        draw(&mut text, panel, TOP + PANEL_HEIGHT * at as u64);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(text: &mut String, panel: &Panel<'_>, top: u64) {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let last_second = points().map(|(second, _)| *second).max().unwrap_or(0).max(1);
    let most = points().map(|(_, value)| *value).max().unwrap_or(0).max(1);
    let (plot_top, plot_width) = (top + 20, WIDTH - LEFT - RIGHT);
    let bottom = plot_top + PLOT_HEIGHT;
    let mut put = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    put(format!("<text x=\"{LEFT}\" y=\"{}\" font-weight=\"bold\">{}</text>", top + 14, escaped(panel.title)));
    put(format!(
        "<rect x=\"{LEFT}\" y=\"{plot_top}\" width=\"{plot_width}\" height=\"{PLOT_HEIGHT}\" fill=\"none\" stroke=\"#bbbbbb\"/>"
    ));
    let scale = [(plot_top + 8, format!("{most} {}", panel.unit)), (bottom, "0".to_owned())];
    for (y, label) in scale {
        put(format!("<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>", LEFT - 5, escaped(&label)));
    }
    put(format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{last_second} s</text>", WIDTH - RIGHT, bottom + 13));
    for (at, line) in panel.lines.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let mut path = String::new();
        for (second, value) in &line.points {
            let (x, y) = (LEFT + second * plot_width / last_second, bottom - value * PLOT_HEIGHT / most);
            // Writing to a text cannot fail.
            let _ = write!(path, "{x},{y} ");
        }
        put(format!("<polyline fill=\"none\" stroke=\"{colour}\" points=\"{}\"/>", path.trim_end()));
        let (x, y) = (WIDTH - RIGHT + 8, plot_top + 12 + 15 * at as u64);
        put(format!("<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>", escaped(line.name)));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_corner_to_corner_and_names_are_written() {
        let line = Line { name: "p50 & p99", points: vec![(0, 0), (10, 40)] };
        let text = svg("load", &[Panel { title: "latency", unit: "ms", lines: vec![line] }]);
        assert!(text.contains("points=\"90,135 750,50\""), "{text}");
        assert!(text.contains("p50 &amp; p99") && text.contains(">40 ms<") && text.contains(">10 s<"), "{text}");
        assert_eq!(text.matches("<polyline").count(), 1);
    }

    #[test]
    fn a_panel_without_points_is_drawn_empty() {
        let line = Line { name: "nothing", points: Vec::new() };
        assert!(svg("", &[Panel { title: "", unit: "", lines: vec![line] }]).ends_with("</svg>\n"));
    }
}
