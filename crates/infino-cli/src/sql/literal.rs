//! Values of parameters, as a shell hands them over.

use infino::datafusion::scalar::ScalarValue;
use serde_json::Value;

/// What is bound to `$1` and so on.
#[derive(Debug, PartialEq)]
pub(super) enum Param {
    Value(ScalarValue),
    Vector(Vec<f32>),
}

/// A number, `true`, `false`, `null`, a JSON text in quotes or a list of numbers is what it says; anything else is text.
pub(super) fn parse(text: &str) -> Param {
    let value = match serde_json::from_str(text) {
        Ok(Value::Null) => ScalarValue::Null,
        Ok(Value::Bool(flag)) => ScalarValue::from(flag),
        Ok(Value::Number(number)) => match number.as_i64() {
            Some(number) => ScalarValue::from(number),
            None => ScalarValue::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Ok(Value::String(text)) => ScalarValue::from(text),
        Ok(Value::Array(items)) => {
            let numbers: Option<Vec<f32>> =
                items.iter().map(|item| item.as_f64().map(|number| number as f32)).collect();
            match numbers {
                Some(vector) if !vector.is_empty() => return Param::Vector(vector),
                _ => ScalarValue::from(text),
            }
        }
        Ok(Value::Object(_)) | Err(_) => ScalarValue::from(text),
    };
    Param::Value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_value_is_one() {
        for (text, want) in [
            ("7", ScalarValue::from(7_i64)),
            ("-1.5", ScalarValue::from(-1.5)),
            ("true", ScalarValue::from(true)),
            ("null", ScalarValue::Null),
            ("\"7\"", ScalarValue::from("7")),
            ("seven", ScalarValue::from("seven")),
            ("[\"a\"]", ScalarValue::from("[\"a\"]")),
            ("", ScalarValue::from("")),
        ] {
            assert_eq!(parse(text), Param::Value(want), "{text}");
        }
        assert_eq!(parse("[1, 2.5]"), Param::Vector(vec![1.0, 2.5]));
    }
}
