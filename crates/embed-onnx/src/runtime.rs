//! The library that runs models, loaded once for the process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::LoadDynamicError;
use ort::environment::Environment;

use crate::{OnnxConfig, OnnxError};

/// Says where the library lies, as with everything else that is built on `ort`.
const VARIABLE: &str = "ORT_DYLIB_PATH";

/// What became of the one library that a process may have.
enum State {
    None,
    /// It keeps its environment: the library takes no second one.
    Loaded(PathBuf, Environment),
    /// Its binding panicked in the middle of it, and waits for ever when it is asked again.
    Broken(OnnxError),
}

static STATE: Mutex<State> = Mutex::new(State::None);

/// Does this with the library; where it panics, as its binding does when a library is not what it says, that is an error.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, OnnxError>) -> Result<T, OnnxError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(OnnxError::Run { message: told(&*panic) }))
}

/// What a panic said.
pub(crate) fn told(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "its binding panicked".to_owned())
}

/// The environment of the process.
pub(crate) fn environment(config: &OnnxConfig) -> Result<Environment, OnnxError> {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    match &*state {
        State::Loaded(of, environment) => {
            // Only who names a library insists on it: where it is merely usual, the one that runs is as good.
            return match &config.runtime {
                Some(asked) if asked != of => Err(OnnxError::OtherRuntime { loaded: of.clone(), asked: asked.clone() }),
                _ => Ok(environment.clone()),
            };
        }
        State::Broken(error) => return Err(error.clone()),
        State::None => {}
    }
    let path = place(config);
    match load(&path) {
        Ok(environment) => {
            *state = State::Loaded(path, environment.clone());
            Ok(environment)
        }
        Err(error) => {
            if let OnnxError::Run { .. } = &error {
                *state = State::Broken(error.clone());
            }
            Err(error)
        }
    }
}

fn place(config: &OnnxConfig) -> PathBuf {
    let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual = || config.usual_runtime.clone();
    let system = || format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX).into();
    config.runtime.clone().or_else(variable).or_else(usual).unwrap_or_else(system)
}

fn load(path: &Path) -> Result<Environment, OnnxError> {
    guarded(|| {
        let builder = ort::init_from(path).map_err(|error| refused(path, error))?;
        // Nothing leaves the machine unasked.
        builder.with_telemetry(false).build().map_err(|error| OnnxError::run(&error))
    })
}

fn refused(path: &Path, error: LoadDynamicError) -> OnnxError {
    let (path, message) = (path.to_owned(), error.to_string());
    match error {
        LoadDynamicError::Dlopen { error, .. } => OnnxError::NoRuntime { path, message: error.to_string() },
        LoadDynamicError::MissingApi { .. } => {
            OnnxError::WrongRuntime { path, message: "it is no ONNX Runtime".to_owned() }
        }
        LoadDynamicError::BadVersion { version_str, .. } => {
            OnnxError::WrongRuntime { path, message: format!("it is version {version_str}") }
        }
        LoadDynamicError::InvalidVersionString => OnnxError::WrongRuntime { path, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_binding_is_an_error() {
        let error = guarded::<()>(|| panic!("no {}", "API")).unwrap_err();
        assert_eq!(error.to_string(), "the ONNX Runtime failed: no API");
        assert_eq!(guarded(|| Ok(1)).unwrap(), 1);
    }

    #[test]
    fn what_is_no_library_is_told_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = load(&folder.path().join("libonnxruntime.so")).unwrap_err();
        assert!(matches!(nowhere, OnnxError::NoRuntime { .. }));
        assert!(nowhere.to_string().contains("pip install onnxruntime"), "{nowhere}");
        let text = folder.path().join("text.so");
        std::fs::write(&text, "no library").unwrap();
        assert!(matches!(load(&text).unwrap_err(), OnnxError::NoRuntime { .. }));
    }

    #[test]
    fn who_names_a_library_is_heard_first() {
        let mut config = OnnxConfig::new("model.onnx", "tokenizer.json");
        config.usual_runtime = Some("usual".into());
        config.runtime = Some("named".into());
        assert_eq!(place(&config), PathBuf::from("named"));
    }
}
