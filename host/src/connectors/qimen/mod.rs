//! 奇门, the Taobao gateway through which several ERPs are reached: its signature, its parameters, its two envelopes and
//! its error codes. It knows no ERP; `jushuitan_qimen` and `wangdiantong_qimen` add their routing parameter
//! and their data.

mod account;
mod envelope;
mod gateway;
mod reader;
mod sign;
mod window;

pub use account::{Account, Given};
pub use envelope::{Answered, Loose};
pub use gateway::{Credentials, Gateway};
pub use reader::{Listing, WindowPage, WindowReader, hand_over};
pub use sign::SignMethod;

/// Everything on this gateway is told in China's wall-clock time, and China has had no summer time since 1991.
pub fn wall_clock(at: jiff::Timestamp) -> String {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The instant that a vendor's text names; `None` where it is not of the vendor's form.
pub fn from_local_time(text: &str) -> Option<jiff::Timestamp> {
    let local = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok()?;
    jiff::tz::offset(8).to_timestamp(local).ok()
}
