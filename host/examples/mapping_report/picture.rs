//! The table as bars.

use std::fmt::Write as _;

use crate::page::Row;

const BAR: usize = 24;
const LEFT: f64 = 400.0;
const WIDTH: f64 = 420.0;

pub fn bars(rows: &[Row]) -> String {
    let longest = rows.iter().map(|row| row.median).fold(1.0, f64::max);
    let height = rows.len() * BAR + 20;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"940\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"940\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, row) in rows.iter().enumerate() {
        let top = index * BAR + 10;
        let length = (row.median / longest * WIDTH).max(1.0);
        let colour = match row.name.trim_start_matches(crate::page::PART).split([' ', ',']).next() {
            Some("Crossdock" | "sandbox") => "#1f6feb",
            Some("native") => "#57606a",
            _ => "#d0a215",
        };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><rect x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.1} µs</text>",
            LEFT - 8.0,
            top + 14,
            row.name.trim_start_matches(crate::page::PART),
            top + 2,
            BAR - 8,
            LEFT + length + 6.0,
            top + 14,
            row.median
        );
    }
    svg.push_str("</svg>\n");
    svg
}
