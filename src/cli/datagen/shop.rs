//! [`Shop`]: records of a shop, one after the other, out of seeded dice.
//!
//! What happens in it, so that queries have something to find: a few users fail to pay again and again; most checkouts
//! are paid at once, some wait first and are paid within five minutes, too late or never; messages repeat, arrive out
//! of order or very late, and two in a thousand are broken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::DateTime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value as Json, json};

use super::Kind;

/// How many users the shop has.
pub const USERS: usize = 200;

const FIRST_NAMES: [&str; 20] = [
    "Ada", "Amir", "Bruno", "Chiara", "Dmitri", "Elif", "Femi", "Greta", "Hana", "Ines", "Jonas", "Kofi", "Lena",
    "Mateo", "Noor", "Olga", "Priya", "Rosa", "Tomás", "Yuki",
];
const LAST_NAMES: [&str; 10] =
    ["Almeida", "Bauer", "Costa", "Demir", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito", "Kowalski"];
const COUNTRIES: [&str; 10] = ["DE", "FR", "ES", "IT", "PL", "SE", "TR", "BR", "US", "JP"];
const METHODS: [&str; 4] = ["CARD", "PAYPAL", "BANK", "INVOICE"];

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// A record, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generated {
    /// The topic it is meant for.
    pub topic: &'static str,
    /// Its key: the id.
    pub key: String,
    /// Its value, JSON unless broken on purpose.
    pub value: String,
    /// Its event time.
    pub timestamp: i64,
}

/// The shop.
#[derive(Debug)]
pub struct Shop {
    dice: StdRng,
    kind: Kind,
    made: u64,
    /// Records that follow from earlier ones, by when they come.
    due: BinaryHeap<Reverse<(i64, u64, Generated)>>,
    promised: u64,
    orders: u64,
    payments: u64,
    checkouts: u64,
}

impl Shop {
    /// A shop that makes records of this kind.
    pub fn new(seed: u64, kind: Kind) -> Self {
        let dice = StdRng::seed_from_u64(seed);
        Self { dice, kind, made: 0, due: BinaryHeap::new(), promised: 0, orders: 0, payments: 0, checkouts: 0 }
    }

    /// The next record, at this event time; it may have happened a little earlier.
    pub fn next(&mut self, now_ms: i64) -> Generated {
        let number = self.made;
        self.made += 1;
        if matches!(self.kind, Kind::Users | Kind::All) && (number as usize) < USERS {
            return self.user(number as usize, now_ms);
        }
        if let Some(Reverse((at, ..))) = self.due.peek()
            && *at <= now_ms
            && let Some(Reverse((.., record))) = self.due.pop()
        {
            return record;
        }
        let record = match (self.kind, self.dice.random_range(0..100)) {
            (Kind::Orders, _) | (Kind::All, 0..40) => self.order(now_ms),
            (Kind::Payments, _) | (Kind::All, 40..75) => self.payment(now_ms),
            (Kind::Checkouts, _) | (Kind::All, 75..99) => self.checkout(now_ms),
            (Kind::Users | Kind::All, _) => {
                let who = self.dice.random_range(0..USERS);
                return self.user(who, now_ms);
            }
        };
        // One in a hundred comes twice, as at-least-once senders do.
        if self.dice.random_bool(0.01) {
            let wait = self.dice.random_range(0..30 * SECOND);
            self.later(now_ms + wait, record.clone());
        }
        record
    }

    fn later(&mut self, at: i64, record: Generated) {
        // The number keeps ties in the order in which they were made.
        self.promised += 1;
        self.due.push(Reverse((at, self.promised, record)));
    }

    fn user(&mut self, i: usize, now_ms: i64) -> Generated {
        let name = format!("{} {}", FIRST_NAMES[i % 20], LAST_NAMES[i / 20 % 10]);
        let tier = ["BRONZE", "SILVER", "GOLD"][self.dice.random_range(0..6usize).saturating_sub(3)];
        let value = json!({
            "user_id": user_id(i), "name": name, "country": COUNTRIES[i * 7 % 10], "tier": tier,
        });
        Generated { topic: "users", key: user_id(i), value: value.to_string(), timestamp: now_ms }
    }

    fn order(&mut self, now_ms: i64) -> Generated {
        self.orders += 1;
        let id = format!("ord-{:06}", self.orders);
        let at = self.happened(now_ms);
        let quantity = self.dice.random_range(1..=5i64);
        let status = self.pick(&[("CREATED", 60), ("PAID", 25), ("SHIPPED", 12), ("CANCELLED", 3)]);
        let value = json!({
            "order_id": id, "user_id": self.buyer(), "product_id": self.product(), "amount": self.amount(),
            "quantity": quantity, "status": status, "timestamp": at,
        });
        self.finish("orders", id, value, at)
    }

    fn payment(&mut self, now_ms: i64) -> Generated {
        self.payments += 1;
        let id = format!("pay-{:06}", self.payments);
        let at = self.happened(now_ms);
        let order = if self.orders == 0 { self.payments } else { self.dice.random_range(1..=self.orders) };
        // One user in twenty has a card that mostly fails, and tries again and again.
        let unlucky = self.dice.random_bool(0.08);
        let who = self.dice.random_range(0..USERS);
        let who = if unlucky { who - who % 20 } else { who };
        let fails = if unlucky { 0.7 } else { 0.03 };
        let status = match self.dice.random_bool(fails) {
            true => "FAILED",
            false => self.pick(&[("DONE", 90), ("WAITING", 10)]),
        };
        let method = METHODS[self.dice.random_range(0..METHODS.len())];
        let value = json!({
            "payment_id": id, "order_id": format!("ord-{order:06}"), "user_id": user_id(who),
            "amount": self.amount(), "status": status, "method": method, "timestamp": at,
        });
        self.finish("payments", id, value, at)
    }

    /// A checkout; what becomes of its payment follows by [`Self::later`].
    fn checkout(&mut self, now_ms: i64) -> Generated {
        self.checkouts += 1;
        let id = format!("chk-{:06}", self.checkouts);
        let at = self.happened(now_ms);
        let mut total = 0;
        let mut items = Vec::new();
        for _ in 0..self.dice.random_range(1..=4) {
            let (item, quantity) = (self.dice.random_range(1..=300u64), self.dice.random_range(1..=3u64));
            let cents = 199 + item * 7919 % 15_000;
            total += cents * quantity;
            items.push(json!({"item_id": format!("item-{item:03}"), "quantity": quantity, "price": price(cents)}));
        }
        for (after, status) in self.course() {
            let paid_at = at + after;
            let value = json!({
                "checkout_id": id, "timestamp": self.iso(paid_at), "payment_status": status, "total_price": price(total),
            });
            let record = self.finish("payment", id.clone(), value, paid_at);
            // Two messages in a hundred are repeated, also the ones that matter.
            if self.dice.random_bool(0.02) {
                let wait = self.dice.random_range(0..MINUTE);
                self.later(paid_at + wait, record.clone());
            }
            self.later(paid_at, record);
        }
        let value = json!({
            "checkout_id": id, "timestamp": self.iso(at), "status": "created", "user_id": self.buyer(), "items": items,
            "total_price": price(total),
        });
        self.finish("checkout", id, value, at)
    }

    /// What becomes of a checkout's payment: how long after it, and the status.
    fn course(&mut self) -> Vec<(i64, &'static str)> {
        let first = self.dice.random_range(-2 * SECOND..20 * SECOND);
        let in_time = first + self.dice.random_range(20 * SECOND..4 * MINUTE);
        let too_late = first + self.dice.random_range(6 * MINUTE..9 * MINUTE);
        match self.dice.random_range(0..100) {
            0..68 => vec![(first, "done")],
            68..82 => vec![(first, "waiting"), (in_time, "done")],
            82..87 => vec![(first, "waiting"), (in_time, "failed")],
            87..92 => vec![(first, "waiting")],
            92..94 => vec![(first, "waiting"), (too_late, "done")],
            94..99 => vec![(first, "failed")],
            _ => Vec::new(),
        }
    }

    /// When it happened: usually within the last seconds, once in two hundred long ago.
    fn happened(&mut self, now_ms: i64) -> i64 {
        let ago = match self.dice.random_range(0..200) {
            0 => self.dice.random_range(2 * MINUTE..20 * MINUTE),
            1..=60 => self.dice.random_range(0..3 * SECOND),
            _ => 0,
        };
        now_ms - ago
    }

    /// Breaks two records in a thousand: cut off, without a field, or with nonsense in one.
    fn finish(&mut self, topic: &'static str, key: String, mut value: Json, timestamp: i64) -> Generated {
        let broken = self.dice.random_range(0..1_500);
        if let Some(fields) = value.as_object_mut()
            && (1..3).contains(&broken)
        {
            let names: Vec<_> = fields.keys().cloned().collect();
            let name = &names[self.dice.random_range(1..names.len())];
            match broken {
                1 => drop(fields.shift_remove(name)),
                _ => drop(fields.insert("timestamp".to_owned(), json!("yesterday"))),
            }
        }
        let mut value = value.to_string();
        if broken == 0 {
            value.truncate(value.len() / 2);
        }
        Generated { topic, key, value, timestamp }
    }

    fn buyer(&mut self) -> String {
        // The square prefers low numbers: some users buy much more than others.
        let x = self.dice.random_range(0.0..1.0f64);
        user_id((x * x * USERS as f64) as usize % USERS)
    }

    fn product(&mut self) -> String {
        format!("prod-{:03}", self.dice.random_range(1..=300))
    }

    /// 5 to 500 for most, up to 5,000 for three in a hundred.
    fn amount(&mut self) -> Json {
        let cents = match self.dice.random_range(0..100) {
            0..3 => self.dice.random_range(100_000..500_000u64),
            3..15 => self.dice.random_range(20_000..50_000),
            _ => self.dice.random_range(500..20_000),
        };
        price(cents)
    }

    /// UTC; one sender in ten leaves the zone out.
    fn iso(&mut self, ms: i64) -> String {
        let at = DateTime::from_timestamp_millis(ms).unwrap_or_default();
        let zone = if self.dice.random_ratio(1, 10) { "" } else { "Z" };
        format!("{}{zone}", at.format("%Y-%m-%dT%H:%M:%S%.3f"))
    }

    fn pick(&mut self, choices: &[(&'static str, u32)]) -> &'static str {
        let total = choices.iter().map(|(_, weight)| weight).sum();
        let mut at = self.dice.random_range(0..total);
        for (choice, weight) in choices {
            if at < *weight {
                return choice;
            }
            at -= weight;
        }
        unreachable!("the dice stay below the sum of the weights")
    }
}

fn user_id(i: usize) -> String {
    format!("usr-{:03}", i + 1)
}

fn price(cents: u64) -> Json {
    json!(cents as f64 / 100.0)
}
