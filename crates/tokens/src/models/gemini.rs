//! Google's Gemini models: input, cached input and output price, context (of the prompt alone), most output. What keeping
//! a cache costs by the hour is not in them.

use super::Model;

pub(super) const MODELS: &[Model] = &[
    Model::new("gemini-2.5-pro", [1_250_000, 125_000, 10_000_000], 1_048_576, 65_536).long(200_000, 200, 150),
    Model::new("gemini-2.5-flash", [300_000, 30_000, 2_500_000], 1_048_576, 65_536),
    Model::new("gemini-2.5-flash-lite", [100_000, 10_000, 400_000], 1_048_576, 65_536),
    Model::new("gemini-3-flash-preview", [500_000, 50_000, 3_000_000], 1_048_576, 65_536),
    Model::new("gemini-3.1-pro-preview", [2_000_000, 200_000, 12_000_000], 1_048_576, 65_536).long(200_000, 200, 150),
    Model::new("gemini-3.1-flash-lite", [250_000, 25_000, 1_500_000], 1_048_576, 65_536),
    Model::new("gemini-3.1-flash-lite-preview", [250_000, 25_000, 1_500_000], 1_048_576, 65_536),
    Model::new("gemini-3.5-flash", [1_500_000, 150_000, 9_000_000], 1_048_576, 65_536),
    Model::new("gemini-3.5-flash-lite", [300_000, 30_000, 2_500_000], 1_048_576, 65_536),
    Model::new("gemini-3.6-flash", [750_000, 75_000, 3_750_000], 1_048_576, 65_536),
    Model::new("gemini-3.7-flash", [750_000, 75_000, 3_750_000], 1_048_576, 65_536),
    Model::new("gemini-3.8-flash", [750_000, 75_000, 3_750_000], 1_048_576, 65_536),
    Model::new("gemini-4-argon", [2_000_000, 100_000, 10_000_000], 1_048_576, 1_048_576),
    Model::new("gemini-4-hydrogen", [1_500_000, 75_000, 7_500_000], 1_048_576, 1_048_576),
    Model::new("gemini-pro-latest", [2_000_000, 200_000, 12_000_000], 1_048_576, 65_536).long(200_000, 200, 150),
    Model::new("gemini-flash-latest", [750_000, 75_000, 3_750_000], 1_048_576, 65_536),
    Model::new("gemini-flash-lite-latest", [300_000, 30_000, 2_500_000], 1_048_576, 65_536),
];
