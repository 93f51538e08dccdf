//! Walks over a JSON text and replaces single values; every other byte stays as it is. A parser would write numbers and
//! white space its own way, and a module may look at either.

/// One value, or the name of a field, as it stands in the text.
pub enum Leaf<'a> {
    Text(String),
    Number(&'a str),
    /// The last step of the path is its name.
    Field,
}

/// Says what to put in a value's place, as JSON; `None` leaves it.
pub type Visit<'a> = dyn FnMut(&[String], Leaf<'_>) -> Option<String> + 'a;

/// `text` is valid JSON. `path` leads to it, where it lies in another text; steps of arrays are numbers.
pub fn rewrite(text: &str, path: &mut Vec<String>, visit: &mut Visit<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut levels: Vec<Level> = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let mut length = 1;
        let mut replaced = None;
        match first {
            b'"' => {
                length = string_length(rest);
                let value: String = serde_json::from_str(&rest[..length]).unwrap_or_default();
                match levels.last_mut() {
                    Some(Level::Object { named }) if !*named => {
                        *named = true;
                        path.push(value);
                        replaced = visit(path, Leaf::Field);
                    }
                    _ => replaced = visit(path, Leaf::Text(value)),
                }
            }
            b'{' => levels.push(Level::Object { named: false }),
            b'[' => {
                levels.push(Level::Array { row: 0 });
                path.push("0".into());
            }
            b'}' | b']' => {
                if !matches!(levels.pop(), Some(Level::Object { named: false }) | None) {
                    path.pop();
                }
            }
            b',' => {
                path.pop();
                match levels.last_mut() {
                    Some(Level::Array { row }) => {
                        *row += 1;
                        path.push(row.to_string());
                    }
                    Some(Level::Object { named }) => *named = false,
                    None => {}
                }
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
                length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                replaced = visit(path, Leaf::Number(&rest[..length]));
            }
            _ => length = rest.chars().next().map_or(1, char::len_utf8),
        }
        let (token, after) = rest.split_at(length);
        out.push_str(replaced.as_deref().unwrap_or(token));
        rest = after;
    }
    out
}

enum Level {
    /// Whether the field's name was read, so that its value is next.
    Object {
        named: bool,
    },
    Array {
        row: usize,
    },
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visits_every_value_with_its_place_and_leaves_every_other_byte() {
        let text =
            "{ \"a\" : [ 1.50 , {\"b\":\"x\\\"y\"}, [] ],\n\"c\":{}, \"d\":-0e1, \"\\u0065\":null,\"f\":[[true],[2]] }";
        let mut seen = Vec::new();
        let same = rewrite(text, &mut Vec::new(), &mut |path, leaf| {
            let value = match leaf {
                Leaf::Text(text) => text,
                Leaf::Number(number) => number.to_owned(),
                Leaf::Field => return None,
            };
            seen.push(format!("/{} {value}", path.join("/")));
            None
        });
        assert_eq!(same, text);
        assert_eq!(seen, ["/a/0 1.50", "/a/1/b x\"y", "/d -0e1", "/f/1/0 2"]);
        let other = rewrite(text, &mut Vec::new(), &mut |_, leaf| match leaf {
            Leaf::Number(_) => Some("7".into()),
            Leaf::Text(_) | Leaf::Field => None,
        });
        assert_eq!(other, text.replace("1.50", "7").replace("-0e1", "7").replace("[2]", "[7]"));
    }
}
