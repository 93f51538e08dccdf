//! 旺店通·企业奇门: stock-ins out of WangDianTong, and trades into it, through Taobao's gateway.
//!
//! Stock-ins are read as Jushuitan's sale-outs are: a read hands over every record of its span, as the exact bytes of
//! the page, or fails. A push is an upsert by `tid`. It cannot be asked about afterwards, and its answer counts trades
//! and does not name them; so an answer is believed only when its counts cover all that was sent, and what is in doubt
//! may be sent again with the same bytes and no others. Money and quantities are passed on digit for digit.
//!
//! This is the enterprise edition (企业版). The flagship edition (旗舰版) has other methods and a second signature, and is
//! not spoken here.

mod batches;
mod change;
mod errors;
mod settings;
mod source;
mod target;
mod trade;
mod wire;

#[cfg(test)]
mod tests;

pub use settings::{Connection, PUSH, PushOptions, QUERY, StockinOptions};
pub use source::Stockins;
pub use target::Trades;
