//! A vector as it is stored: what made it, until when it is there, and its values.

use bytes::{BufMut, Bytes, BytesMut};

use crate::parts::scaled;

/// The form of today.
const FORM: u8 = 1;

/// A vector that was read: form, expiry, length and name of the model, then the values, all little-endian.
pub(super) struct Kept<'a> {
    model: &'a [u8],
    pub(super) expires_ms: Option<u64>,
    values: &'a [u8],
}

impl<'a> Kept<'a> {
    pub(super) fn write(model: &str, expires_ms: Option<u64>, values: &[f32]) -> Bytes {
        // No model's name is longer than the keys of stores are.
        let model = model.as_bytes().get(..model.len().min(usize::from(u16::MAX))).unwrap_or_default();
        let mut bytes = BytesMut::with_capacity(11 + model.len() + values.len() * 4);
        bytes.put_u8(FORM);
        bytes.put_u64_le(expires_ms.unwrap_or(0));
        bytes.put_u16_le(u16::try_from(model.len()).unwrap_or(u16::MAX));
        bytes.put_slice(model);
        values.iter().for_each(|value| bytes.put_f32_le(*value));
        bytes.freeze()
    }

    /// `None` for what was not written by [`Kept::write`].
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&[FORM], rest) = bytes.split_first_chunk::<1>()? else { return None };
        let (expires, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (model, values) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let expires = u64::from_le_bytes(*expires);
        values.len().is_multiple_of(4).then_some(Self { model, expires_ms: (expires > 0).then_some(expires), values })
    }

    pub(super) fn is_of(&self, model: &str) -> bool {
        self.model == model.as_bytes()
    }

    pub(super) fn model(&self) -> String {
        String::from_utf8_lossy(self.model).into_owned()
    }

    pub(super) fn dim(&self) -> usize {
        self.values.len() / 4
    }

    /// Its values, scaled to length 1; zeros as they are.
    pub(super) fn unit(&self) -> impl Iterator<Item = f32> + '_ {
        scaled(self.values.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_vector_is_read_as_it_was_written(
            model in "[a-z:é]{0,20}",
            expires in prop::option::of(1u64..),
            values in prop::collection::vec(-1e3f32..1e3, 1..40),
        ) {
            let bytes = Kept::write(&model, expires, &values);
            let kept = Kept::read(&bytes).unwrap();
            prop_assert!(kept.is_of(&model) && kept.dim() == values.len() && kept.expires_ms == expires);
            let scaled: Vec<f32> = kept.unit().collect();
            let length = values.iter().map(|a| f64::from(*a).powi(2)).sum::<f64>().sqrt();
            for (value, scaled) in values.iter().zip(&scaled) {
                prop_assert!((f64::from(*value) - f64::from(*scaled) * length).abs() < 1e-3);
            }
            for cut in 0..11 + model.len() {
                prop_assert!(Kept::read(&bytes[..cut]).is_none());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            Kept::read(&bytes);
        }
    }
}
