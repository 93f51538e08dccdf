//! Where a list stopped, as a token that whoever asked hands back. It names the last document that was looked at, so the
//! rest stays the rest while documents come and go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{DocumentKey, SchemeId, TenantId};

use super::OfficeError;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub tenant: TenantId,
    pub scheme: SchemeId,
    pub key: DocumentKey,
    /// When the first page was asked for, where what has changed since does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Timestamp>,
}

impl Place {
    pub fn read(token: &str) -> Result<Self, OfficeError> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        let place = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        place.ok_or_else(|| OfficeError::NotUsable("this is no token that a list or a bulk order ended with".into()))
    }

    pub fn token(&self) -> String {
        let text = serde_json::to_vec(self).expect("names and a time always have a JSON form");
        URL_SAFE_NO_PAD.encode(text)
    }
}
