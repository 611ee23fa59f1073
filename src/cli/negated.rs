//! `--close=false`: takes back a flag that a variable or a file sets, so that the command line wins for flags, too.

use super::option::{Arity, OptionSpec};
use super::origin::{LayeredValues, ValueOrigin};

/// Words with the flags among them that are taken back.
pub(super) struct Negated {
    /// As if each flag were given.
    pub(super) given: Vec<String>,
    /// Without those that are taken back.
    pub(super) left: Vec<String>,
    keys: Vec<String>,
}

impl Negated {
    /// `options`: of all commands.
    pub(super) fn of(words: &[String], options: &[OptionSpec]) -> Self {
        let mut negated = Negated { given: Vec::new(), left: Vec::new(), keys: Vec::new() };
        let is_flag = |name: &str| options.iter().any(|option| option.arity == Arity::Flag && option.key == name);
        for word in words {
            let flag = word.strip_prefix("--").and_then(|word| word.split_once('='));
            match flag.filter(|(name, _)| is_flag(name)) {
                Some((name, "false")) => {
                    negated.given.push(format!("--{name}"));
                    negated.keys.push(name.to_owned());
                }
                Some((name, "true")) => {
                    negated.given.push(format!("--{name}"));
                    negated.left.push(format!("--{name}"));
                }
                _ => {
                    negated.given.push(word.clone());
                    negated.left.push(word.clone());
                }
            }
        }
        negated
    }

    /// What stands above variables and file.
    pub(super) fn values(&self, options: &[OptionSpec]) -> Vec<LayeredValues> {
        let taken_back = options.iter().filter(|option| self.keys.contains(&option.key));
        let value = |option: &OptionSpec| {
            LayeredValues::of(option, vec!["false".to_owned()], ValueOrigin::Word(format!("--{}=false", option.key)))
        };
        taken_back.map(value).collect()
    }
}
