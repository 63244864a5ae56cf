//! Options from a TOML file, for whatever neither arguments nor environment give.
//!
//! ```text
//! memory = "2GiB"            ─▶ --memory 2GiB
//! allow = ["s3://a", "s3://b"] ─▶ --allow s3://a,s3://b
//! insecure = true            ─▶ --insecure
//! ```
//!
//! A file becomes arguments, so options are declared once, and what is wrong with a value is said in the same words.

use std::{
    ffi::OsString,
    fmt::Display,
    fs,
    path::{Path, PathBuf},
};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, Parser, error::ErrorKind, parser::ValueSource,
};
use toml::{Table, Value};

/// The option that names such a file.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigFile {
    /// TOML file of these options by their names, as memory = "2GiB"; flags and environment go before it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Reads `arguments`, of which the first is the program's name, the environment, and the file that `--config` names.
///
/// # Errors
/// As clap's; and the file can't be read, is no TOML, or names an option that there is not.
pub fn parse<C: Parser>(arguments: impl IntoIterator<Item = OsString>) -> Result<C, clap::Error> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // As far as they can be understood; what can't be is said by whoever reads them after.
    let lenient = C::command().ignore_errors(true);
    if let Ok(given) = lenient.try_get_matches_from(&arguments) {
        expand(C::command(), &given, &mut arguments)?;
    }
    C::try_parse_from(arguments)
}

/// Puts what the file says, if one is given, where arguments end.
fn expand(
    mut command: Command,
    given: &ArgMatches,
    arguments: &mut Vec<OsString>,
) -> Result<(), clap::Error> {
    let (mut called, mut given) = (Vec::new(), given);
    while let Some((name, inner)) = given.subcommand() {
        called.push(name);
        given = inner;
    }
    let Ok(Some(path)) = given.try_get_one::<PathBuf>(CONFIG) else {
        return Ok(());
    };
    command.build(); // options of all commands are options of theirs, too
    let command = called
        .iter()
        .try_fold(&command, |command, name| command.find_subcommand(name))
        .expect("it was called");
    let added = read(path).and_then(|table| Added::from(&table, command, given));
    let added = added.map_err(|why| {
        let message = format!("{}: {why}", path.display());
        command.clone().error(ErrorKind::ValueValidation, message)
    })?;
    let end = arguments.iter().position(|argument| argument == "--");
    if end.is_none() && !added.last.is_empty() {
        arguments.push("--".into());
        arguments.extend(added.last);
    }
    let end = arguments.iter().position(|argument| argument == "--");
    let end = end.unwrap_or(arguments.len());
    arguments.splice(end..end, added.options);
    Ok(())
}

/// What a file adds to a command line.
#[derive(Default)]
struct Added {
    options: Vec<OsString>,
    /// What follows `--`, unless something does already.
    last: Vec<OsString>,
}

impl Added {
    fn from(table: &Table, command: &Command, given: &ArgMatches) -> Result<Added, String> {
        let mut added = Added::default();
        for (key, value) in table {
            let option = find(command, key)?;
            let is_given = |option: &Arg| {
                let source = given.value_source(option.get_id().as_str());
                matches!(
                    source,
                    Some(ValueSource::CommandLine | ValueSource::EnvVariable)
                )
            };
            let others = command.get_arg_conflicts_with(option);
            let is_overruled = is_given(option) || others.into_iter().any(is_given);
            let words = words(option, value).map_err(|why| format!("{key}: {why}"))?;
            if is_overruled {
                continue;
            }
            match option.is_last_set() {
                true => added.last.extend(words),
                false => added.options.extend(words),
            }
        }
        Ok(added)
    }
}

fn read(path: &Path) -> Result<Table, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("can't be read: {error}"))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start].lines().count().max(1));
        format!("line {line} is no TOML: {}", error.message())
    })
}

/// The option called `key`, with dashes or underscores.
fn find<'a>(command: &'a Command, key: &str) -> Result<&'a Arg, String> {
    let wanted = key.replace('_', "-");
    if let Some(found) = options(command).find(|option| name(option) == wanted) {
        return Ok(found);
    }
    let near = |option: &&Arg| strsim::jaro_winkler(&name(option), &wanted);
    let nearest = options(command).max_by(|one, other| near(one).total_cmp(&near(other)));
    let meant = nearest.map_or(String::new(), |it| format!("; did you mean {}?", name(it)));
    Err(format!("there is no option {key}{meant}"))
}

/// Those that a file may hold.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|option| {
        let is_about_us = [CONFIG, "help", "version"].contains(&option.get_id().as_str());
        !is_about_us && (option.get_long().is_some() || option.is_last_set())
    })
}

fn name(option: &Arg) -> String {
    let long = option.get_long().map(str::to_owned);
    long.unwrap_or_else(|| option.get_id().as_str().replace('_', "-"))
}

/// `value` as the command line says it.
fn words(option: &Arg, value: &Value) -> Result<Vec<OsString>, String> {
    let values = match value {
        Value::Array(values) => values.iter().map(word).collect::<Result<Vec<_>, _>>()?,
        value => vec![word(value)?],
    };
    if option.is_last_set() {
        return Ok(values.into_iter().map(OsString::from).collect());
    }
    let flag = format!("--{}", name(option));
    match (option.get_action(), value, option.get_value_delimiter()) {
        (ArgAction::SetTrue, Value::Boolean(true), _) => Ok(vec![flag.into()]),
        (ArgAction::SetTrue, Value::Boolean(false), _) => Ok(Vec::new()),
        (ArgAction::SetTrue, ..) => Err("give true or false".to_owned()),
        (_, Value::Array(_), None) => Err("give one value, not several".to_owned()),
        (_, Value::Array(_), Some(_)) if values.is_empty() => Ok(Vec::new()),
        (_, _, delimiter) => {
            let values = values.join(&delimiter.unwrap_or(',').to_string());
            Ok(vec![format!("{flag}={values}").into()])
        }
    }
}

fn word(value: &Value) -> Result<String, String> {
    let said = |value: &dyn Display| Ok(value.to_string());
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => said(number),
        Value::Float(number) => said(number),
        Value::Boolean(truth) => said(truth),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            Err("give a text, a number, true or false".to_owned())
        }
    }
}

const CONFIG: &str = "config";

#[cfg(test)]
mod tests {
    use clap::Subcommand;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        task: Task,
        #[arg(long, global = true, default_value = "human")]
        log_format: String,
    }

    #[derive(Debug, Subcommand)]
    enum Task {
        Serve(Serve),
        Rest,
    }

    #[derive(Args, Debug, Default, PartialEq)]
    struct Serve {
        #[arg(long, env = "DPP_TEST_CONFIG_MEMORY", default_value = "1GiB")]
        memory: String,
        #[arg(long, value_delimiter = ',')]
        allow: Vec<String>,
        #[arg(long)]
        target_share: Option<f64>,
        #[arg(long, conflicts_with = "local")]
        workers: Option<u32>,
        #[arg(long)]
        local: Option<u32>,
        #[arg(long)]
        insecure: bool,
        #[arg(last = true, requires = "local")]
        worker_arguments: Vec<String>,
        #[command(flatten)]
        config: File,
    }

    /// Compares as equal, so that cases need not name it.
    #[derive(Args, Debug, Default)]
    struct File {
        #[command(flatten)]
        file: ConfigFile,
    }

    impl PartialEq for File {
        fn eq(&self, _: &File) -> bool {
            true
        }
    }

    /// What `arguments` mean with a file of this text.
    fn parsed(text: &str, arguments: &str) -> Result<Program, String> {
        let path = std::env::temp_dir().join(format!(
            "dpp-config-{}-{:?}.toml",
            std::process::id(),
            std::thread::current().id()
        ));
        fs::write(&path, text).unwrap();
        let line = format!("program serve --config {} {arguments}", path.display());
        let parsed = parse(line.split_whitespace().map(OsString::from));
        fs::remove_file(path).unwrap();
        parsed.map_err(|error| error.to_string())
    }

    fn serve(text: &str, arguments: &str) -> Serve {
        match parsed(text, arguments).unwrap().task {
            Task::Serve(serve) => serve,
            Task::Rest => unreachable!("serve was called"),
        }
    }

    fn refused(text: &str, arguments: &str) -> String {
        parsed(text, arguments).unwrap_err()
    }

    fn usual() -> Serve {
        Serve {
            memory: "1GiB".into(),
            ..Serve::default()
        }
    }

    #[test]
    fn a_file_says_what_is_not_given() {
        let all = "memory = \"2GiB\"\nallow = [\"s3://a\", \"s3://b\"]\ntarget_share = 0.5\ninsecure = true\nlocal = 4\n\
                   worker-arguments = [\"--threads\", 1]";
        let expected = Serve {
            memory: "2GiB".into(),
            allow: vec!["s3://a".into(), "s3://b".into()],
            target_share: Some(0.5),
            local: Some(4),
            insecure: true,
            worker_arguments: vec!["--threads".into(), "1".into()],
            ..Serve::default()
        };
        assert_eq!(serve(all, ""), expected);
        let given = serve(all, "--memory 3GiB --allow s3://c -- --threads 2");
        let expected = Serve {
            memory: "3GiB".into(),
            allow: vec!["s3://c".into()],
            worker_arguments: vec!["--threads".into(), "2".into()],
            ..expected
        };
        assert_eq!(given, expected);
        assert_eq!(serve("", ""), usual());
        assert_eq!(serve("allow = []\ninsecure = false", ""), usual());
        let program = parsed("log-format = \"json\"", "").unwrap();
        assert_eq!(program.log_format, "json", "options of all commands");
    }

    #[test]
    fn what_overrules_an_option_overrules_its_opposite() {
        let given = serve("workers = 3", "--local 2");
        assert_eq!((given.workers, given.local), (None, Some(2)));
        let both = refused("workers = 3\nlocal = 2", "");
        assert!(
            both.contains("--workers") && both.contains("--local"),
            "{both}"
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("memroy = 1", "no option memroy; did you mean memory?"),
            ("config = \"x\"", "no option config"),
            ("memory = [1, 2]", "memory: give one value"),
            ("memory = {a = 1}", "memory: give a text"),
            ("insecure = 1", "insecure: give true or false"),
            ("target-share = \"x\"", "--target-share"),
            ("memory = 1\nallow = [", "line 2 is no TOML"),
        ] {
            let said = refused(text, "");
            assert!(said.contains(why), "{text}: {said}");
        }
        let said = refused("", "--memroy 1");
        assert!(said.contains("--memroy"), "{said}");
        let missing =
            parse::<Program>(["program", "serve", "--config", "/no/file"].map(OsString::from));
        let said = missing.unwrap_err().to_string();
        assert!(said.contains("/no/file: can't be read"), "{said}");
        assert!(matches!(
            parse::<Program>(["program", "rest"].map(OsString::from))
                .unwrap()
                .task,
            Task::Rest
        ));
    }
}
