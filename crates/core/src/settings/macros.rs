//! The macros that declare a struct of settings together with their descriptions, and settings that are one word out of a few.

/// Declares a struct whose fields are settings of one section of the configuration, each with its text, range and default:
///
/// ```
/// # use std::time::Duration;
/// hezar_core::settings! {
///     /// How nodes are watched.
///     #[derive(Clone, Debug)]
///     pub struct WatchConfig in "watch" {
///         /// The pause between two looks.
///         pub interval: Duration [Duration::from_secs(1)..=Duration::from_secs(60)] = Duration::from_secs(5);
///         /// Nodes watched at a time.
///         pub most as "max_nodes": usize [1..=1000] = 100, set;
///         /// What a node must say.
///         pub answer: Option<String> = None, example "\"hello\"";
///     } and {
///         /// Not a setting: only the program sets it.
///         pub started: bool = false;
///     }
/// }
/// assert_eq!(WatchConfig::default().most, 100);
/// ```
///
/// The key is the field's name unless `as` says otherwise; `as "section.key"` puts it into another section. `[range]` is left
/// out where the type has none. With `set`, the template of `hezar init` sets the key; otherwise it shows the key in a comment.
/// `example` is what the template shows (in TOML) where the default would say little. The first line of the text is the comment in
/// the template. The type must be a [`SettingValue`](crate::settings::SettingValue).
#[macro_export]
macro_rules! settings {
    (
        $(#[$about:meta])*
        pub struct $name:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])+
                pub $field:ident $(as $key:literal)? : $type:ty $([$range:expr])? = $default:expr
                    $(, $mark:ident $($example:literal)?)?;
            )*
        } $(and {
            $(
                $(#[doc = $inner_doc:literal])+
                pub $inner:ident : $inner_type:ty = $inner_default:expr;
            )*
        })?
    ) => {
        $(#[$about])*
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
            $( $( $(#[doc = $inner_doc])+ pub $inner: $inner_type, )* )?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $( $field: $default, )*
                    $( $( $inner: $inner_default, )* )?
                }
            }
        }

        impl $crate::settings::Settings for $name {
            const ALL: &'static [$crate::settings::Setting<Self>] = &[$(
                $crate::settings::Setting {
                    home: $section,
                    path: [$($key,)? stringify!($field)][0],
                    doc: &[$($doc),+],
                    set: $crate::settings::is_set(concat!($(stringify!($mark))?)),
                    example: [$($(Some($example),)?)? None][0],
                    expected: || <$type as $crate::settings::SettingValue>::expected(&$crate::range!($($range)?)),
                    choices: <$type as $crate::settings::SettingValue>::choices,
                    json_types: <$type as $crate::settings::SettingValue>::JSON_TYPES,
                    read: |settings: &mut Self, given| {
                        let value = $crate::settings::SettingValue::read(given, &$crate::range!($($range)?))?;
                        settings.$field = value;
                        Ok(())
                    },
                    write: |settings: &Self| $crate::settings::SettingValue::write(&settings.$field),
                    equal: |one: &Self, other: &Self| one.$field == other.$field,
                },
            )*];
        }
    };
}

/// The range of a setting; `()` for a type that has none.
#[doc(hidden)]
#[macro_export]
macro_rules! range {
    () => {
        ()
    };
    ($range:expr) => {
        $range
    };
}

/// Makes settings of enums whose values have a name each: `ALL` is an array of the values, and `name` returns the name of one.
///
/// ```
/// # use hezar_core::settings::{Given, SettingValue};
/// /// How fast it goes.
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// pub enum Pace {
///     Slow,
///     Fast,
/// }
///
/// impl Pace {
///     const ALL: [Self; 2] = [Self::Slow, Self::Fast];
///
///     const fn name(self) -> &'static str {
///         match self {
///             Self::Slow => "slow",
///             Self::Fast => "fast",
///         }
///     }
/// }
///
/// hezar_core::choices!(Pace);
/// assert_eq!(Pace::parse(&Given::Text("fast".to_owned()), &()), Some(Pace::Fast));
/// assert_eq!(Pace::expected(&()), "one of slow, fast");
/// ```
#[macro_export]
macro_rules! choices {
    ($($type:ty),+) => {$(
        impl $crate::settings::SettingValue for $type {
            type Range = ();

            fn parse(given: &$crate::settings::Given, (): &()) -> Option<Self> {
                let text = given.text()?;
                Self::ALL.into_iter().find(|value| value.name() == text)
            }

            fn expected((): &()) -> String {
                format!("one of {}", <Self as $crate::settings::SettingValue>::choices().join(", "))
            }

            fn write(&self) -> Option<$crate::settings::Given> {
                Some($crate::settings::Given::Text(self.name().to_owned()))
            }

            fn choices() -> Vec<&'static str> {
                Self::ALL.map(Self::name).to_vec()
            }
        }

        impl $crate::settings::Optional for $type {}
    )+};
}
