use std::fmt;

use serde::{Deserialize, Serialize};

/// Who ordered, and where it goes: personal data. It can be written down only sealed
/// ([`crate::SellerKeys::seal`]); `Debug` shows nothing of it and it has no `Serialize`, so that it
/// cannot slip into a log or an answer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Customer {
    /// Name, or whatever the platform knows the buyer by.
    pub name: Option<String>,
    /// Telephone number as the buyer wrote it.
    pub phone: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Where the order goes.
    pub address: Option<Address>,
}

/// A postal address.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// 우편번호.
    pub postal_code: Option<String>,
    /// Street and number, or all of it.
    pub line1: Option<String>,
    /// Building, floor, door.
    pub line2: Option<String>,
    /// Country, by name or code.
    pub country: Option<String>,
}

/// How much of a customer a reader may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Everything: the key has `orders:contact`.
    Full,
    /// The name and the country; telephone, e-mail and address are masked.
    Masked,
}

impl Customer {
    /// What a reader with this `sight` is shown.
    #[must_use]
    pub fn seen(self, sight: Sight) -> Self {
        match sight {
            Sight::Full => self,
            Sight::Masked => Self {
                name: self.name,
                phone: self.phone.map(|phone| masked_phone(&phone)),
                email: self.email.map(|email| masked_email(&email)),
                address: self.address.map(|address| Address {
                    postal_code: address.postal_code.map(|_| MASK.to_owned()),
                    line1: address.line1.map(|_| MASK.to_owned()),
                    line2: address.line2.map(|_| MASK.to_owned()),
                    country: address.country,
                }),
            },
        }
    }

    pub(crate) fn to_plaintext(&self) -> Vec<u8> {
        let address = self.address.as_ref();
        let plain = Plain {
            name: self.name.as_deref().map(Into::into),
            phone: self.phone.as_deref().map(Into::into),
            email: self.email.as_deref().map(Into::into),
            has_address: address.is_some(),
            postal_code: address.and_then(|a| a.postal_code.as_deref()).map(Into::into),
            line1: address.and_then(|a| a.line1.as_deref()).map(Into::into),
            line2: address.and_then(|a| a.line2.as_deref()).map(Into::into),
            country: address.and_then(|a| a.country.as_deref()).map(Into::into),
        };
        serde_json::to_vec(&plain).expect("a struct of texts is always JSON")
    }

    pub(crate) fn from_plaintext(bytes: &[u8]) -> Option<Self> {
        let plain: Plain<'_> = serde_json::from_slice(bytes).ok()?;
        let owned = |text: Option<std::borrow::Cow<'_, str>>| text.map(Into::into);
        Some(Self {
            name: owned(plain.name),
            phone: owned(plain.phone),
            email: owned(plain.email),
            address: plain.has_address.then(|| Address {
                postal_code: owned(plain.postal_code),
                line1: owned(plain.line1),
                line2: owned(plain.line2),
                country: owned(plain.country),
            }),
        })
    }
}

impl fmt::Debug for Customer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Customer(redacted)")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(redacted)")
    }
}

/// A customer as it is sealed. Absent fields are left out: most imported orders know only a name.
#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    #[serde(borrow, rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "p", default, skip_serializing_if = "Option::is_none")]
    phone: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "e", default, skip_serializing_if = "Option::is_none")]
    email: Option<std::borrow::Cow<'a, str>>,
    #[serde(rename = "a", default, skip_serializing_if = "std::ops::Not::not")]
    has_address: bool,
    #[serde(borrow, rename = "z", default, skip_serializing_if = "Option::is_none")]
    postal_code: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "1", default, skip_serializing_if = "Option::is_none")]
    line1: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "2", default, skip_serializing_if = "Option::is_none")]
    line2: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "c", default, skip_serializing_if = "Option::is_none")]
    country: Option<std::borrow::Cow<'a, str>>,
}

const MASK: &str = "***";

/// `010-1234-5678` → `010-****-5678`: of nine digits and more the first three and the last four
/// stay, of fewer only the last two.
fn masked_phone(phone: &str) -> String {
    let digits = phone.chars().filter(char::is_ascii_digit).count();
    let (first, last) = if digits >= 9 { (3, 4) } else { (0, 2.min(digits / 2)) };
    let mut seen = 0;
    phone
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                seen += 1;
                if seen <= first || seen > digits - last { character } else { '*' }
            } else if character.is_alphanumeric() {
                '*'
            } else {
                character
            }
        })
        .collect()
}

/// `hong@example.com` → `h***@example.com`.
fn masked_email(email: &str) -> String {
    match email.split_once('@') {
        Some((local, domain)) => {
            format!("{}{MASK}@{domain}", local.chars().next().map(String::from).unwrap_or_default())
        }
        None => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn customer() -> Customer {
        Customer {
            name: Some("홍길동".to_owned()),
            phone: Some("010-1234-5678".to_owned()),
            email: Some("hong@example.com".to_owned()),
            address: Some(Address {
                postal_code: Some("06236".to_owned()),
                line1: Some("서울특별시 강남구 테헤란로 1".to_owned()),
                line2: None,
                country: Some("KR".to_owned()),
            }),
        }
    }

    #[test]
    fn a_masked_customer_has_a_name_and_a_country() {
        let seen = customer().seen(Sight::Masked);
        assert_eq!(seen.name.as_deref(), Some("홍길동"));
        assert_eq!(seen.phone.as_deref(), Some("010-****-5678"));
        assert_eq!(seen.email.as_deref(), Some("h***@example.com"));
        let address = seen.address.unwrap();
        assert_eq!(address.line1.as_deref(), Some("***"));
        assert_eq!(address.line2, None);
        assert_eq!(address.country.as_deref(), Some("KR"));
        assert_eq!(customer().seen(Sight::Full), customer());
    }

    #[test]
    fn short_and_strange_phones_are_masked_too() {
        assert_eq!(masked_phone("1588-12"), "****-12");
        assert_eq!(masked_phone("7"), "*");
        assert_eq!(masked_phone("+82 10 1234 5678"), "+82 1* **** 5678");
        assert_eq!(masked_phone("ask Kim"), "*** ***");
        assert_eq!(masked_email("no-at-sign"), "***");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", customer()), "Customer(redacted)");
        assert_eq!(format!("{:?}", customer().address), "Some(Address(redacted))");
    }

    #[test]
    fn the_plaintext_reads_back() {
        for customer in [customer(), Customer::default()] {
            assert_eq!(Customer::from_plaintext(&customer.to_plaintext()), Some(customer));
        }
    }
}
