use proptest::prelude::*;

use super::*;
use crate::types::StructField;

#[test]
fn data_fit_columns_by_name_and_widen() {
    let ty = SqlType::Struct(vec![
        StructField::new("A", SqlType::BigInt),
        StructField::new("B", SqlType::String),
        StructField::new("GONE", SqlType::Int),
    ]);
    let datum = Datum::Record(vec![("b".into(), Datum::Int(7)), ("a".into(), Datum::Int(1))]);
    let row = Value::Struct(vec![Value::BigInt(1), Value::String("7".into()), Value::Null]);
    assert_eq!(datum.to_value(&ty), Ok(row));
    assert_eq!(Datum::Long(1).to_value(&SqlType::Int), Err("cannot read a long as INTEGER".into()));
    let decimal = Datum::Decimal(Decimal::new(12345, 3));
    assert_eq!(decimal.to_value(&SqlType::Decimal(4, 2)), Err("12.345 does not fit DECIMAL(4, 2)".into()));
    assert_eq!(
        decimal.to_value(&SqlType::Decimal(10, 4)),
        Ok(Value::Decimal(Decimal::new(123_450, 4))),
        "more places are no loss"
    );
}

#[test]
fn json_text_keeps_exact_numbers() {
    let text = r#"{"a":[1,2.50,-3,null,true],"b":{"c":"x\"y"},"d":9223372036854775807}"#;
    let datum = Datum::from_json(text).expect("it is JSON");
    assert_eq!(datum.to_json(), text);
    assert!(Datum::from_json("{").is_err());
}

#[test]
fn decimal_digits_are_as_short_as_can_be() {
    for (number, bytes) in
        [(0, vec![0]), (127, vec![127]), (128, vec![0, 128]), (-1, vec![255]), (-129, vec![255, 127])]
    {
        assert_eq!(decimal_bytes(number), bytes, "{number}");
    }
    assert_eq!(decimal_from_bytes(&[]), Some(0));
    assert_eq!(decimal_from_bytes(&[1; 17]), None);
}

proptest! {
    #[test]
    fn decimal_digits_survive(number: i128) {
        prop_assert_eq!(decimal_from_bytes(&decimal_bytes(number)), Some(number));
    }
}
