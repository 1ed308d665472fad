//! What is known of a model from its name.

use atomr_agents_tokens::ModelLimits;

/// A model of the Claude family, as its name tells: `claude-3-5-sonnet-20240620`, `anthropic/claude-haiku-4.5`,
/// `claude-3-7-sonnet@20250219`, `eu.anthropic.claude-opus-4-1-20250805-v1:0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    /// Major and minor version; `None` for other names.
    version: Option<(u8, u8)>,
    /// The most tokens it can write, thoughts included, as far as known.
    pub(crate) max_tokens: Option<u32>,
}

impl Model {
    pub(crate) fn named(name: &str) -> Self {
        let Some(at) = name.find("claude-") else { return Self::default() };
        // Gateways write `4.5` for `4-5` and put their own names in front.
        let name = name.get(at..).unwrap_or_default().replace('.', "-");
        let mut words = name.split(['-', '@', ':', '/']).skip_while(|word| number(word).is_none());
        let major = words.next().and_then(number);
        let minor = words.next().and_then(number).unwrap_or(0);
        let most = ModelLimits::of(&name).and_then(|limits| u32::try_from(limits.max_output).ok());
        Self { version: major.map(|major| (major, minor)), max_tokens: most }
    }

    /// Whether it forces answers and strict tools to match a schema.
    pub(crate) fn forces_schemas(self) -> bool {
        self.version >= Some((4, 5))
    }

    /// Whether it decides itself how much to think, and refuses to be told a budget.
    pub(crate) fn takes_no_budget(self) -> bool {
        self.version >= Some((4, 7))
    }
}

/// A part of a version; longer numbers are dates.
fn number(word: &str) -> Option<u8> {
    if word.len() > 2 { None } else { word.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_version() {
        for (name, version) in [
            ("claude-3-5-sonnet-20240620", Some((3, 5))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-7-sonnet@20250219", Some((3, 7))),
            ("anthropic/claude-haiku-4.5", Some((4, 5))),
            ("eu.anthropic.claude-opus-4-1-20250805-v1:0", Some((4, 1))),
            ("claude-opus-4-8", Some((4, 8))),
            ("claude-fable-5", Some((5, 0))),
            ("claude-2.1", Some((2, 1))),
            ("claude-instant", None),
            ("gpt-4o", None),
        ] {
            assert_eq!(Model::named(name).version, version, "{name}");
        }
    }

    #[test]
    fn what_models_can() {
        let of = |name| {
            let model = Model::named(name);
            (model.max_tokens, model.forces_schemas(), model.takes_no_budget())
        };
        assert_eq!(of("claude-3-5-haiku-latest"), (Some(8192), false, false));
        assert_eq!(of("anthropic/claude-haiku-4.5"), (Some(64_000), true, false));
        assert_eq!(of("eu.anthropic.claude-opus-4-1-20250805-v1:0"), (Some(32_000), false, false));
        assert_eq!(of("claude-opus-4-1"), (Some(32_000), false, false));
        assert_eq!(of("claude-sonnet-4-5"), (Some(64_000), true, false));
        assert_eq!(of("claude-opus-4-7"), (Some(128_000), true, true));
        assert_eq!(of("mystery"), (None, false, false));
    }
}
