//! Where the goods go, from the user-defined fields that the parameters name. U8 has no address of its own in a
//! sale-out. What is missing is told all at once, because the same person has to fill it in.

use crossdock_guest::{Fields, Rejection, Text};

use crate::parameters::ReceiverFields;
use crate::trade::Receiver;

/// Province, city, district and the rest: what the vendor needs to parse an address.
const ADDRESS_PARTS: usize = 4;

pub fn receiver<'a>(fields: &Fields<'a>, named: &ReceiverFields) -> Result<Receiver<'a>, Rejection> {
    let mut required = Required { fields, missing: Vec::new() };
    let name = required.text("receiver_name", &named.name)?;
    let mobile = required.text("receiver_mobile", &named.mobile)?;
    let [province, city, district] = match &named.region {
        None => [None, None, None],
        Some(region) => [
            Some(required.text("receiver_province", &region.province)?),
            Some(required.text("receiver_city", &region.city)?),
            Some(required.text("receiver_district", &region.district)?),
        ],
    };
    let address = required.text("receiver_address", &named.address)?;
    required.all()?;
    if named.region.is_none() && address.as_str().split_whitespace().count() < ADDRESS_PARTS {
        let field = fields.pointer(&named.address);
        let message = format!("{field} does not start with province, city and district, each followed by a blank");
        return Err(Rejection::new("receiver_address_without_region", message).at(field));
    }
    let optional = |name: &Option<String>| match name {
        Some(name) => present(fields, name),
        None => Ok(None),
    };
    let (telno, zip) = (optional(&named.telno)?, optional(&named.zip)?);
    Ok(Receiver { name, province, city, district, address, mobile, telno, zip })
}

/// Gathers what is missing while the rest is read.
struct Required<'a, 'b> {
    fields: &'b Fields<'a>,
    /// The target's field, and the pointer of the source's.
    missing: Vec<(&'static str, String)>,
}

impl<'a> Required<'a, '_> {
    /// The text, or an empty one that [`Required::all`] will refuse.
    fn text(&mut self, target: &'static str, name: &str) -> Result<Text<'a>, Rejection> {
        let text = present(self.fields, name)?;
        if text.is_none() {
            self.missing.push((target, self.fields.pointer(name)));
        }
        Ok(text.unwrap_or_default())
    }

    fn all(self) -> Result<(), Rejection> {
        let Some((_, first)) = self.missing.first() else { return Ok(()) };
        let list: Vec<String> = self.missing.iter().map(|(target, field)| format!("{target} ({field})")).collect();
        Err(Rejection::new("receiver_incomplete", format!("missing: {}", list.join(", "))).at(first))
    }
}

fn present<'a>(fields: &Fields<'a>, name: &str) -> Result<Option<Text<'a>>, Rejection> {
    Ok(fields.optional::<Text<'a>>(name)?.filter(|text| !text.is_blank()))
}
