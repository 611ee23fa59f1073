//! The source files of both crates as text: which paths each names, and which file each path leads to.
//!
//! A reader of text, no compiler: macros are not expanded and globs are not followed. Comments, literals and tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Each crate's folder, and its name in a path.
const CRATES: [(&str, &str); 2] = [("src", "minutely"), ("dataflows/src", "minutely_dataflows")];

/// One file.
pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    /// The crate's name, then its modules.
    module: Vec<String>,
    /// Without modules that only tests have.
    pub(crate) text: String,
    /// Of that text, without comments and literals.
    pub(crate) tokens: Vec<String>,
    imports: Vec<Import>,
}

/// One name that a `use` brings in.
struct Import {
    name: String,
    path: Vec<String>,
    is_public: bool,
}

/// One file names an item of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The item; the module itself, if empty.
    pub(crate) item: String,
    /// Only hands the name on: `pub use`.
    pub(crate) is_reexport: bool,
}

/// All files of both crates but those of tests.
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    by_module: BTreeMap<Vec<String>, usize>,
}

impl Tree {
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut sources = Vec::new();
        for (folder, name) in CRATES {
            read_folder(root, folder, &[name.to_owned()], &mut sources);
        }
        let of_tests: BTreeSet<String> = sources.iter().flat_map(Source::test_files).collect();
        sources.retain(|source| !of_tests.contains(&source.path));
        for source in &mut sources {
            source.text = without_tests(&source.text);
            source.tokens = tokens(&source.text);
            source.imports = imports(&source.tokens);
        }
        let by_module = sources.iter().enumerate().map(|(at, source)| (source.module.clone(), at)).collect();
        Tree { sources, by_module }
    }

    /// Which file names what of which other file.
    pub(crate) fn edges(&self) -> BTreeSet<Edge> {
        let mut edges = BTreeSet::new();
        for source in &self.sources {
            let imports = source.imports.iter().map(|import| (&import.path, import.is_public));
            let paths = paths(&source.tokens);
            for (path, is_reexport) in imports.chain(paths.iter().map(|path| (path, false))) {
                let Some((to, item)) = self.resolve(&source.module, path, 0) else { continue };
                let to = &self.sources[to].path;
                if *to != source.path {
                    edges.insert(Edge { from: source.path.clone(), to: to.clone(), item, is_reexport });
                }
            }
        }
        edges
    }

    /// The file that defines what a path leads to, and the item's name; none for another crate's and for local names.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<(usize, String)> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => vec![from[0].clone()],
            "self" => from.to_vec(),
            "super" => from[..from.len() - 1].to_vec(),
            name if CRATES.iter().any(|(_, known)| *known == name) => vec![name.to_owned()],
            _ => {
                rest = path;
                from.to_vec()
            }
        };
        let is_local = rest.len() == path.len();
        let mut steps = 0;
        while let Some((next, after)) = rest.split_first() {
            if next == "super" {
                module.pop();
                rest = after;
                continue;
            }
            let child = [&module[..], std::slice::from_ref(next)].concat();
            if self.by_module.contains_key(&child) {
                (module, rest) = (child, after);
                steps += 1;
                continue;
            }
            let here = *self.by_module.get(&module)?;
            let import = self.sources[here].imports.iter().find(|import| import.name == *next && import.path != path);
            if let Some(import) = import.filter(|_| depth < 20) {
                return self.resolve(&module, &[&import.path[..], after].concat(), depth + 1);
            }
            // A first segment that is neither a module nor imported: a local item, or another crate.
            return (!is_local || steps > 0).then(|| (here, next.clone()));
        }
        self.by_module.get(&module).map(|here| (*here, String::new()))
    }
}

impl Source {
    /// Files that are there for tests alone: `#[cfg(test)] mod NAME;`.
    fn test_files(&self) -> Vec<String> {
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let modules = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").map(|pair| pair[1]);
        let names = modules.filter_map(|line| line.strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name));
        let folder = ["/mod.rs", "/main.rs", "/lib.rs", ".rs"].iter().find_map(|end| self.path.strip_suffix(end));
        let folder = folder.expect("it is a file of Rust");
        names.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
    }

    /// All paths that this file names, with the names that it imported written out: `std::fs::read`.
    pub(crate) fn outside(&self) -> BTreeSet<String> {
        let written_out = |path: Vec<String>| match self.imports.iter().find(|import| import.name == path[0]) {
            Some(import) => [&import.path[..], &path[1..]].concat(),
            None => path,
        };
        let imported = self.imports.iter().map(|import| import.path.clone());
        imported.chain(paths(&self.tokens).into_iter().map(written_out)).map(|path| path.join("::")).collect()
    }
}

fn read_folder(root: &Path, folder: &str, module: &[String], sources: &mut Vec<Source>) {
    let mut names: Vec<(String, bool)> = std::fs::read_dir(root.join(folder))
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.file_type().unwrap().is_dir()))
        .collect();
    names.sort();
    for (name, is_folder) in names {
        let path = format!("{folder}/{name}");
        let below = |last: &str| [module, &[last.to_owned()]].concat();
        if name == "tests" || name == "tests.rs" {
            continue;
        } else if is_folder {
            read_folder(root, &path, &below(&name), sources);
        } else if let Some(stem) = name.strip_suffix(".rs") {
            let module = if ["main", "lib", "mod"].contains(&stem) { module.to_vec() } else { below(stem) };
            let text = std::fs::read_to_string(root.join(&path)).unwrap();
            sources.push(Source { path, module, text, tokens: Vec::new(), imports: Vec::new() });
        }
    }
}

/// Without modules that only tests have: rustfmt ends each with a `}` as far from the margin as it began.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let is_test = line.trim() == "#[cfg(test)]";
        let module = lines.peek().filter(|next| is_test && format!(" {next}").contains(" mod ")).copied();
        let Some(module) = module else {
            kept += line;
            kept.push('\n');
            continue;
        };
        lines.next();
        let end = format!("{}}}", &module[..module.len() - module.trim_start().len()]);
        while !module.ends_with(';') && lines.next().is_some_and(|line| line != end) {}
    }
    kept
}

/// Names, `::` and single signs. Comments, and what literals hold, are left out.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            found.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            found.push("::".into());
            2
        } else {
            if !first.is_whitespace() {
                found.push(first.into());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The bytes of the string or character that begins here.
fn literal(text: &str) -> Option<usize> {
    let quoted = text.strip_prefix("br").or(text.strip_prefix('r'));
    if let Some(raw) = quoted.filter(|raw| raw.trim_start_matches('#').starts_with('"')) {
        let signs = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(signs));
        let begins = text.len() - raw.len() + signs + 1;
        return Some(text[begins..].find(&end).map_or(text.len(), |at| begins + at + end.len()));
    }
    let body = text.strip_prefix('b').unwrap_or(text);
    let quote = body.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
    let mut inside = body[1..].char_indices();
    let second = inside.clone().nth(1).map(|(_, sign)| sign);
    if quote == '\'' && !body[1..].starts_with('\\') && second != Some('\'') {
        return None; // a lifetime
    }
    while let Some((at, sign)) = inside.next() {
        match sign {
            '\\' => drop(inside.next()),
            _ if sign == quote => return Some(text.len() - body.len() + 1 + at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// What each `use` brings in.
fn imports(tokens: &[String]) -> Vec<Import> {
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at] == "use") {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].as_str());
        let is_public = before == "pub" || before == ")";
        let end = tokens[at..].iter().position(|token| token == ";").map_or(tokens.len(), |end| at + end);
        use_tree(&tokens[at + 1..end], &[], is_public, &mut found);
    }
    found
}

/// One tree of a `use`: `a::b`, `a::b as c`, or `a::{…, …}`.
fn use_tree(tokens: &[String], prefix: &[String], is_public: bool, found: &mut Vec<Import>) {
    let open = tokens.iter().position(|token| token == "{");
    let names = |tokens: &[String]| tokens.iter().filter(|token| is_name(token)).cloned().collect::<Vec<_>>();
    let Some(open) = open else {
        let alias = tokens.iter().position(|token| token == "as");
        let mut path = [prefix, &names(&tokens[..alias.unwrap_or(tokens.len())])].concat();
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let Some(name) = alias.and_then(|alias| tokens.get(alias + 1)).or(path.last()).cloned() else { return };
        found.push(Import { name, path, is_public });
        return;
    };
    let prefix = [prefix, &names(&tokens[..open])].concat();
    let (mut depth, mut begin) = (0, open + 1);
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && token == ",") {
            if begin < at {
                use_tree(&tokens[begin..at], &prefix, is_public, found);
            }
            begin = at + 1;
        }
    }
}

/// Paths of two names and more that stand outside of `use`.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if tokens[at] == "use" {
            at += tokens[at..].iter().position(|token| token == ";").unwrap_or(tokens.len() - at);
        } else if is_name(&tokens[at]) {
            let mut path = vec![tokens[at].clone()];
            while tokens.get(at + 1).is_some_and(|sign| sign == "::") && tokens.get(at + 2).is_some_and(|t| is_name(t))
            {
                at += 2;
                path.push(tokens[at].clone());
            }
            if path.len() > 1 {
                found.push(path);
            }
        }
        at += 1;
    }
    found
}

#[test]
fn paths_of_a_file_are_read() {
    let text = "use crate::a::{self, b::C as D, e}; pub use f::G;\n// crate::no\nfn x<'a>() { let _ = ('\"', \"crate::no\", r#\"\"crate::no\"#); a::h() }\n\
        #[cfg(test)]\nmod tests {\n    use crate::no;\n}\nfn y() { super::i::j }";
    let tokens = tokens(&without_tests(text));
    let shown: Vec<String> = imports(&tokens)
        .iter()
        .map(|i| format!("{}={}{}", i.name, i.path.join("::"), if i.is_public { " pub" } else { "" }))
        .collect();
    assert_eq!(shown, ["a=crate::a", "D=crate::a::b::C", "e=crate::a::e", "G=f::G pub"]);
    assert_eq!(paths(&tokens).iter().map(|path| path.join("::")).collect::<Vec<_>>(), ["a::h", "super::i::j"]);
}
