use crate::quantity::Quantity;
use crate::word::words;

words! {
    /// A currency, by its ISO 4217 code.
    pub enum Currency ("currency") {
        /// 원: no minor unit.
        Krw = "KRW",
        /// Pound sterling: pence.
        Gbp = "GBP",
        /// US dollar: cents.
        Usd = "USD",
    }
}

impl Currency {
    /// Digits after the decimal point [ISO 4217].
    #[must_use]
    pub const fn digits(self) -> u32 {
        match self {
            Self::Krw => 0,
            Self::Gbp | Self::Usd => 2,
        }
    }
}

/// An amount in minor units of one currency, −[`Money::MAX`] to [`Money::MAX`]. Amounts of two
/// currencies are never added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

/// Why money could not be made or added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Beyond ±[`Money::MAX`].
    #[error("must be between -{max} and {max} minor units", max = Money::MAX)]
    OutOfBounds,
    /// Two currencies in one sum.
    #[error("amounts in {0} and {1} cannot be added")]
    TwoCurrencies(Currency, Currency),
    /// Not digits with at most one decimal point.
    #[error("is not a decimal number")]
    NotANumber,
}

/// Whether a decimal text had more digits than its currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Every digit was kept.
    Exact,
    /// Digits beyond the minor unit were rounded, half away from zero.
    Rounded,
}

impl Money {
    /// 10¹⁵ minor units: a thousand trillion won, and still exact in a JSON number (2⁵³).
    pub const MAX: i64 = 1_000_000_000_000_000;

    /// # Errors
    /// [`MoneyError::OutOfBounds`].
    pub const fn new(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        if amount > Self::MAX || amount < -Self::MAX {
            return Err(MoneyError::OutOfBounds);
        }
        Ok(Self { amount, currency })
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// Minor units.
    #[must_use]
    pub const fn amount(self) -> i64 {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::TwoCurrencies`], [`MoneyError::OutOfBounds`].
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::TwoCurrencies(self.currency, other.currency));
        }
        // Both are within ±10¹⁵, so that the sum cannot overflow an i64.
        Self::new(self.amount + other.amount, self.currency)
    }

    /// The amount with its sign turned.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { amount: -self.amount, currency: self.currency }
    }

    /// `units` times the amount; `units` may be negative, as on a claim's line.
    ///
    /// # Errors
    /// [`MoneyError::OutOfBounds`].
    pub fn times(self, units: i64) -> Result<Self, MoneyError> {
        let amount = self.amount.checked_mul(units).ok_or(MoneyError::OutOfBounds)?;
        Self::new(amount, self.currency)
    }

    /// What a line of `quantity` units at this price costs.
    ///
    /// # Errors
    /// [`MoneyError::OutOfBounds`].
    pub fn of(self, quantity: Quantity) -> Result<Self, MoneyError> {
        self.times(i64::from(quantity.units()))
    }

    /// Reads `-12.345`: a sign, digits, a point, digits. No exponent, no thousands separator.
    ///
    /// # Errors
    /// [`MoneyError::NotANumber`], [`MoneyError::OutOfBounds`].
    pub fn parse_decimal(text: &str, currency: Currency) -> Result<(Self, Rounding), MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return Err(MoneyError::NotANumber);
        }

        let digits = currency.digits() as usize;
        let (kept, beyond) = fraction.split_at(fraction.len().min(digits));
        let mut amount: i64 =
            format!("{whole}{kept:0<digits$}").parse().map_err(|_| MoneyError::OutOfBounds)?;
        if beyond.starts_with(|digit| digit >= '5') {
            amount = amount.checked_add(1).ok_or(MoneyError::OutOfBounds)?;
        }
        let rounding = if beyond.bytes().any(|digit| digit != b'0') {
            Rounding::Rounded
        } else {
            Rounding::Exact
        };
        let money = Self::new(if negative { -amount } else { amount }, currency)?;
        Ok((money, rounding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pence(text: &str) -> Result<(i64, Rounding), MoneyError> {
        Money::parse_decimal(text, Currency::Gbp).map(|(money, how)| (money.amount(), how))
    }

    #[test]
    fn decimals_become_minor_units() {
        assert_eq!(pence("2.55"), Ok((255, Rounding::Exact)));
        assert_eq!(pence("2.5"), Ok((250, Rounding::Exact)));
        assert_eq!(pence("7"), Ok((700, Rounding::Exact)));
        assert_eq!(pence("-11062.06"), Ok((-1_106_206, Rounding::Exact)));
        assert_eq!(pence("0.001"), Ok((0, Rounding::Rounded)));
        assert_eq!(pence("0.005"), Ok((1, Rounding::Rounded)));
        assert_eq!(pence("-0.005"), Ok((-1, Rounding::Rounded)));
        assert_eq!(pence("1.100"), Ok((110, Rounding::Exact)));
        let won = Money::parse_decimal("12000", Currency::Krw).unwrap().0;
        assert_eq!(won.amount(), 12_000);
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", ".5", "1e5", "12,000", "1.2.3", "+1", " 1", "1 ", "٣", "NaN"] {
            assert_eq!(pence(text), Err(MoneyError::NotANumber), "{text:?}");
        }
        assert_eq!(pence("99999999999999999999"), Err(MoneyError::OutOfBounds));
        assert_eq!(pence("9223372036854775807"), Err(MoneyError::OutOfBounds));
        assert_eq!(pence("10000000000000.01"), Err(MoneyError::OutOfBounds));
    }

    #[test]
    fn two_currencies_are_never_added() {
        let won = Money::zero(Currency::Krw);
        let pence = Money::zero(Currency::Gbp);
        assert_eq!(won.plus(pence), Err(MoneyError::TwoCurrencies(Currency::Krw, Currency::Gbp)));
    }

    proptest! {
        #[test]
        fn printing_and_reading_is_the_identity(amount in -Money::MAX..=Money::MAX) {
            let sign = if amount < 0 { "-" } else { "" };
            let (whole, fraction) = (amount.abs() / 100, amount.abs() % 100);
            prop_assert_eq!(
                pence(&format!("{sign}{whole}.{fraction:02}")),
                Ok((amount, Rounding::Exact))
            );
        }

        #[test]
        fn addition_is_exact_or_refused(a in -Money::MAX..=Money::MAX, b in -Money::MAX..=Money::MAX) {
            let money = |amount| Money::new(amount, Currency::Krw).unwrap();
            match money(a).plus(money(b)) {
                Ok(sum) => prop_assert_eq!(sum.amount(), a + b),
                Err(_) => prop_assert!((a + b).abs() > Money::MAX),
            }
        }

        #[test]
        fn no_product_overflows(amount in -Money::MAX..=Money::MAX, units: i64) {
            let product = i128::from(amount) * i128::from(units);
            match Money::new(amount, Currency::Krw).unwrap().times(units) {
                Ok(money) => prop_assert_eq!(i128::from(money.amount()), product),
                Err(_) => prop_assert!(product.abs() > i128::from(Money::MAX)),
            }
        }
    }
}
