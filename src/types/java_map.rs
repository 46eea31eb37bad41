//! The order in which Java walks a `HashMap` of these keys, which shows where a map is walked in order.
//!
//! > KSQL: maps are Java's, so that REDUCE over a map, MAP_KEYS and MAP_VALUES go by the keys' hash codes. The order is
//! > a function of the keys and of the order in which those with one bucket came.

use super::Value;

/// The indices of `keys` in the order of a map that was made for so many.
pub fn walk_order(keys: &[Value]) -> Vec<usize> {
    // Java doubles the table when it is more than three quarters full.
    let capacity = keys.len().next_power_of_two();
    let capacity = if keys.len() * 4 > capacity * 3 { capacity * 2 } else { capacity };
    let bucket = |key: &Value| {
        let hash = hash_code(key) as u32;
        (hash ^ (hash >> 16)) as usize & (capacity - 1)
    };
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|at| bucket(&keys[*at]));
    order
}

/// Java's `hashCode` of a key; kinds of keys whose hash code says nothing of their value have 0.
fn hash_code(key: &Value) -> i32 {
    let of_long = |v: i64| (v ^ ((v as u64) >> 32) as i64) as i32;
    match key {
        Value::String(text) => {
            text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
        }
        Value::Int(v) => *v,
        Value::BigInt(v) => of_long(*v),
        Value::Double(v) => of_long(v.to_bits() as i64),
        Value::Boolean(v) => {
            if *v {
                1231
            } else {
                1237
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(keys: &[&str]) -> Vec<usize> {
        walk_order(&keys.iter().map(|key| Value::String((*key).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn buckets_decide_and_then_arrival() {
        // "Aa" and "BB" have one hash code.
        assert_eq!(texts(&["BB", "Aa"]), [0, 1]);
        assert_eq!(texts(&["Aa", "BB"]), [0, 1]);
        assert_eq!(texts(&["c", "b", "a"]), [2, 1, 0]);
        assert_eq!(texts(&[]), [] as [usize; 0]);
        let numbers: Vec<Value> = [17, 1, 16].map(Value::BigInt).to_vec();
        // Four buckets: 1, 1 and 0.
        assert_eq!(walk_order(&numbers), [2, 0, 1]);
    }
}
