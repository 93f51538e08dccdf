//! The simulator against what is known of the vendors: it must refuse what they refuse, and misbehave only on order.

#![allow(clippy::unwrap_used)]

mod client;
mod fates;
mod faults;
mod jdy;
mod jushuitan;
mod k3cloud_access;
mod k3cloud_bills;
mod k3cloud_queries;
mod process;
mod u8;
mod wangdiantong;
