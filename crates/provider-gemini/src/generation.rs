//! Which generation a model is of: what it understands differs between them.

/// What is known of a model from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    /// 3 for `gemini-3.1-pro-preview`; 0 for models of other families.
    major: u32,
    minor: u32,
    pro: bool,
}

impl Generation {
    /// The generation of `model`. Names without a number (`gemini-flash-latest`) mean the newest one.
    pub(crate) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let pro = name.contains("pro");
        let Some(rest) = name.strip_prefix("gemini-") else { return Self { major: 0, minor: 0, pro } };
        let version = rest.split('-').next().unwrap_or_default();
        let mut numbers = version.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), minor) => Self { major, minor: minor.and_then(Result::ok).unwrap_or(0), pro },
            _ => Self { major: u32::MAX, minor: 0, pro },
        }
    }

    /// Whether thinking is measured in levels, calls must bear a signature, results of tools may hold media, and
    /// tools go together with a forced shape.
    pub(crate) fn is_third(self) -> bool {
        self.major >= 3
    }

    /// Whether arguments can be forced to match their schema while the model is free to call or not.
    pub(crate) fn validates_calls(self) -> bool {
        (self.major, self.minor) >= (2, 5)
    }

    /// The level that comes nearest to not thinking at all.
    pub(crate) fn lowest_level(self) -> &'static str {
        if self.pro { "low" } else { "minimal" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_generation() {
        for (model, third, validates) in [
            ("gemini-3-flash-preview", true, true),
            ("models/gemini-3.1-pro-preview", true, true),
            ("gemini-10.5-pro", true, true),
            ("gemini-flash-latest", true, true),
            ("gemini-2.5-flash-lite", false, true),
            ("gemini-2.0-flash", false, false),
            ("gemini-1.5-pro-002", false, false),
            ("gemma-3-27b-it", false, false),
            ("tunedModels/mine", false, false),
            ("", false, false),
        ] {
            let generation = Generation::of(model);
            assert_eq!((generation.is_third(), generation.validates_calls()), (third, validates), "{model}");
        }
    }
}
