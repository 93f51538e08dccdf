//! A page of sale-outs becomes the body of one save, in the form that faucet's wasm stage calls: JSON in, JSON out.
//!
//! The mapping itself is the native loop's. faucet hands a module nothing but the record, so the parameters are built in.

#[path = "../../../native/src/mapping.rs"]
mod mapping;
#[path = "../../../native/src/settings.rs"]
pub mod settings;

use std::cell::RefCell;
use std::sync::LazyLock;

use settings::Parameters;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

static PARAMETERS: LazyLock<Parameters> = LazyLock::new(|| {
    let text = include_str!("../../../../../../transforms/jushuitan-saleout-to-k3cloud/parameters.example.json");
    serde_json::from_str(text).expect("the example's parameters are those of the mapping")
});

thread_local! {
    static ERROR: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What `transform` answers where it fails; the reason is at `error_ptr`.
const FAILED: u64 = u64::MAX;

#[unsafe(no_mangle)]
pub extern "C" fn alloc(length: usize) -> *mut u8 {
    Box::into_raw(vec![0_u8; length].into_boxed_slice()).cast()
}

/// # Safety
///
/// `start` and `length` are those of a piece that came from `alloc` or `transform`, and that nobody uses any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(start: *mut u8, length: usize) {
    // SAFETY: the caller's promise; both give pieces away as boxes.
    drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, length)) });
}

/// The address of the answer and its length, in the upper and the lower half.
///
/// # Safety
///
/// `start` and `length` are those of a piece that came from `alloc` and has been written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn transform(start: *const u8, length: usize) -> u64 {
    // SAFETY: the caller's promise.
    let page = unsafe { std::slice::from_raw_parts(start, length) };
    match save(page) {
        Ok(body) => {
            let body = Box::leak(body.into_boxed_slice());
            (body.as_ptr() as u64) << 32 | body.len() as u64
        }
        Err(error) => {
            ERROR.set(error.to_string());
            FAILED
        }
    }
}

fn save(page: &[u8]) -> Result<Vec<u8>> {
    mapping::save(&PARAMETERS, &serde_json::from_slice(page)?)
}

#[unsafe(no_mangle)]
pub extern "C" fn error_ptr() -> *const u8 {
    ERROR.with_borrow(|error| error.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn error_len() -> usize {
    ERROR.with_borrow(String::len)
}
