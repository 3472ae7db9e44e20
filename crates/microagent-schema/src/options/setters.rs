//! The setters of options whose value is the field's.

/// Writes a setter for each of these fields.
macro_rules! setters {
    ($options:ty { $($option:ident: $value:ty),+ $(,)? }) => {
        impl $options {$(
            #[doc = concat!("Sets [`", stringify!($option), "`](Self::", stringify!($option), ").")]
            #[must_use]
            pub fn $option(mut self, $option: $value) -> Self {
                self.$option = $option;
                self
            }
        )+}
    };
}

pub(super) use setters;
