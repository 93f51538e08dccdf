//! The five shapes in which clients send a call. Read by content: some of them lie in their Content-Type.

use serde_json::{Map, Value};

/// Arguments by position (shapes B and C) or by name (A, A', D).
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    Positional(Vec<Value>),
    Named(Map<String, Value>),
}

impl Call {
    /// The error is the text of an HTTP 500.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "The request is not UTF-8.".to_owned())?.trim();
        if text.is_empty() {
            return Ok(Self::Named(Map::new()));
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(object)) => Self::of_object(object),
            Ok(Value::Array(_)) => {
                Err("Additional text found in JSON string after finishing deserializing.".to_owned())
            }
            Ok(_) | Err(_) if text.contains('=') && !text.starts_with('{') => {
                let pairs = url::form_urlencoded::parse(text.as_bytes());
                Ok(Self::Named(pairs.map(|(key, value)| (key.into_owned(), Value::from(value.into_owned()))).collect()))
            }
            Ok(_) => Err("The request is no object.".to_owned()),
            Err(error) => Err(format!("Error reading JSON: {error}")),
        }
    }

    fn of_object(mut object: Map<String, Value>) -> Result<Self, String> {
        match object.remove("parameters") {
            None => Ok(Self::Named(object)),
            Some(Value::Array(list)) => Ok(Self::Positional(list)),
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Array(list)) => Ok(Self::Positional(list)),
                _ => Err("parameters is no JSON array.".to_owned()),
            },
            Some(_) => Err("parameters is neither an array nor a text.".to_owned()),
        }
    }

    /// An argument of logging in, as text.
    pub fn argument(&self, position: usize, name: &str) -> String {
        let value = match self {
            Self::Positional(list) => list.get(position),
            Self::Named(object) => object.get(name),
        };
        match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    /// The outer form id; its name is lower-case, unlike the `FormId` inside a query.
    pub fn form_id(&self) -> String {
        match self {
            Self::Positional(list) if list.len() < 2 => String::new(),
            _ => self.argument(0, "formid"),
        }
    }

    /// The operation's data, parsed where it was sent as text. Numbers keep their digits.
    pub fn data(&self) -> Result<Value, String> {
        let value = match self {
            Self::Positional(list) => list.last(),
            Self::Named(object) => object.get("data"),
        };
        match value {
            None => Err("data数据包不能为空".to_owned()),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(value @ Value::Object(_)) => Ok(value),
                Ok(_) => Err("data数据包不是JSON对象".to_owned()),
                Err(error) => Err(format!("data数据包的JSON格式错误：{error}")),
            },
            Some(value @ Value::Object(_)) => Ok(value.clone()),
            Some(_) => Err("data数据包不是JSON对象".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_five_shapes_say_the_same() {
        for body in [
            r#"{"formid":"SAL_OUTSTOCK","data":{"Model":{"FQty":59.90}}}"#,
            r#"{"formid":"SAL_OUTSTOCK","data":"{\"Model\":{\"FQty\":59.90}}"}"#,
            r#"{"parameters":["SAL_OUTSTOCK","{\"Model\":{\"FQty\":59.90}}"]}"#,
            r#"{"parameters":["SAL_OUTSTOCK",{"Model":{"FQty":59.90}}]}"#,
            r#"{"format":1,"useragent":"ApiClient","rid":"7","parameters":"[\"SAL_OUTSTOCK\",\"{\\\"Model\\\":{\\\"FQty\\\":59.90}}\"]","v":"1.0"}"#,
            "formid=SAL_OUTSTOCK&data=%7B%22Model%22%3A%7B%22FQty%22%3A59.90%7D%7D",
        ] {
            let call = Call::read(body.as_bytes()).expect(body);
            assert_eq!(call.form_id(), "SAL_OUTSTOCK", "{body}");
            assert_eq!(call.data().expect(body).to_string(), r#"{"Model":{"FQty":59.90}}"#, "{body}");
        }
    }

    #[test]
    fn a_bare_array_is_refused() {
        let error = Call::read(br#"["SAL_OUTSTOCK",{}]"#).expect_err("refused");
        assert!(error.starts_with("Additional text found in JSON string"), "{error}");
    }

    #[test]
    fn a_query_by_position_has_no_form_argument() {
        let call = Call::Positional(vec![json!({"FormId": "X"})]);
        assert_eq!(call.form_id(), "");
        assert_eq!(call.data(), Ok(json!({"FormId": "X"})));
    }
}
