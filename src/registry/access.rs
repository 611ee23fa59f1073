//! The login of a registry, and the certificates that its own may be signed by.

use crate::cli::SchemaArgs;
use crate::secret::{self, SecretText};
use reqwest::header::HeaderValue;
use reqwest::{Certificate, RequestBuilder};
use std::path::Path;

const PASSWORD: &str = "MINUTELY_SCHEMA_REGISTRY_PASSWORD";
const TOKEN: &str = "MINUTELY_SCHEMA_REGISTRY_TOKEN";

/// Looks up a variable of the environment.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// How this client logs in.
pub(super) enum RegistryLogin {
    /// `Authorization: Basic …`.
    User { name: String, password: String },
    /// `Authorization: Bearer …`.
    Token(HeaderValue),
    /// Not at all.
    None,
}

/// A login, and what is wrong with where it comes from.
pub(super) struct RegistryAccess {
    pub(super) login: RegistryLogin,
    warning: Option<String>,
}

impl RegistryAccess {
    /// As the options and the environment say.
    ///
    /// # Errors
    /// The first mistake.
    pub(super) fn of(args: &SchemaArgs, env: Environment<'_>) -> Result<Self, String> {
        let password = Secret::of(args.password_file.as_deref(), "--schema-registry-password-file", PASSWORD, env)?;
        let token = Secret::of(args.schema_token_file.as_deref(), "--schema-registry-token-file", TOKEN, env)?;
        match (&args.user, password, token) {
            (Some(user), _, Some(token)) => {
                Err(format!("--schema-registry-user {user} and {} are two logins: give one of them", token.from))
            }
            (Some(user), Some(password), None) => {
                let text = password.text.trim_end_matches(['\r', '\n']).to_owned();
                Ok(RegistryAccess {
                    login: RegistryLogin::User { name: user.clone(), password: text },
                    warning: password.warning,
                })
            }
            (Some(_), None, None) => Err(format!(
                "--schema-registry-user: has no password: set {PASSWORD} or give --schema-registry-password-file"
            )),
            (None, _, Some(token)) => {
                let mut value = Some(token.text.trim())
                    .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
                    .and_then(|text| HeaderValue::from_str(&format!("Bearer {text}")).ok())
                    .ok_or_else(|| {
                        format!("{}: is empty, or has characters that no token has, such as a space", token.from)
                    })?;
                value.set_sensitive(true);
                Ok(RegistryAccess { login: RegistryLogin::Token(value), warning: token.warning })
            }
            // The variable alone may be meant for another run.
            (None, Some(password), None) if args.password_file.is_some() => {
                Err(format!("{} is given without --schema-registry-user", password.from))
            }
            (None, _, None) => Ok(RegistryAccess { login: RegistryLogin::None, warning: None }),
        }
    }

    /// Other users can read the file that has the secret.
    pub(super) fn warning(&self) -> Option<String> {
        self.warning.clone()
    }

    /// Adds the login.
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.login {
            RegistryLogin::User { name, password } => request.basic_auth(name, Some(password)),
            RegistryLogin::Token(value) => request.header(reqwest::header::AUTHORIZATION, value),
            RegistryLogin::None => request,
        }
    }
}

/// A secret, and where it was found.
struct Secret {
    text: String,
    from: String,
    warning: Option<String>,
}

impl Secret {
    /// That of the file, else of the variable.
    fn of(file: Option<&Path>, option: &str, variable: &str, env: Environment<'_>) -> Result<Option<Self>, String> {
        match file {
            Some(path) => {
                let from = format!("{option} {}", path.display());
                let SecretText { text, warning } =
                    secret::read_one(path).map_err(|error| format!("{from}: {error}"))?;
                Ok(Some(Secret { text, from, warning }))
            }
            None => {
                let text = env(variable).filter(|text| !text.is_empty());
                Ok(text.map(|text| Secret { text, from: variable.to_owned(), warning: None }))
            }
        }
    }
}

/// The certificates of a file.
///
/// # Errors
/// It cannot be read, or has none.
pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let wrong = |why: String| format!("--schema-registry-ca {}: {why}", path.display());
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong("has no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned())),
    }
}
