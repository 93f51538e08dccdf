//! What a request carries that nobody may print, so that a test can look for it in what a client says.

use crate::request::Request;

/// Headers that prove who asks.
const HEADERS: &[&str] =
    &["x-api-signature", "x-kd-signature", "app-token", "kdservice-sessionid", "authorization", "cookie"];
/// Parameters that do, in the address or in a form.
const PARAMETERS: &[&str] = &["sign", "token", "access_token", "app_secret", "app_signature"];
/// Shorter than every key, token and signature, and longer than every word that could stand in a log by itself.
const SHORTEST: usize = 12;

pub fn of(request: &Request) -> Vec<String> {
    let mut found: Vec<String> = HEADERS.iter().map(|name| request.header(name).to_owned()).collect();
    let query = url::form_urlencoded::parse(request.query.as_bytes());
    let form = url::form_urlencoded::parse(&request.body);
    let named = query.chain(form).filter(|(name, _)| PARAMETERS.contains(&name.as_ref()));
    found.extend(named.map(|(_, value)| value.into_owned()));
    found.retain(|text| text.len() >= SHORTEST);
    found
}

/// A page that quotes the whole request, as some servers do when they are broken.
pub fn quote(request: &Request) -> String {
    let mut page = format!("Server Error in '/' Application. {} {}?{}\n", request.method, request.path, request.query);
    for (name, value) in &request.headers {
        page.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or_default()));
    }
    page.push_str(&String::from_utf8_lossy(&request.body));
    page
}
